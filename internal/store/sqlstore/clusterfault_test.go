package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// load is calls that run without end on some nodes, and the last step of each that
// was acknowledged.
type load struct {
	stop  atomic.Bool
	group sync.WaitGroup
	steps atomic.Int64

	mu    sync.Mutex // guards acked
	acked map[uuid.UUID]string
}

// startLoad runs calls until the load is ended. What is refused is tried again, as
// the owner of a call does.
func startLoad(tb testing.TB, connectionID id.ID, nodes ...*sqlstore.Store) *load {
	l := &load{acked: make(map[uuid.UUID]string)}
	for i := range 64 {
		s := nodes[i%len(nodes)]
		l.group.Go(func() {
			for !l.stop.Load() {
				l.call(tb, s, connectionID)
			}
		})
	}
	return l
}

func (l *load) call(tb testing.TB, s *sqlstore.Store, connectionID id.ID) {
	call := uuid.Must(uuid.NewV7())
	var refused bool
	for _, step := range []struct {
		name    string
		command admission.Command
	}{
		{"reserved", admission.Reserve{Call: admission.Call{ID: call, Connection: connectionID, From: "+12125550100",
			To: "+12125550199"}}},
		{"answered", admission.Answer{ID: call, AtMicros: time.Now().UnixMicro()}},
		{"settled", admission.Settle{ID: call,
			Ending: admission.Ending{Elapsed: 31 * time.Second, EndedMicros: time.Now().UnixMicro()}}},
	} {
		for {
			r, err := s.Do(context.Background(), step.command)
			if err == nil && r.Err == nil {
				refused = step.name == "reserved" && !r.Decision.Allow
				break
			}
			if !errors.Is(err, collection.ErrUnavailable) {
				tb.Errorf("%s: %v, %v", step.name, err, r.Err)
				return
			}
			if l.stop.Load() {
				return
			}
		}
		l.steps.Add(1)
		if refused {
			return
		}
		l.mu.Lock()
		l.acked[call] = step.name
		l.mu.Unlock()
	}
}

// await returns when so many more steps have been acknowledged.
func (l *load) await(tb testing.TB, steps int64) {
	tb.Helper()
	target := l.steps.Load() + steps
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for l.steps.Load() < target {
		select {
		case <-ticker.C:
		case <-limit.C:
			tb.Fatal("the load stands still")
		}
	}
}

// verify ends the load and looks for all that was acknowledged: invariants I4 to I6.
func (l *load) verify(t *testing.T, s *sqlstore.Store, account id.ID) {
	t.Helper()
	l.stop.Store(true)
	l.group.Wait()
	ctx := context.Background()
	live := make(map[uuid.UUID]admission.Lease)
	calls, err := s.LiveCalls(ctx, account)
	check(t, err)
	for _, c := range calls {
		live[c.Lease.ID] = c.Lease
	}
	records := make(map[uuid.UUID]*record.Call)
	for number, read := 1, -1; read != 0; number++ {
		page, err := s.ListRecords(ctx, account, collection.Query{Number: number, Size: 5000})
		check(t, err)
		read = len(page.Items)
		for _, r := range page.Items {
			records[r.ID] = r
		}
	}
	for call, step := range l.acked {
		r := records[call]
		lease, alive := live[call]
		switch {
		case r == nil && !alive:
			t.Fatalf("call %s was %s and is lost", call, step)
		case r != nil && alive:
			t.Fatalf("call %s is live and has a record", call)
		case step == "settled" && (r == nil || r.BilledSecs == 0):
			t.Fatalf("call %s was settled and its record is %+v", call, r)
		case step == "answered" && alive && lease.AnsweredMicros == 0:
			t.Fatalf("call %s was answered and its lease has no answer", call)
		}
	}
	audited(t, s)
	t.Logf("%d calls acknowledged, %d records, %d live", len(l.acked), len(records), len(live))
}

// TestConnectionsTerminated ends the connections of both nodes under load.
func TestConnectionsTerminated(t *testing.T) {
	url, database := newDatabase(t)
	a, b := openNode(t, url, "a"), openNode(t, url, "b")
	account, connectionID := configure(t, a)
	l := startLoad(t, connectionID, a, b)
	for range 10 {
		l.await(t, 500)
		check(t, postgresServer(t).Exec("postgres",
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database))
	}
	l.await(t, 500)
	l.verify(t, b, account)
}

