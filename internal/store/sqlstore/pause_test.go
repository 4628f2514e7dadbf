package sqlstore_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// TestPausedProcess stops the process of a node with SIGSTOP under load, has another
// node give it up and end its calls, and wakes it. It can no longer settle what it
// has lost, and what it acknowledged is kept: fault F10, invariants I3, I4, I5 and I6.
func TestPausedProcess(t *testing.T) {
	url, _ := newDatabase(t)
	later := newTestClock(time.Now())
	other := newTestNode(t, url, "other", later.Now)
	account, connectionID := configure(t, other.Store)
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childPath+"="+url, childConnection+"="+connectionID.String())
	out, err := child.StdoutPipe()
	check(t, err)
	check(t, child.Start())
	var mu sync.Mutex // guards acked
	acked := make(map[uuid.UUID]string)
	underLoad := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			step, text, _ := strings.Cut(lines.Text(), " ")
			if call, err := uuid.Parse(text); err == nil {
				mu.Lock()
				acked[call] = step
				mu.Unlock()
			}
			if n == 300 {
				close(underLoad)
			}
		}
	})
	<-underLoad
	check(t, child.Process.Signal(syscall.SIGSTOP))

	// Long after the last lease of the paused node has ended.
	later.advance(time.Since(later.Now()) + time.Hour)
	ctx := context.Background()
	for began := time.Now(); ; {
		other.tick()
		calls, err := other.LiveCalls(ctx, account)
		check(t, err)
		if len(calls) == 0 {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%d calls of the paused node are left", len(calls))
		}
	}
	lost := make(map[uuid.UUID]*record.Call)
	for _, r := range allRecords(t, other.Store, account) {
		if r.Outcome == record.OutcomeLost {
			lost[r.ID] = r
		}
	}
	if len(lost) == 0 {
		t.Fatal("the node was not paused under load")
	}
	check(t, child.Process.Signal(syscall.SIGCONT))
	_ = child.Wait() // its callers do not expect what they are told, and it ends
	reading.Wait()

	records := make(map[uuid.UUID]*record.Call)
	for _, r := range allRecords(t, other.Store, account) {
		records[r.ID] = r
	}
	live := make(map[uuid.UUID]bool)
	calls, err := other.LiveCalls(ctx, account)
	check(t, err)
	for _, c := range calls {
		live[c.Lease.ID] = true
	}
	for call, step := range acked {
		switch {
		case records[call] == nil && !live[call]:
			t.Errorf("call %s was %s and is gone", call, step)
		case lost[call] != nil && step == "settled":
			t.Errorf("call %s was settled by a node that had lost it", call)
		case lost[call] != nil && records[call].Cost != lost[call].Cost:
			t.Errorf("call %s cost %v when it was lost, and then %v", call, lost[call].Cost, records[call].Cost)
		}
	}
	audited(t, other.Store)
	t.Logf("%d calls acknowledged, %d lost in the pause, %d live afterwards", len(acked), len(lost), len(live))
}

func allRecords(t *testing.T, s *sqlstore.Store, account id.ID) (records []*record.Call) {
	t.Helper()
	for number := 1; ; number++ {
		page, err := s.ListRecords(t.Context(), account, collection.Query{Number: number, Size: 5000})
		check(t, err)
		if len(page.Items) == 0 {
			return records
		}
		records = append(records, page.Items...)
	}
}

// TestDisabledEverywhere disables a profile on one node. The other admits nothing
// from then on, also when no notification is ever sent: invariant I9, with a delay
// of 0. Its policy, by which calls are told apart before they are decided, follows
// by the next tick at the latest.
func TestDisabledEverywhere(t *testing.T) {
	for _, c := range []struct {
		name  string
		setUp string
	}{
		{"Listening", ""},
		{"PollingAlone", `CREATE FUNCTION public.pg_notify(TEXT, TEXT) RETURNS VOID LANGUAGE SQL AS '';
			ALTER ROLE tollgate IN DATABASE %s SET search_path = public, pg_catalog`},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, name := newDatabase(t)
			if c.setUp != "" {
				check(t, postgresServer(t).Exec(name, strings.ReplaceAll(c.setUp, "%s", name)))
			}
			a := openNode(t, url, "a")
			account, connectionID := configure(t, a)
			live := policy.NewLive()
			b, err := sqlstore.Open(context.Background(), sqlstore.Config{
				DatabaseURL: url, NodeName: "b", Live: live, Clock: time.Now, IDs: id.NewSource(1, time.Now), Owner: uuid.New(),
			})
			check(t, err)
			t.Cleanup(func() { check(t, b.Close()) })
			call := func() admission.Reason {
				return do(t, b, admission.Reserve{Call: admission.Call{
					ID: uuid.Must(uuid.NewV7()), Connection: connectionID, From: "+12125550100", To: "+12125550199"}}).Decision.Reason
			}
			if why := call(); why != admission.ReasonNone {
				t.Fatal(why)
			}
			p := changeProfile(t, a, account, func(p *profile.Profile) { p.Enabled = false })
			if why := call(); why != admission.ReasonProfileDisabled {
				t.Errorf("from the answer to the change on: %v", why)
			}
			changeProfile(t, a, account, func(p *profile.Profile) { p.Enabled = true })
			if why := call(); why != admission.ReasonNone {
				t.Errorf("enabled again: %v", why)
			}
			changeProfile(t, a, account, func(p *profile.Profile) { p.Enabled = false })
			began := time.Now()
			ticker := time.NewTicker(time.Millisecond)
			defer ticker.Stop()
			for live.Snapshot().Profile(p.ID).Enabled {
				<-ticker.C
				if time.Since(began) > 20*time.Second {
					t.Fatal("the policy of the other node does not follow")
				}
			}
			t.Logf("the policy of the other node has followed after %v", time.Since(began))
		})
	}
}
