package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// expireAtOnce is how many leases one Expire ends. More are left to the next one,
// so that the calls of a large node that has died hold up no other for long.
const expireAtOnce = 1000

// shownCountAge is how old the count of live calls may be in a scope that has no
// limit, where it is only shown.
const shownCountAge = time.Second

// liveCount is how many live leases a scope had, and when that was counted.
type liveCount struct {
	n  int32
	at time.Time
}

// Reasons for which a node admits no calls although its database is reachable.
var (
	errClock  = errors.New("the clock of this node differs from that of the database")
	errFenced = errors.New("this node was silent for so long that the others gave it up")
)

// ledgerGroup is one transaction of commands, from what it needs to its results.
type ledgerGroup struct {
	run       []*ledger.Work
	calls     [][]byte // that Answer, Renew, Settle and Release name
	all       [][]byte // those, and what Reserve names
	expire    bool
	takeover  bool
	restarted [][]byte // owners of switches that were started again

	began    time.Time     // by the clock of the database
	waited   time.Duration // for locks
	now      int64         // Unix microseconds
	astray   int64         // how far the node's wrong clock is ahead of that; 0 when it is right
	seq      int64
	refusing error // why no Reserve is carried out; nil mostly
	fenced   bool

	oldest   record.Day      // the earliest whose spends it may need
	profiles map[id.ID]id.ID // whose money may move, and their accounts
	payers   map[admission.Payer]struct{}
	scopes   map[admission.Scope]struct{} // in which their money is counted
	locked   []int64                      // scopes to lock, in the order of their ids
	exact    []countOf                    // to be counted under their locks
	shown    []countOf                    // to be counted for showing
	callees  []admission.CalleeKey
	urgent   []int64 // connections from which a Reserve is an emergency call
	opened   int64   // the latest time at which one of the profiles opened its day

	part  admission.Part
	ended []*record.Call
	state *admission.State
}

// countOf is a scope whose leases are to be counted by a column of leases.
type countOf struct {
	column string
	scope  id.ID
}

// errOverlooked means that a lease is of a profile that is not locked, as when a
// Reserve names a call that is live already: the group is tried again with all its
// calls looked up first.
var errOverlooked = errors.New("a call is of a profile that is not locked")

// newLedgerGroup sorts commands, at the time that the node has. Calls that a Reserve
// names are nearly always new, and only looked up before the locks when thorough.
func newLedgerGroup(run []*ledger.Work, now int64, thorough bool) *ledgerGroup {
	g := &ledgerGroup{run: run, now: now, oldest: record.DayOf(now) - table.KeptSpendDays, profiles: make(map[id.ID]id.ID),
		payers: make(map[admission.Payer]struct{}), scopes: make(map[admission.Scope]struct{}), part: admission.Part{
			Live: make(map[id.ID]int32), Spends: make(map[admission.SpendKey]admission.Spend),
			Callees: make(map[admission.CalleeKey]int32), Urgent: make(map[id.ID]int32),
			Started: make(map[admission.EmergencyKey]int64),
		}}
	for _, one := range run {
		one.Result, one.Err = admission.Result{}, nil
		switch c := one.Command.(type) {
		case admission.Expire:
			g.expire = true
			continue
		case admission.ExpireOwners:
			g.takeover = true
			continue
		case admission.ExpireSwitch:
			g.restarted = append(g.restarted, slices.Clone(c.Owner[:]))
			continue
		}
		call, ok := admission.CallOf(one.Command)
		if !ok {
			continue
		}
		g.all = append(g.all, slices.Clone(call[:]))
		if _, reserve := one.Command.(admission.Reserve); !reserve || thorough {
			g.calls = append(g.calls, g.all[len(g.all)-1])
		}
	}
	return g
}

// tryLedger runs commands in one transaction, which takeTurn may have begun. Its two
// round trips are: begin, lock and load; write and commit. A third comes before when
// it is not known which profiles to lock. Where webhooks want to know of the calls
// there are some more, in which the events are written. It returns the records that
// it wrote.
func (w *writer) tryLedger(ctx context.Context, run []*ledger.Work, thorough bool) ([]*record.Call, error) {
	g := newLedgerGroup(run, w.ledger.Clock().UnixMicro(), thorough)
	loaded := false
	if !thorough && w.recall(g) {
		var err error
		if loaded, err = w.loadAtOnce(ctx, g); err != nil {
			return nil, undone(err)
		}
	}
	if !loaded {
		g = newLedgerGroup(run, w.ledger.Clock().UnixMicro(), thorough)
		if err := w.findAndLoad(ctx, g); err != nil {
			return nil, undone(err)
		}
	}
	if !w.begun {
		w.crowd.note(g.waited)
	}
	w.apply(g)
	changes := g.state.TakeChanges()
	records, err := w.finish(ctx, g, &changes)
	if err != nil {
		w.ledger.paces.Undo(changes.Begun)
	}
	return records, err
}

