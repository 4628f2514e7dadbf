package store

import (
	"context"
	"errors"
	"github.com/tollgate/tollgate/internal/collection"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
)

// IdempotencyAge is how long an answer is kept.
const IdempotencyAge = 24 * time.Hour

// ErrLocked means that the write changes what an admin has locked for the account.
var ErrLocked = errors.New("locked by an administrator")

// LockedError says which fields a write may not change. It wraps ErrLocked.
type LockedError struct {
	Fields []LockedField
}

// LockedField is one field that a write may not change.
type LockedField struct {
	Lock    string // as in Account.LockedFields
	Pointer string // JSON pointer of what the write names, as in "/rate_deck_id"
}

func (e *LockedError) Error() string { return e.Fields[0].Pointer + ": " + ErrLocked.Error() }

// Unwrap returns ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }

// AuditEvent is one change of configuration. The events of a server are a chain:
// each has the hash of its content and of the hash before it.
type AuditEvent struct {
	Sequence  int64     `json:"sequence"` // from 1, without gaps, over all accounts
	ID        uuid.UUID `json:"id"`
	AccountID id.ID     `json:"account_id"` // of what was changed
	CreatedAt time.Time `json:"created_at"`

	RecordType  string        `json:"record_type"` // of what was changed
	ResourceID  string        `json:"resource_id"`
	AlternateID string        `json:"alternate_resource_id"` // its name
	ChangeType  string        `json:"change_type"`           // create, update, delete
	Changes     []FieldChange `json:"changes"`

	KeyID      id.ID  `json:"key_id"` // 0 for the server itself
	KeyAccount id.ID  `json:"key_account_id"`
	KeyName    string `json:"key_name"`
	Address    string `json:"address"`
	RequestID  string `json:"request_id"`
	Reason     string `json:"reason"`

	Hash [32]byte `json:"-"`
}

// FieldChange is the change of one field. Secrets are never in it.
type FieldChange struct {
	Field string         `json:"field"` // as in outbound.channel_limit
	From  jsontext.Value `json:"from"`
	To    jsontext.Value `json:"to"`
}

// Writes counts the writes of configuration.
type Writes interface {
	// Answered returns the answer that was kept for an idempotency key. The error
	// wraps ErrNotFound when there is none, and ErrKeyReused when the key was used
	// with another request.
	Answered(ctx context.Context, i *collection.Idempotency) (collection.Answer, error)
	// ListAudit lists changes of an account's configuration, by created_at.
	ListAudit(ctx context.Context, account id.ID, q collection.Query) (collection.Page[AuditEvent], error)
	// ConfigVersion is a number above 0 that has changed when a write of the account's
	// configuration is answered, without asking the database. It may change without a
	// write. known is false when other processes write too, as with PostgreSQL.
	ConfigVersion(account id.ID) (version uint64, known bool)
	// Ping reports whether the store can commit.
	Ping(ctx context.Context) error
}
