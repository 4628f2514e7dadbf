package sqlstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// entries are how many rows the journal has.
func (f *fixture) entries(t *testing.T) (n int) {
	t.Helper()
	check(t, f.db.read.QueryRow("SELECT COUNT(*) FROM ledger_journal").Scan(&n))
	return n
}

// group commits commands, none of which may fail.
func (f *fixture) group(t *testing.T, commands ...admission.Command) []admission.Result {
	t.Helper()
	outcomes := make([]outcome, len(commands))
	group := make([]*work, len(commands))
	for i, c := range commands {
		group[i] = f.command(c, &outcomes[i])
	}
	f.writer.commitGroup(group)
	results := make([]admission.Result, len(commands))
	for i, o := range outcomes {
		check(t, o.err)
		check(t, o.result.Err)
		results[i] = o.result
	}
	return results
}

func (f *fixture) newReserve() admission.Reserve {
	return f.reserve(&outcome{}).command.(admission.Reserve)
}

func settlement(call uuid.UUID) admission.Settle {
	return admission.Settle{ID: call, Ending: admission.Ending{Elapsed: time.Second, EndedMicros: noon.UnixMicro()}}
}

// Small groups are in the journal until there are many, and then in the tables.
func TestFolding(t *testing.T) {
	f := newFixture(t)
	for n := 1; n < foldCommands; n++ {
		f.group(t, f.newReserve())
		if got := f.entries(t); got != n || f.writer.unfolded.commands != n {
			t.Fatalf("after %d groups of one: %d entries, %d commands", n, got, f.writer.unfolded.commands)
		}
	}
	f.group(t, f.newReserve())
	var leases int
	check(t, f.db.read.QueryRow("SELECT COUNT(*) FROM leases").Scan(&leases))
	if got := f.entries(t); got != 0 || leases != foldCommands {
		t.Errorf("after one more: %d entries, %d leases in their table", got, leases)
	}
	f.group(t, f.newReserve())
	f.group(t, admission.Expire{})
	if got := f.entries(t); got != 0 {
		t.Errorf("after the tick: %d entries", got)
	}
	f.group(t, admission.ExpireOwners{}) // one command that changes more than an entry should have
	if got := f.entries(t); got != 0 {
		t.Errorf("after the end of all calls: %d entries", got)
	}
}

// A group without a command can change leases too, when the time of day was set forward.
// Its entry is folded like any other: left behind, it would one day bring old leases back.
func TestFoldingAfterAStep(t *testing.T) {
	f := newFixture(t)
	f.group(t, f.newReserve())
	f.fold(t)
	f.writer.step = time.Minute
	look := &work{look: func(*admission.State) {}, answered: make(chan error, 1)}
	f.writer.commitGroup([]*work{look})
	check(t, <-look.answered)
	if got := f.entries(t); got != 1 {
		t.Fatalf("%d entries after the step", got)
	}
	f.fold(t)
	if got := f.entries(t); got != 0 {
		t.Errorf("%d entries are left behind", got)
	}
}

// What the writer has in memory, what another process would read back, and what an
// audit reads of the file are the same after each of many groups, in whatever way they
// were written, and so are the tables once they are folded.
func TestJournalIsTheLedger(t *testing.T) {
	const seed, groups = 30, 300
	random := rand.New(rand.NewPCG(seed, 0))
	f := newFixture(t)
	ctx := context.Background()
	var live []uuid.UUID
	ended := 0
	for n := range groups {
		var commands []admission.Command
		for range 1 + random.IntN(6) {
			switch i := random.IntN(10); {
			case i < 5 || len(live) == 0:
				r := f.newReserve()
				commands, live = append(commands, r), append(live, r.Call.ID)
			case i < 7:
				commands = append(commands, admission.Answer{ID: live[random.IntN(len(live))], AtMicros: noon.UnixMicro()})
			default:
				k := random.IntN(len(live))
				commands = append(commands, settlement(live[k]))
				live[k] = live[len(live)-1]
				live, ended = live[:len(live)-1], ended+1
			}
		}
		if random.IntN(20) == 0 {
			commands = append(commands, admission.Expire{})
		}
		f.group(t, commands...)
		if n%10 != 0 {
			continue
		}
		audit, err := AuditFile(ctx, f.config.Path)
		check(t, err)
		if !audit.Holds() || audit.Leases != len(live) || audit.Records != ended {
			t.Fatalf("seed %d, group %d: %+v, want %d leases and %d records", seed, n, audit, len(live), ended)
		}
		if n%100 == 0 { // as after a failed commit
			before := ledgerOf(f.writer.state)
			f.writer.state = nil
			check(t, f.writer.ready())
			if diff := cmp.Diff(before, ledgerOf(f.writer.state)); diff != "" {
				t.Fatalf("seed %d, group %d: read back (-before +after):\n%s", seed, n, diff)
			}
		}
	}
	f.fold(t)
	audit, err := f.Audit(ctx)
	check(t, err)
	if !audit.Holds() || audit.Leases != len(live) || audit.Records != ended || f.entries(t) != 0 {
		t.Errorf("folded: %+v, want %d leases and %d records", audit, len(live), ended)
	}
}

func ledgerOf(state *admission.State) map[uuid.UUID]admission.Lease {
	leases := make(map[uuid.UUID]admission.Lease)
	for l := range state.Leases {
		leases[l.ID] = *l
	}
	return leases
}

