package admission

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

// encodingVersion is the first byte of an encoded decision. A new field is
// appended behind the others under a new version; old ones stay readable.
const encodingVersion = 3

// ErrDecision says that stored bytes are not a decision.
var ErrDecision = errors.New("not an encoded decision")

// Append appends the stored form of the decision: its facts, its reason and its
// id. The verdicts are not stored, since judging the facts again gives them.
// Countries and ranges are stored by name, because their numbering is free to
// change between releases.
func (d *Decision) Append(dst []byte) []byte {
	f := &d.Facts
	w := writer{append(dst, encodingVersion)}
	w.bytes = append(w.bytes, d.ID[:]...)
	w.uint(uint64(d.Reason))
	w.uint(uint64(f.EdgeRefusal))
	w.int(f.AtMicros)
	w.text(f.From)
	w.text(f.To)
	w.text(f.Source)
	for _, n := range [...]int64{
		int64(f.Account), int64(f.Profile), int64(f.Connection), int64(f.Deck),
		f.ProfileVersion, f.ConnectionVersion, int64(f.Identity),
		int64(f.Caller), int64(f.Callee), int64(f.Class.Type), int64(f.BlockedTypes),
		int64(f.Rate.PerMinute), int64(f.Rate.ConnectFee), int64(f.Rate.FirstIncrement), int64(f.Rate.Increment),
		int64(f.RatePrefixDigits), int64(f.MaxRatePerMinute),
		int64(f.WindowStart), int64(f.WindowEnd), int64(f.WindowInstance),
		int64(f.CalleeCalls), int64(f.CalleeCallsMax),
		int64(f.AccountLive), int64(f.ProfileLive), int64(f.ConnectionLive),
		int64(f.AccountMax), int64(f.ProfileMax), int64(f.ConnectionMax),
		int64(f.Posted), int64(f.Held), int64(f.FirstGrantCost), int64(f.SpendLimit), f.FirstGrantSecs,
	} {
		w.int(n)
	}
	w.flags(f.AccountActive, f.ConnectionActive, f.HasProfile, f.ProfileEnabled, f.Emergency,
		f.CallerForced, f.HasRate, f.WindowOpen, f.SpendLimited, f.EndCalls)
	w.text(f.Class.Country.Alpha2())
	w.text(f.Class.Range)
	w.uint(uint64(f.Countries.Len()))
	for country := range f.Countries.All() {
		w.bytes = append(w.bytes, country.Alpha2()...)
	}
	w.uint(uint64(f.Ranges.Len()))
	for named := range f.Ranges.All() {
		w.text(named.String())
	}
	w.flags(f.SpendHeldBack, f.GroupSpend.Limited, f.GroupSpend.EndCalls, f.GroupSpend.HeldBack,
		f.AccountSpend.Limited, f.AccountSpend.EndCalls, f.AccountSpend.HeldBack)
	if f.GroupSpend.Limited {
		w.bytes = append(w.bytes, f.BillingGroup[:]...)
	}
	for _, spend := range [...]*SpendFacts{&f.GroupSpend, &f.AccountSpend} {
		if spend.Limited {
			w.int(int64(spend.Posted))
			w.int(int64(spend.Held))
			w.int(int64(spend.Limit))
		}
	}
	w.appendRules(f)
	return w.bytes
}

// appendRules appends what version 3 has behind version 2, one rule after the other.
func (w *writer) appendRules(f *Facts) {
	w.appendRepetition(f)
	w.appendSource(f)
	w.appendNumber(f)
	w.appendCallCost(f)
	w.appendPace(f)
	w.appendLength(f)
	w.callerID(&f.CallerID)
	w.emergency(&f.Urgent)
}

// readRules reads what appendRules wrote.
func (r *reader) readRules(f *Facts) {
	r.readRepetition(f)
	r.readSource(f)
	r.readNumber(f)
	r.readCallCost(f)
	r.readPace(f)
	r.readLength(f)
	r.callerID(&f.CallerID)
	r.emergency(&f.Urgent)
}

// readSharedSpend reads what version 2 has behind version 1.
func (r *reader) readSharedSpend(f *Facts) {
	r.flags(&f.SpendHeldBack, &f.GroupSpend.Limited, &f.GroupSpend.EndCalls, &f.GroupSpend.HeldBack,
		&f.AccountSpend.Limited, &f.AccountSpend.EndCalls, &f.AccountSpend.HeldBack)
	if f.GroupSpend.Limited {
		copy(f.BillingGroup[:], r.take(len(f.BillingGroup)))
	}
	for _, spend := range [...]*SpendFacts{&f.GroupSpend, &f.AccountSpend} {
		if spend.Limited {
			spend.Posted, spend.Held, spend.Limit = money.Amount(r.int()), money.Amount(r.int()), money.Amount(r.int())
		}
	}
}

