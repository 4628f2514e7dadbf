package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"maps"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/packed"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// The tables of the ledger in SQLite are written many groups at a time. What one
// small group of commands has changed is one row of ledger_journal, which is one or
// two pages where the tables and their indexes are a dozen; it is as durable there.
// The tables get it with some later group, in the transaction that empties the
// journal: that is to fold it. Together they are the state of the ledger, at any
// moment and after any failure.
//
// The journal is folded when it has the changes of foldCommands commands, once those
// who wait for them have their answers; before a write of configuration, before a read
// of the ledger, once a second, when the store closes, and when it is opened.

// foldCommands is how many commands the journal has before it is folded. A group that
// has that many goes to the tables at once.
const foldCommands = 256

// unfolded is what the journal has and the tables have not: the changes of several
// groups, of which the latest counts.
type unfolded struct {
	commands int
	leases   map[uuid.UUID]*admission.Lease
	gone     []int64           // places of leases in the table that are no more
	changes  admission.Changes // without leases
}

// add puts the changes of a group on top. The table has the leases whose places are
// not after foldedPlace.
func (u *unfolded) add(c *admission.Changes, gone []int64, foldedPlace int64, commands int) {
	u.commands += max(commands, 1) // a step of the time of day changes leases without any
	if u.leases == nil {
		u.leases = make(map[uuid.UUID]*admission.Lease)
		u.changes = admission.Changes{
			Spends: make(map[admission.SpendKey]admission.Spend), Callees: make(map[admission.CalleeKey]int32),
			Holds:       make(map[admission.Scope]admission.SpendHold),
			Emergencies: make(map[admission.EmergencyKey]admission.EmergencyDay),
		}
	}
	for _, l := range c.Leases {
		u.leases[l.ID] = l
	}
	for _, call := range c.Gone {
		delete(u.leases, call)
	}
	for _, place := range gone {
		if place <= foldedPlace {
			u.gone = append(u.gone, place)
		}
	}
	u.changes.Records = append(u.changes.Records, c.Records...)
	maps.Copy(u.changes.Spends, c.Spends)
	maps.Copy(u.changes.Callees, c.Callees)
	maps.Copy(u.changes.Holds, c.Holds)
	for key, more := range c.Emergencies {
		day := u.changes.Emergencies[key]
		day.Add(more)
		u.changes.Emergencies[key] = day
	}
}

// all is everything in one. The leases are as they are now.
func (u *unfolded) all() *admission.Changes {
	c := u.changes
	c.Leases = make([]*admission.Lease, 0, len(u.leases))
	for _, l := range u.leases {
		c.Leases = append(c.Leases, l)
	}
	return &c
}

// fold brings the tables up to date within the open transaction: with what is in the
// journal, which is then empty, and with the changes of commands since.
func (w *writer) fold(ctx context.Context, c *admission.Changes, gone []int64, commands int) error {
	journalled := w.unfolded.commands > 0
	if journalled {
		w.unfolded.add(c, gone, w.foldedPlace, commands)
		c, gone = w.unfolded.all(), w.unfolded.gone
	}
	list, err := w.rowsOf(c, gone)
	if err != nil {
		return err
	}
	if err := w.writeRows(ctx, list); err != nil {
		return err
	}
	if journalled {
		if _, err := w.conn.ExecContext(ctx, "DELETE FROM ledger_journal"); err != nil {
			return fmt.Errorf("empty the journal: %w", err)
		}
	}
	w.unfolded, w.foldedPlace = unfolded{}, w.lastPlace
	return nil
}

// journal writes the changes of a group to the journal.
func (w *writer) journal(ctx context.Context, c *admission.Changes, gone []int64, commands int) error {
	list, err := w.rowsOf(c, gone)
	if err != nil || len(list) == 0 {
		return err
	}
	w.entry = appendEntry(w.entry[:0], list)
	if err := w.exec(ctx, w.bulk("journal", "INSERT INTO ledger_journal (body) VALUES ", "", 1),
		[]any{w.entry}); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	w.unfolded.add(c, gone, w.foldedPlace, commands)
	return nil
}

// foldNow folds in a transaction of its own, for which no one waits.
func (w *writer) foldNow() {
	if w.state == nil || w.unfolded.commands == 0 {
		return // what a failed transaction has left is folded when the ledger is read back
	}
	if err := w.foldAlone(context.Background()); err != nil {
		w.ledger.Logger.Error("the journal cannot be folded; reading the ledger back", "error", err)
		w.recover(nil)
	}
	w.ledger.behind.Store(w.state != nil && w.unfolded.commands > 0)
}

func (w *writer) foldAlone(ctx context.Context) error {
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := w.fold(ctx, &admission.Changes{}, nil, 0); err != nil {
		return err
	}
	_, err := w.conn.ExecContext(ctx, "COMMIT")
	if err == nil {
		w.state.Forget() // the tables know it
	}
	return err
}

// replay folds a journal that another process has left, or a transaction that failed.
// Its entries are written one after the other, each over what is there.
func (w *writer) replay(ctx context.Context) (err error) {
	entries, err := readEntries(ctx, w.conn)
	if err != nil || len(entries) == 0 {
		return err
	}
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, list := range entries {
		if err := w.writeRows(ctx, list); err != nil {
			return err // with the connection, the transaction is given up
		}
	}
	if _, err := w.conn.ExecContext(ctx, "DELETE FROM ledger_journal"); err != nil {
		return err
	}
	_, err = w.conn.ExecContext(ctx, "COMMIT")
	return err
}

// readJournal reads the entries of the journal in their order.
func readEntries(ctx context.Context, q table.Querier) (entries [][]table.Rows, err error) {
	err = table.Query(ctx, q, func(r *sql.Rows) error {
		var seq int64
		var body []byte
		if err := r.Scan(&seq, &body); err != nil {
			return err
		}
		list, err := decodeEntry(body)
		if err != nil {
			return fmt.Errorf("entry %d: %w", seq, err)
		}
		entries = append(entries, list)
		return nil
	}, "SELECT seq, body FROM ledger_journal ORDER BY seq")
	return entries, err
}

// appendEntry packs what one group has changed: each change with its values, of which
// each has its kind before it.
func appendEntry(dst []byte, list []table.Rows) []byte {
	return packed.Append(dst, table.JournalForm, &list, packEntry)
}

// decodeEntry reads an entry back.
func decodeEntry(body []byte) (list []table.Rows, err error) {
	err = packed.Read(body, table.JournalForm, "entry of the journal", &list, packEntry)
	return list, err
}

func packEntry(c *packed.Coder, list *[]table.Rows) { packed.List(c, list, packRows) }

func packRows(c *packed.Coder, r *table.Rows) {
	packed.Ints(c, &r.Table)
	packed.List(c, &r.Values, table.PackValue)
	if r.Table < 0 || int(r.Table) >= len(statements) || len(r.Values)%statements[r.Table].columns != 0 {
		c.Fail()
		r.Table = 0
	}
}
