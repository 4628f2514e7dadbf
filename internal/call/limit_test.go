package call

import (
	"testing"
	"time"
)

// TestLongestCall: a call ends at its limit, whatever is granted; an emergency call
// has none.
func TestLongestCall(t *testing.T) {
	for _, emergency := range []bool{false, true} {
		l := &timeline{call: attemptOf(t, emergency), now: start}
		l.call.LimitLength(time.Minute)
		l.call.LimitLength(0) // no limit is no shorter one
		l.call.LimitLength(20 * time.Second)
		l.handle(Begin{})
		l.handle(event([]string{"allowed", "600"}))
		l.handle(Answered{})
		l.handle(event([]string{"granted", "600"}))
		l.until(start.Add(19 * time.Second))
		if !l.call.Running() {
			t.Fatalf("emergency %v: not running after 19 s: %q", emergency, l.done)
		}
		l.until(start.Add(21 * time.Second))
		if l.call.Running() != emergency {
			t.Errorf("emergency %v: running after 21 s: %v", emergency, l.call.Running())
		}
		if want := "settle(20s time_limit tollgate)"; !emergency && l.done[len(l.done)-1] != want {
			t.Errorf("did %q, want %s at the end", l.done, want)
		}
	}
}
