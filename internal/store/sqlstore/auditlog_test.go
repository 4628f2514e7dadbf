package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

// changeSome makes changes of several kinds, and returns the account.
func changeSome(t *testing.T, s *sqlstore.Store) id.ID {
	t.Helper()
	account, _, err := s.EnsureFirst(t.Context())
	check(t, err)
	ctx := collection.WithOrigin(t.Context(), &collection.Origin{KeyID: 7, KeyAccount: account.ID, KeyName: "deploy",
		Address: "192.0.2.7", RequestID: "request-1", Reason: "ticket 7"})
	p := profile.New()
	p.Name = "calls"
	p, err = s.Profiles().Create(ctx, account.ID, p)
	check(t, err)
	c := connection.NewCredentialConnection()
	c.ConnectionName = "phone"
	c.UserName = "user"
	c.Password = "the-secret-of-the-phone"
	c, err = s.CredentialConnections().Create(ctx, account.ID, c)
	check(t, err)
	_, err = s.CredentialConnections().Update(ctx, account.ID, c.ID,
		func(c connection.CredentialConnection) (connection.CredentialConnection, error) {
			c.Password = "another-secret-of-the-phone"
			c.Outbound.ChannelLimit = new(int32(3))
			return c, nil
		})
	check(t, err)
	// changes nothing
	_, err = s.Profiles().Update(ctx, account.ID, p.ID, func(p profile.Profile) (profile.Profile, error) { return p, nil })
	check(t, err)
	_, err = s.Profiles().Delete(ctx, account.ID, p.ID)
	check(t, err)
	_, err = s.PutKey(t.Context(), store.Key{Head: collection.Head[id.ID]{AccountID: account.ID},
		Name: "key", Hash: [32]byte{1, 2, 3},
		Scopes: []string{"read"}})
	check(t, err)
	return account.ID
}

func TestAuditEvents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tollgate.db")
	s, _ := openStore(t, path, 0)
	account := changeSome(t, s)
	page, err := s.ListAudit(t.Context(), account,
		collection.Query{Number: 1, Size: 50, Sort: []collection.Order{{Field: "sequence"}}})
	check(t, err)
	var got []string
	for _, e := range page.Items {
		got = append(got, e.ChangeType+" "+e.RecordType+" "+e.AlternateID+" by "+e.KeyName)
		for _, c := range e.Changes {
			if strings.Contains(string(c.From)+string(c.To), "secret") {
				t.Errorf("%s of %s shows a secret: %s %s", c.Field, e.RecordType, c.From, c.To)
			}
		}
	}
	want := []string{"create account default by ", "create outbound_voice_profile calls by deploy",
		"create credential_connection phone by deploy",
		"update credential_connection phone by deploy", "delete outbound_voice_profile calls by deploy",
		"create api_key key by "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	update := page.Items[3]
	wantChanges := []store.FieldChange{
		{Field: "outbound.channel_limit", From: []byte("null"), To: []byte("3")},
		{Field: "password", From: []byte(`"[changed]"`), To: []byte(`"[changed]"`)},
	}
	if diff := cmp.Diff(wantChanges, update.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if update.Address != "192.0.2.7" || update.RequestID != "request-1" || update.Reason != "ticket 7" ||
		update.KeyID != 7 || update.Sequence != 4 {
		t.Errorf("event %+v", update)
	}
	head, err := sqlstore.VerifyAuditFile(t.Context(), path, secret.Open()) // while the store has it open
	if err != nil || head.Sequence != 6 {
		t.Errorf("head %+v, %v", head, err)
	}
	check(t, s.Close())
	text, err := os.ReadFile(path)
	check(t, err)
	if i := strings.Index(string(text), `"changes":`); i < 0 {
		t.Error("the file has no events") // so that the next line means something
	}
	if again, err := sqlstore.VerifyAuditFile(t.Context(), path, secret.Open(), head); err != nil || again != head {
		t.Errorf("after the store was closed: %+v, %v", again, err)
	}
}

func openRaw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	return db
}

