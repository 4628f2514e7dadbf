package call

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
)

func hunt(s *policy.Snapshot, account id.ID, call uuid.UUID, emergency bool) []*routing.Gateway {
	ordered := routing.Order(s.Gateways(account), admission.Seed(call))
	if !emergency {
		return ordered
	}
	routes := ordered[:0]
	for _, g := range ordered {
		if g.EmergencyRoute {
			routes = append(routes, g)
		}
	}
	return routes
}

// try hunts on with the nth gateway, or ends the hunt.
func (c *Call) try(n int, now time.Time) {
	c.state = hunting
	c.meter.plan(now)
	for c.forced && n < len(c.gateways) && !c.skipped[n] {
		n++ // it has failed already
	}
	if n >= len(c.gateways) {
		c.exhausted(now)
		return
	}
	c.current, c.rung = n, false
	c.triedMicros = now.UnixMicro()
	c.do(Try{N: n, Gateway: c.gateways[n], Force: c.forced})
}

// exhausted ends a hunt in which no gateway is left. An emergency call tries those
// that were skipped anyway before it gives up.
func (c *Call) exhausted(now time.Time) {
	switch {
	case c.emergency != "" && !c.forced && slices.Contains(c.skipped, true):
		c.forced = true
		c.try(0, now)
	case c.failure != nil:
		c.fail(*c.failure, now)
	case c.why != admission.ReasonNone:
		c.refuse(c.why, now)
	default:
		c.refuse(admission.ReasonNoGateway, now)
	}
}

// skip passes over the current gateway, which was not tried.
func (c *Call) skip(e Skipped, now time.Time) {
	if c.state != hunting || e.Gateway != c.current {
		return
	}
	if c.skipped == nil {
		c.skipped = make([]bool, len(c.gateways))
	}
	c.why = e.Why
	// A gateway that skips a call that is forced is not asked a third time.
	c.skipped[c.current] = !c.forced
	c.try(c.current+1, now)
}

func (c *Call) refused(e Refused, now time.Time) {
	if c.state != hunting || e.Gateway != c.current {
		return
	}
	c.tried(e.Status, strings.Clone(e.Phrase), now)
	c.failed(e, now)
}

// unreachable continues without a gateway that did not answer.
func (c *Call) unreachable(e Unreachable, now time.Time) {
	if c.state != hunting || e.Gateway != c.current {
		return
	}
	c.tried(0, e.Why(), now)
	c.failed(Refused{Gateway: e.Gateway, Status: 504, Phrase: "Server Time-out"}, now)
}

// failed tries the next gateway, or tells the caller.
func (c *Call) failed(e Refused, now time.Time) {
	c.reached = c.current + 1
	if c.Means(Answer{Status: e.Status}) == Final {
		c.fail(e, now)
		return
	}
	c.failure = &e
	c.try(c.current+1, now)
}

// mostAttempts bounds what a record keeps of a hunt.
const mostAttempts = 16

// tried notes how the current gateway did.
func (c *Call) tried(status int, why string, now time.Time) {
	if len(c.ending.Attempts) >= mostAttempts {
		return
	}
	c.ending.Attempts = append(c.ending.Attempts, record.Attempt{
		Gateway: c.gateways[c.current].ID, Status: int32(status), Reason: why,
		Millis: max(0, (now.UnixMicro()-c.triedMicros)/1000),
	})
}

func (c *Call) fail(e Refused, now time.Time) {
	status, phrase := outward(e.Status, e.Phrase)
	c.do(Refuse{Status: status, Phrase: phrase})
	c.close(record.SideCallee, record.CauseOf(e.Status), status, phrase, now)
}
