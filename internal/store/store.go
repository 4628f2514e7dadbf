// Package store says what Tollgate keeps and what it may rely on. The one
// implementation, package sqlstore, runs the admission state machine inside the
// transactions that make it durable.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/verification"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Errors of the store. They are wrapped with what was tried.
var (
	// ErrTaken: the address, network or domain name is another account's.
	ErrTaken = errors.New("taken by another account")
	// ErrIndistinct: of the connections of several accounts behind one address, not all
	// have a tech prefix or a token of their own.
	ErrIndistinct = errors.New("not to be told apart from another account")
)

// Ledger runs admission commands. Submit never blocks: done is called once, from
// a goroutine of the store, after the command's effects are durable, or with
// ErrUnavailable. When the command is not taken, because the queue is full
// (ErrBusy) or the store is closed (ErrUnavailable), done is called by Submit
// itself. Results are in the order of submission. done must not block, nor call
// the store and wait.
type Ledger interface {
	Submit(command admission.Command, done func(admission.Result, error))
	// Do is Submit and wait. When ctx ends first the command may still take effect.
	Do(ctx context.Context, command admission.Command) (admission.Result, error)
}

// Decisions finds the decision of an attempt, live or ended.
type Decisions interface {
	Decision(ctx context.Context, account id.ID, decision uuid.UUID) (admission.Decision, error)
}

// MaxNumberingOverrides bounds the overrides of the numbering plan.
const MaxNumberingOverrides = 10_000

// BillingGroup groups calls for invoicing. Source: Telnyx v2, /billing_groups.
type BillingGroup struct {
	// Telnyx sets it; here a create request may choose it, so that groups can be brought over with their ids
	ID        uuid.UUID `json:"id" mark:"ours"`
	AccountID id.ID     `json:"-"`
	Version   int64     `json:"-"`
	// one for each account
	OrganizationID uuid.UUID `json:"organization_id" readOnly:"true"`
	// 1 to 255 characters
	Name string `json:"name" mark:"kept" minLength:"1" maxLength:"255"`
	profile.SpendLimit
	CreatedAt time.Time `json:"created_at" readOnly:"true"`
	UpdatedAt time.Time `json:"updated_at" readOnly:"true"`
	// null but in the answer to a DELETE
	DeletedAt *time.Time `json:"deleted_at" readOnly:"true"`
}