// finish writes what the commands of a group have changed, and commits.
func (w *writer) finish(ctx context.Context, g *ledgerGroup,
	changes *admission.Changes) ([]*record.Call, error) {
	told := w.newTx()
	if err := w.ledger.Announce(ctx, told, changes); err != nil {
		return nil, undone(err)
	}
	if err := w.native(func(c *pgx.Conn) error { return w.save(ctx, c, g, changes) }); err != nil {
		if worthRepeatingStatement(err) {
			return nil, undone(err)
		}
		return nil, fmt.Errorf("write: %w", err)
	}
	w.remember(g)
	w.ledger.Committed(told, false)
	return changes.Records, nil
}

// loadAtOnce begins the transaction of a group of which it is known what it needs,
// and locks and loads that in the same round trip. It reports false, and the
// transaction has ended again, when something turns out not to be as usual: the
// policy has changed since, this node was given up, or its clock is wrong.
func (w *writer) loadAtOnce(ctx context.Context, g *ledgerGroup) (bool, error) {
	w.plan(g)
	if err := w.addScopes(ctx, g.locked); err != nil {
		return false, err
	}
	b := &pgx.Batch{}
	begun := w.queueBegin(b, g)
	g.queueLoad(b, w)
	if err := w.sendFirst(ctx, b); err != nil {
		return false, fmt.Errorf("begin and load: %w", err)
	}
	begun()
	if g.refusing != nil || g.seq != w.seq {
		return false, w.rollback(ctx)
	}
	return true, w.native(func(c *pgx.Conn) error { return g.loadSlices(ctx, c) })
}

