package call

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
)

// TestLongestCall: a call whose grant has reached the limit of its length asks for no
// more and ends; an emergency call has no such limit.
func TestLongestCall(t *testing.T) {
	for _, emergency := range []bool{false, true} {
		l := &timeline{call: attemptOf(t, emergency), now: start}
		result := func(secs int64) *LedgerDone {
			most := int64(60)
			if emergency {
				most = 0
			}
			return &LedgerDone{Result: admission.Result{Decision: admission.Decision{Allow: true}, GrantedSecs: secs,
				MaxSecs: most}}
		}
		l.handle(Begin{})
		l.handle(result(30))
		l.handle(Answered{})
		l.handle(result(30))
		l.until(start.Add(20 * time.Second))
		l.handle(result(60))
		l.until(start.Add(59 * time.Second))
		if !l.call.Running() {
			t.Fatalf("emergency %v: not running after 59 s: %q", emergency, l.done)
		}
		l.until(start.Add(61 * time.Second))
		if l.call.Running() != emergency {
			t.Errorf("emergency %v: running after 61 s: %v", emergency, l.call.Running())
		}
		if want := "settle(59.5s time_limit tollgate)"; !emergency && l.done[len(l.done)-1] != want {
			t.Errorf("did %q, want %s at the end", l.done, want)
		}
		if renewals := strings.Count(strings.Join(l.done, " "), "renew"); !emergency && renewals != 1 {
			t.Errorf("did %q: %d renewals, want 1", l.done, renewals)
		}
	}
}
