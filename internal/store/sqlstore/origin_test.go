package sqlstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// once is a context for a write that happens once for a key. The answer that is
// kept is the name and the id of the gateway.
func once(account id.ID, key string, request byte) context.Context {
	return collection.WithOrigin(context.Background(),
		&collection.Origin{KeyID: 7, KeyAccount: account, KeyName: "test", Idempotency: &collection.Idempotency{
			Account: account, Key: key, Request: [32]byte{request},
			Render: func(object any) (collection.Answer, error) {
				g := object.(routing.Gateway)
				return collection.Answer{Status: 201, ETag: `"1"`, Body: []byte(g.Name + " " + g.ID.String())}, nil
			},
		}})
}

func newGateway(name string) routing.Gateway {
	g := routing.NewGateway()
	g.Name, g.Address = name, "carrier.example"
	return g
}

// createOnce makes a gateway, or returns the answer of when it was made.
func createOnce(s *sqlstore.Store, account id.ID, key string, request byte) (answer string, replayed bool, err error) {
	g, err := s.Gateways().Create(once(account, key, request), account, newGateway(key))
	if happened := (*collection.ReplayError)(nil); errors.As(err, &happened) {
		return string(happened.Answer.Body), true, nil
	}
	return g.Name + " " + g.ID.String(), false, err
}

// Whatever is repeated, at once or later, under however many keys and with however
// many different requests: each key has one effect, and one answer.
func TestIdempotencyUnderConcurrency(t *testing.T) {
	s, _ := openStore(t, filepath.Join(t.TempDir(), "tollgate.db"), 0)
	defer func() { check(t, s.Close()) }()
	account, _, err := s.EnsureFirst(context.Background())
	check(t, err)
	made, round := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		keys := rapid.IntRange(1, 4).Draw(t, "keys")
		tries := rapid.SliceOfN(rapid.IntRange(0, keys*2-1), 1, 30).Draw(t, "tries") // key and one of two requests
		type outcome struct {
			answer   string
			replayed bool
			err      error
		}
		outcomes := make([]outcome, len(tries))
		var all sync.WaitGroup
		for i, try := range tries {
			all.Go(func() {
				o := &outcomes[i]
				o.answer, o.replayed, o.err = createOnce(s, account.ID, fmt.Sprintf("%d-%d", round, try/2), byte(try%2))
			})
		}
		all.Wait()
		answers, requests := map[int]string{}, map[int]int{}
		for i, o := range outcomes {
			if o.err == nil && !o.replayed {
				if answers[tries[i]/2] != "" {
					t.Fatalf("key %d took effect twice", tries[i]/2)
				}
				answers[tries[i]/2], requests[tries[i]/2] = o.answer, tries[i]%2
			}
		}
		for i, o := range outcomes {
			key, request := tries[i]/2, tries[i]%2
			switch {
			case request != requests[key] && !errors.Is(o.err, collection.ErrKeyReused):
				t.Fatalf("another request with key %d: %q, %v", key, o.answer, o.err)
			case request == requests[key] && (o.err != nil || o.answer != answers[key]):
				t.Fatalf("key %d: %q, %v; its answer is %q", key, o.answer, o.err, answers[key])
			}
		}
		made += len(answers)
		page, err := s.Gateways().List(context.Background(), account.ID, collection.Query{Number: 1, Size: 1})
		if err != nil || page.Total != made {
			t.Fatalf("%d gateways, want %d: %v", page.Total, made, err)
		}
	})
}

// A failed write leaves its key free, a dry run too, and a key is forgotten after a day.
func TestIdempotencyKeyIsFree(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ticks := make(chan time.Time)
	path := filepath.Join(t.TempDir(), "tollgate.db")
	clock := func() time.Time { return now }
	config := sqlstore.Config{Path: path, Live: policy.NewLive(), Clock: clock, IDs: id.NewSource(1, clock),
		Owner: uuid.New(), Ticks: ticks}
	s, err := sqlstore.Open(ctx, config)
	check(t, err)
	account, _, err := s.EnsureFirst(ctx)
	check(t, err)
	failing := once(account.ID, "k", 0)
	collection.OriginOf(failing).Idempotency.Render = func(any) (collection.Answer, error) { panic("render") }
	if _, err := s.Gateways().Create(failing, account.ID, newGateway("panics")); err == nil {
		t.Error("a write whose answer cannot be made has succeeded")
	}
	dry := once(account.ID, "k", 0)
	collection.OriginOf(dry).DryRun = true
	if g, err := s.Gateways().Create(dry, account.ID, newGateway("dry")); err != nil || g.ID == 0 {
		t.Errorf("dry run: %+v, %v", g, err)
	}
	first, replayed, err := createOnce(s, account.ID, "k", 0)
	if err != nil || replayed {
		t.Fatalf("after a failed and a dry one: %q, %t, %v", first, replayed, err)
	}
	other, err := s.Accounts().Create(ctx, 0, store.Account{Name: "other", Active: true})
	check(t, err)
	if _, replayed, err := createOnce(s, other.ID, "k", 1); err != nil || replayed {
		t.Errorf("another account's key: %t, %v", replayed, err)
	}
	check(t, s.Close())

	// The server is started again, within the day and after it.
	now = now.Add(store.IdempotencyAge - time.Second)
	s, err = sqlstore.Open(ctx, config)
	check(t, err)
	if answer, replayed, err := createOnce(s, account.ID, "k", 0); err != nil || !replayed || answer != first {
		t.Errorf("after a restart: %q, %t, %v; want %q again", answer, replayed, err, first)
	}
	now = now.Add(time.Second)
	ticks <- now
	ticks <- now // the first one has been dealt with when the second is taken
	if _, err := s.Answered(ctx, collection.OriginOf(once(account.ID, "k", 0)).Idempotency); !errors.Is(err,
		collection.ErrNotFound) {
		t.Errorf("after a day the answer is still there: %v", err)
	}
	if _, replayed, err := createOnce(s, account.ID, "k", 1); err != nil || replayed {
		t.Errorf("after a day: %t, %v", replayed, err)
	}
	check(t, s.Close())
}