func TestTamperedAuditIsFound(t *testing.T) {
	cases := []struct {
		name, tamper string
		first        int64 // the event that is named
	}{
		{"changed content", `UPDATE audit_events SET doc = replace(doc, 'deploy', 'mallory') WHERE id = 3`, 3},
		{"changed hash", `UPDATE audit_events SET hash = zeroblob(32) WHERE id = 2`, 2},
		{"changed time", `UPDATE audit_events SET created_at = created_at + 1 WHERE id = 4`, 4},
		{"changed account", `UPDATE audit_events SET account_id = 7 WHERE id = 1`, 1},
		{"removed", `DELETE FROM audit_events WHERE id = 3`, 3},
		{"removed and closed up", `DELETE FROM audit_events WHERE id = 3; UPDATE audit_events SET id = id - 1 WHERE id > 3`,
			3},
		{"first removed", `DELETE FROM audit_events WHERE id = 1`, 1},
		{"inserted at the end",
			`INSERT INTO audit_events SELECT id + 6, account_id, created_at, doc, hash, key FROM audit_events WHERE id = 1`, 7},
		{"inserted between", `UPDATE audit_events SET id = id + 100 WHERE id > 2; UPDATE audit_events SET id = id - 99 WHERE id > 100;
			INSERT INTO audit_events SELECT 3, account_id, created_at, doc, hash, key FROM audit_events WHERE id = 2`, 3},
		{"cut off", `DELETE FROM audit_events WHERE id > 4`, 5},
		{"all of it", `DELETE FROM audit_events`, 1},
		{"not JSON", `UPDATE audit_events SET doc = 'x' WHERE id = 5`, 5},
		{"swapped", `UPDATE audit_events SET id = 100 WHERE id = 2; UPDATE audit_events SET id = 2 WHERE id = 3; UPDATE audit_events SET id = 3 WHERE id = 100`, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tollgate.db")
			s, _ := openStore(t, path, 0)
			changeSome(t, s)
			db := openRaw(t, path)
			for _, guarded := range []string{"UPDATE audit_events SET doc = 'x' WHERE id = 1",
				"DELETE FROM audit_events WHERE id = 1"} {
				if _, err := db.ExecContext(t.Context(), guarded); err == nil {
					t.Errorf("the table let through: %s", guarded)
				}
			}
			_, err := db.ExecContext(t.Context(),
				"DROP TRIGGER audit_events_update; DROP TRIGGER audit_events_delete; "+c.tamper)
			check(t, err)
			_, err = s.VerifyAuditChain(t.Context())
			broken := (*trail.Error)(nil)
			if !errors.As(err, &broken) || broken.Sequence != c.first {
				t.Errorf("found %v, want event %d", err, c.first)
			}
			check(t, s.Close())
		})
	}
}

// A chain that was cut off together with its head, or computed anew, is only found
// with a head that was kept elsewhere.
func TestAuditAgainstAKeptHead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tollgate.db")
	s, _ := openStore(t, path, 0)
	defer func() { check(t, s.Close()) }()
	changeSome(t, s)
	head, err := s.VerifyAuditChain(t.Context())
	check(t, err)
	db := openRaw(t, path)
	_, err = db.ExecContext(t.Context(), `DROP TRIGGER audit_events_delete; DELETE FROM audit_events WHERE id > 4;
		UPDATE audit_head SET last = 4, hash = (SELECT hash FROM audit_events WHERE id = 4)`)
	check(t, err)
	if _, err := s.VerifyAuditChain(t.Context()); err != nil {
		t.Errorf("the documented blind spot is none: %v", err)
	}
	broken := (*trail.Error)(nil)
	if _, err := s.VerifyAuditChain(context.Background(), head); !errors.As(err, &broken) || broken.Sequence != 5 {
		t.Errorf("with a kept head: %v", err)
	}
	other := trail.Head{Sequence: 2, Hash: [32]byte{1}}
	if _, err := s.VerifyAuditChain(t.Context(), other); !errors.As(err, &broken) || broken.Sequence != 2 {
		t.Errorf("with another head: %v", err)
	}
}