// findAndLoad is for any group: it first finds the leases whose profiles have to be
// locked, and has the policy of the moment before it looks what else has.
func (w *writer) findAndLoad(ctx context.Context, g *ledgerGroup) error {
	if err := w.find(ctx, g); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := w.catchUp(ctx, g.seq); err != nil {
		return err
	}
	w.plan(g)
	if err := w.addScopes(ctx, g.locked); err != nil {
		return err
	}
	b := &pgx.Batch{}
	g.queueLoad(b, w)
	err := w.native(func(c *pgx.Conn) error {
		if err := c.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		return g.loadSlices(ctx, c)
	})
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// worthRepeatingStatement reports whether a statement of the last round trip, and so
// its commit, is known to have failed because of another node.
func worthRepeatingStatement(err error) bool {
	return sqlState(err) != "" && !isConnectionError(err) && worthRepeating(err)
}

// lockScopes notes when each row was locked.
const lockScopes = `SELECT at, clock_timestamp() FROM (
	SELECT at FROM ledger_scopes WHERE id = ANY($1) ORDER BY id FOR UPDATE) AS locked`

// queueBegin begins the transaction and takes the first two locks. The function that
// it returns is to be called when the batch has succeeded.
func (w *writer) queueBegin(b *pgx.Batch, g *ledgerGroup) (begun func()) {
	node := time.UnixMicro(g.now)
	var expired *bool
	if !w.begun {
		b.Queue("BEGIN")
	}
	b.Queue("SELECT pg_advisory_xact_lock_shared($1)", configLock)
	b.Queue("SELECT seq, clock_timestamp(), (SELECT expired FROM nodes WHERE owner = $1 FOR UPDATE) FROM config_state "+
		"WHERE one = 1",
		w.owner[:]).QueryRow(func(row pgx.Row) error { return row.Scan(&g.seq, &g.began, &expired) })
	return func() {
		offset := node.Sub(g.began)
		if limit := w.ledger.node.MaxClockOffset; limit > 0 && offset.Abs() > limit {
			// What is running is still accounted for, by the right time.
			g.now = g.began.UnixMicro()
			g.astray = offset.Microseconds()
			g.refusing = fmt.Errorf("%w: %w, by %v", collection.ErrUnavailable, errClock, offset)
		}
		if expired == nil || *expired {
			g.fenced = true
			g.refusing = fmt.Errorf("%w: %w", collection.ErrUnavailable, errFenced)
		}
	}
}

// find begins the transaction and finds the leases whose profiles have to be locked.
func (w *writer) find(ctx context.Context, g *ledgerGroup) error {
	b := &pgx.Batch{}
	begun := w.queueBegin(b, g)
	found := func(rows pgx.Rows) error {
		return g.eachLease(rows, func(l *admission.Lease) {
			g.touch(knownLeaseOf(l))
			if g.sweeping() {
				g.all = append(g.all, slices.Clone(l.ID[:]))
			}
		})
	}
	if len(g.calls) > 0 {
		b.Queue("SELECT "+table.LeaseColumns+" FROM leases WHERE id = ANY($1)", g.calls).Query(found)
	}
	if g.expire {
		b.Queue("SELECT EXISTS (SELECT 1 FROM nodes WHERE NOT expired AND owner <> $1)",
			w.owner[:]).QueryRow(func(row pgx.Row) error {
			return row.Scan(&w.crowd.others)
		})
		b.Queue("SELECT "+table.LeaseColumns+" FROM leases WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2",
			g.now, expireAtOnce).Query(found)
	}
	if len(g.restarted) > 0 {
		b.Queue("SELECT "+table.LeaseColumns+" FROM leases WHERE owner = ANY($1)", g.restarted).Query(found)
	}
	if g.takeover {
		b.Queue("UPDATE nodes SET expired = TRUE WHERE name = $1 AND owner <> $2", w.ledger.node.Name, w.owner[:])
		b.Queue(`SELECT l.account_id, l.id, l.body FROM leases AS l JOIN nodes AS n ON n.owner = l.owner
			WHERE n.name = $1 AND n.owner <> $2`, w.ledger.node.Name, w.owner[:]).Query(found)
	}
	if err := w.sendFirst(ctx, b); err != nil {
		return err
	}
	begun()
	return nil
}

// sweeping reports whether the group ends calls that it does not name.
func (g *ledgerGroup) sweeping() bool { return g.expire || g.takeover || len(g.restarted) > 0 }

func (g *ledgerGroup) eachLease(rows pgx.Rows, use func(*admission.Lease)) error {
	for rows.Next() {
		l, err := table.ScanLease(rows.Scan)
		if err != nil {
			return err
		}
		use(l)
	}
	return rows.Err()
}

// plan finds out by the policy what has to be locked and loaded.
func (w *writer) plan(g *ledgerGroup) {
	scopes := make(map[id.ID]struct{})
	counted := make(map[id.ID]struct{})
	now := w.ledger.Clock()
	count := func(column string, scope id.ID, limit int32) {
		if _, done := counted[scope]; done {
			return
		}
		counted[scope] = struct{}{}
		if limit != policy.NoLimit {
			scopes[scope] = struct{}{}
			g.exact = append(g.exact, countOf{column, scope})
		} else if last, ok := w.counts[scope]; ok && now.Sub(last.at).Abs() < shownCountAge {
			g.part.Live[scope] = last.n
		} else {
			g.shown = append(g.shown, countOf{column, scope})
		}
	}
	for _, one := range g.run {
		reserve := admission.AttemptOf(one.Command)
		if reserve == nil {
			continue
		}
		c := w.snapshot.Connection(reserve.Call.Connection)
		if c == nil {
			continue
		}
		if _, urgent := c.Emergency(w.snapshot.Account(c.Account), reserve.Call.To); urgent &&
			!slices.Contains(g.urgent, int64(c.ID)) {
			g.urgent = append(g.urgent, int64(c.ID))
			scopes[c.ID] = struct{}{}
		}
		p := w.snapshot.Profile(c.Profile)
		if p == nil || p.Account != c.Account {
			continue
		}
		g.profiles[p.ID] = p.Account
		g.payers[admission.PayerOf(p.Account, p.ID, c.ID, p.BillingGroup)] = struct{}{}
		if a := w.snapshot.Account(c.Account); a != nil {
			count("account_id", a.ID, a.ChannelLimit)
		} else {
			count("account_id", c.Account, policy.NoLimit)
		}
		count("profile_id", p.ID, p.ChannelLimit)
		count("connection_id", c.ID, c.ChannelLimit)
		if p.Window.CallsPerCLD != policy.NoLimit {
			if callee := admission.Callee(w.snapshot.Numbering(now), c, reserve.Call.To); callee != 0 {
				g.callees = append(g.callees, admission.CalleeKey{Profile: p.ID, Callee: callee})
			}
		}
	}
	w.planScopes(g, scopes, count)
	for scope := range scopes {
		g.locked = append(g.locked, int64(scope))
	}
	slices.Sort(g.locked)
}

// queueLoad locks the scopes and then reads what the group needs: each statement
// sees what was committed before the locks were given.
func (g *ledgerGroup) queueLoad(b *pgx.Batch, w *writer) {
	if len(g.locked) > 0 {
		b.Queue(lockScopes, g.locked).Query(func(rows pgx.Rows) error {
			n := 0
			for ; rows.Next(); n++ {
				var at int64
				var locked time.Time
				if err := rows.Scan(&at, &locked); err != nil {
					return err
				}
				g.opened = max(g.opened, at)
				g.waited = max(g.waited, locked.Sub(g.began))
			}
			if rows.Err() == nil && n != len(g.locked) {
				clear(w.scopes) // rows were deleted: make them again
				return fmt.Errorf("%d of %d rows to lock are there", n, len(g.locked))
			}
			return rows.Err()
		})
	}
	g.queueCalls(b)
	g.queueCounts(b, g.exact)
	g.queueCounts(b, g.shown)
	g.queueSpends(b)
	g.queueCallees(b)
	g.queueEmergencies(b)
}

// queueCalls reads the calls that the group names, live or ended.
func (g *ledgerGroup) queueCalls(b *pgx.Batch) {
	if len(g.all) == 0 {
		return
	}
	b.Queue("SELECT "+table.LeaseColumns+" FROM leases WHERE id = ANY($1)", g.all).Query(func(rows pgx.Rows) error {
		overlooked := false
		err := g.eachLease(rows, func(l *admission.Lease) {
			overlooked = overlooked || !g.touched(knownLeaseOf(l))
			g.part.Leases = append(g.part.Leases, l)
		})
		if err == nil && overlooked {
			err = errOverlooked
		}
		return err
	})
	queueRead(b, &table.Records, func(r *record.Call) { g.ended = append(g.ended, r) }, "WHERE id = ANY($1)", g.all)
}

// loadSlices completes the records of calls that have ended. Commands seldom name
// one, so that it is a round trip of its own.
func (g *ledgerGroup) loadSlices(ctx context.Context, c *pgx.Conn) error {
	if len(g.ended) == 0 {
		return nil
	}
	byID := make(map[uuid.UUID]*record.Call, len(g.ended))
	var keys []any
	for _, r := range g.ended {
		byID[r.ID] = r
		keys = append(keys, int64(r.AccountID), r.ID[:])
	}
	rows, err := c.Query(ctx, "SELECT "+table.Slices.Names()+` FROM unnest($1::BIGINT[], $2::BYTEA[]) AS k (account, call)
		CROSS JOIN LATERAL (SELECT * FROM call_slices WHERE account_id = account AND call_id = call ORDER BY day, quarter) AS s`,
		onTheirSide(keys, 2)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	return eachRow(rows, &table.Slices, func(s *table.SliceRow) {
		byID[s.Call].Slices = append(byID[s.Call].Slices, s.Slice)
	})
}

// queueRead reads the rows of a table that a condition selects.
func queueRead[R any](b *pgx.Batch, t *table.Table[R], use func(*R), condition string, args ...any) {
	b.Queue(t.Select(condition), args...).Query(func(rows pgx.Rows) error { return eachRow(rows, t, use) })
}

func eachRow[R any](rows pgx.Rows, t *table.Table[R], use func(*R)) error {
	for rows.Next() {
		row, err := t.Scan(rows.Scan)
		if err != nil {
			return err
		}
		use(row)
	}
	return rows.Err()
}

// queueCounts counts leases: a count is always the size of the set.
func (g *ledgerGroup) queueCounts(b *pgx.Batch, counts []countOf) {
	byColumn := make(map[string][]int64)
	for _, c := range counts {
		byColumn[c.column] = append(byColumn[c.column], int64(c.scope))
	}
	for column, scopes := range byColumn {
		b.Queue(`SELECT s.id, (SELECT COUNT(*) FROM leases WHERE `+column+` = s.id AND NOT emergency)
			FROM unnest($1::BIGINT[]) AS s (id)`, scopes).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var scope, n int64
				if err := rows.Scan(&scope, &n); err != nil {
					return err
				}
				g.part.Live[id.ID(scope)] = int32(n)
			}
			return rows.Err()
		})
	}
}

