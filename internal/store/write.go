package store

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
)

// Origin says who asks for a write of configuration, and on which terms. It
// travels in the context; a write without one is the server's own.
type Origin struct {
	KeyID      id.ID // the API key; 0 for none
	KeyAccount id.ID // whose key it is
	KeyName    string
	Address    string // from where, without the port
	RequestID  string
	Reason     string // in the words of who asks
	Admin      bool   // the key is an admin's, whom no lock of an account keeps out

	// DryRun has everything checked and nothing changed: the write returns what
	// it would return.
	DryRun bool
	// Versions are those of which the object must have one, or the write fails
	// with a VersionError; nil means any.
	Versions []int64
	// Idempotency makes the write happen once; nil for none.
	Idempotency *Idempotency
}

// Allows says whether the origin's condition holds for an object of a version.
func (o *Origin) Allows(version int64) bool {
	if o == nil || o.Versions == nil {
		return true
	}
	for _, v := range o.Versions {
		if v == version {
			return true
		}
	}
	return false
}

// Idempotency is a key that a client chose for one request. The answer is kept in
// the transaction of the write itself, so that both are there or neither.
type Idempotency struct {
	Account id.ID // whose key it is: two accounts may choose the same one
	Key     string
	Request [32]byte // hash of what was asked for
	// Render makes the answer from what the write returns. It is called within the
	// transaction and must not write.
	Render func(object any) (Answer, error)
}

// Answer is an answer as it is kept for an idempotency key.
type Answer struct {
	Status int
	ETag   string
	Body   []byte
}

// IdempotencyAge is how long an answer is kept.
const IdempotencyAge = 24 * time.Hour

// Errors of writes with an Origin.
var (
	// ErrVersion: the object has none of the versions of Origin.Versions.
	ErrVersion = errors.New("version mismatch")
	// ErrLocked: the write changes what an admin has locked for the account.
	ErrLocked = errors.New("locked by an administrator")
	// ErrKeyReused: the idempotency key was used with another request.
	ErrKeyReused = errors.New("idempotency key already used with another request")
)

// VersionError carries the object as it is. It wraps ErrVersion.
type VersionError struct {
	Current any // of the type of the collection
}

func (e *VersionError) Error() string { return ErrVersion.Error() }

// Unwrap returns ErrVersion.
func (e *VersionError) Unwrap() error { return ErrVersion }

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

// ReplayError says that the write has happened before, with the same idempotency
// key and the same request, and how it was answered then. Nothing was done now.
type ReplayError struct {
	Answer Answer
}

func (e *ReplayError) Error() string { return "the write has happened before" }

type originKey struct{}

// WithOrigin returns a context in which writes have the origin.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns the origin of a context, or nil.
func OriginOf(ctx context.Context) *Origin {
	o, _ := ctx.Value(originKey{}).(*Origin)
	return o
}

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

// Writes is what is known of the writes of configuration.
type Writes interface {
	// Answered returns the answer that was kept for an idempotency key. The error
	// wraps ErrNotFound when there is none, and ErrKeyReused when the key was used
	// with another request.
	Answered(ctx context.Context, i *Idempotency) (Answer, error)
	// ListAudit lists changes of an account's configuration, by created_at.
	ListAudit(ctx context.Context, account id.ID, q Query) (Page[AuditEvent], error)
}

// Tenants is what the operator of a server does to accounts.
type Tenants interface {
	// CreateTenant makes an account and its first key in one step.
	CreateTenant(ctx context.Context, a Account, first Key) (Tenant, error)
	ListAccounts(ctx context.Context, q Query) (Page[Account], error)
	// DeleteAccount deletes an account and its keys. It fails with ErrInUse while
	// the account has anything else, or has ever had a call, and for the first one.
	DeleteAccount(ctx context.Context, account id.ID) (Account, error)
}

// Tenant is a new account and its first key.
type Tenant struct {
	Account Account
	Key     Key
}

// KeyUse keeps when keys were last used, coarsely.
type KeyUse interface {
	// NoteKeyUse has the time written some time later. It never blocks, and the
	// note may be lost.
	NoteKeyUse(account, key id.ID, at time.Time)
	// KeyUses returns when each of an account's keys was last used.
	KeyUses(ctx context.Context, account id.ID) (map[id.ID]time.Time, error)
}