// DecodeDecision reads what Append wrote, and judges the facts again for the
// verdicts.
func DecodeDecision(encoded []byte) (Decision, error) {
	var d Decision
	f := &d.Facts
	r := reader{rest: encoded}
	version := r.take(1)
	if len(version) != 1 || version[0] == 0 || version[0] > encodingVersion {
		return d, fmt.Errorf("decode %d bytes: %w", len(encoded), ErrDecision)
	}
	copy(d.ID[:], r.take(len(uuid.UUID{})))
	d.Reason, f.EdgeRefusal = Reason(r.uint()), Reason(r.uint())
	f.AtMicros = r.int()
	f.Day = record.DayOf(f.AtMicros)
	f.From, f.To, f.Source = r.text(), r.text(), r.text()
	f.Account, f.Profile, f.Connection, f.Deck = id.ID(r.int()), id.ID(r.int()), id.ID(r.int()), id.ID(r.int())
	f.ProfileVersion, f.ConnectionVersion, f.Identity = r.int(), r.int(), policy.Identity(r.int())
	f.Caller, f.Callee = e164.Number(r.int()), e164.Number(r.int())
	f.Class.Type, f.BlockedTypes = e164.NumberType(r.int()), e164.NumberTypeSet(r.int())
	f.Rate = rating.Rate{
		PerMinute: money.Amount(r.int()), ConnectFee: money.Amount(r.int()),
		FirstIncrement: int32(r.int()), Increment: int32(r.int()),
	}
	f.RatePrefixDigits, f.MaxRatePerMinute = int(r.int()), money.Amount(r.int())
	f.WindowStart, f.WindowEnd, f.WindowInstance = time.Duration(r.int()), time.Duration(r.int()), int32(r.int())
	f.CalleeCalls, f.CalleeCallsMax = int32(r.int()), int32(r.int())
	f.AccountLive, f.ProfileLive, f.ConnectionLive = int32(r.int()), int32(r.int()), int32(r.int())
	f.AccountMax, f.ProfileMax, f.ConnectionMax = int32(r.int()), int32(r.int()), int32(r.int())
	f.Posted, f.Held = money.Amount(r.int()), money.Amount(r.int())
	f.FirstGrantCost, f.SpendLimit, f.FirstGrantSecs = money.Amount(r.int()), money.Amount(r.int()), r.int()
	r.flags(&f.AccountActive, &f.ConnectionActive, &f.HasProfile, &f.ProfileEnabled, &f.Emergency,
		&f.CallerForced, &f.HasRate, &f.WindowOpen, &f.SpendLimited, &f.EndCalls)
	f.Class.Country, _ = e164.CountryByAlpha2(r.text())
	f.Class.Range = rangeName(r.text())
	for range min(r.uint(), 1<<10) {
		country, _ := e164.CountryByAlpha2(string(r.take(2)))
		f.Countries.Add(country)
	}
	for range min(r.uint(), 1<<6) {
		named, _ := e164.ParseRange(r.text())
		f.Ranges.Add(named)
	}
	if version[0] >= 2 {
		r.readSharedSpend(f)
	}
	f.Pace.Max = policy.NoLimit
	if version[0] >= 3 {
		r.readRules(f)
	} else {
		f.MaxConnectFee, f.MaxCallCost = policy.NoLimit, policy.NoLimit
		if f.Emergency {
			f.Urgent.Max = policy.NoLimit
		}
	}
	if r.failed || len(r.rest) > 0 || d.Reason >= numReasons {
		return d, fmt.Errorf("decode %d bytes: %w", len(encoded), ErrDecision)
	}
	_, d.Verdicts = judge(f)
	d.Allow = d.Reason == ReasonNone
	return d, nil
}

func rangeName(s string) string {
	named, _ := e164.ParseRange(s)
	return named.String()
}

type writer struct{ bytes []byte }

func (w *writer) uint(n uint64) { w.bytes = binary.AppendUvarint(w.bytes, n) }
func (w *writer) int(n int64)   { w.bytes = binary.AppendVarint(w.bytes, n) }

func (w *writer) text(s string) {
	w.uint(uint64(len(s)))
	w.bytes = append(w.bytes, s...)
}

func (w *writer) flags(flags ...bool) {
	var bits uint64
	for i, set := range flags {
		if set {
			bits |= 1 << i
		}
	}
	w.uint(bits)
}

// reader reads what writer wrote. After a failure it returns zero values.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if r.failed || n < 0 || n > len(r.rest) {
		r.failed = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.failed = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) int() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.failed = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) text() string {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.failed = true
		return ""
	}
	return string(r.take(int(n)))
}

func (r *reader) flags(flags ...*bool) {
	bits := r.uint()
	for i, flag := range flags {
		*flag = bits&(1<<i) != 0
	}
}