// TestServerKilled kills the PostgreSQL server under load and starts it again.
func TestServerKilled(t *testing.T) {
	url, _ := newDatabase(t)
	a, b := openNode(t, url, "a"), openNode(t, url, "b")
	account, connectionID := configure(t, a)
	l := startLoad(t, connectionID, a, b)
	server := postgresServer(t)
	for range 2 {
		l.await(t, 1000)
		check(t, server.Stop(syscall.SIGQUIT))
		if _, err := a.Do(context.Background(), admission.Expire{}); !errors.Is(err, collection.ErrUnavailable) {
			t.Errorf("without a server: %v", err)
		}
		check(t, server.Restart())
	}
	l.await(t, 1000)
	l.verify(t, b, account)
}

// TestRowLevelSecurity looks past the conditions of the queries: invariant I11.
func TestRowLevelSecurity(t *testing.T) {
	url, _ := newDatabase(t)
	ctx := context.Background()
	s := openNode(t, url, "a")
	mine, connectionID := configure(t, s)
	do(t, s, admission.Reserve{Call: admission.Call{ID: uuid.New(), Connection: connectionID, From: "+12125550100",
		To: "+12125550199"}})
	do(t, s, admission.Reserve{Call: admission.Call{ID: uuid.New(), Connection: connectionID, From: "+12125550100",
		To: "+33123456789"}})
	other, err := s.Accounts().Create(ctx, 0, store.Account{Name: "other", Active: true})
	check(t, err)
	conn, err := pgx.Connect(ctx, url)
	check(t, err)
	defer conn.Close(ctx)
	guarded := map[string]string{
		"accounts": "id", "profiles": "account_id", "credential_connections": "account_id", "rate_decks": "account_id",
		"deck_chunks": "account_id", "leases": "account_id", "spend_days": "account_id", "call_records": "account_id",
	}
	rows := func(table, account string) (seen, foreign int) {
		t.Helper()
		tx, err := conn.Begin(ctx)
		check(t, err)
		defer tx.Rollback(ctx)
		if account != "" {
			_, err := tx.Exec(ctx, "SELECT set_config('tollgate.account', $1, true)", account)
			check(t, err)
		}
		check(t, tx.QueryRow(ctx, fmt.Sprintf("SELECT COUNT(*), COUNT(*) FILTER (WHERE %s <> $1) FROM %s", guarded[table],
			table), int64(mine)).
			Scan(&seen, &foreign))
		return seen, foreign
	}
	for table := range guarded {
		if seen, _ := rows(table, ""); seen != 0 {
			t.Errorf("%s without a setting: %d rows", table, seen)
		}
		if seen, foreign := rows(table, mine.String()); seen == 0 || foreign != 0 {
			t.Errorf("%s of the account: %d rows, %d of others", table, seen, foreign)
		}
		if _, foreign := rows(table, other.ID.String()); table != "accounts" && foreign != 0 {
			t.Errorf("%s of the other account: %d rows", table, foreign)
		}
		if seen, _ := rows(table, "*"); seen == 0 {
			t.Errorf("%s of all accounts: none", table)
		}
	}
	// Neither can rows be written for another account.
	tx, err := conn.Begin(ctx)
	check(t, err)
	defer tx.Rollback(ctx)
	_, err = tx.Exec(ctx, "SELECT set_config('tollgate.account', $1, true)", other.ID.String())
	check(t, err)
	_, err = tx.Exec(ctx, "INSERT INTO spend_days VALUES ($1, 1, '\\x01', 1, 1, 1, 1, 1, 1)", int64(mine))
	if err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("a row of another account was written: %v", err)
	}
}

// TestNodeName opens a node that runs already.
func TestNodeName(t *testing.T) {
	url, _ := newDatabase(t)
	openNode(t, url, "a")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := sqlstore.Open(ctx, sqlstore.Config{
		DatabaseURL: url, NodeName: "a", Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(1, time.Now),
		Owner: uuid.New(),
	})
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second node of the same name: %v", err)
	}
}

