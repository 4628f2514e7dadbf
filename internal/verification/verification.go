// Package verification is the proof that a number is an account's to show: a code that
// the server says in a call to the number, and that the account gives back.
package verification

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
)

// Number is a number that an account has verified, or began to.
type Number struct {
	collection.Head[id.ID]
	PhoneNumber e164.Number `json:"phone_number"`
	VerifiedAt  *time.Time  `json:"verified_at"` // nil: not yet
	collection.Times

	// CodeHash is a keyed hash of the last code, "" once it is of no use any more.
	CodeHash      string     `json:"code_hash"`
	CodeExpiresAt *time.Time `json:"code_expires_at"`
	TriesLeft     int        `json:"tries_left"`
	CallID        *uuid.UUID `json:"call_id"` // of the call in which the code was said
}

// Verified says whether the number is known to be the account's.
func (n *Number) Verified() bool { return n.VerifiedAt != nil }

// CodeLife is how long a code is good, and Tries how often it may be given.
const (
	CodeLife = 10 * time.Minute
	Tries    = 5
)

// codeDigits is the length of a code.
const codeDigits = 6

// NewCode makes a code that cannot be guessed.
func NewCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", fmt.Errorf("make a code: %w", err)
	}
	return fmt.Sprintf("%0*d", codeDigits, n), nil
}

// IsCode says whether a text has the form of a code.
func IsCode(text string) bool {
	return len(text) == codeDigits && strings.Trim(text, "0123456789") == ""
}

// Outcome is what a code that was given is worth.
type Outcome uint8

// The outcomes of Try.
const (
	Right   Outcome = iota
	Wrong           // and there are tries left, or none any more
	Expired         // or none was made, or it was given too often
)

// Begin gives a number that is not verified a new code, in the place of any before.
func (n *Number) Begin(hash string, call uuid.UUID, now time.Time) {
	n.CodeHash, n.CallID, n.TriesLeft = hash, &call, Tries
	n.CodeExpiresAt = new(now.Add(CodeLife))
}

// Try counts a code that was given. matches says whether it is the last one that was
// made; it counts for nothing once that is too old or was tried too often.
func (n *Number) Try(matches bool, now time.Time) Outcome {
	if n.CodeHash == "" || n.TriesLeft <= 0 || n.CodeExpiresAt == nil || !now.Before(*n.CodeExpiresAt) {
		n.CodeHash = ""
		return Expired
	}
	if matches {
		return Right
	}
	if n.TriesLeft--; n.TriesLeft == 0 {
		n.CodeHash = ""
	}
	return Wrong
}

// Budget is how many calls are placed to say codes: by one account to one number, by all
// accounts to one number, by one account, and by the server. The person called did not
// ask for it, perhaps.
type Budget struct{ Hour, Day int }

// The budgets.
var (
	OfNumber      = Budget{Hour: 3, Day: 6}
	OfNumberInAll = Budget{Hour: 5, Day: 10}
	OfAccount     = Budget{Hour: 30, Day: 100}
	OfServer      = Budget{Hour: 300, Day: 2000}
)

// Calls are the calls of the last hour and of the last day that a budget counts.
type Calls struct{ Hour, Day int }

// Left says whether one more call is within the budget.
func (b Budget) Left(c Calls) bool { return c.Hour < b.Hour && c.Day < b.Day }

// ErrBudget says that a call to the number would be one too many.
var ErrBudget = errors.New("too many verification calls")

// BudgetError says when another call may be placed. It does not say whose calls were too
// many: they may be another account's. It wraps ErrBudget.
type BudgetError struct{ After time.Duration }

func (e *BudgetError) Error() string { return fmt.Sprintf("%v: the next in %v", ErrBudget, e.After) }

// Unwrap returns ErrBudget.
func (e *BudgetError) Unwrap() error { return ErrBudget }

// ErrVerified says that the number is verified already.
var ErrVerified = errors.New("the number is verified already")

// verifiable are the types of numbers that a person can answer and show, at a price that
// no one profits from.
var verifiable = []e164.NumberType{e164.TypeFixedLine, e164.TypeMobile, e164.TypeFixedLineOrMobile,
	e164.TypeTollFree, e164.TypeVoIP, e164.TypeUAN}

// Callable says whether the server calls a number that the plan judges so: of a type that
// can be verified, whatever else a network could take it for.
func Callable(j *e164.Judgement) bool {
	var allowed e164.NumberTypeSet
	for _, t := range verifiable {
		allowed.Add(t)
	}
	return j.Exact() && allowed.Has(j.Type) && j.Possible&^allowed == 0
}

// ExtensionProblem says what is wrong with a sequence of keys to be dialled once the callee
// has answered, "" for nothing.
func ExtensionProblem(extension string) string {
	if rest := strings.Trim(extension, "0123456789ABCD*#wW"); rest != "" {
		return fmt.Sprintf("it has %q; known are the digits, A to D, * and #, w for a pause of half a second "+
			"and W for one of a second", rest[:1])
	}
	return ""
}

// Call is the call that says a code. It is the only thing that has the code itself.
type Call struct {
	ID         uuid.UUID // of the call, its decision and its record
	Connection id.ID     // as whose call it goes
	// From is the caller id that the connection is asked to show; To itself for none.
	From, To        e164.Number
	Code, Extension string
}