// LedgerReport is a report over the billing groups that was asked for. Source: Telnyx
// v2, /ledger_billing_group_reports.
type LedgerReport struct {
	ID        uuid.UUID `json:"id"`
	AccountID id.ID     `json:"-"`
	Version   int64     `json:"-"`
	Year      int       `json:"year"`
	Month     int       `json:"month"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// A report can be downloaded for some time; after that it is known to have been there,
// until it is deleted.
const (
	LedgerReportAge  = 30 * 24 * time.Hour
	LedgerReportKept = 60 * 24 * time.Hour
)

// RateDeck is an imported deck without its rows.
type RateDeck struct {
	ID        id.ID     `json:"id" readOnly:"true"`
	AccountID id.ID     `json:"-"`
	Version   int64     `json:"-"`
	Name      string    `json:"name" maxLength:"255"`
	Rows      int       `json:"rows" readOnly:"true"`
	Active    bool      `json:"active" readOnly:"true"`
	CreatedAt time.Time `json:"created_at" readOnly:"true"`
	UpdatedAt time.Time `json:"updated_at" readOnly:"true"`
}

// Decks keeps rate decks. A deck's rows never change; a new price list is a new deck.
type Decks interface {
	// ImportDeck stores all rows or none, and has the deck compiled and ready when it returns.
	ImportDeck(ctx context.Context, account id.ID, name string, rows []rating.Row) (RateDeck, error)
	Deck(ctx context.Context, account, deck id.ID) (RateDeck, error)
	ListDecks(ctx context.Context, account id.ID, q Query) (Page[RateDeck], error)
	// DeckRows returns rows of a deck in prefix order, for looking at.
	DeckRows(ctx context.Context, account, deck id.ID, q Query) (Page[rating.Row], error)
	// ActivateDeck makes a deck the account's default.
	ActivateDeck(ctx context.Context, account, deck id.ID) (RateDeck, error)
	// DeleteDeck fails with ErrInUse while the deck is the default or a profile names it.
	DeleteDeck(ctx context.Context, account, deck id.ID) (RateDeck, error)
}

// Account is a tenant.
type Account struct {
	ID               id.ID
	Name             string
	Active           bool
	ChannelLimit     *int32 // of all its calls together; nil means none
	DefaultDeck      id.ID
	OrganizationID   uuid.UUID
	EmergencyNumbers []string
	// How long records and recordings are to be kept; nil means for ever.
	RecordRetentionDays, RecordingRetentionDays *int32
	profile.SpendLimit
	// LockedFields are those of Lockable that only an admin changes.
	LockedFields []string
	// SharedSources are addresses, networks and domain names that it may use though
	// they are another account's.
	SharedSources []string

	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64 `json:"-"`
}

// What an admin can lock for an account.
const (
	LockSpendLimit         = "daily_spend_limit" // with everything about it
	LockChannelLimit       = "concurrent_call_limit"
	LockDefaultDeck        = "default_rate_deck_id"
	LockProfileDecks       = "rate_deck_id" // of all profiles
	LockDecks              = "rate_decks"
	LockGateways           = "gateways"
	LockGroups             = "billing_groups" // their limits and holds, and which group a profile is in
	LockEmergencyNumbers   = "emergency_numbers"
	LockVerifiedNumbers    = "verified_numbers" // to verify another one
	LockRecordRetention    = "record_retention_days"
	LockRecordingRetention = "recording_retention_days"
)

// Key is an API key as it is stored: never the secret itself.
type Key struct {
	ID        id.ID
	AccountID id.ID
	Name      string
	Hash      [32]byte // SHA-256 of the whole key
	Hint      string   // its first characters, for people
	Scopes    []string // read, write, admit, carrier, secrets, admin
	ExpiresAt *time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64 `json:"-"`

	// What the key was before it was last rotated, and until when that is taken too.
	PreviousHash      *[32]byte
	PreviousExpiresAt *time.Time
}

// Accounts keeps tenants and their keys.
type Accounts interface {
	// EnsureFirst creates the first account if there is none, and returns it. created says whether it did.
	EnsureFirst(ctx context.Context) (account Account, created bool, err error)
	Account(ctx context.Context, account id.ID) (Account, error)
	CreateAccount(ctx context.Context, a Account) (Account, error)
	UpdateAccount(ctx context.Context, account id.ID, change func(Account) (Account, error)) (Account, error)
	// PutKey stores a key; a key with the same hash and account is left as it is.
	PutKey(ctx context.Context, k Key) (Key, error)
	// KeyByHash finds a key of any account by its hash or its previous one, or
	// ErrNotFound. Whether it has expired is for the caller to see.
	KeyByHash(ctx context.Context, hash [32]byte) (Key, error)
	CountKeys(ctx context.Context) (int, error)
}

// Records finds call detail records.
type Records interface {
	Record(ctx context.Context, account id.ID, call uuid.UUID) (*record.Call, error)
	ListRecords(ctx context.Context, account id.ID, q Query) (Page[*record.Call], error)
}

// Connections counts what uses a profile.
type Connections interface {
	// CountByProfile is the number of connections that name each of the profiles.
	CountByProfile(ctx context.Context, account id.ID, profiles []id.ID) (map[id.ID]int, error)
}

// Strays reports passwords that are known where they should not be.
type Strays interface {
	// NoteStray publishes the event connection.source_refused to those who want it.
	NoteStray(ctx context.Context, s webhook.Stray) error
}

// Verifications keeps what an account has verified by a call to a number.
type Verifications interface {
	// VerifiedNumbers are those that are verified, and those whose verification has begun.
	VerifiedNumbers() Collection[verification.Number, id.ID]
	VerifiedNumber(ctx context.Context, account id.ID, number e164.Number) (verification.Number, error)
	// BeginVerification counts a call that is about to be placed, and keeps a hash of the
	// code that it will say, in the place of any before. It fails with a
	// verification.BudgetError, or with verification.ErrVerified.
	BeginVerification(ctx context.Context, account id.ID, number e164.Number, code string,
		call uuid.UUID) (verification.Number, error)
	// TryCode counts a code that was given, and says what it is worth.
	TryCode(ctx context.Context, account id.ID, number e164.Number,
		code string) (verification.Number, verification.Outcome, error)
	// Verify notes that the code was the right one. It fails with ErrNotFound when another
	// one has taken its place.
	Verify(ctx context.Context, account id.ID, number e164.Number, code string) (verification.Number, error)
}

// Versions tells whether an account's configuration has changed.
type Versions interface {
	// ConfigVersion is a number above 0 that has changed when a write of the account's
	// configuration is answered, without asking the database. It may change without a
	// write. known is false when other processes write too, as with PostgreSQL.
	ConfigVersion(account id.ID) (version uint64, known bool)
}

// LiveCall is a call that holds a lease now, for showing.
type LiveCall struct {
	Lease     admission.Lease
	ElapsedMs int64
}

// Country is where the called number belongs, 0 when it is not known.
func (c *LiveCall) Country() e164.Country {
	d, err := admission.DecodeDecision(c.Lease.Decision)
	if err != nil {
		return 0
	}
	return d.Facts.Class.Country
}

// SpendUse is what is used of a scope on a day, and whether its calls are held back.
type SpendUse struct {
	admission.Spend
	Hold *admission.SpendHold
}

// HeldScope is a scope whose spending is held.
type HeldScope struct {
	Scope admission.Scope
	Hold  admission.SpendHold
}

// Store is everything together.
type Store interface {
	Ledger
	Decisions
	Decks
	Accounts
	Records
	Recordings
	Connections
	Writes
	Tenants
	KeyUse
	Reports
	Versions
	Verifications
	Bans
	Strays
	HangUps

	Keys() Collection[Key, id.ID]
	Profiles() Collection[profile.Profile, id.ID]
	IPConnections() Collection[connection.IPConnection, id.ID]
	CredentialConnections() Collection[connection.CredentialConnection, id.ID]
	FQDNConnections() Collection[connection.FQDNConnection, id.ID]
	IPs() Collection[connection.IP, id.ID]
	FQDNs() Collection[connection.FQDN, id.ID]
	Gateways() Collection[routing.Gateway, id.ID]
	// NumberingOverrides belong to the server: the account given is not looked at. Two
	// of one prefix that would hold at one time are ErrDuplicate.
	NumberingOverrides() Collection[numbering.Override, id.ID]
	BillingGroups() Collection[BillingGroup, uuid.UUID]
	LedgerReports() Collection[LedgerReport, uuid.UUID]
	WebhookEndpoints() Collection[webhook.Endpoint, id.ID]
	Webhooks() Webhooks

	// Spend is what a profile, or a billing group or an account that has a limit, has
	// posted and holds on the current UTC day.
	Spend(ctx context.Context, account id.ID, scope admission.Scope) (SpendUse, error)
	// Release ends the hold of a scope's spending. It does nothing when there is none.
	Release(ctx context.Context, account id.ID, scope admission.Scope) error
	// ListHolds lists what is held back in an account: Number and Size of the query count.
	ListHolds(ctx context.Context, account id.ID, q Query) (Page[HeldScope], error)
	// ReleaseAll ends the holds of the account's profiles and billing groups, not that
	// of the account itself, and returns how many there were.
	ReleaseAll(ctx context.Context, account id.ID) (released int, err error)
	// SpendToday is what a profile has posted and holds on the current UTC day.
	SpendToday(ctx context.Context, account, profile id.ID) (admission.Spend, error)
	// LiveCalls lists the calls of an account that hold a lease.
	LiveCalls(ctx context.Context, account id.ID) ([]LiveCall, error)
	// LiveCall is one call that holds a lease. Where it fails with ErrNotFound for a
	// call that there was, Record has it from then on.
	LiveCall(ctx context.Context, account id.ID, call uuid.UUID) (LiveCall, error)
	// Ping says whether the store can commit.
	Ping(ctx context.Context) error
	// Close stops taking commands, finishes the ones taken, and closes the database.
	Close() error
}