// TestOpenAtOnce opens several nodes on an empty database.
func TestOpenAtOnce(t *testing.T) {
	url, _ := newDatabase(t)
	var group sync.WaitGroup
	for i := range 5 {
		group.Go(func() {
			s, err := sqlstore.Open(context.Background(), sqlstore.Config{
				DatabaseURL: url, NodeName: fmt.Sprint(i), Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(i, time.Now),
				Owner: uuid.New(),
			})
			if err == nil {
				err = errors.Join(s.Ping(context.Background()), s.Close())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// TestWrongClock has a node whose clock is wrong: it admits nothing, and what it
// has is accounted for by the time of the database: invariant I8, fault F11.
func TestWrongClock(t *testing.T) {
	url, _ := newDatabase(t)
	var offset atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	n := newTestNode(t, url, "a", clock, func(c *sqlstore.Config) { c.MaxClockOffset = 0 })
	account, connectionID := configure(t, n.Store)
	call := n.reserve(connectionID)
	do(t, n, call)
	offset.Store(int64(-time.Hour))
	do(t, n, admission.Answer{ID: call.Call.ID, AtMicros: clock().UnixMicro()})
	if live, err := n.LiveCalls(context.Background(), account); err != nil || len(live) != 1 ||
		time.Since(time.UnixMicro(live[0].Lease.AnsweredMicros)).Abs() > time.Minute ||
		live[0].Lease.AnsweredMicros == live[0].Lease.ReservedMicros {
		t.Errorf("answered by a clock that is an hour late: %+v, %v", live, err)
	}
	for _, wrong := range []time.Duration{-48 * time.Hour, 48 * time.Hour} {
		offset.Store(int64(wrong))
		if _, err := n.Do(context.Background(), n.reserve(connectionID)); !errors.Is(err, collection.ErrUnavailable) {
			t.Errorf("%v off: admits: %v", wrong, err)
		}
	}
	n.tick()
	if calls, err := n.LiveCalls(context.Background(), account); err != nil || len(calls) != 1 {
		t.Fatalf("%d live calls, want 1: %v", len(calls), err)
	}
	before := time.Now().UnixMicro()
	r := do(t, n, admission.Settle{ID: call.Call.ID,
		Ending: admission.Ending{Elapsed: 31 * time.Second, EndedMicros: clock().UnixMicro()}}).Record
	if r.EndedMicros < r.StartedMicros || r.EndedMicros > time.Now().Add(sqlstore.DefaultMaxClockOffset).UnixMicro() ||
		before < r.StartedMicros {
		t.Errorf("record from %d to %d", r.StartedMicros, r.EndedMicros)
	}
	offset.Store(0)
	if r := do(t, n, n.reserve(connectionID)); !r.Decision.Allow {
		t.Errorf("after the clock was set: %v", r.Decision.Reason)
	}
}

// TestMidnight has two nodes whose clocks differ by a second at the end of the day.
func TestMidnight(t *testing.T) {
	url, _ := newDatabase(t)
	midnight := noon.Add(12 * time.Hour)
	late, early := newTestClock(midnight.Add(500*time.Millisecond)), newTestClock(midnight.Add(-500*time.Millisecond))
	a, b := newTestNode(t, url, "a", late.Now), newTestNode(t, url, "b", early.Now)
	_, connectionID := configure(t, a.Store)
	days := []record.Day{
		do(t, b, b.reserve(connectionID)).Decision.Facts.Day,
		do(t, a, a.reserve(connectionID)).Decision.Facts.Day,
		do(t, b, b.reserve(connectionID)).Decision.Facts.Day,
	}
	today := record.DayOf(midnight.UnixMicro())
	if days[0] != today-1 || days[1] != today || days[2] != today {
		t.Errorf("accounting days %v, want %v", days, []record.Day{today - 1, today, today})
	}
}

// TestTexts sends texts that PostgreSQL cannot store, beside a good call.
func TestTexts(t *testing.T) {
	url, _ := newDatabase(t)
	n := newTestNode(t, url, "a", newTestClock(noon).Now)
	account, connectionID := configure(t, n.Store)
	ctx := context.Background()
	bad := n.reserve(connectionID)
	bad.Call.From = "a\x00b"
	bad.Call.To = "\xff\xfe"
	bad.Call.SIPCallID = "\x00\xc3"
	do(t, n, bad)
	do(t, n, n.reserve(connectionID))
	r, err := n.Record(ctx, account, bad.Call.ID)
	if err != nil || r.From != "a\uFFFDb" || r.To != "\uFFFD" || r.SIPCallID != "\uFFFD\uFFFD" {
		t.Errorf("record %+v, %v", r, err)
	}
	page, err := n.ListRecords(ctx, account,
		collection.Query{Size: 5, Filters: []collection.Filter{{Field: "from_number", Op: collection.Contains,
			Value: "\x00"}}})
	if err != nil || page.Total != 1 {
		t.Errorf("%d records with such a text, %v", page.Total, err)
	}
}

// TestRepeatsAcrossNodes sends the same attempts to both nodes at once: invariant I7.
func TestRepeatsAcrossNodes(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	nodes := []*testNode{newTestNode(t, url, "a", clock.Now), newTestNode(t, url, "b", clock.Now)}
	account, connectionID := configure(t, nodes[0].Store)
	for _, from := range []id.ID{connectionID, 424242} { // one is admitted, one is refused
		reserve := nodes[0].reserve(from)
		decisions := make(chan admission.Decision, 200)
		var group sync.WaitGroup
		for i := range cap(decisions) {
			group.Go(func() {
				r, err := nodes[i%2].Do(context.Background(), reserve)
				if err != nil || r.Err != nil {
					t.Errorf("%v, %v", err, r.Err)
				}
				decisions <- r.Decision
			})
		}
		group.Wait()
		first := <-decisions
		for range cap(decisions) - 1 {
			if again := <-decisions; again != first {
				t.Fatalf("two decisions of one attempt: %+v, %+v", first, again)
			}
		}
		if first.Allow != (from == connectionID) {
			t.Errorf("connection %v: %v", from, first.Reason)
		}
	}
	calls, err := nodes[1].LiveCalls(context.Background(), account)
	if err != nil || len(calls) != 1 {
		t.Errorf("%d live calls, %v", len(calls), err)
	}
}

// TestUsedID reserves with the id of a live call of another profile.
func TestUsedID(t *testing.T) {
	url, _ := newDatabase(t)
	n := newTestNode(t, url, "a", newTestClock(noon).Now)
	account, connectionID := configure(t, n.Store)
	ctx := context.Background()
	p := profile.New()
	p.Name = "second"
	p, err := n.Profiles().Create(ctx, account, p)
	check(t, err)
	c := connection.NewCredentialConnection()
	c.UserName = "phone0002"
	c.Password = "correct horse"
	c.Outbound.OutboundVoiceProfileID = p.ID
	c, err = n.CredentialConnections().Create(ctx, account, c)
	check(t, err)
	first := n.reserve(connectionID)
	want := do(t, n, first)
	again := first
	again.Call.Connection = c.ID
	if got := do(t, n, again); got.Decision != want.Decision {
		t.Errorf("another call took the id: %+v", got.Decision)
	}
	audited(t, n.Store)
}

// TestUnstorable has the database refuse one command of a group: the others are
// carried out.
func TestUnstorable(t *testing.T) {
	url, database := newDatabase(t)
	held, release := make(chan struct{}), make(chan struct{})
	var hold atomic.Bool
	n := newTestNode(t, url, "a", newTestClock(noon).Now, func(c *sqlstore.Config) {
		c.AroundCommit = func(commit func() error) error {
			if hold.CompareAndSwap(true, false) {
				close(held)
				<-release
			}
			return commit()
		}
	})
	_, connectionID := configure(t, n.Store)
	check(t, postgresServer(t).Exec(database, "ALTER TABLE call_records ADD CHECK (to_number <> 'unstorable')"))
	hold.Store(true)
	answers := make(chan error, 9)
	submit := func(to string, want error) {
		r := n.reserve(connectionID)
		r.Call.To = to
		n.Submit(r, func(_ admission.Result, err error) {
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%s: %v, want %v", to, err, want)
			}
			answers <- err
		})
	}
	submit("+12125550199", nil)
	<-held // what comes now is one group
	for range 4 {
		submit("+12125550199", nil)
	}
	submit("unstorable", collection.ErrUnavailable)
	for range 3 {
		submit("+33123456789", nil)
	}
	close(release)
	for range cap(answers) {
		<-answers
	}
	audited(t, n.Store)
}

// TestManyExpire lets more calls fall silent than one command ends.
func TestManyExpire(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	n := newTestNode(t, url, "a", clock.Now)
	account, connectionID := configure(t, n.Store)
	const calls = 2500
	var group sync.WaitGroup
	group.Add(calls)
	for range calls {
		n.Submit(n.reserve(connectionID), func(r admission.Result, err error) {
			defer group.Done()
			if err != nil || !r.Decision.Allow {
				t.Errorf("%v, %v", r.Decision.Reason, err)
			}
		})
	}
	group.Wait()
	clock.advance(admission.SetupTTL)
	n.tick()
	page, err := n.ListRecords(context.Background(), account, collection.Query{Size: 1})
	if err != nil || page.Total != calls {
		t.Errorf("%d records, want %d: %v", page.Total, calls, err)
	}
	audited(t, n.Store)
}

// TestPlansPostgreSQL looks at how the statements of the hot path find their rows,
// with row-level security in force: by an index, each of them.
func TestPlansPostgreSQL(t *testing.T) {
	url, _ := newDatabase(t)
	newTestNode(t, url, "a", newTestClock(noon).Now)
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	check(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "SET tollgate.account = '*'; SET enable_seqscan = off")
	check(t, err)
	for _, text := range []string{
		`SELECT body FROM leases WHERE id = ANY(ARRAY['\x01', '\x02']::BYTEA[])`,
		`SELECT body FROM leases WHERE expires_at <= 5 ORDER BY expires_at LIMIT 10`,
		`SELECT s.id, (SELECT COUNT(*) FROM leases WHERE profile_id = s.id AND NOT emergency) FROM unnest(ARRAY[1, 2]::BIGINT[]) AS s (id)`,
		`SELECT s.id, (SELECT COUNT(*) FROM leases WHERE connection_id = s.id AND NOT emergency) FROM unnest(ARRAY[1, 2]::BIGINT[]) AS s (id)`,
		`SELECT s.id, (SELECT COUNT(*) FROM leases WHERE account_id = s.id AND NOT emergency) FROM unnest(ARRAY[1, 2]::BIGINT[]) AS s (id)`,
		`SELECT body FROM call_records WHERE id = ANY(ARRAY['\x01', '\x02']::BYTEA[])`,
		`SELECT s.cost FROM unnest(ARRAY[1, 2]::BIGINT[], ARRAY['\x01', '\x02']::BYTEA[]) AS k (account_id, call_id)
			CROSS JOIN LATERAL (SELECT * FROM call_slices WHERE account_id = k.account_id AND call_id = k.call_id ORDER BY day) AS s`,
		`SELECT posted FROM spend_days WHERE scope_id = ANY(ARRAY['\x01', '\x02']::BYTEA[]) AND day >= 5`,
		`SELECT cause FROM spend_holds WHERE scope_id = ANY(ARRAY['\x01', '\x02']::BYTEA[])`,
		`SELECT id FROM call_records WHERE account_id = 1 ORDER BY started_at DESC LIMIT 20`,
		`SELECT COUNT(*) FROM call_records WHERE account_id = 1 AND country = 'GB' AND written >= CAST(CAST(CAST(5 AS BIGINT) AS TEXT) AS XID8)`,
	} {
		rows, err := conn.Query(ctx, "EXPLAIN "+text)
		check(t, err)
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		check(t, err)
		if all := strings.Join(plan, "\n"); strings.Contains(all, "Seq Scan") ||
			!strings.Contains(all, "Index Cond") && !strings.Contains(all, "Index Scan") {
			t.Errorf("%s\nreads the whole table:\n%s", text, all)
		}
	}
}

// TestKeptPlans has a group's statements planned when the tables are known to be
// empty, and looks at the plans a moment after the tables have grown. They must be
// other plans: in an empty table any index is as good as any other.
func TestKeptPlans(t *testing.T) {
	url, database := newDatabase(t)
	clock := newTestClock(noon)
	n := newTestNode(t, url, "a", clock.Now)
	_, phone := configure(t, n.Store)
	server := postgresServer(t)
	for _, text := range []string{
		"ALTER TABLE leases SET (autovacuum_enabled = off)", "ALTER TABLE call_records SET (autovacuum_enabled = off)",
		"VACUUM",
	} {
		check(t, server.Exec(database, text))
	}
	whole := func() {
		r := n.reserve(phone)
		do(t, n, r)
		do(t, n, admission.Answer{ID: r.Call.ID, AtMicros: clock.Now().UnixMicro()})
		do(t, n, admission.Renew{ID: r.Call.ID, Elapsed: time.Second, GrantedSecs: 6})
		do(t, n, admission.Settle{ID: r.Call.ID,
			Ending: admission.Ending{EndedMicros: clock.Now().UnixMicro(), Elapsed: time.Second}})
	}
	whole()
	for _, text := range []string{
		`INSERT INTO leases SELECT decode(md5(n::TEXT), 'hex'), 1, n, n, '', FALSE, 9e15::BIGINT, '', FALSE FROM generate_series(1, 5000) AS n`,
		`INSERT INTO call_records SELECT (jsonb_populate_record(r, jsonb_build_object('id', '\x' || md5(n::TEXT), 'started_at', n))).*
			FROM call_records AS r, generate_series(1, 5000) AS n`,
	} {
		check(t, server.Exec(database, text))
	}
	clock.advance(time.Second)
	n.tick()
	whole()
	seen := 0
	for statement, plan := range sqlstore.Plans(t, n.Store) {
		for table, index := range map[string]string{"leases": "leases_pkey", "call_records": "call_records_id_key"} {
			if strings.Contains(statement, "FROM "+table+" WHERE id = ANY") {
				seen++
				if !strings.Contains(plan, index) {
					t.Errorf("%s\n%s", statement, plan)
				}
			}
		}
	}
	if seen < 3 { // a lease and a record that are read, a lease that is deleted
		t.Errorf("only %d of the statements have a plan", seen)
	}
}
