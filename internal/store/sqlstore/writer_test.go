package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// fixture is a store on SQLite, of which a test puts together the groups itself: see
// commit.
type fixture struct {
	*Store
	file    *sql.DB // the database, beside the store
	account id.ID
	profile profile.Profile
	phone   id.ID

	told    atomic.Int64 // how often there was something to deliver
	stepped atomic.Int64 // by how much the time of day was set forward

	hold, fail    atomic.Bool // the next commit
	held, release chan struct{}
}

// newFixture opens a store and configures it.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	ctx := context.Background()
	f := &fixture{held: make(chan struct{}), release: make(chan struct{})}
	clock := func() time.Time { return noon.Add(time.Duration(f.stepped.Load())) }
	var err error
	f.Store, err = Open(ctx, Config{
		Path: filepath.Join(t.TempDir(), "tollgate.db"), Live: policy.NewLive(), Clock: clock,
		Monotonic: func() time.Duration { return 0 }, IDs: id.NewSource(1, clock), Owner: uuid.New(),
		Ticks: make(chan time.Time), Published: func() { f.told.Add(1) }, AroundCommit: f.aroundCommit,
	})
	check(t, err)
	t.Cleanup(func() { check(t, f.Close()) })
	f.file, err = sql.Open("sqlite", f.config.Path)
	check(t, err)
	t.Cleanup(func() { check(t, f.file.Close()) })
	a, _, err := f.EnsureFirst(ctx)
	check(t, err)
	f.account = a.ID
	deck, err := f.ImportDeck(ctx, a.ID, "deck",
		[]rating.Row{{Prefix: "1", Rate: rating.Rate{PerMinute: money.Dollar, FirstIncrement: 60, Increment: 60}}})
	check(t, err)
	_, err = f.ActivateDeck(ctx, a.ID, deck.ID)
	check(t, err)
	p := profile.New()
	p.Name = "calls"
	f.profile, err = f.Profiles().Create(ctx, a.ID, p)
	check(t, err)
	c, err := f.CredentialConnections().Create(ctx, a.ID, newPhone(f.profile.ID))
	check(t, err)
	f.phone = c.ID
	return f
}

func newPhone(profile id.ID) connection.CredentialConnection {
	c := connection.NewCredentialConnection()
	c.UserName, c.Password = "phone0001", "correct horse"
	c.Outbound.OutboundVoiceProfileID = profile
	return c
}

func (f *fixture) aroundCommit(commit func() error) error {
	if f.hold.Swap(false) {
		f.held <- struct{}{}
		<-f.release
	}
	if f.fail.Swap(false) {
		return errors.New("fails on purpose")
	}
	return commit()
}

// commit has the writer commit a group: what was queued while it was busy with
// something else. It returns when all of it is answered.
func (f *fixture) commit(group ...*ledger.Work) {
	f.hold.Store(true)
	var answered sync.WaitGroup
	put := func(w *ledger.Work) {
		answered.Add(1)
		done := w.Done
		w.Done = func(r admission.Result, err error) {
			w.Err = err
			if done != nil {
				done(r, err)
			}
			answered.Done()
		}
		if err := f.db.Queue.Put(w); err != nil {
			w.Done(admission.Result{}, err)
		}
	}
	refused := make(chan struct{})
	put(&ledger.Work{Look: func(*admission.State) {}, Done: func(admission.Result, error) { close(refused) }})
	holding := true
	select {
	case <-f.held:
	case <-refused: // without a commit
		holding = false
		f.hold.Store(false)
	}
	for _, w := range group {
		put(w)
	}
	if holding {
		f.release <- struct{}{}
	}
	answered.Wait()
}

