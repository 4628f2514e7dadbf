package admission

import (
	"testing"
	"time"
)

// TestASwitchsCallThatAFullDayEnds: the record of a switch's call names the limit that left
// no more to grant, as that of a call of the SIP gateway does.
func TestASwitchsCallThatAFullDayEnds(t *testing.T) {
	for _, c := range []struct {
		elapsed     time.Duration
		cause, want string
	}{
		{6 * time.Second, "", "daily_spend_limit"},
		{6 * time.Second, "ALLOTTED_TIMEOUT", "daily_spend_limit"},
		{6 * time.Second, "normal_clearing", ""},
		{3 * time.Second, "", ""},
	} {
		p := limited("0.06")
		b := newBench(t, p, deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
		attempt := switchAttempt("+13125550199")
		b.tell([]Command{attempt, Report{ID: attempt.Call.ID, Account: testAccount, Stage: StageAnswered, Elapsed: -1}})
		b.now = noon.Add(c.elapsed)
		end := b.apply(Report{ID: attempt.Call.ID, Account: testAccount, Stage: StageEnded, Elapsed: c.elapsed,
			Ending: Ending{Cause: c.cause}}).Record
		if end.Reason != c.want {
			t.Errorf("%+v: ended by %q", c, end.Reason)
		}
	}
}

// TestTheStatusSaysTheCause: a switch that reports the final status of a call that was not
// answered need not report a cause.
func TestTheStatusSaysTheCause(t *testing.T) {
	for _, c := range []struct {
		status int32
		cause  string
		want   string
	}{
		{486, "", "user_busy"}, {480, "", "no_answer"}, {404, "", "unallocated_number"}, {603, "", "call_rejected"},
		{488, "", "incompatible_destination"}, {503, "", "network_out_of_order"}, {486, "no_route", "no_route"}, {0, "", ""},
	} {
		b := newBench(t, limited("100"), deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
		attempt := switchAttempt("+13125550199")
		b.tell([]Command{attempt})
		end := b.apply(Report{ID: attempt.Call.ID, Account: testAccount, Stage: StageEnded, Elapsed: -1,
			Ending: Ending{SIPStatus: c.status, Cause: c.cause}}).Record
		if end.HangupCause != c.want {
			t.Errorf("%+v: cause %q", c, end.HangupCause)
		}
	}
}
