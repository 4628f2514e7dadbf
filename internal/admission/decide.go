// Package admission decides calls and keeps the ledger of what they hold.
//
// Both halves are pure. Decide gathers the facts that the rules look at and
// judges them; the State machine in ledger.go applies commands to leases and
// money. Neither does I/O, reads a clock or starts a goroutine: the store that
// owns a State calls it and makes the result durable.
package admission

import (
	"cmp"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

// Call is one attempt as its caller presented it, once the edge has authenticated it.
type Call struct {
	ID uuid.UUID // of the attempt, its lease, its decision and its record; chosen by the edge
	// Connection is 0 when the caller was not recognised; Identity then says why.
	Connection id.ID
	Identity   policy.Identity
	Source     netip.Addr
	From       string // the caller id as presented, "" for anonymous
	To         string // as dialled, without the connection's tech prefix
	SIPCallID  string
	// Account is whose the attempt is, where the edge knows it without a connection.
	Account id.ID
	// EdgeRefusal is set by an edge that cannot take the call whatever the rules
	// say, so that the attempt leaves its record anyway.
	EdgeRefusal Reason
	// MaxSecs is how long the server lets any call last, by its settings; 0 is no limit.
	MaxSecs int64
	// NoWayIn means that no SIP request can be recognised as one of the connection.
	NoWayIn bool
	// Request is the proof by which the switch can repeat this very request, zero for none.
	Request uuid.UUID
	// IDUse is set by the ledger, when another call has the id that this one came with.
	IDUse IDUse
}

// Usage is what is in use now. A State is one; a replay has its own.
type Usage interface {
	// LiveCalls counts the leases of an account, a profile and a connection.
	// Emergency calls do not count.
	LiveCalls(account, profile, connection id.ID) (a, p, c int32)
	// LiveEmergencies counts the emergency calls of a connection.
	LiveEmergencies(connection id.ID) int32
	// SpendIn is what is used of a scope on a day.
	SpendIn(scope Scope, day record.Day) ScopeSpend
	// SpendUnder is what counts for a spend limit at an instant.
	SpendUnder(l *policy.Limit, atMicros int64) ScopeSpend
	// Calls counts the calls of a profile that were admitted to a number in
	// one instance of its calling window.
	Calls(profile id.ID, callee e164.Number, window int32) int32
	// Begun counts the calls of a connection that were begun in the past second, at
	// most perSecond.
	Begun(connection id.ID, perSecond int32) int32
}

// NothingUsed is the usage of decisions for which it does not count.
type NothingUsed struct{}

// LiveCalls implements Usage.
func (NothingUsed) LiveCalls(id.ID, id.ID, id.ID) (a, p, c int32) { return 0, 0, 0 }

// LiveEmergencies implements Usage.
func (NothingUsed) LiveEmergencies(id.ID) int32 { return 0 }

// SpendIn implements Usage.
func (NothingUsed) SpendIn(Scope, record.Day) (none ScopeSpend) { return none }

// SpendUnder implements Usage.
func (NothingUsed) SpendUnder(*policy.Limit, int64) (none ScopeSpend) { return none }

// Calls implements Usage.
func (NothingUsed) Calls(id.ID, e164.Number, int32) int32 { return 0 }

// Begun implements Usage.
func (NothingUsed) Begun(id.ID, int32) int32 { return 0 }

// Verdict is what one rule says.
type Verdict uint8

// The verdicts. Their order is stored; append only.
const (
	NotJudged Verdict = iota // what it looks at is not known, or the call is an emergency
	Pass
	Refuse
)

// Decision is the answer to one attempt.
type Decision struct {
	ID       uuid.UUID
	Allow    bool
	Reason   Reason
	Facts    Facts
	Verdicts [NumRules]Verdict
}

// Decide answers whether a call may go, by the snapshot, by what is in use and at
// the time given. It is pure and does not allocate.
func Decide(s *policy.Snapshot, call *Call, use Usage, now time.Time) (made Decision) {
	w := desks.Get().(*desk)
	in, d := &w.inquiry, &w.decision
	in.policy = s
	in.call = *call
	in.use = use
	in.now = now
	*d = Decision{}
	d.ID = call.ID
	gather(&d.Facts, in)
	d.Reason, d.Verdicts = judge(&d.Facts)
	d.Allow = d.Reason == ReasonNone
	made = *d
	*in = inquiry{} // a pool keeps no policy alive
	desks.Put(w)
	return made
}

// desk is where a decision is made, written or read. The functions of the rules are
// called by pointer, so the compiler has what they are given on the heap; desks are
// used again, so that it is allocated already.
type desk struct {
	decision Decision
	inquiry  inquiry
	coder    coder
}

var desks = sync.Pool{New: func() any { return new(desk) }}

// Rejudge judges the stored facts of a decision again.
func Rejudge(f *Facts) (Reason, [NumRules]Verdict) { return judge(f) }

// inquiry is what the rules gather their facts from.
type inquiry struct {
	policy  *policy.Snapshot
	plan    e164.Plan
	call    Call
	use     Usage
	now     time.Time
	caller  *policy.Connection
	account *policy.Account // nil when the policy has none
	profile *policy.Profile // nil when the connection has none

	callee e164.Judgement // gathered by the rule of the number
}

// gather collects the facts: what every rule looks at, then what each rule does, then
// the first grant, for which all of them leave room.
func gather(f *Facts, in *inquiry) {
	s, call := in.policy, &in.call
	f.Rules = NumRules
	f.AtMicros = in.now.UnixMicro()
	f.Day = record.DayOf(f.AtMicros)
	f.From, f.To = call.From, call.To
	f.EdgeRefusal, f.Request = call.EdgeRefusal, call.Request
	c := s.Connection(call.Connection)
	if c == nil {
		gatherUnknown(f, call)
		return
	}
	in.plan = s.Numbering(in.now)
	in.caller = c
	in.account = s.Account(c.Account)
	f.Account = c.Account
	f.Connection = c.ID
	f.ConnectionVersion = c.Version
	if p := s.Profile(c.Profile); p != nil && p.Account == c.Account {
		in.profile = p
		f.Profile, f.ProfileVersion = p.ID, p.Version
	}
	for i := range rules {
		if rules[i].gather != nil {
			rules[i].gather(f, in)
		}
	}
	if f.HasRate && !f.Emergency {
		f.FirstGrantSecs, f.FirstGrantCost = firstGrant(f)
	}
}

// judge applies the rules in order. The first that refuses gives the reason; the
// rest are judged anyway, so that an explanation shows all that stands in
// the way. One is not judged when the facts that it looks at could not be gathered
// because an earlier rule refused, or are of before there was the rule.
func judge(f *Facts) (reason Reason, verdicts [NumRules]Verdict) {
	known, from, to := f.known(), RuleConnection, min(f.Rules, NumRules)
	urgent := f.Emergency && f.Identity == policy.IdentityKnown
	if urgent {
		// Tested before everything else: no other rule refuses an emergency call.
		from, to = RuleEmergency, RuleConnection
	}
	for i := from; i < to; i++ {
		rule := &rules[i]
		if rule.needs&^known != 0 {
			continue
		}
		verdicts[i] = Pass
		if rule.judge == nil {
			continue
		}
		if why := rule.judge(f); why != ReasonNone {
			verdicts[i], reason = Refuse, cmp.Or(reason, why)
		}
	}
	if reason == ReasonNone && !urgent {
		reason = f.EdgeRefusal
	}
	return reason, verdicts
}

func refuseIf(refused bool, why Reason) Reason {
	if refused {
		return why
	}
	return ReasonNone
}

// Records reports whether a call with this caller is to be recorded.
func Records(r *profile.CallRecording, caller e164.Number) bool {
	switch r.Type {
	case profile.RecordAll:
		return true
	case profile.RecordByCaller:
		for _, n := range r.CallerPhoneNumbers {
			if n == caller && n != 0 {
				return true
			}
		}
	}
	return false
}