// readBack has the writer give up what it knows, as after a failed commit.
func (f *fixture) readBack(t *testing.T) {
	t.Helper()
	f.fail.Store(true)
	err := f.db.Write(t.Context(), table.EveryAccount, func(*database.Tx) error { return nil })
	if !errors.Is(err, collection.ErrUnavailable) {
		t.Fatalf("a commit that fails: %v", err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// outcome is how one piece of work was answered.
type outcome struct {
	result admission.Result
	err    error
}

func (f *fixture) command(c admission.Command, out *outcome) *ledger.Work {
	return &ledger.Work{Command: c, Done: func(r admission.Result, err error) { *out = outcome{r, err} }}
}

func (f *fixture) reserve(out *outcome) *ledger.Work {
	return f.command(admission.Reserve{Owner: f.config.Owner, Call: admission.Call{
		ID: uuid.Must(uuid.NewV7()), Connection: f.phone, From: "+12125550100", To: "+12125550199",
	}}, out)
}

func (f *fixture) write(w func(*database.Tx) error) *ledger.Work {
	return f.db.Work(table.EveryAccount, w)
}

// fold has the writer bring the tables up to date, as reads do.
func (f *fixture) fold(t *testing.T) {
	t.Helper()
	w := &ledger.Work{Fold: true}
	f.commit(w)
	check(t, w.Err)
}

// setEnabled is a write of the profile.
func (f *fixture) setEnabled(enabled bool) *ledger.Work {
	return f.write(func(tx *database.Tx) error {
		p := f.profile
		p.Enabled = enabled
		return profileNoun().save(context.Background(), tx, &p, false)
	})
}

// A write takes effect for what was queued after it, in one and the same group,
// and for nothing before it.
func TestGroupOrder(t *testing.T) {
	f := newFixture(t)
	var before, between, after outcome
	f.commit(f.reserve(&before), f.setEnabled(false), f.reserve(&between), f.setEnabled(true), f.reserve(&after))
	got := []admission.Reason{before.result.Decision.Reason, between.result.Decision.Reason, after.result.Decision.Reason}
	want := []admission.Reason{admission.ReasonNone, admission.ReasonProfileDisabled, admission.ReasonNone}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if !f.live.Snapshot().Profile(f.profile.ID).Enabled {
		t.Error("the last write is not in force")
	}
}

// A write that fails leaves nothing behind, in the database or in the policy, and
// the rest of its group is as if it had not been there.
func TestFailedWrite(t *testing.T) {
	f := newFixture(t)
	ctx := context.Background()
	refusal := errors.New("changed my mind")
	failing := f.write(func(tx *database.Tx) error {
		p := f.profile
		p.Enabled, p.Name = false, "half done"
		if err := profileNoun().save(ctx, tx, &p, false); err != nil {
			return err
		}
		return refusal
	})
	var before, after outcome
	f.commit(f.reserve(&before), failing, f.reserve(&after))
	if err := failing.Err; !errors.Is(err, refusal) {
		t.Errorf("the write: %v", err)
	}
	if before.err != nil || after.err != nil || !before.result.Decision.Allow || !after.result.Decision.Allow {
		t.Errorf("the commands beside it: %+v, %+v", before, after)
	}
	p, err := f.Profiles().Get(ctx, f.account, f.profile.ID)
	if err != nil || p.Name != f.profile.Name || !f.live.Snapshot().Profile(f.profile.ID).Enabled {
		t.Errorf("the write has left something: %+v, %v", p, err)
	}
	calls, err := f.LiveCalls(ctx, f.account)
	if err != nil || len(calls) != 2 {
		t.Errorf("%d live calls, %v", len(calls), err)
	}
}

// A call that begins, ends and is repeated in one group has one record.
func TestWholeCallInOneGroup(t *testing.T) {
	f := newFixture(t)
	var reserved, settled, again, late outcome
	first := f.reserve(&reserved)
	reserve := first.Command.(admission.Reserve)
	settle := admission.Settle{ID: reserve.Call.ID,
		Ending: admission.Ending{Elapsed: time.Second, EndedMicros: noon.UnixMicro()}}
	f.commit(first, f.command(settle, &settled), f.command(settle, &again), f.command(reserve, &late))
	for _, o := range []outcome{reserved, settled, again, late} {
		if o.err != nil || o.result.Err != nil {
			t.Fatalf("%v, %v", o.err, o.result.Err)
		}
	}
	if settled.result.Record != again.result.Record || late.result.Record != settled.result.Record {
		t.Error("the repeats have records of their own")
	}
	f.fold(t)
	page, err := f.ListRecords(context.Background(), f.account, collection.Query{Size: 10})
	if err != nil || page.Total != 1 {
		t.Errorf("%d records, %v", page.Total, err)
	}
	if audit, err := f.Audit(context.Background()); err != nil || !audit.Holds() {
		t.Errorf("audit: %+v, %v", audit, err)
	}
}

// When the database cannot even be read back, everything is refused until it can.
func TestUnreadable(t *testing.T) {
	f := newFixture(t)
	ctx := context.Background()
	var lost, refused, later outcome
	broken := f.write(func(tx *database.Tx) error {
		return tx.Exec(ctx, "ALTER TABLE ledger_journal RENAME TO mislaid")
	})
	f.commit(broken)
	check(t, broken.Err)
	f.commit(f.reserve(&lost))
	f.commit(f.reserve(&refused))
	for _, o := range []outcome{lost, refused} {
		if !errors.Is(o.err, collection.ErrUnavailable) || o.result.Decision.Allow {
			t.Errorf("without its tables: %+v", o)
		}
	}
	if f.live.Snapshot().Profile(f.profile.ID) == nil {
		t.Error("the last good policy is not in force any more")
	}
	_, err := f.file.Exec("ALTER TABLE mislaid RENAME TO ledger_journal")
	check(t, err)
	f.commit(f.reserve(&later))
	if later.err != nil || !later.result.Decision.Allow {
		t.Errorf("after the repair: %+v", later)
	}
}

func TestSecondProcess(t *testing.T) {
	f := newFixture(t)
	_, err := Open(context.Background(), f.config)
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("the same file again: %v", err)
	}
}

// The statements of the hot path must find their rows by an index.
func TestPlans(t *testing.T) {
	f := newFixture(t)
	for _, text := range []string{
		"DELETE FROM leases WHERE place IN (VALUES (1), (2))",
		"SELECT id FROM call_records WHERE id IN (VALUES (x'01'), (x'02'))",
		"SELECT call_id FROM call_slices WHERE (account_id, call_id) IN (VALUES (1, x'01'), (2, x'02')) ORDER BY call_id, " +
			"day",
		"SELECT id FROM call_records WHERE account_id = 1 ORDER BY started_at DESC LIMIT 20",
		"SELECT COUNT(*) FROM call_records NOT INDEXED WHERE account_id = 1 AND country = 'GB' AND rowid >= 5",
		"SELECT COUNT(*) FROM call_records WHERE account_id = 1 AND country = 'GB' AND outcome = 1 AND callee = 442079460000",
		`SELECT body FROM (SELECT id AS of_page FROM call_records WHERE account_id = 1 AND connection_id = 2 ORDER BY started_at DESC, id DESC LIMIT 20 OFFSET 20000) AS p
			CROSS JOIN call_records WHERE account_id = 1 AND id = of_page ORDER BY started_at DESC, id DESC`,
	} {
		var plan []string
		rows, err := f.file.Query("EXPLAIN QUERY PLAN " + text)
		check(t, err)
		for rows.Next() {
			var a, b, c int
			var detail string
			check(t, rows.Scan(&a, &b, &c, &detail))
			plan = append(plan, detail)
		}
		check(t, rows.Err())
		for _, table := range []string{"leases", "call_records", "call_slices"} {
			if strings.Contains(strings.Join(plan, "; "), "SCAN "+table) {
				t.Errorf("%s\nreads the whole table: %v", text, plan)
			}
		}
	}
}

// Counts of calling windows that are over are deleted once a day, others are kept.
func TestPrune(t *testing.T) {
	f := newFixture(t)
	ctx := context.Background()
	today := record.DayOf(noon.UnixMicro())
	for _, period := range []record.Day{today - table.KeptCalleeDays - 1, today - table.KeptCalleeDays, today} {
		_, err := f.file.Exec("INSERT INTO callee_counts VALUES ($1, $2, 12125550199, $3, 1)",
			int64(f.account), int64(f.profile.ID), int64(period))
		check(t, err)
	}
	check(t, f.prune(ctx, today))
	var left, oldest int64
	check(t, f.file.QueryRow("SELECT COUNT(*), MIN(period) FROM callee_counts").Scan(&left, &oldest))
	if left != 2 || oldest != int64(today-table.KeptCalleeDays) {
		t.Errorf("%d counts left, from day %d", left, oldest)
	}
}
