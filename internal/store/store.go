// Package store says what Tollgate keeps and what it may rely on. The one
// implementation, package sqlstore, runs the admission state machine inside the
// transactions that make it durable.
package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/verification"
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

// Resources has the collections of a store.
type Resources interface {
	// Collections has one for each kind of resource. Of finds the one of a type.
	//
	// Numbering plan overrides belong to the server: their collection does not look at the
	// account. Two of one prefix that would hold at one time are ErrDuplicate.
	Collections() []any
}

// Of returns the collection of a kind of resource. It panics for a type that the store
// does not keep, which is a mistake of the program.
func Of[T interface{ Key() K }, K comparable](r Resources) collection.Of[T, K] {
	for _, c := range r.Collections() {
		if found, ok := c.(collection.Of[T, K]); ok {
			return found
		}
	}
	panic(fmt.Sprintf("store: no collection of %T", *new(T)))
}

// MaxNumberingOverrides bounds the overrides of the numbering plan.
const MaxNumberingOverrides = 10_000

// BillingGroup groups calls for invoicing. Source: Telnyx v2, /billing_groups.
type BillingGroup struct {
	collection.Head[uuid.UUID]
	// one for each account
	OrganizationID uuid.UUID `json:"organization_id" readOnly:"true"`
	// 1 to 255 characters
	Name string `json:"name" mark:"kept" minLength:"1" maxLength:"255"`
	profile.SpendLimit
	collection.Times
	// null but in the answer to a DELETE
	DeletedAt *time.Time `json:"deleted_at" readOnly:"true"`
}

// NewBillingGroup returns a billing group with the API's defaults.
func NewBillingGroup() BillingGroup { return BillingGroup{SpendLimit: profile.NewSpendLimit()} }

// LedgerReport is a report over the billing groups that was asked for. Source: Telnyx
// v2, /ledger_billing_group_reports.
type LedgerReport struct {
	collection.Head[uuid.UUID]
	Year  int `json:"year"`
	Month int `json:"month"`
	collection.Times
}

// NewLedgerReport returns a report of no month.
func NewLedgerReport() LedgerReport { return LedgerReport{} }

// A report can be downloaded for some time; after that it is known to have been there,
// until it is deleted.
const (
	LedgerReportAge  = 30 * 24 * time.Hour
	LedgerReportKept = 60 * 24 * time.Hour
)

// RateDeck is an imported deck without its rows.
type RateDeck struct {
	collection.Head[id.ID]
	Name   string `json:"name" maxLength:"255"`
	Rows   int    `json:"rows" readOnly:"true"`
	Active bool   `json:"active" readOnly:"true"`
	collection.Times
}

// Decks keeps rate decks. A deck's rows never change; a new price list is a new deck.
type Decks interface {
	// ImportDeck stores all rows or none, and has the deck compiled and ready when it returns.
	ImportDeck(ctx context.Context, account id.ID, name string, rows []rating.Row) (RateDeck, error)
	Deck(ctx context.Context, account, deck id.ID) (RateDeck, error)
	ListDecks(ctx context.Context, account id.ID, q collection.Query) (collection.Page[RateDeck], error)
	// DeckRows returns rows of a deck in prefix order, for looking at.
	DeckRows(ctx context.Context, account, deck id.ID, q collection.Query) (collection.Page[rating.Row], error)
	// DeckPart returns the rows that follow the first from in prefix order, as many as are kept together, at least one;
	// none at the end. The rows of a deck never change.
	DeckPart(ctx context.Context, account, deck id.ID, from int) ([]rating.Row, error)
	// ActivateDeck makes a deck the account's default.
	ActivateDeck(ctx context.Context, account, deck id.ID) (RateDeck, error)
	// DeleteDeck fails with ErrInUse while the deck is the default or a profile names it.
	DeleteDeck(ctx context.Context, account, deck id.ID) (RateDeck, error)
}

// Account is a tenant. It is a resource of the server, and its own account.
type Account struct {
	collection.Head[id.ID]
	Name                string    `json:"name" minLength:"1" maxLength:"255"`
	Active              bool      `json:"active" doc:"Keys and calls of an account that is not active are refused."`
	ConcurrentCallLimit *int32    `json:"concurrent_call_limit" minimum:"0" doc:"Calls of all profiles together, ringing or up; null for no limit. Profiles cannot be given more. When it is lowered, profiles keep what they have and calls that are up go on: no new one is let in above it. Only a key with the scope admin may raise it."`
	DefaultRateDeckID   id.ID     `json:"default_rate_deck_id" doc:"The rate deck of profiles that name none: one of the account's."`
	OrganizationID      uuid.UUID `json:"organization_id" readOnly:"true"`
	EmergencyNumbers    []string  `json:"emergency_numbers" maxItems:"50" doc:"Dialled numbers that are emergency calls besides those of the connection and its country: 2 to 6 digits that can be dialled as nothing else on any connection of the account. Only a key with the scope admin may add one."`
	profile.SpendLimit
	LockedFields           []string `json:"locked_fields" maxItems:"11" enum:"daily_spend_limit,concurrent_call_limit,default_rate_deck_id,rate_deck_id,rate_decks,gateways,billing_groups,emergency_numbers,record_retention_days,recording_retention_days,verified_numbers" doc:"What only a key with the scope admin changes, though others could: daily_spend_limit with all that belongs to it, other fields of the account by their names, rate_deck_id of every profile, rate_decks and gateways as a whole, of billing_groups their limits, their release and which group a profile is in, and the verification of a number (verified_numbers)."`
	SharedSources          []string `json:"shared_sources" maxItems:"100" minLength:"1" maxLength:"253" doc:"Addresses, networks and domain names that the account may use though they are another account's. Every connection there needs a tech_prefix or a token. What is taken off keeps what is in use already."`
	RecordRetentionDays    *int32   `json:"record_retention_days" minimum:"1" maximum:"36500" doc:"How many whole UTC days before today call detail records are kept; those of calls that ended earlier are deleted, and with them what usage reports and call events are made of. Those of today are never deleted. null for ever."`
	RecordingRetentionDays *int32   `json:"recording_retention_days" minimum:"1" maximum:"36500" doc:"How long recordings are kept after their call; older ones are deleted. null for ever."`
	collection.Times
}

