package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

// onEach runs a test on both databases.
func onEach(t *testing.T, test func(t *testing.T, s *sqlstore.Store, account id.ID)) {
	for name, place := range map[string]func(*testing.T, *sqlstore.Config){
		"SQLite":     func(t *testing.T, c *sqlstore.Config) { c.Path = filepath.Join(t.TempDir(), "tollgate.db") },
		"PostgreSQL": func(t *testing.T, c *sqlstore.Config) { c.DatabaseURL, _ = newDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			clock := newTestClock(noon)
			config := sqlstore.Config{
				NodeName: "node", Live: policy.NewLive(), Clock: clock.Now, IDs: id.NewSource(1, clock.Now),
				Owner: uuid.New(), Ticks: make(chan time.Time), MaxClockOffset: -1,
			}
			place(t, &config)
			s, err := sqlstore.Open(t.Context(), config)
			check(t, err)
			t.Cleanup(func() { check(t, s.Close()) })
			first, _, err := s.EnsureFirst(t.Context())
			check(t, err)
			test(t, s, first.ID)
		})
	}
}

func newProfile(name string) profile.Profile {
	p := profile.New()
	p.Name = name
	return p
}

// keyed is an origin with an idempotency key.
func keyed(account id.ID, key string, request byte) *collection.Origin {
	return &collection.Origin{KeyName: "tester", Idempotency: &collection.Idempotency{
		Account: account, Key: key, Request: [32]byte{request},
		Render: func(object any) (collection.Answer, error) {
			return collection.Answer{Status: 201, ETag: `"1"`, Body: fmt.Appendf(nil, "%T", object)}, nil
		},
	}}
}

// TestIdempotency repeats a write, also one to another account than the key's.
func TestIdempotency(t *testing.T) {
	onEach(t, func(t *testing.T, s *sqlstore.Store, account id.ID) {
		tenant, err := s.CreateTenant(t.Context(), store.Account{Name: "other", Active: true},
			store.Key{Name: "first", Hash: [32]byte{1}})
		check(t, err)
		for i, target := range []id.ID{account, tenant.Account.ID} {
			origin := keyed(account, fmt.Sprint("key ", i), 1)
			ctx := collection.WithOrigin(t.Context(), origin)
			_, err := s.Profiles().Create(ctx, target, newProfile("once"))
			check(t, err)
			_, err = s.Profiles().Create(ctx, target, newProfile("once"))
			want := collection.Answer{Status: 201, ETag: `"1"`, Body: []byte("profile.Profile")}
			if replay := (*collection.ReplayError)(nil); !errors.As(err, &replay) {
				t.Errorf("the second time: %v", err)
			} else if diff := cmp.Diff(want, replay.Answer); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			kept, err := s.Answered(t.Context(), origin.Idempotency)
			if diff := cmp.Diff(want, kept); err != nil || diff != "" {
				t.Errorf("%v, kept answer (-want +got):\n%s", err, diff)
			}
			other := collection.WithOrigin(t.Context(), keyed(account, fmt.Sprint("key ", i), 2))
			if _, err := s.Profiles().Create(other, target, newProfile("other")); !errors.Is(err, collection.ErrKeyReused) {
				t.Errorf("another request with the key: %v", err)
			}
			if page, err := s.Profiles().List(t.Context(), target, collection.Query{Size: 10}); err != nil || page.Total != 1 {
				t.Errorf("%d profiles, %v; want 1", page.Total, err)
			}
		}
		foreign := keyed(tenant.Account.ID, "key 0", 1)
		if _, err := s.Answered(t.Context(), foreign.Idempotency); !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("the answer to another account's key: %v", err)
		}
	})
}

