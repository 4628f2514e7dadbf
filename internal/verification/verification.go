// Package verification proves that an account may show a number: the server says a code
// in a call to the number, and the account gives it back.
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

// Number is a number that an account has verified or has begun to verify.
type Number struct {
	collection.Head[id.ID]
	PhoneNumber e164.Number `json:"phone_number"`
	VerifiedAt  *time.Time  `json:"verified_at"` // nil: not yet
	collection.Times

	// CodeHash is a keyed hash of the last code, or "" once the code is used up.
	CodeHash      string     `json:"code_hash"`
	CodeExpiresAt *time.Time `json:"code_expires_at"`
	TriesLeft     int        `json:"tries_left"`
	CallID        *uuid.UUID `json:"call_id"` // of the call that spoke the code
}

// NewNumber returns a number that is not verified.
func NewNumber() Number { return Number{} }

// Verified reports whether the account has verified the number.
func (n *Number) Verified() bool { return n.VerifiedAt != nil }

// CodeLife is how long a code is valid, and Tries how often it may be tried.
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

// IsCode reports whether a text has the form of a code.
func IsCode(text string) bool {
	return len(text) == codeDigits && strings.Trim(text, "0123456789") == ""
}

// Outcome is the result of trying a code.
type Outcome uint8

// The outcomes of Try.
const (
	Right   Outcome = iota
	Wrong           // whether or not tries are left
	Expired         // or no code was made, or it was tried too often
)

// Begin gives a number that is not verified a new code, which replaces any earlier one.
func (n *Number) Begin(hash string, call uuid.UUID, now time.Time) {
	n.CodeHash = hash
	n.CallID = &call
	n.TriesLeft = Tries
	n.CodeExpiresAt = new(now.Add(CodeLife))
}

// Try counts an attempt. matches reports whether the code is the last one made. It is
// ignored if that code is too old or was tried too often.
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

// Budget limits the calls that say codes: of one account to one number, of all accounts
// to one number, of one account, and of the server. The person called may not have asked
// for the call.
type Budget struct{ Hour, Day int }

// The budgets.
var (
	OfNumber      = Budget{Hour: 3, Day: 6}
	OfNumberInAll = Budget{Hour: 5, Day: 10}
	OfAccount     = Budget{Hour: 30, Day: 100}
	OfServer      = Budget{Hour: 300, Day: 2000}
)

// Calls counts the verification calls of the last hour and of the last day.
type Calls struct{ Hour, Day int }

// Left reports whether the budget allows one more call.
func (b Budget) Left(c Calls) bool { return c.Hour < b.Hour && c.Day < b.Day }

// ErrBudget means that one more call to the number would exceed the budget.
var ErrBudget = errors.New("too many verification calls")

// BudgetError tells when the next call may be placed. It does not tell which calls used
// up the budget, since they may be another account's. It wraps ErrBudget.
type BudgetError struct{ After time.Duration }

func (e *BudgetError) Error() string { return fmt.Sprintf("%v: the next in %v", ErrBudget, e.After) }

// Unwrap returns ErrBudget.
func (e *BudgetError) Unwrap() error { return ErrBudget }

// ErrVerified means that the number is verified already.
var ErrVerified = errors.New("the number is verified already")

// verifiable are the types of numbers that a person can answer and show, and that earn
// no one money when they are called.
var verifiable = []e164.NumberType{e164.TypeFixedLine, e164.TypeMobile, e164.TypeFixedLineOrMobile,
	e164.TypeTollFree, e164.TypeVoIP, e164.TypeUAN}

// Callable reports whether the server calls a number that the plan classifies so. Every
// type that a network could assign to it must be verifiable.
func Callable(j *e164.Judgement) bool {
	var allowed e164.NumberTypeSet
	for _, t := range verifiable {
		allowed.Add(t)
	}
	return j.Exact() && allowed.Has(j.Type) && j.Possible&^allowed == 0
}

// ExtensionProblem validates a sequence of keys to dial once the callee has answered. It
// returns "" if the sequence is valid.
func ExtensionProblem(extension string) string {
	if rest := strings.Trim(extension, "0123456789ABCD*#wW"); rest != "" {
		return fmt.Sprintf("it has %q; allowed are digits, A to D, * and #, w for a pause of half a second "+
			"and W for one of a second", rest[:1])
	}
	return ""
}

// Call is the call that says a code. Nothing else holds the code itself.
type Call struct {
	ID         uuid.UUID // of the call, its decision and its record
	Connection id.ID     // that the call is attributed to
	// From is the caller id that the connection is asked to show; To itself for none.
	From, To        e164.Number
	Code, Extension string
}
