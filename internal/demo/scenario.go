package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/phone"
)

const (
	// caller is the phone's number: 555-01xx is kept free for fiction.
	caller = "+13125550100"
	// ringTime is how long the carrier rings before it answers.
	ringTime = 200 * time.Millisecond
	// shortTalk is how long the phone talks before it hangs up.
	shortTalk = 1400 * time.Millisecond
	// emergencyTalk is how long the emergency call lasts.
	emergencyTalk = 500 * time.Millisecond
)

// step is one call of the demonstration and what must become of it.
type step struct {
	dialled     string
	about       string        // why it is interesting
	hangUpAfter time.Duration // when the phone hangs up; 0 leaves it to Tollgate
	stays       bool          // still up when the next call is placed
	want        want
}

// want is what must become of a call.
type want struct {
	status    int    // final SIP status
	code      string // what the SIP reason phrase ends with; "" when it is admitted
	reason    string // the decision's word
	hungUpBy  string // hangup_source of the record
	cause     string // hangup_cause of the record
	rate      money.Amount
	emergency bool
}

// steps are the calls of the demonstration.
func steps() []step {
	refused := func(code, reason string) want {
		return want{status: 403, code: code, reason: reason, hungUpBy: "tollgate", cause: "CALL_REJECTED"}
	}
	return []step{
		{dialled: "+13125550123", about: "Chicago. Allowed; the caller hangs up.", hangUpAfter: shortTalk,
			want: want{status: 200, reason: "allowed", hungUpBy: "caller", cause: "NORMAL_CLEARING", rate: perMinute}},
		{dialled: "+442079460123", about: "London: the UK is not whitelisted.",
			want: refused("D13", "destination_not_whitelisted")},
		{dialled: "+18765550123", about: "+1 like the US, but Jamaica.",
			want: refused("D13", "destination_not_whitelisted")},
		{dialled: "+18675550123", about: "Yukon: whitelisted, but too dear.",
			want: refused("D24", "rate_above_maximum")},
		{dialled: "+14165550123", about: "Toronto. Neither side hangs up.", stays: true,
			want: want{status: 200, reason: "allowed", hungUpBy: "tollgate", cause: "ALLOTTED_TIMEOUT", rate: perMinute}},
		{dialled: "+12125550123", about: "New York, while call 5 is up.",
			want: refused("D2", "profile_channel_limit")},
		{dialled: "+13125550123", about: "Chicago again. The money is gone.",
			want: refused("TG3", "daily_spend_limit")},
		{dialled: "911", about: "An emergency call all the same.", hangUpAfter: emergencyTalk,
			want: want{status: 200, reason: "allowed", hungUpBy: "caller", cause: "NORMAL_CLEARING", emergency: true}},
	}
}

// result is the outcome of a call.
type result struct {
	step
	wire       phone.Outcome
	record     callRecord
	decision   decision
	mismatches []string
}

// mismatch words a difference, or nothing.
func mismatch(list []string, what string, expected, got any) []string {
	if expected == got {
		return list
	}
	return append(list, fmt.Sprintf("%s: expected %v, got %v", what, expected, got))
}

// check compares what happened on the wire, in the record and in the decision with
// the expected results.
func (r *result) check() (list []string) {
	w := r.want
	list = mismatch(list, "SIP status", w.status, r.wire.Status)
	list = mismatch(list, "decision", w.reason, r.decision.Reason)
	list = mismatch(list, "hung up by", w.hungUpBy, r.record.HangupSource)
	list = mismatch(list, "hang-up cause", w.cause, r.record.HangupCause)
	list = mismatch(list, "emergency", w.emergency, r.record.Emergency)
	if w.code != "" {
		got := r.wire.Phrase[strings.LastIndexByte(r.wire.Phrase, ' ')+1:]
		list = mismatch(list, "code in the SIP reason phrase", w.code, got)
		list = mismatch(list, "X-Tollgate-Decision", r.record.DecisionID, r.wire.Decision)
		list = mismatch(list, "X-Tollgate-Reason", w.reason, r.wire.RefusalReason)
		list = mismatch(list, "outcome", "refused", r.record.Outcome)
		return mismatch(list, "cost", money.Amount(0), r.record.Cost)
	}
	list = mismatch(list, "outcome", "answered", r.record.Outcome)
	bySide := map[string]phone.Side{"caller": phone.SideCaller, "tollgate": phone.SideCallee}[w.hungUpBy]
	list = mismatch(list, "BYE from", bySide, r.wire.HungUpBy)
	return append(list, r.checkCharge()...)
}

// clockSlack is how far the phone's and the server's idea of a call's length may
// be apart: each sees the answer and the BYE at its own moment.
const clockSlack = 750 * time.Millisecond

// checkCharge reports what is wrong with the money of an answered call. The deck bills
// by the second, a part counting whole.
func (r *result) checkCharge() (list []string) {
	if r.want.emergency {
		return mismatch(list, "cost", money.Amount(0), r.record.Cost)
	}
	billed := r.record.BilledSec
	list = mismatch(list, "rate", r.want.rate, r.record.Rate)
	list = mismatch(list, "cost", money.PerMinuteTimes(r.want.rate, billed), r.record.Cost)
	list = mismatch(list, "billed seconds", min(r.record.CallSec, r.record.GrantedSec), billed)
	least, most := wholeSecs(r.wire.Duration()-clockSlack), wholeSecs(r.wire.Duration()+clockSlack)
	if billed < least || billed > most {
		list = append(list, fmt.Sprintf("billed seconds: expected %d to %d of a call of %.1f s, got %d",
			least, most, r.wire.Duration().Seconds(), billed))
	}
	return list
}

// wholeSecs counts a part of a second whole.
func wholeSecs(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// totals is what remains after all calls.
type totals struct {
	usage      usage
	carrier    int // calls that reached the carrier
	mismatches []string
}

// check compares the profile's day with the sum of its calls. The call that used
// up the limit was cut within its last second, so not a cent of it is left.
func (t *totals) check(results []result) (list []string) {
	through, cost := 0, money.Amount(0)
	for _, r := range results {
		cost += r.record.Cost
		if r.want.code == "" {
			through++
		}
	}
	list = mismatch(list, "calls that reached the carrier", through, t.carrier)
	list = mismatch(list, "posted for the day", cost, t.usage.Posted)
	list = mismatch(list, "posted for the day", dailyLimit, t.usage.Posted)
	list = mismatch(list, "limit of the day", dailyLimit, t.usage.DailySpendLimit)
	list = mismatch(list, "held after all calls have ended", money.Amount(0), t.usage.Held)
	return mismatch(list, "calls still counted", 0, t.usage.LiveCalls)
}

// ok reports whether everything was as expected.
func (t *totals) ok(results []result) bool {
	for _, r := range results {
		if len(r.mismatches) > 0 {
			return false
		}
	}
	return len(t.mismatches) == 0
}
