package ledger

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Settings are what a ledger works with. Clock, Monotonic, Owner, AroundCommit, Observe
// and HungUp are those of sqlstore.Config.
type Settings struct {
	Configuration

	Resources    []table.Resource // whose tables are made with those of the ledger
	Live         *policy.Live
	Clock        func() time.Time
	Monotonic    func() time.Duration
	Owner        uuid.UUID
	Logger       *slog.Logger
	GroupSize    int
	AroundCommit func(commit func() error) error
	Observe      func(Group)
	HungUp       func(calls []uuid.UUID)
}

// Configuration is what a ledger asks of those who keep the resources.
type Configuration interface {
	// Claim is called when the tables are up to date, before anything is read: it fails
	// when the secrets in them cannot be opened. lock keeps other nodes away; "" where
	// there are none.
	Claim(ctx context.Context, pool *sql.DB, lock string) error
	// Load builds the policy from all that is configured. What last has compiled of
	// rate decks is taken from it.
	Load(ctx context.Context, q table.Querier, last *policy.Snapshot) (*policy.Snapshot, error)
	// Reload returns last with objects as they are now, in any order.
	Reload(ctx context.Context, q table.Querier, last *policy.Snapshot, objects []policy.Object) (*policy.Snapshot, error)
	// Prepare does what takes long of the next Reload. It is called outside the writer.
	Prepare(ctx context.Context) error
	// Announce writes the events of what commands have changed.
	Announce(ctx context.Context, tx *Tx, changes *admission.Changes) error
	// Committed is called after a transaction is durable. configured says that its
	// policy is another one, which is in force.
	Committed(tx *Tx, configured bool)
}

// Commit runs a commit, or lets AroundCommit do it.
func (s *Settings) Commit(commit func() error) error {
	if s.AroundCommit != nil {
		return s.AroundCommit(commit)
	}
	return commit()
}