// NewAccount returns an account with the API's defaults.
func NewAccount() Account {
	return Account{
		Active: true, EmergencyNumbers: []string{}, SpendLimit: profile.NewSpendLimit(),
		LockedFields: []string{}, SharedSources: []string{},
	}
}

// Validate returns the problems of the account that the tags of its fields do not express.
func (a *Account) Validate() []field.Error {
	errs := a.SpendLimit.Validate()
	for i, lock := range a.LockedFields {
		if slices.Contains(a.LockedFields[:i], lock) {
			return append(errs, field.Error{Pointer: "/locked_fields", Code: field.Malformed,
				Detail: "locked_fields names one twice. Give each once."})
		}
	}
	return errs
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
	collection.Head[id.ID]
	Name      string
	Hash      [32]byte // SHA-256 of the whole key
	Hint      string   // its first characters, for people
	Scopes    []string // read, write, admit, carrier, secrets, admin
	ExpiresAt *time.Time
	collection.Times

	// What the key was before it was last rotated, and until when that is accepted too.
	PreviousHash      *[32]byte
	PreviousExpiresAt *time.Time
}

// NewKey returns a key without a secret.
func NewKey() Key { return Key{} }

// Tenants makes accounts that can be used. What else is done with accounts is done in
// their collection: its key is the account's, whichever account asks, and Delete deletes
// the account's keys as well. It fails with ErrInUse while the account has anything else,
// or has ever had a call, and for the first account.
type Tenants interface {
	// CreateTenant makes an account and its first key in one step.
	CreateTenant(ctx context.Context, a Account, first Key) (Tenant, error)
}

// Tenant is a new account and its first key.
type Tenant struct {
	Account Account
	Key     Key
}

// KeyFinder finds keys, and keeps when they were last used, coarsely.
type KeyFinder interface {
	// KeyByHash finds a key of any account by its hash or its previous one, or
	// ErrNotFound. Whether it has expired is for the caller to see.
	KeyByHash(ctx context.Context, hash [32]byte) (Key, error)
	// NoteKeyUse has the time written some time later. It never blocks, and the
	// note may be lost.
	NoteKeyUse(account, key id.ID, at time.Time)
	// KeyUses returns when each of an account's keys was last used.
	KeyUses(ctx context.Context, account id.ID) (map[id.ID]time.Time, error)
}

// Calls finds calls: those that hold a lease, the records of those that ended, and the
// decision of any attempt.
type Calls interface {
	// LiveCalls lists the calls of an account that hold a lease.
	LiveCalls(ctx context.Context, account id.ID) ([]LiveCall, error)
	// LiveCall is one call that holds a lease. Where it fails with ErrNotFound for a
	// call that there was, Record has it from then on.
	LiveCall(ctx context.Context, account id.ID, call uuid.UUID) (LiveCall, error)
	Record(ctx context.Context, account id.ID, call uuid.UUID) (*record.Call, error)
	ListRecords(ctx context.Context, account id.ID, q collection.Query) (collection.Page[*record.Call], error)
	Decision(ctx context.Context, account id.ID, decision uuid.UUID) (admission.Decision, error)
}

// Spending tells what is spent, and releases what is held back.
type Spending interface {
	// Spend is what a profile, or a billing group or an account that has a limit, has
	// posted and holds on the current UTC day.
	Spend(ctx context.Context, account id.ID, scope admission.Scope) (SpendUse, error)
	// SpendUnder is what counts now for a spend limit.
	SpendUnder(ctx context.Context, limit *policy.Limit) (SpendUse, error)
	// Release ends the hold of a scope's spending. It does nothing when there is none.
	Release(ctx context.Context, account id.ID, scope admission.Scope) error
	// ListHolds lists what is held back in an account: Number and Size of the query count.
	ListHolds(ctx context.Context, account id.ID, q collection.Query) (collection.Page[HeldScope], error)
	// ReleaseAll ends the holds of the account's profiles and billing groups, not that
	// of the account itself, and returns how many there were.
	ReleaseAll(ctx context.Context, account id.ID) (released int, err error)
}

// Connections counts what uses a profile.
type Connections interface {
	// CountByProfile is the number of connections that name each of the profiles.
	CountByProfile(ctx context.Context, account id.ID, profiles []id.ID) (map[id.ID]int, error)
}

// Verifications keeps what an account has verified by a call to a number.
type Verifications interface {
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
