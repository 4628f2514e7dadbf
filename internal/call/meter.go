package call

import (
	"time"

	"github.com/tollgate/tollgate/internal/admission"
)

// The times of the meter.
const (
	// Guard is how long before the end of its grant a call is cut, so that the
	// hang-up reaches both sides within what was paid for.
	Guard = 500 * time.Millisecond
	// renewAheadMost is the most that a grant is renewed ahead of its end.
	renewAheadMost = 10 * time.Second
	// renewAheadLeast leaves a renewal at least this long before the call is cut.
	renewAheadLeast = Guard + time.Second
	// renewRetry is how long after a refused renewal the next is tried: money that
	// other calls free, or a raised limit, is noticed within it.
	renewRetry = time.Second
	// keepLease is how often the lease of a call that is not metered is kept from
	// expiring: well within admission.SetupTTL.
	keepLease = 2 * time.Minute
	// The pause between two tries of a command that the store did not confirm.
	storeRetryLeast = time.Second
	storeRetryMost  = 8 * time.Second
)

// meter is the clock of an answered call: how long it may last, when to ask for
// more, and when to cut.
type meter struct {
	answered time.Time        // zero before the answer
	granted  time.Duration    // since the answer
	last     time.Duration    // the last extension
	most     time.Duration    // since the answer: no grant reaches further; 0 for no limit
	endless  bool             // an emergency call is never cut
	limit    admission.Reason // what keeps the grant from growing
	renewAt  time.Time        // when to renew next
}

// grant notes what has been granted so far.
func (m *meter) grant(r *admission.Result) {
	granted := time.Duration(r.GrantedSecs) * time.Second
	m.most = time.Duration(r.MaxSecs) * time.Second
	if m.limit = admission.ReasonNone; m.most > 0 && granted >= m.most {
		m.limit = admission.ReasonCallLength
	}
	m.last = granted - m.granted
	m.granted = granted
}

// start begins the metering.
func (m *meter) start(now time.Time) {
	m.answered = now
	m.plan(now)
}

// plan sets the next renewal after a grant.
func (m *meter) plan(now time.Time) {
	if m.endless || m.answered.IsZero() {
		m.renewAt = now.Add(keepLease)
		return
	}
	ahead := max(min(renewAheadMost, m.last/2), renewAheadLeast)
	m.renewAt = m.answered.Add(m.granted - ahead)
}

// confirm takes the grant that the ledger has given the answered call.
func (m *meter) confirm(r *admission.Result, now time.Time) {
	m.grant(r)
	m.last = m.granted
	m.plan(now)
}

// extend takes the result of a renewal.
func (m *meter) extend(r *admission.Result, now time.Time) {
	if m.endless || m.answered.IsZero() {
		m.plan(now)
		return
	}
	if time.Duration(r.GrantedSecs)*time.Second <= m.granted {
		m.renewAt, m.limit = now.Add(renewRetry), r.Limit
		return
	}
	m.grant(r)
	m.plan(now)
	if m.renewAt.Before(now) {
		// A grant shorter than a renewal ahead of time: ask again, but not in a loop.
		m.renewAt = now.Add(min(renewRetry, m.last/2))
	}
}

// cutAt is when the call must end; the zero time means never.
func (m *meter) cutAt() time.Time {
	if m.endless || m.answered.IsZero() {
		return time.Time{}
	}
	return m.answered.Add(m.granted - Guard)
}

// mayGrow reports whether a renewal can bring anything: not once the grant has reached
// the limit of the call's length.
func (m *meter) mayGrow() bool {
	return m.endless || m.answered.IsZero() || m.most == 0 || m.granted < m.most
}

// elapsed is the time since the answer by the monotonic clock, 0 before it.
func (m *meter) elapsed(now time.Time) time.Duration {
	if m.answered.IsZero() {
		return 0
	}
	return max(0, now.Sub(m.answered))
}
