package ledger

import (
	"context"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Tx is the transaction of a group as configuration is written in it: the statements,
// what only the ledger itself can do, and the policy as the writes before have made it.
type Tx struct {
	table.Querier
	Inside
	Snapshot *policy.Snapshot
	Changes  []policy.Change // of the policy, for other nodes
	Ending   []uuid.UUID     // the calls that the writes so far have hung up
	Mailed   bool            // deliveries of webhooks were made
}

// Inside is what a ledger does for a write of configuration within its transaction.
type Inside interface {
	// Within runs f with the rows of another account in sight, or of all of them.
	Within(ctx context.Context, account id.ID, f func() error) error
	// Insert writes rows, many in each statement. head ends before the first row.
	Insert(ctx context.Context, head string, columns int, values []any) error
	// Afterwards runs f on the ledger in memory, where there is one, once the write that
	// is running has succeeded.
	Afterwards(f func(*admission.State))
	// Leases are those of an account's calls that are live.
	Leases(ctx context.Context, account id.ID, calls []uuid.UUID) ([]*admission.Lease, error)
	// HangUp marks live calls.
	HangUp(ctx context.Context, calls []*admission.Lease, marks []admission.HangUp) error
	// OwnerLost reports whether the node that carries a call has long been silent.
	OwnerLost(ctx context.Context, l *admission.Lease) (bool, error)
}

// Exec runs a statement.
func (t *Tx) Exec(ctx context.Context, text string, args ...any) error {
	_, err := t.ExecContext(ctx, text, args...)
	return err
}

// AcrossAccounts runs f with the rows of all accounts in sight: for rules that hold
// across them, since a SIP request shows no account.
func (t *Tx) AcrossAccounts(ctx context.Context, f func() error) error {
	return t.Within(ctx, table.EveryAccount, f)
}

// Apply puts changes of the policy in force for whatever comes after in this
// transaction, and for all calls once it has committed.
func (t *Tx) Apply(changes ...policy.Change) error {
	if err := t.ApplyHere(changes...); err != nil {
		return err
	}
	t.Changes = append(t.Changes, changes...)
	return nil
}

// ApplyHere is Apply for what the other nodes find out by themselves.
func (t *Tx) ApplyHere(changes ...policy.Change) error {
	next, err := t.Snapshot.With(changes...)
	if err != nil {
		return err
	}
	t.Snapshot = next
	return nil
}
