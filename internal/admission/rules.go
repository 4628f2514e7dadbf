package admission

import (
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// rule is one rule about calls. Each is a variable in a file of its own, rule_*.go,
// beside its number, its facts and its reasons; the table below lists them all.
//
// Its functions are pure, and keep nothing of what they are given.
type rule struct {
	name  string // the word of the API
	needs need   // what must be known of a call before the rule can be judged
	// gather collects the facts. It is called for every call of a known connection.
	gather func(f *Facts, in *inquiry)
	// judge gives the reason why the call is refused, by the facts alone. A rule
	// without it refuses no call.
	judge func(f *Facts) Reason
	// explain says in words what was seen and what is allowed.
	explain func(f *Facts) (seen, allowed string)
	// fix replaces the way out that the reason names, unless it returns "".
	fix func(f *Facts) string
	// code writes or reads the facts. New facts go behind the others: what an older
	// decision does not have is read as zero.
	code func(c *coder, f *Facts)
	// first and next limit what a call is granted, at its start and while it runs. A rule
	// has both or none.
	first func(f *Facts, r room) room
	next  func(s *State, p *policy.Snapshot, l *Lease, r room) room
	// reasons are those that judge gives, and what each looks like outside.
	reasons []answer
}

// Rule is the number of a rule: its place in the table, and in every explanation.
type Rule uint8

// rules are all rules, in the order in which they are gathered, judged and explained.
// Their numbers are stored: append only. A call is refused for the first that refuses.
var rules = [...]rule{
	RuleEmergency:   emergencyRule,
	RuleConnection:  connectionRule,
	RuleProfile:     profileRule,
	RuleCaller:      callerRule,
	RuleNumber:      numberRule,
	RuleCountry:     countryRule,
	RuleNumberType:  numberTypeRule,
	RuleRate:        rateRule,
	RuleWindow:      windowRule,
	RuleChannels:    channelsRule,
	RuleSpend:       spendRule,
	RuleCallID:      callIDRule,
	RulePace:        paceRule,
	RuleLength:      lengthRule,
	RuleSource:      sourceRule,
	RuleAttestation: attestationRule,
	RuleOriginate:   originateRule,
	RuleNumberList:  numberListRule,
	RuleSpendLimits: spendLimitsRule,
	RuleRoute:       routeRule,
}

// NumRules is how many rules there are.
const NumRules = Rule(len(rules))

// Facts is everything that the rules look at: the values seen and the values
// allowed. A decision stores them, and judging stored facts again gives the same
// verdict.
type Facts struct {
	// Rules is how many rules there were when the call was decided. No other is judged.
	Rules    Rule
	AtMicros int64 // when it was decided, Unix microseconds
	Day      record.Day
	From, To string
	Source   string    // where the call came from, when it is refused for that
	Request  uuid.UUID // see Call

	Account, Profile, Connection      id.ID
	ProfileVersion, ConnectionVersion int64

	FirstGrantSecs int64 // within what every rule leaves room for
	FirstGrantCost money.Amount

	// EdgeRefusal is a refusal of the edge's own that no rule covers, such as
	// ReasonStopping. It counts only when every rule passes.
	EdgeRefusal Reason

	// The facts of each rule.
	EmergencyFacts
	ConnectionFacts
	ProfileFacts
	CallerFacts
	NumberFacts
	CountryFacts
	NumberTypeFacts
	RateFacts
	WindowFacts
	ChannelFacts
	SpendFacts
	CallIDFacts
	Pace   PaceFacts
	Length LengthFacts
	SourceFacts
	AttestationFacts
	OriginateFacts
	NumberListFacts
	SpendLimits SpendLimitFacts
	RouteFacts
}

// codeAttempt writes or reads what is no rule's own.
func codeAttempt(c *coder, f *Facts) {
	ints(c, &f.AtMicros, &f.ProfileVersion, &f.ConnectionVersion, &f.FirstGrantSecs)
	ints(c, &f.FirstGrantCost)
	ints(c, &f.Account, &f.Profile, &f.Connection)
	ints(c, &f.EdgeRefusal)
	c.Text(&f.From)
	c.Text(&f.To)
	c.Text(&f.Source)
	c.optional(&f.Request)
}

// need is a set of what must be known of a call before a rule can be judged.
type need uint8

const (
	needNothing    need = 0
	needConnection need = 1 << iota // the caller is known
	needProfile                     // the connection has a profile
	needCallee                      // the dialled text is a number
	needRate                        // there is a price
	needEmergency                   // the call is an emergency call
)

// known is the set of things that are known about the call.
func (f *Facts) known() (known need) {
	if f.Connection != 0 {
		known |= needConnection
	}
	if f.HasProfile {
		known |= needProfile
	}
	if f.Callee != 0 {
		known |= needCallee
	}
	if f.HasRate {
		known |= needRate
	}
	if f.Emergency {
		known |= needEmergency
	}
	return known
}

// String is the word of the API.
func (r Rule) String() string { return rules[r].name }
