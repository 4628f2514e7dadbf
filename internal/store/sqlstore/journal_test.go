package sqlstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// entries are how many rows the journal has.
func (f *fixture) entries(t *testing.T) (n int) {
	t.Helper()
	check(t, f.file.QueryRow("SELECT COUNT(*) FROM ledger_journal").Scan(&n))
	return n
}

// group commits commands, none of which may fail.
func (f *fixture) group(t *testing.T, commands ...admission.Command) []admission.Result {
	t.Helper()
	outcomes := make([]outcome, len(commands))
	group := make([]*ledger.Work, len(commands))
	for i, c := range commands {
		group[i] = f.command(c, &outcomes[i])
	}
	f.commit(group...)
	results := make([]admission.Result, len(commands))
	for i, o := range outcomes {
		check(t, o.err)
		check(t, o.result.Err)
		results[i] = o.result
	}
	return results
}

func (f *fixture) newReserve() admission.Reserve {
	return f.reserve(&outcome{}).Command.(admission.Reserve)
}

func settlement(call uuid.UUID) admission.Settle {
	return admission.Settle{ID: call, Ending: admission.Ending{Elapsed: time.Second, EndedMicros: noon.UnixMicro()}}
}

// foldCommands is after how many commands the journal is folded.
const foldCommands = 256

// Small groups are in the journal until there are many, and then in the tables.
func TestFolding(t *testing.T) {
	f := newFixture(t)
	for n := 1; n < foldCommands; n++ {
		f.group(t, f.newReserve())
		if got := f.entries(t); got != n {
			t.Fatalf("after %d groups of one: %d entries", n, got)
		}
	}
	f.group(t, f.newReserve())
	f.commit() // the answers come before it is folded
	var leases int
	check(t, f.file.QueryRow("SELECT COUNT(*) FROM leases").Scan(&leases))
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
	f.stepped.Store(int64(time.Minute))
	look := &ledger.Work{Look: func(*admission.State) {}}
	f.commit(look)
	check(t, look.Err)
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
			before := f.leases(t)
			f.readBack(t)
			if diff := cmp.Diff(before, f.leases(t)); diff != "" {
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

// leases are what the writer has in memory.
func (f *fixture) leases(t *testing.T) map[uuid.UUID]admission.Lease {
	t.Helper()
	leases := make(map[uuid.UUID]admission.Lease)
	look := &ledger.Work{Look: func(state *admission.State) {
		for l := range state.Leases {
			leases[l.ID] = *l
		}
	}}
	f.commit(look)
	check(t, look.Err)
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
	f.commit(f.setEnabled(true), f.command(settle, &again), f.command(reserve, &late))
	for _, o := range []outcome{again, late} {
		if o.err != nil || o.result.Err != nil || o.result.Record != first {
			t.Errorf("folded in the same group: %+v", o)
		}
	}
	if got := f.group(t, settle)[0].Record; cmp.Diff(first, got) != "" {
		t.Errorf("from the table: %s", cmp.Diff(first, got))
	}
}

// copied is what is on the disk while the store runs, as a process that is killed
// leaves it.
func (f *fixture) copied(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "copy.db")
	for _, of := range []string{"", "-wal"} {
		data, err := os.ReadFile(f.config.Path + of)
		check(t, err)
		check(t, os.WriteFile(path+of, data, 0o600))
	}
	return path
}

// A store that is closed has an empty journal; one that was killed leaves it, and the
// next process folds it.
func TestJournalOfAnotherProcess(t *testing.T) {
	f := newFixture(t)
	reserve := f.newReserve()
	f.group(t, reserve)
	f.group(t, settlement(reserve.Call.ID))
	f.group(t, f.newReserve())
	config := f.config
	config.Path = f.copied(t)
	config.Live = policy.NewLive()
	config.Owner = uuid.New()
	config.AroundCommit = nil
	s, err := Open(context.Background(), config)
	check(t, err)
	page, err := s.ListRecords(context.Background(), f.account, collection.Query{Size: 10})
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
	check(t, f.Close())
	if n := f.entries(t); n != 0 {
		t.Errorf("%d entries after the store was closed", n)
	}
}

// A store does not open over a journal that it cannot read: it would forget calls.
func TestDamagedJournal(t *testing.T) {
	f := newFixture(t)
	f.group(t, f.newReserve())
	_, err := f.file.Exec("UPDATE ledger_journal SET body = substr(body, 1, length(body) - 1)")
	check(t, err)
	config := f.config
	config.Path, config.Live = f.copied(t), policy.NewLive()
	_, err = Open(t.Context(), config)
	if !errors.Is(err, table.ErrCorrupt) || !strings.Contains(err.Error(), "entry 1") {
		t.Errorf("damaged: %v", err)
	}
	if _, err := AuditFile(t.Context(), config.Path); !errors.Is(err, table.ErrCorrupt) {
		t.Errorf("audit: %v", err)
	}
}