func (g *ledgerGroup) profileIDs() []int64 {
	profiles := make([]int64, 0, len(g.profiles))
	for p := range g.profiles {
		profiles = append(profiles, int64(p))
	}
	return profiles
}

func (g *ledgerGroup) queueCallees(b *pgx.Batch) {
	if len(g.callees) == 0 {
		return
	}
	profiles, numbers := make([]int64, len(g.callees)), make([]int64, len(g.callees))
	for i, key := range g.callees {
		profiles[i], numbers[i] = int64(key.Profile), int64(key.Callee)
	}
	queueRead(b, &table.Callees, func(r *table.CalleeRow) { g.part.Callees[r.CalleeKey] = r.Calls },
		`JOIN unnest($1::BIGINT[], $2::BIGINT[]) AS k (profile, number) ON profile_id = profile AND callee = number
		WHERE period >= $3`, profiles, numbers, int64(record.DayOf(g.now)-table.KeptCalleeDays))
}

// queueEmergencies reads what is to be known of the connections from which a Reserve is
// an emergency call, under their locks.
func (g *ledgerGroup) queueEmergencies(b *pgx.Batch) {
	if len(g.urgent) == 0 {
		return
	}
	b.Queue("SELECT connection_id, COUNT(*) FROM leases WHERE connection_id = ANY($1) AND emergency "+
		"GROUP BY connection_id", g.urgent).
		Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var connection, n int64
				if err := rows.Scan(&connection, &n); err != nil {
					return err
				}
				g.part.Urgent[id.ID(connection)] = int32(n)
			}
			return rows.Err()
		})
	queueRead(b, &table.Emergencies, func(r *table.EmergencyRow) { g.part.Started[r.EmergencyKey] = r.Started },
		"WHERE connection_id = ANY($1) AND day >= $2", g.urgent, int64(record.DayOf(g.now)))
}