// TestDryRun leaves nothing behind, whatever it does.
func TestDryRun(t *testing.T) {
	onEach(t, func(t *testing.T, s *sqlstore.Store, account id.ID) {
		audit := func() int {
			page, err := s.ListAudit(t.Context(), account, collection.Query{Size: 10})
			check(t, err)
			return page.Total
		}
		before := audit()
		dry := collection.WithOrigin(t.Context(), &collection.Origin{DryRun: true})
		p, err := s.Profiles().Create(dry, account, newProfile("dry"))
		if err != nil || p.Name != "dry" || p.Version != 1 {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := s.Profiles().Get(t.Context(), account, p.ID); !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("what was not made: %v", err)
		}
		if after := audit(); after != before {
			t.Errorf("%d audit events, want %d", after, before)
		}
		_, err = s.Profiles().Create(t.Context(), account, newProfile("wet"))
		check(t, err)
		if _, err := s.VerifyAuditChain(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestAuditChain makes, changes and deletes, and recomputes the chain.
func TestAuditChain(t *testing.T) {
	onEach(t, func(t *testing.T, s *sqlstore.Store, account id.ID) {
		ctx := collection.WithOrigin(t.Context(), &collection.Origin{KeyName: "tester", Reason: "a test"})
		p, err := s.Profiles().Create(ctx, account, newProfile("first name"))
		check(t, err)
		_, err = s.Profiles().Update(ctx, account, p.ID, func(p profile.Profile) (profile.Profile, error) {
			p.Name = "second name"
			return p, nil
		})
		check(t, err)
		known, err := s.VerifyAuditChain(t.Context())
		check(t, err)
		_, err = s.Profiles().Delete(ctx, account, p.ID)
		check(t, err)
		head, err := s.VerifyAuditChain(t.Context(), known)
		if err != nil || head.Sequence != 4 { // the account comes first
			t.Errorf("head %d, %v", head.Sequence, err)
		}
		page, err := s.ListAudit(t.Context(), account, collection.Query{Size: 10})
		check(t, err)
		var got []string
		for _, e := range page.Items {
			got = append(got, fmt.Sprintln(e.Sequence, e.RecordType, e.ChangeType, e.KeyName, e.AlternateID))
		}
		want := []string{
			fmt.Sprintln(1, "account", "create", "", "default"),
			fmt.Sprintln(2, "outbound_voice_profile", "create", "tester", "first name"),
			fmt.Sprintln(3, "outbound_voice_profile", "update", "tester", "second name"),
			fmt.Sprintln(4, "outbound_voice_profile", "delete", "tester", "second name"),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		known.Hash[0]++
		if broken := (*trail.Error)(nil); !errors.As(func() error {
			_, err := s.VerifyAuditChain(t.Context(), known)
			return err
		}(), &broken) {
			t.Error("a chain with another head holds")
		}
	})
}

// TestKeysAndTenants makes accounts with keys, and deletes them.
func TestKeysAndTenants(t *testing.T) {
	onEach(t, func(t *testing.T, s *sqlstore.Store, account id.ID) {
		ctx := t.Context()
		tenant, err := s.CreateTenant(ctx, store.Account{Name: "tenant", Active: true},
			store.Key{Name: "first", Hash: [32]byte{1}})
		check(t, err)
		var taken *collection.ReferenceError
		if _, err := s.Keys().Create(ctx, account, store.Key{Name: "same", Hash: [32]byte{1}}); !errors.As(err, &taken) ||
			!errors.Is(err, collection.ErrDuplicate) {
			t.Errorf("a key of another account: %v", err)
		}
		if _, err := s.PutKey(ctx, store.Key{Head: collection.Head[id.ID]{AccountID: account},
			Name: "same", Hash: [32]byte{1}}); !errors.Is(err,
			collection.ErrDuplicate) {
			t.Errorf("a key of another account put: %v", err)
		}
		previous := [32]byte{1}
		_, err = s.Keys().Update(ctx, tenant.Account.ID, tenant.Key.ID, func(k store.Key) (store.Key, error) {
			k.Hash, k.PreviousHash = [32]byte{2}, &previous
			return k, nil
		})
		check(t, err)
		for _, hash := range [][32]byte{{1}, {2}} {
			if k, err := s.KeyByHash(ctx, hash); err != nil || k.ID != tenant.Key.ID || k.AccountID != tenant.Account.ID {
				t.Errorf("by hash %d: %+v, %v", hash[0], k, err)
			}
		}
		s.NoteKeyUse(tenant.Account.ID, tenant.Key.ID, noon)
		check(t, s.Ping(ctx)) // the note is written before it
		uses, err := s.KeyUses(ctx, tenant.Account.ID)
		if diff := cmp.Diff(map[id.ID]time.Time{tenant.Key.ID: noon}, uses); err != nil || diff != "" {
			t.Errorf("%v, uses (-want +got):\n%s", err, diff)
		}
		if page, err := s.Accounts().List(ctx, 0, collection.Query{Size: 10}); err != nil || page.Total != 2 {
			t.Errorf("%d accounts, %v", page.Total, err)
		}
		p, err := s.Profiles().Create(ctx, tenant.Account.ID, newProfile("in use"))
		check(t, err)
		for _, used := range []id.ID{account, tenant.Account.ID} {
			if _, err := s.Accounts().Delete(ctx, used, used); !errors.Is(err, collection.ErrInUse) {
				t.Errorf("delete account %s: %v", used, err)
			}
		}
		_, err = s.Profiles().Delete(ctx, tenant.Account.ID, p.ID)
		check(t, err)
		_, err = s.Accounts().Delete(ctx, tenant.Account.ID, tenant.Account.ID)
		check(t, err)
		if _, err := s.KeyByHash(ctx, [32]byte{2}); !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("a key of a deleted account: %v", err)
		}
		if _, err := s.VerifyAuditChain(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestClusterAudit has two nodes write at once: there is one chain, without gaps,
// and one effect of each idempotency key. The events cannot be changed.
func TestClusterAudit(t *testing.T) {
	const each = 20
	url, name := newDatabase(t)
	clock := newTestClock(noon)
	nodes := []*testNode{newTestNode(t, url, "a", clock.Now),
		newTestNode(t, url, "b", clock.Now, func(c *sqlstore.Config) {
			c.IDs = id.NewSource(2, clock.Now)
		})}
	first, _, err := nodes[0].EnsureFirst(t.Context())
	check(t, err)
	var running sync.WaitGroup
	for _, n := range nodes {
		running.Go(func() {
			for i := range each {
				ctx := collection.WithOrigin(context.Background(), keyed(first.ID, fmt.Sprint(i), 1))
				_, err := n.Profiles().Create(ctx, first.ID, newProfile(fmt.Sprint(i)))
				if replay := (*collection.ReplayError)(nil); err != nil && !errors.As(err, &replay) {
					t.Errorf("create: %v", err)
				}
			}
		})
	}
	running.Wait()
	head, err := nodes[1].VerifyAuditChain(t.Context())
	if err != nil || head.Sequence != 1+each {
		t.Errorf("head %d, %v; want %d", head.Sequence, err, 1+each)
	}
	// What another node has deleted is gone here too.
	tenant, err := nodes[0].CreateTenant(t.Context(), store.Account{Name: "tenant", Active: true},
		store.Key{Name: "first", Hash: [32]byte{1}})
	check(t, err)
	check(t, nodes[1].Ping(t.Context()))
	if nodes[1].config.Live.Snapshot().Account(tenant.Account.ID) == nil {
		t.Error("the other node does not know the account")
	}
	_, err = nodes[0].Accounts().Delete(t.Context(), tenant.Account.ID, tenant.Account.ID)
	check(t, err)
	check(t, nodes[1].Ping(t.Context()))
	if nodes[1].config.Live.Snapshot().Account(tenant.Account.ID) != nil {
		t.Error("the other node knows the deleted account")
	}
	conn, err := pgx.Connect(t.Context(), url)
	check(t, err)
	defer conn.Close(context.Background())
	for _, text := range []string{"UPDATE audit_events SET doc = ''", "DELETE FROM audit_events",
		"TRUNCATE audit_events"} {
		if _, err := conn.Exec(t.Context(), "SET tollgate.account = '*'; "+text); err == nil {
			t.Errorf("%s was done", text)
		}
	}
	// From outside, beside the nodes: the whole chain, then a row that was changed.
	if head, err = sqlstore.VerifyAuditServer(t.Context(), url, secret.Open(), head); err != nil ||
		head.Sequence <= 1+each {
		t.Errorf("from outside: head %d, %v", head.Sequence, err)
	}
	check(t, postgresServer(t).Exec(name,
		"ALTER TABLE audit_events DISABLE TRIGGER USER; UPDATE audit_events SET created_at = created_at + 1 WHERE id = 5"))
	_, err = sqlstore.VerifyAuditServer(t.Context(), url, secret.Open())
	if broken := (*trail.Error)(nil); !errors.As(err, &broken) || broken.Sequence != 5 {
		t.Errorf("found %v, want event 5", err)
	}
}
