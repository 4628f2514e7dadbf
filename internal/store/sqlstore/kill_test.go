package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/webhook"
)

// The environment of the child process that TestKill starts and kills.
const (
	childPath       = "SQLSTORE_TEST_CHILD_PATH"
	childConnection = "SQLSTORE_TEST_CHILD_CONNECTION"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		var err error
		if round := os.Getenv(childGateways); round != "" {
			err = runGatewayChild(path, round)
		} else {
			err = runChild(path, os.Getenv(childConnection))
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) // it only ends when something is wrong: it is there to be killed
	}
	code := m.Run()
	stopServer()
	os.Exit(code)
}

// runChild runs calls without end, and prints each step after it was answered.
func runChild(path, connectionText string) error {
	connectionID, err := id.Parse(connectionText)
	if err != nil {
		return err
	}
	owner := uuid.New()
	config := sqlstore.Config{
		Path: path, NodeName: "node", Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(2, time.Now), Owner: owner,
	}
	if isURL(path) {
		config.DatabaseURL = path
	}
	s, err := sqlstore.Open(context.Background(), config)
	if err != nil {
		return err
	}
	failed := make(chan error)
	var mu sync.Mutex // guards standard output
	say := func(step string, call uuid.UUID) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(step, call) // one write
	}
	for range 64 {
		go func() { // ends with the process
			for {
				if err := childCall(s, owner, connectionID, say); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

func childCall(s *sqlstore.Store, owner uuid.UUID, connectionID id.ID, say func(string, uuid.UUID)) error {
	call := uuid.Must(uuid.NewV7())
	for _, step := range []struct {
		name    string
		command admission.Command
	}{
		{"reserved", admission.Reserve{Owner: owner, Call: admission.Call{
			ID: call, Connection: connectionID, From: "+12125550100", To: "+12125550199",
		}}},
		{"answered", admission.Answer{ID: call, AtMicros: time.Now().UnixMicro(), Teardown: call[:]}},
		{"renewed", admission.Renew{ID: call, Elapsed: 30 * time.Second, GrantedSecs: 30}},
		{"settled", admission.Settle{ID: call, Ending: admission.Ending{
			Elapsed: 31 * time.Second, EndedMicros: time.Now().UnixMicro(), Cause: "normal_clearing",
		}}},
	} {
		r, err := s.Do(context.Background(), step.command)
		if err != nil {
			return err
		}
		if r.Err != nil {
			return r.Err
		}
		say(step.name, call)
	}
	return nil
}

// TestKill kills a store under load with SIGKILL, again and again, and looks for
// what it had answered: invariants I4 (one record for each call), I5 (what was
// answered is kept) and I6 (the accounts are the sum of the calls).
func TestKill(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testKill(t, filepath.Join(t.TempDir(), "tollgate.db")) })
	t.Run("PostgreSQL", func(t *testing.T) {
		url, _ := newDatabase(t)
		testKill(t, url)
	})
}

func isURL(path string) bool { return strings.HasPrefix(path, "host=") }

// openAgain opens the store as the next run of the process that was killed.
func openAgain(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	if isURL(path) {
		return openNode(t, path, "node")
	}
	s, _ := openStore(t, path, 0)
	return s
}

func testKill(t *testing.T, path string) {
	s := openAgain(t, path)
	account, connectionID := configure(t, s)
	hook := webhook.NewEndpoint()
	hook.URL, hook.Events = "https://hooks.example.com/", []string{webhook.CallEnded}
	_, err := s.WebhookEndpoints().Create(t.Context(), account, hook)
	check(t, err)
	check(t, s.Close())
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	answered := make(map[uuid.UUID]string) // the last step of each call that was answered
	lost := 0
	for round := range 5 {
		killChild(t, path, connectionID, 200+random.IntN(3000), answered)
		lost = verify(t, path, account, round, answered)
	}
	// In one round all callers may happen to be between two calls.
	if lost == 0 {
		t.Error("no call was lost, so the child was not killed under load")
	}
}

// killChild lets a child process take a number of steps and then kills it.
func killChild(t *testing.T, path string, connectionID id.ID, steps int, answered map[uuid.UUID]string) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childPath+"="+path, childConnection+"="+connectionID.String())
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		// What it printed before it died counts as well, so the pipe is read to its end.
		step, text, _ := strings.Cut(lines.Text(), " ")
		call, err := uuid.Parse(text)
		if err != nil {
			continue // the last line may be cut short
		}
		answered[call] = step
		if n == steps {
			check(t, child.Process.Kill())
		}
	}
	if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child was not killed: %v", err)
	}
}

// verify opens the store as another process and compares it with what was
// answered. It returns how many calls have lost their owner so far.
func verify(t *testing.T, path string, account id.ID, round int, answered map[uuid.UUID]string) (lost int) {
	t.Helper()
	s := openAgain(t, path)
	ctx := context.Background()
	records := make(map[uuid.UUID]*record.Call)
	for number, read := 1, -1; read != 0; number++ {
		page, err := s.ListRecords(ctx, account, collection.Query{Number: number, Size: 5000})
		check(t, err)
		read = len(page.Items)
		for _, r := range page.Items {
			if records[r.ID] != nil {
				t.Fatalf("round %d: two records of call %s", round, r.ID)
			}
			records[r.ID] = r
		}
	}
	for call, step := range answered {
		r := records[call]
		switch {
		case r == nil:
			t.Fatalf("round %d: call %s was %s and has no record", round, call, step)
		case step == "settled" && (r.Outcome != record.OutcomeAnswered || r.BilledSecs != 36):
			t.Fatalf("round %d: call %s was settled and is %v with %d s", round, call, r.Outcome, r.BilledSecs)
		case (step == "answered" || step == "renewed") && r.AnsweredMicros == 0:
			t.Fatalf("round %d: call %s was %s and its record has no answer", round, call, step)
		}
	}
	if calls, err := s.LiveCalls(ctx, account); err != nil || len(calls) != 0 {
		t.Fatalf("round %d: %d live calls, %v", round, len(calls), err)
	}
	if audit, err := s.Audit(ctx); err != nil || !audit.Holds() {
		t.Fatalf("round %d: accounts differ: %+v, %v", round, audit, err)
	}
	for _, r := range records {
		if r.Outcome == record.OutcomeLost {
			lost++
		}
	}
	// Every end of a call is told of once, as it has one record.
	told, err := s.Webhooks().Deliveries(ctx, account,
		collection.Query{Size: 1, Filters: []collection.Filter{{Field: "event_type", Value: webhook.CallEnded}}})
	if err != nil || told.Total != len(records) {
		t.Fatalf("round %d: %d deliveries of %d records, %v", round, told.Total, len(records), err)
	}
	t.Logf("round %d: %d calls answered for, %d records, %d lost, %d to be torn down", round, len(answered), len(records),
		lost, len(s.Orphans()))
	check(t, s.Close())
	return lost
}