// A repeated command of a call that has ended is answered alike while the record is
// in the journal, when a group in between has folded it, and afterwards.
func TestRepeatsWhileJournalled(t *testing.T) {
	f := newFixture(t)
	reserve := f.newReserve()
	settle := settlement(reserve.Call.ID)
	first := f.group(t, reserve, settle)[1].Record
	if got := f.group(t, settle)[0].Record; got != first {
		t.Errorf("while it is in the journal: %+v", got)
	}
	var again, late outcome
	f.writer.commitGroup([]*work{f.setEnabled(true), f.command(settle, &again), f.command(reserve, &late)})
	for _, o := range []outcome{again, late} {
		if o.err != nil || o.result.Err != nil || o.result.Record != first {
			t.Errorf("folded in the same group: %+v", o)
		}
	}
	if got := f.group(t, settle)[0].Record; cmp.Diff(first, got) != "" {
		t.Errorf("from the table: %s", cmp.Diff(first, got))
	}
}

// A store that is closed has an empty journal; one that was killed leaves it, and the
// next process folds it.
func TestJournalOfAnotherProcess(t *testing.T) {
	f := newFixture(t)
	reserve := f.newReserve()
	f.group(t, reserve)
	f.group(t, settlement(reserve.Call.ID))
	f.group(t, f.newReserve())
	f.writer.disconnect() // and what it has in memory is gone
	check(t, f.Close())
	config := f.config
	config.Live, config.Owner = policy.NewLive(), uuid.New()
	s, err := Open(context.Background(), config)
	check(t, err)
	page, err := s.ListRecords(context.Background(), f.account, store.Query{Size: 10})
	check(t, err)
	lost := 0
	for _, r := range page.Items {
		if r.Outcome == record.OutcomeLost {
			lost++
		}
	}
	if page.Total != 2 || lost != 1 {
		t.Errorf("%d records, %d of them of calls that were lost; want 2 and 1", page.Total, lost)
	}
	if audit, err := s.Audit(context.Background()); err != nil || !audit.Holds() || audit.Records != 2 ||
		audit.Leases != 0 {
		t.Errorf("audit: %+v, %v", audit, err)
	}
	check(t, s.Close())
	check(t, readFile(context.Background(), config.Path, func(q querier) error {
		entries, err := readJournal(context.Background(), q)
		if len(entries) != 0 {
			t.Errorf("%d entries after the store was closed", len(entries))
		}
		return err
	}))
}

// A store does not open over a journal that it cannot read: it would forget calls.
func TestDamagedJournal(t *testing.T) {
	f := newFixture(t)
	f.group(t, f.newReserve())
	_, err := f.writer.conn.ExecContext(context.Background(),
		"UPDATE ledger_journal SET body = substr(body, 1, length(body) - 1)")
	check(t, err)
	f.writer.state = nil
	if err := f.writer.ready(); !errors.Is(err, errCorrupt) || !strings.Contains(err.Error(), "entry 1") {
		t.Errorf("damaged: %v", err)
	}
	if _, err := AuditFile(context.Background(), f.config.Path); !errors.Is(err, errCorrupt) {
		t.Errorf("audit: %v", err)
	}
}

// FuzzEntry reads whatever may be in a damaged file: it is read and written back
// alike, or refused.
func FuzzEntry(f *testing.F) {
	list := []rows{
		{leasesGone, []any{int64(7)}},
		{leasesPut, []any{int64(8), int64(1), []byte("id"), []byte{}}},
		{calleesPut, []any{nil, true, false, "text", int64(-1)}},
	}
	f.Add(appendEntry(nil, list))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := decodeEntry(body)
		if err != nil {
			return
		}
		again, err := decodeEntry(appendEntry(nil, list))
		if diff := cmp.Diff(list, again, cmp.AllowUnexported(rows{})); err != nil || diff != "" {
			t.Errorf("%v; %s", err, diff)
		}
	})
}

// A command that no one waits for waits for company, and never longer than its patience; one that
// someone waits for is committed at once, with all that is there.
func TestGathering(t *testing.T) {
	type arrival struct {
		after   time.Duration
		patient bool
	}
	for _, c := range []struct {
		name     string
		arrivals []arrival
		want     string // sizes of groups, and when they were committed
	}{
		{"urgent", []arrival{{0, false}, {time.Millisecond, false}}, "1@0s 1@1ms "},
		{"patient", []arrival{{0, true}, {time.Millisecond, true}, {patience, true}}, "2@5ms 1@11ms "},
		{"company", []arrival{{0, true}, {time.Millisecond, true}, {time.Millisecond, false}, {time.Millisecond, true}},
			"3@2ms 1@8ms "},
		{"full", []arrival{{0, true}, {0, true}, {0, true}, {0, true}, {0, true}}, "4@0s 1@5ms "},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var got strings.Builder
				queue := make(chan *work, len(c.arrivals))
				done := make(chan struct{})
				go func() {
					defer close(done)
					commitGroups(queue, 4, func(group []*work) {
						got.WriteString(string(rune('0'+len(group))) + "@" + time.Since(began).String() + " ")
					})
				}()
				for _, a := range c.arrivals {
					if a.after > 0 {
						<-time.After(a.after) // of the test's own time
						synctest.Wait()
					}
					queue <- &work{patient: a.patient}
				}
				synctest.Wait()
				<-time.After(patience)
				close(queue)
				<-done
				if got.String() != c.want {
					t.Errorf("groups %q, want %q", got.String(), c.want)
				}
			})
		})
	}
}
