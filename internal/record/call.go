// Package record is what remains of a call: the call detail record (CDR). Every
// attempt leaves exactly one, whether it was refused, failed, cancelled or answered.
package record

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
)

// Outcome is how an attempt ended.
type Outcome uint8

// The outcomes. Their order is stored; append only.
const (
	OutcomeRefused   Outcome = iota + 1 // Tollgate did not admit it
	OutcomeFailed                       // no gateway completed it, or the callee refused
	OutcomeCancelled                    // the caller gave up before the answer
	OutcomeAnswered                     // it was answered and has ended
	OutcomeLost                         // its owner died or fell silent; the end is not known exactly
)

// String returns the value that the API uses.
func (o Outcome) String() string {
	switch o {
	case OutcomeRefused:
		return "refused"
	case OutcomeFailed:
		return "failed"
	case OutcomeCancelled:
		return "cancelled"
	case OutcomeAnswered:
		return "answered"
	case OutcomeLost:
		return "lost"
	}
	return "unknown"
}

// Side is who ended a call.
type Side uint8

// The sides. Their order is stored; append only.
const (
	SideUnknown Side = iota
	SideCaller
	SideCallee
	SideTollgate
)

// String returns the value of hangup_source in the API.
func (s Side) String() string {
	return [...]string{"unknown", "caller", "callee", "tollgate"}[s]
}

// Attestation is how much is known of who calls (ATIS-1000074 section 5.2.3), and so what
// may be signed of the call.
type Attestation uint8

// The attestations. Their order is stored; append only.
const (
	AttestNothing Attestation = iota // no number is shown, or the caller is unknown
	AttestFull                       // A: the customer is known, and may use the number
	AttestPartial                    // B: the customer is known
	AttestGateway                    // C: only where the call came in is known
)

// String is the letter of the API, "" for AttestNothing.
func (a Attestation) String() string {
	return [...]string{"", "A", "B", "C"}[min(a, AttestGateway)]
}

// ParseAttestation is the attestation of a letter.
func ParseAttestation(letter string) Attestation {
	for a := AttestFull; a <= AttestGateway; a++ {
		if a.String() == letter {
			return a
		}
	}
	return AttestNothing
}

// Day is an accounting day: the days from 1970-01-01 to it, in UTC.
type Day int32

// MicrosPerDay is the length of an accounting day.
const MicrosPerDay = 24 * 60 * 60 * 1_000_000

// DayOf is the accounting day of a Unix time in microseconds.
func DayOf(micros int64) Day { return Day(micros / MicrosPerDay) }

// StartMicros is the first instant of the day as a Unix time in microseconds.
func (d Day) StartMicros() int64 { return int64(d) * MicrosPerDay }

// String is the day as in 2026-03-01.
func (d Day) String() string { return time.UnixMicro(d.StartMicros()).UTC().Format(time.DateOnly) }

// Slice is the part of a call's charge that is booked to one accounting day.
type Slice struct {
	Day     Day          `json:"day"`
	Quarter Quarter      `json:"quarter,omitzero"`
	Secs    int64        `json:"secs"`
	Cost    money.Amount `json:"cost"`
}

// Quarter is a quarter of an hour of a day, from 0. In every time zone of our time hours,
// days and months begin with one.
type Quarter uint8

// MicrosPerQuarter is the length of a Quarter.
const MicrosPerQuarter = MicrosPerDay / 96

// QuarterOf is the quarter of its UTC day in which an instant falls.
func QuarterOf(atMicros int64) Quarter {
	return Quarter((atMicros - DayOf(atMicros).StartMicros()) / MicrosPerQuarter)
}

// At is when a quarter of the day begins.
func (d Day) At(q Quarter) int64 { return d.StartMicros() + int64(q)*MicrosPerQuarter }

// AtMicros is to which instant the slice is booked.
func (s *Slice) AtMicros() int64 { return s.Day.At(s.Quarter) }

// Call is a call detail record. Times are Unix microseconds, 0 when the call
// did not reach that point.
type Call struct {
	ID           uuid.UUID // of the attempt; also the id of its decision
	AccountID    id.ID     // 0 when the caller was not recognised
	ProfileID    id.ID
	ConnectionID id.ID
	GatewayID    id.ID // the gateway that rang last
	RouteID      id.ID // that chose the gateways, or refused the call; 0 for none
	BillingGroup *uuid.UUID
	SIPCallID    string // Call-ID of the caller's leg

	From, To       string      // as presented and as dialled
	Caller, Callee e164.Number // after localisation; 0 when not valid
	Country        e164.Country
	Range          string
	NumberType     e164.NumberType
	// HasSource means that SourceCountry and SourceType, where Caller belongs, are
	// known. They are not of callers that are no valid number, and of old records.
	HasSource     bool
	SourceCountry e164.Country
	SourceType    e164.NumberType
	Emergency     bool
	Attestation   Attestation

	StartedMicros, RingingMicros, AnsweredMicros, EndedMicros int64

	Outcome      Outcome
	Reason       string // why it was refused or, for an answered call, which limit ended it
	SIPStatus    int32  // final status sent to the caller
	SIPPhrase    string
	HangupCause  string // normal_clearing, call_rejected, time_limit and so on
	HangupSource Side
	HungUpBy     string // who had the call hung up through the API, if anyone

	Attempts []Attempt // the gateways that were tried, in their order; at most 16

	Quality *Quality // of a call whose media were anchored by the relay of its owner, else nil

	DurationMicros int64 // answer to end
	BilledSecs     int64 // never above GrantedSecs
	GrantedSecs    int64
	Rate           rating.Rate
	RatePrefix     string
	Cost           money.Amount // the sum of Slices
	OverrunSecs    int64        // seconds the call lasted beyond its grants; reported, never charged
	OverrunCost    money.Amount
	Slices         []Slice

	Decision []byte // the encoded decision, see package admission
}

// Attempt is one gateway that was tried for a call.
type Attempt struct {
	Gateway id.ID
	Status  int32  // of its final response; 0 for none
	Reason  string // the phrase of the response, or why there is none
	Millis  int64  // until then
}
