package sqlstore_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// TestRecall has a node look up its own calls under their locks only, and another
// node before that too. What a node remembers of a call that another one has ended
// changes no answer.
func TestRecall(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	a, b := newTestNode(t, url, "a", clock.Now), newTestNode(t, url, "b", clock.Now)
	_, phone := configure(t, a.Store)
	do(t, b, admission.Expire{}) // b has the policy
	lookups := func(n *testNode, want int) {
		t.Helper()
		if got := sqlstore.Lookups(t, n.Store); got != want {
			t.Errorf("%d lookups, want %d", got, want)
		}
	}
	r := a.reserve(phone)
	do(t, a, r)
	do(t, a, r)
	do(t, a, admission.Answer{ID: r.Call.ID, AtMicros: clock.Now().UnixMicro()})
	do(t, a, admission.Renew{ID: r.Call.ID, Elapsed: time.Second, GrantedSecs: 6})
	lookups(a, 4)
	settle := admission.Settle{ID: r.Call.ID, Ending: admission.Ending{EndedMicros: clock.Now().UnixMicro(), Elapsed: 2 * time.Second}}
	first := do(t, b, settle)
	lookups(b, 2)
	again := do(t, a, settle)
	if diff := gocmp.Diff(first.Record, again.Record); diff != "" || again.Record == nil {
		t.Errorf("repeated on the other node (-first +again):\n%s", diff)
	}
	lookups(a, 5)
	do(t, a, settle)
	lookups(a, 7) // it has forgotten the call
	audited(t, a.Store)
}