// apply carries the commands out, in order. The time is never before that at which
// another node has opened an accounting day of one of the profiles, nor before
// what is already written of one of the calls.
func (w *writer) apply(g *ledgerGroup) {
	g.now = max(g.now, g.opened)
	for _, l := range g.part.Leases {
		g.now = max(g.now, l.ReservedMicros, l.AnsweredMicros)
	}
	now := time.UnixMicro(g.now)
	g.state = admission.NewState()
	g.state.CountPaces(&w.ledger.paces)
	g.state.RestorePart(g.part, now)
	for _, r := range g.ended {
		g.state.Remember(r)
	}
	for _, one := range g.run {
		command := one.Command
		switch c := command.(type) {
		case admission.Reserve:
			if g.refusing != nil {
				one.Err = g.refusing
				continue
			}
			if c.Owner == w.ledger.Owner {
				c.Owner = w.owner
				command = c
			}
		case admission.Report:
			if g.refusing != nil && c.Attempt != nil && !g.state.Knows(c.ID) {
				one.Err = g.refusing
				continue
			}
		case admission.ExpireOwners:
			command = admission.ExpireOwners{Keep: w.owner}
		default:
			command = g.righted(command)
		}
		one.Result = g.state.Apply(w.snapshot, command, now)
		if one.Result.Record != nil {
			g.state.Remember(one.Result.Record)
		}
		for _, r := range one.Result.Expired {
			g.state.Remember(r)
		}
	}
	g.state.Forget()
}

// righted is a command whose times are by the clock of the database. A node whose
// clock is wrong would else have a lease end long before its call, or after it.
func (g *ledgerGroup) righted(command admission.Command) admission.Command {
	switch c := command.(type) {
	case admission.Answer:
		c.AtMicros -= g.astray
		return c
	case admission.Settle:
		c.Ending = g.rightedEnding(c.Ending)
		return c
	case admission.Release:
		c.Ending = g.rightedEnding(c.Ending)
		return c
	}
	return command
}

func (g *ledgerGroup) rightedEnding(e admission.Ending) admission.Ending {
	e.EndedMicros -= g.astray
	if e.RingingMicros != 0 {
		e.RingingMicros -= g.astray
	}
	return e
}
