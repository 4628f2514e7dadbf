// Package admission decides calls and keeps the ledger of what they hold.
//
// Both halves are pure. Decide gathers the facts that the rules look at and
// judges them; the State machine in ledger.go applies commands to leases and
// money. Neither does I/O, reads a clock or starts a goroutine: the store that
// owns a State calls it and makes the result durable.
package admission

import (
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
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
	// say, so that the attempt leaves its record all the same.
	EdgeRefusal Reason
	// MaxSecs is how long the server lets any call last, by its settings; 0 is no limit.
	MaxSecs int64
	// NoWayIn says that no SIP request can be recognised as one of the connection.
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
	// Calls counts the calls of a profile that were let through to a number in
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

// Calls implements Usage.
func (NothingUsed) Calls(id.ID, e164.Number, int32) int32 { return 0 }

// Begun implements Usage.
func (NothingUsed) Begun(id.ID, int32) int32 { return 0 }

// Rule is one of the rules, in the order in which they are judged.
type Rule uint8

// The rules. Their order is stored; append only.
const (
	RuleEmergency Rule = iota
	RuleConnection
	RuleProfile
	RuleCaller
	RuleNumber
	RuleCountry
	RuleNumberType
	RuleRate
	RuleWindow
	RuleChannels
	RuleSpend
	RuleCallID
	RulePace
	RuleLength
	RuleSource
	NumRules
)

// Verdict is what one rule says.
type Verdict uint8

// The verdicts. Their order is stored; append only.
const (
	NotJudged Verdict = iota // what it looks at is not known, or the call is an emergency
	Pass
	Refuse
)

// Facts is everything that the rules look at: the values seen and the values
// allowed. A decision stores them, and judging stored facts again gives the same
// verdict.
type Facts struct {
	AtMicros int64 // when it was decided, Unix microseconds
	Day      record.Day
	From, To string
	Source   string

	Account, Profile, Connection, Deck id.ID
	ProfileVersion, ConnectionVersion  int64
	Identity                           policy.Identity
	AccountActive, ConnectionActive    bool
	HasProfile, ProfileEnabled         bool

	Emergency    bool
	Urgent       EmergencyFacts // of an emergency call
	Caller       e164.Number    // that is shown
	CallerID     CallerFacts
	CallerForced bool               // the caller id is the connection's ani_override
	Could        e164.NumberTypeSet // every type that a network could take the callee for
	Callee       e164.Number
	Class        e164.Class
	Override     id.ID // of the numbering plan, that decided about the callee; 0 for none

	Countries    e164.CountrySet
	Ranges       e164.RangeSet
	BlockedTypes e164.NumberTypeSet

	HasRate          bool
	Rate             rating.Rate
	RatePrefixDigits int
	MaxRatePerMinute money.Amount // policy.NoLimit for none
	MaxConnectFee    money.Amount // policy.NoLimit for none
	MaxCallCost      money.Amount // policy.NoLimit for none

	WindowOpen                               bool
	WindowStart, WindowEnd                   time.Duration
	WindowInstance                           int32
	CalleeCalls, CalleeCallsMax              int32
	AccountLive, ProfileLive, ConnectionLive int32
	AccountMax, ProfileMax, ConnectionMax    int32 // policy.NoLimit for none
	SpendLimited, EndCalls                   bool
	Posted, Held, FirstGrantCost, SpendLimit money.Amount
	FirstGrantSecs                           int64
	SpendHeldBack                            bool // the profile is, by a SpendHold

	// The limits of the profile's billing group and of the account, where they have one.
	BillingGroup             uuid.UUID
	GroupSpend, AccountSpend SpendFacts

	// EdgeRefusal is a refusal of the edge's own that no rule covers, such as
	// ReasonStopping. It counts only when every rule passes.
	EdgeRefusal Reason

	Length LengthFacts
	Pace   PaceFacts

	Request uuid.UUID // see Call
	IDUse   IDUse

	// Whether the connection names the networks of its callers, and the call is from one.
	SourceLimited, SourceFits bool
}

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
func Decide(s *policy.Snapshot, call *Call, use Usage, now time.Time) (d Decision) {
	d.ID = call.ID
	d.Facts.EdgeRefusal, d.Facts.Request, d.Facts.IDUse = call.EdgeRefusal, call.Request, call.IDUse
	gather(&d.Facts, s, call, use, now)
	d.Reason, d.Verdicts = judge(&d.Facts)
	d.Allow = d.Reason == ReasonNone
	return d
}

// Rejudge judges the stored facts of a decision again.
func Rejudge(f *Facts) (Reason, [NumRules]Verdict) { return judge(f) }

func gather(f *Facts, s *policy.Snapshot, call *Call, use Usage, now time.Time) {
	f.AtMicros = now.UnixMicro()
	f.Day = record.DayOf(f.AtMicros)
	f.From, f.To = call.From, call.To
	f.Identity = call.Identity
	c := s.Connection(call.Connection)
	if c == nil {
		f.Connection, f.Account = 0, call.Account
		if call.Source.IsValid() {
			f.Source = call.Source.String() // only for refusals of unknown callers
		}
		if f.Identity == policy.IdentityKnown {
			f.Identity = policy.IdentityNone
		}
		return
	}
	a := s.Account(c.Account)
	f.Length.ServerSecs = call.MaxSecs
	gatherConnection(f, c, a)
	if call.NoWayIn {
		f.Identity = policy.IdentityNone
	}
	gatherSource(f, c, call)
	judged := gatherNumbers(f, s, s.Numbering(now), c, a, call)
	if f.Pace.Max != policy.NoLimit {
		f.Pace.Begun = use.Begun(f.Connection, f.Pace.Max)
	}
	if f.Emergency {
		f.Urgent.Live = use.LiveEmergencies(f.Connection)
	}
	p := s.Profile(c.Profile)
	if p == nil || p.Account != c.Account {
		return
	}
	gatherProfile(f, s, p, a, &judged)
	f.AccountLive, f.ProfileLive, f.ConnectionLive = use.LiveCalls(f.Account, f.Profile, f.Connection)
	gatherSpend(f, s, p, use)
	if f.HasRate && !f.Emergency {
		f.FirstGrantSecs, f.FirstGrantCost = firstGrant(f)
	}
	f.WindowOpen, f.WindowInstance = p.Window.Locate(now)
	if f.CalleeCallsMax != policy.NoLimit && f.Callee != 0 {
		f.CalleeCalls = use.Calls(f.Profile, f.Callee, f.WindowInstance)
	}
}

func gatherSpend(f *Facts, s *policy.Snapshot, p *policy.Profile, use Usage) {
	scopes, n := scopesOf(s, f.Account, f.Profile, p.BillingGroup)
	for i := range n {
		facts := scopes[i].facts(use, f.Day)
		switch {
		case scopes[i].Profile != 0:
			f.Posted, f.Held, f.SpendHeldBack = facts.Posted, facts.Held, facts.HeldBack
		case scopes[i].Account != 0:
			f.AccountSpend = facts
		default:
			f.BillingGroup, f.GroupSpend = scopes[i].Group, facts
		}
	}
}

// spends are the facts about the daily limits: the profile's, the billing group's,
// the account's.
func (f *Facts) spends() [3]SpendFacts {
	return [3]SpendFacts{
		{f.SpendLimited, f.EndCalls, f.SpendHeldBack, f.Posted, f.Held, f.SpendLimit},
		f.GroupSpend, f.AccountSpend,
	}
}

// SpendLeft is what grants may still cost by the tightest limit, or money.Max when
// nothing is limited.
func (f *Facts) SpendLeft() money.Amount {
	left := money.Max
	for _, spend := range f.spends() {
		left = min(left, spend.left())
	}
	return min(left, callCostLeft(f.MaxCallCost, 0))
}

func gatherConnection(f *Facts, c *policy.Connection, a *policy.Account) {
	f.Identity = policy.IdentityKnown
	f.Account, f.Connection, f.ConnectionVersion = c.Account, c.ID, c.Version
	f.ConnectionActive = c.Active
	f.ConnectionMax, f.AccountMax, f.ProfileMax = c.ChannelLimit, policy.NoLimit, policy.NoLimit
	f.MaxRatePerMinute, f.MaxConnectFee, f.MaxCallCost = policy.NoLimit, policy.NoLimit, policy.NoLimit
	f.CalleeCallsMax = policy.NoLimit
	f.Length.ConnectionSecs = WholeSecs(c.MaxCall)
	f.Pace.Max = c.CallsPerSecond
	if a != nil {
		f.AccountActive, f.AccountMax = a.Active, a.ChannelLimit
	}
}

func gatherNumbers(f *Facts, s *policy.Snapshot, plan e164.Plan, c *policy.Connection, a *policy.Account,
	call *Call) (judged e164.Judgement) {
	var number string
	number, f.Emergency = c.Emergency(a, call.To)
	gatherCaller(f, s, plan, c, call.From)
	if f.Emergency {
		gatherEmergency(f, c, number)
		return judged
	}
	return gatherCallee(f, plan, c, call.To)
}

func gatherProfile(f *Facts, s *policy.Snapshot, p *policy.Profile, a *policy.Account, judged *e164.Judgement) {
	f.HasProfile, f.Profile, f.ProfileVersion = true, p.ID, p.Version
	f.ProfileEnabled = p.Enabled
	f.Countries, f.Ranges, f.BlockedTypes = p.Countries, p.Ranges, p.BlockedTypes
	f.MaxRatePerMinute, f.ProfileMax = p.MaxRatePerMinute, p.ChannelLimit
	f.MaxConnectFee, f.MaxCallCost = p.MaxConnectFee, p.MaxCallCost
	f.WindowStart, f.WindowEnd, f.CalleeCallsMax = p.Window.Start, p.Window.End, p.Window.CallsPerCLD
	f.Length.ProfileSecs = WholeSecs(p.MaxCall)
	f.SpendLimited, f.SpendLimit, f.EndCalls = p.SpendLimited, p.SpendLimit, p.EndCalls
	deck := s.DeckOf(p, a)
	if deck == nil || deck.Account != p.Account || f.Callee == 0 && !f.Emergency {
		return
	}
	f.Deck = deck.ID
	if f.Emergency {
		f.Rate, f.HasRate = f.Urgent.rateOf(deck.Rates)
		return
	}
	f.Rate, f.RatePrefixDigits, f.HasRate = dearestRate(deck.Rates, f.Callee, judged)
}

// judge applies the rules in order. The first that refuses gives the reason; the
// rest are judged all the same, so that an explanation shows all that stands in
// the way.
func judge(f *Facts) (Reason, [NumRules]Verdict) {
	var verdicts [NumRules]Verdict
	if f.Emergency && f.Identity == policy.IdentityKnown {
		// Tested before everything else: no other rule refuses an emergency call.
		verdicts[RuleEmergency] = Pass
		why := judgeEmergency(f)
		if why != ReasonNone {
			verdicts[RuleEmergency] = Refuse
		}
		return why, verdicts
	}
	reason := ReasonNone
	for rule := RuleConnection; rule < NumRules; rule++ {
		why, known := judgeRule(rule, f)
		switch {
		case !known:
			continue
		case why == ReasonNone:
			verdicts[rule] = Pass
			continue
		}
		verdicts[rule] = Refuse
		if reason == ReasonNone {
			reason = why
		}
	}
	if reason == ReasonNone {
		reason = f.EdgeRefusal
	}
	return reason, verdicts
}

// judgeRule says whether one rule refuses. known is false when the facts that it
// looks at could not be gathered because an earlier rule refused.
func judgeRule(rule Rule, f *Facts) (why Reason, known bool) {
	switch rule {
	case RuleEmergency:
		return judgeEmergency(f), f.Emergency
	case RuleConnection:
		return judgeConnection(f), true
	case RuleProfile:
		switch {
		case f.Connection == 0:
			return ReasonNone, false
		case !f.HasProfile:
			return ReasonProfileMissing, true
		case !f.ProfileEnabled:
			return ReasonProfileDisabled, true
		}
		return ReasonNone, true
	case RuleCaller:
		return judgeCaller(f), f.Connection != 0
	case RuleNumber:
		return refuseIf(f.Callee == 0, ReasonNumberInvalid), f.Connection != 0
	case RuleCountry:
		return refuseIf(!f.Class.In(f.Countries, f.Ranges), ReasonNotWhitelisted), f.Callee != 0 && f.HasProfile
	case RuleNumberType:
		return judgeNumberType(f), f.Callee != 0 && f.HasProfile
	case RuleRate:
		return judgeRate(f), f.Callee != 0 && f.HasProfile
	case RuleWindow:
		return judgeWindow(f), f.HasProfile
	case RuleChannels:
		return judgeChannels(f), f.HasProfile
	case RuleSpend:
		return judgeSpend(f), f.HasRate
	case RuleCallID:
		return judgeCallID(f), f.Connection != 0
	case RulePace:
		return judgePace(f), f.Connection != 0
	case RuleLength:
		return ReasonNone, f.Connection != 0 // it ends calls and refuses none
	case RuleSource:
		return judgeSource(f), f.Connection != 0
	}
	return ReasonNone, false
}

func refuseIf(refused bool, why Reason) Reason {
	if refused {
		return why
	}
	return ReasonNone
}

func judgeConnection(f *Facts) Reason {
	switch {
	case f.Connection == 0 && f.Identity == policy.IdentityBadToken:
		return ReasonTokenInvalid
	case f.Connection == 0 && f.Identity == policy.IdentityNoPrefix:
		return ReasonTechPrefixUnknown
	case f.Connection == 0, f.Identity == policy.IdentityNone:
		return ReasonConnectionUnknown
	case !f.ConnectionActive:
		return ReasonConnectionDisabled
	case !f.AccountActive:
		return ReasonAccountDisabled
	}
	return ReasonNone
}

func judgeRate(f *Facts) Reason {
	switch {
	case !f.HasRate:
		return ReasonNoRate
	case f.MaxRatePerMinute != policy.NoLimit && f.Rate.PerMinute > f.MaxRatePerMinute:
		// Refused only when strictly greater (Telnyx support article 4320411).
		return ReasonRateAboveMaximum
	}
	return judgeConnectFee(f)
}

func judgeWindow(f *Facts) Reason {
	switch {
	case !f.WindowOpen:
		return ReasonOutsideWindow
	case f.CalleeCallsMax != policy.NoLimit && f.CalleeCalls >= f.CalleeCallsMax:
		return ReasonCalleeLimit
	}
	return ReasonNone
}

func judgeChannels(f *Facts) Reason {
	switch {
	case f.AccountMax != policy.NoLimit && f.AccountLive >= f.AccountMax:
		return ReasonAccountChannels
	case f.ProfileMax != policy.NoLimit && f.ProfileLive >= f.ProfileMax:
		return ReasonProfileChannels
	case f.ConnectionMax != policy.NoLimit && f.ConnectionLive >= f.ConnectionMax:
		return ReasonConnectionChannels
	}
	return ReasonNone
}

func judgeSpend(f *Facts) Reason {
	reasons := [...]Reason{ReasonDailySpendLimit, ReasonGroupSpendLimit, ReasonAccountSpendLimit}
	for i, spend := range f.spends() {
		switch {
		case spend.Limited && spend.HeldBack:
			return ReasonSpendHeldBack
		case spend.refuses(f.FirstGrantCost):
			return reasons[i]
		}
	}
	return judgeCallCost(f)
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
