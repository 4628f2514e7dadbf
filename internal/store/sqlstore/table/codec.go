package table

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/packed"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

// What is stored only to be read back whole is packed. The numbers of the forms are
// changed with what a form means; a new field at the end of one needs no new number.
const (
	leaseForm   = 5
	recordForm  = 4
	ChunkForm   = 2
	JournalForm = 3
)

// ErrCorrupt means that a stored value is not what was written.
var ErrCorrupt = packed.ErrCorrupt

// PackRate writes or reads a rate.
func PackRate(c *packed.Coder, r *rating.Rate) {
	packed.Ints(c, &r.PerMinute, &r.ConnectFee)
	packed.Ints(c, &r.FirstIncrement, &r.Increment)
}

func packSlice(c *packed.Coder, s *record.Slice) {
	packed.Ints(c, &s.Day)
	packed.Ints(c, &s.Quarter)
	packed.Ints(c, &s.Secs)
	packed.Ints(c, &s.Cost)
}

func packHold(c *packed.Coder, h *admission.Hold) {
	packed.Ints(c, &h.FromSecs, &h.ToSecs)
	packed.Ints(c, &h.Day)
	packed.Ints(c, &h.Quarter)
	packed.Ints(c, &h.Cost)
}

func packRequester(c *packed.Coder, r *admission.Requester) { c.Text((*string)(r)) }

// packLease writes or reads what a lease has beside its account and id.
func packLease(c *packed.Coder, l *admission.Lease) {
	c.UUID(&l.Owner)
	packed.Ints(c, &l.Profile, &l.Connection, &l.Gateway)
	packed.Optional(c, &l.BillingGroup, (*packed.Coder).UUID)
	c.Text(&l.SIPCallID)
	c.Bools(&l.Emergency)
	PackRate(c, &l.Rate)
	c.Bytes(&l.Decision)
	packed.Ints(c, &l.ReservedMicros, &l.AnsweredMicros, &l.ExpiresMicros)
	c.Bytes(&l.Teardown)
	packed.Ints(c, &l.GrantedSecs, &l.PostedSecs)
	packed.Ints(c, &l.MaxSecs)
	packed.List(c, &l.Posted, packSlice)
	packed.List(c, &l.Held, packHold)
	packed.Ints(c, &l.HungUpMicros)
	packed.Optional(c, &l.HungUpBy, packRequester)
	packed.Ints(c, &l.Caller, &l.Callee)
	country := l.Country.Alpha2() // the numbers of countries may change between releases
	if c.Text(&country); c.Reading() {
		l.Country, _ = e164.CountryByAlpha2(country)
	}
}

// packRecord writes or reads what no column of a call record has.
func packRecord(c *packed.Coder, r *record.Call) {
	packed.Ints(c, &r.RingingMicros, &r.GrantedSecs, &r.OverrunSecs)
	c.Text(&r.Range)
	c.Text(&r.SIPPhrase)
	c.Text(&r.HangupCause)
	packed.Ints(c, &r.HangupSource)
	PackRate(c, &r.Rate)
	c.Text(&r.RatePrefix)
	c.Bytes(&r.Decision)
	c.Text(&r.HungUpBy)
	packed.Optional(c, &r.Quality, func(c *packed.Coder, q *record.Quality) {
		packReception(c, &q.Caller)
		packReception(c, &q.Callee)
	})
	packed.List(c, &r.Attempts, packAttempt)
}

func packAttempt(c *packed.Coder, a *record.Attempt) {
	packed.Ints(c, &a.Gateway)
	packed.Ints(c, &a.Status)
	c.Text(&a.Reason)
	packed.Ints(c, &a.Millis)
}

func packReception(c *packed.Coder, r *record.Reception) {
	packed.Ints(c, &r.Packets, &r.Lost, &r.JitterPackets)
	packed.Ints(c, &r.Jitter, &r.MaxJitter)
}

// Kinds of values in an entry.
const (
	valueNull byte = iota
	valueInt
	valueText
	valueBytes
	valueFalse
	valueTrue
)

// PackValue writes or reads a value of a column, with its kind before it.
func PackValue(c *packed.Coder, value *any) {
	if !c.Reading() {
		writeValue(c, *value)
		return
	}
	var kind byte
	packed.Ints(c, &kind)
	switch kind {
	case valueNull:
		*value = nil
	case valueInt:
		var n int64
		packed.Ints(c, &n)
		*value = n
	case valueText:
		var s string
		c.Text(&s)
		*value = s
	case valueBytes:
		var b []byte
		c.Bytes(&b)
		*value = append([]byte{}, b...) // nil would be NULL
	case valueFalse, valueTrue:
		*value = kind == valueTrue
	default:
		c.Fail()
	}
}

func writeValue(c *packed.Coder, value any) {
	kind := func(k byte) { packed.Ints(c, &k) }
	switch v := value.(type) {
	case nil:
		kind(valueNull)
	case int64:
		kind(valueInt)
		packed.Ints(c, &v)
	case string:
		kind(valueText)
		c.Text(&v)
	case []byte:
		kind(valueBytes)
		c.Bytes(&v)
	case bool:
		if v {
			kind(valueTrue)
		} else {
			kind(valueFalse)
		}
	default:
		panic(fmt.Sprintf("sqlstore: a %T in a row of the ledger", value)) // no column has one
	}
}
