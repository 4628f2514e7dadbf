package call

import "slices"

// Answer is a gateway's final response other than success, with what its meaning
// depends on.
type Answer struct {
	Status     int
	Again      bool // what it asks for can be given: credentials, or a longer session interval
	Server     bool // the gateway has another server
	RetryAfter bool // it has a Retry-After

	rung    bool // a phone has rung
	persist bool // that does not keep the call from the next gateway
	listed  bool // in failover_statuses of the gateway
}

// Meaning is what is done after a gateway's final response.
type Meaning uint8

// The meanings.
const (
	Final       Meaning = iota // the caller gets it
	Again                      // the INVITE is sent again to the same server
	NextServer                 // the next server of the same gateway is tried
	NextGateway                // the next gateway is tried
	NextAndRest                // the same, and the route to the prefix at this gateway rests
)

// String says the meaning in words.
func (m Meaning) String() string {
	return [...]string{
		"final: the caller gets it", "sent again to the same server", "the next server of the same gateway",
		"the next gateway", "the next gateway, and the route to the prefix rests",
	}[m]
}

// Outcome is one line of the table of what final responses mean.
type Outcome struct {
	From, To  int    // the statuses from and to
	Statuses  []int  // or those listed
	If        string // what else must be so, "" for nothing
	Means     Meaning
	Why       string
	condition func(*Answer) bool // that is what If says
}

// Outcomes are what the final responses of a gateway mean. The first that fits counts.
// docs/SIP.md prints them.
var Outcomes = []Outcome{
	{
		Statuses: []int{401, 407}, If: "the gateway's credentials answer it", Means: Again,
		Why: "RFC 3261 section 22", condition: func(a *Answer) bool { return a.Again },
	},
	{
		Statuses: []int{422}, If: "it has a `Min-SE` above the interval that was offered, up to two hours", Means: Again,
		Why: "RFC 4028 section 7.3; two times at most", condition: func(a *Answer) bool { return a.Again },
	},
	{
		From: 300, To: 699,
		If:    "a phone has rung, it is no emergency call, and the gateway has no `failover_after_ringing`",
		Means: Final, Why: "another carrier would ring the phone again",
		condition: func(a *Answer) bool { return a.rung && !a.persist },
	},
	{
		Statuses: []int{408}, If: "a phone has rung", Means: Final, Why: "the callee did not take the call",
		condition: func(a *Answer) bool { return a.rung },
	},
	{
		Statuses: []int{503}, If: "the gateway's name has another server", Means: NextServer,
		Why: "RFC 3263 section 4.3", condition: func(a *Answer) bool { return a.Server },
	},
	{
		Statuses: []int{503}, If: "it has a `Retry-After`", Means: NextAndRest,
		Why: "a carrier says it of the route to a destination", condition: func(a *Answer) bool { return a.RetryAfter },
	},
	{
		From: 300, To: 699, If: "it is in the gateway's `failover_statuses`", Means: NextGateway,
		Why: "the operator knows the carrier", condition: func(a *Answer) bool { return a.listed },
	},
	{
		From: 300, To: 399, Means: NextGateway,
		Why: "a redirection is not followed: the carrier would choose where the call goes, and what it costs",
	},
	{
		Statuses: []int{401, 402, 407}, Means: NextGateway, Why: "our account at the carrier",
	},
	{
		Statuses: []int{405, 408, 430, 481, 482, 483}, Means: NextGateway, Why: "the carrier's network",
	},
	{
		Statuses: []int{406, 413, 414, 415, 416, 420, 421, 422, 423, 488, 493, 494}, Means: NextGateway,
		Why: "what this carrier wants of a call, and another may not",
	},
	{
		Statuses: []int{428, 436, 437, 438}, Means: NextGateway, Why: "what this carrier wants of the caller's identity",
	},
	{
		From: 500, To: 599, Means: NextGateway, Why: "the gateway failed",
	},
	{
		From: 300, To: 699, Means: Final, Why: "it speaks of the callee",
	},
}

// Means is what a gateway's answer means by the table.
func (c *Call) Means(a Answer) Meaning {
	gateway := c.gateways[c.current]
	a.rung = c.rung
	a.persist = c.emergency != "" || gateway.FailoverAfterRinging
	a.listed = slices.Contains(gateway.FailoverStatuses, int32(a.Status))
	for i := range Outcomes {
		if o := &Outcomes[i]; o.covers(a.Status) && (o.condition == nil || o.condition(&a)) {
			return o.Means
		}
	}
	return Final
}

func (o *Outcome) covers(status int) bool {
	if o.Statuses != nil {
		return slices.Contains(o.Statuses, status)
	}
	return o.From <= status && status <= o.To
}

// Last reports whether the current gateway is the last.
func (c *Call) Last() bool { return c.current+1 >= len(c.gateways) }