// A key that an operator configures may have been rotated since: that is no
// reason not to start.
func TestPutKeyAfterRotation(t *testing.T) {
	s, _ := openStore(t, filepath.Join(t.TempDir(), "tollgate.db"), 0)
	ctx := t.Context()
	account, _, err := s.EnsureFirst(ctx)
	check(t, err)
	configured := store.Key{Head: collection.Head[id.ID]{AccountID: account.ID},
		Name: "configured", Hash: [32]byte{1}, Scopes: []string{"read"}}
	k, err := s.PutKey(ctx, configured)
	check(t, err)
	_, err = s.Keys().Update(ctx, account.ID, k.ID, func(k store.Key) (store.Key, error) {
		k.PreviousHash, k.Hash = new(k.Hash), [32]byte{2}
		return k, nil
	})
	check(t, err)
	again, err := s.PutKey(ctx, configured)
	if err != nil || again.ID != k.ID || again.Hash != [32]byte{2} {
		t.Errorf("put again: %+v, %v", again, err)
	}
	if _, err := s.PutKey(ctx, store.Key{Head: collection.Head[id.ID]{AccountID: account.ID},
		Name: "other", Hash: [32]byte{3}}); err != nil {
		t.Error(err)
	}
	_, err = s.Keys().Update(ctx, account.ID, k.ID,
		func(k store.Key) (store.Key, error) { k.Hash = [32]byte{3}; return k, nil })
	if !errors.Is(err, collection.ErrDuplicate) {
		t.Errorf("two keys with one hash: %v", err)
	}
}

// childGateways, when set, has the child process make gateways under the keys that
// the parent will look for.
const childGateways = "SQLSTORE_TEST_CHILD_GATEWAYS"

func runGatewayChild(path, round string) error {
	s, err := sqlstore.Open(context.Background(), sqlstore.Config{
		Path: path, Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(2, time.Now), Owner: uuid.New(),
	})
	if err != nil {
		return err
	}
	account, _, err := s.EnsureFirst(context.Background())
	if err != nil {
		return err
	}
	failed := make(chan error)
	for worker := range 16 {
		go func() { // ends with the process
			for n := 0; ; n++ {
				key := fmt.Sprintf("%s-%d-%d", round, worker, n)
				answer, _, err := createOnce(s, account.ID, key, 0)
				if err != nil {
					failed <- err
				}
				fmt.Println(answer) // one write
			}
		}()
	}
	return <-failed
}

// The effect and the key are one transaction: after kill -9 both are there or
// neither, and whatever was answered is answered alike again.
func TestIdempotencySurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tollgate.db")
	answered := map[string]string{}
	for round := range 4 {
		killGatewayChild(t, path, fmt.Sprint(round), 100+150*round, answered)
		s, _ := openStore(t, path, 0)
		account, _, err := s.EnsureFirst(t.Context())
		check(t, err)
		gateways := map[string]string{}
		for number, read := 1, -1; read != 0; number++ {
			page, err := s.Gateways().List(t.Context(), account.ID, collection.Query{Number: number, Size: 5000})
			check(t, err)
			read = len(page.Items)
			for _, g := range page.Items {
				if gateways[g.Name] != "" {
					t.Fatalf("round %d: two gateways for key %s", round, g.Name)
				}
				gateways[g.Name] = g.Name + " " + g.ID.String()
			}
		}
		for key, answer := range answered {
			if gateways[key] != answer {
				t.Fatalf("round %d: key %s was answered with %q, and there is %q", round, key, answer, gateways[key])
			}
		}
		for key, answer := range gateways {
			again, replayed, err := createOnce(s, account.ID, key, 0)
			if err != nil || !replayed || again != answer {
				t.Fatalf("round %d: key %s again: %q, %t, %v; want %q", round, key, again, replayed, err, answer)
			}
		}
		head, err := s.VerifyAuditChain(t.Context())
		if err != nil || head.Sequence < int64(len(gateways)) {
			t.Fatalf("round %d: audit of %d events for %d gateways: %v", round, head.Sequence, len(gateways), err)
		}
		t.Logf("round %d: %d answered, %d made", round, len(answered), len(gateways))
		check(t, s.Close())
	}
}

func killGatewayChild(t *testing.T, path, round string, steps int, answered map[string]string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childPath+"="+path, childGateways+"="+round)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		key, number, whole := strings.Cut(lines.Text(), " ")
		if _, err := id.Parse(number); whole && err == nil && len(number) == 19 { // the last line may be cut short
			answered[key] = lines.Text()
		}
		if n == steps {
			check(t, child.Process.Kill())
		}
	}
	if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child was not killed: %v", err)
	}
}
