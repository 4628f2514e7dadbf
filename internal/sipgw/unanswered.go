package sipgw

import (
	"container/list"
	"net/netip"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/timer"
)

// What is kept of calls that were challenged. A stranger may send many, so a source has few
// of them and a shard has a limit; the rest are only counted as challenged.
const (
	mostChallenged          = 1024
	mostChallengedPerSource = 8
	maxChallengedText       = 64 // of each text of the log line, bytes
)

// How many lines about unanswered challenges are logged: of one source, and of all.
const (
	unansweredPerSource, unansweredPerSourceBurst = 1.0 / 60, 3
	unansweredPerSecond, unansweredBurst          = 0.5, 20
)

// challengedCalls are the calls of a shard that were asked for a password, until the INVITE
// with the answer comes or would have come. All wait equally long, so they are a queue. It
// belongs to its shard.
type challengedCalls struct {
	sh       *shard
	byCallID map[string]*list.Element
	queue    list.List
	sources  map[netip.Addr]int // by transport.SourceKey
	timer    timer.Timer
}

// challengedCall is one of them.
type challengedCall struct {
	callID, from, to, userAgent string
	source                      netip.AddrPort
	connection                  id.ID // that From or the credentials name; 0 for none
	offered                     string
	until                       time.Time
}

// note keeps what a challenge of an INVITE was about. A repetition changes nothing.
func (c *challengedCalls) note(m *message, offered []string) {
	key := transport.SourceKey(m.Peer.Addr.Addr())
	if c.byCallID[m.CallID] != nil || c.queue.Len() >= mostChallenged || len(m.CallID) > maxCallID ||
		c.sources[key] >= mostChallengedPerSource {
		return
	}
	kept := func(text string) string { return sip.Kept(text, maxChallengedText) }
	call := &challengedCall{
		callID: strings.Clone(m.CallID), from: kept(sip.AddressUser(m.From)), to: kept(sip.DialledText(m.URI)),
		userAgent: kept(m.Get("user-agent")), source: m.Peer.Addr, offered: strings.Join(offered, ", "),
		until: c.sh.now.Add(64 * c.sh.srv.config.Timers.T1), // Timer F of the caller
	}
	if named := c.sh.srv.config.Live.Snapshot().ByUser(askedUser(m, m.Get("x-telnyx-username"))); named != nil {
		call.connection = named.ID
	}
	if c.byCallID == nil {
		c.byCallID, c.sources = make(map[string]*list.Element), make(map[netip.Addr]int)
	}
	c.byCallID[call.callID] = c.queue.PushBack(call)
	c.sources[key]++
	if !c.timer.IsSet() {
		c.sh.timers.Set(&c.timer, c, timerGiveUp, call.until)
	}
}

// answer notes that the caller has come with credentials, whether they are right or not.
func (c *challengedCalls) answer(callID string) {
	if element := c.byCallID[callID]; element != nil {
		c.remove(element)
	}
}

// remove takes a call out.
func (c *challengedCalls) remove(element *list.Element) *challengedCall {
	call, _ := c.queue.Remove(element).(*challengedCall)
	delete(c.byCallID, call.callID)
	key := transport.SourceKey(call.source.Addr())
	if c.sources[key]--; c.sources[key] <= 0 {
		delete(c.sources, key)
	}
	return call
}

// Expire implements timer.Owner: it reports those for which it is too late.
func (c *challengedCalls) Expire(timer.Kind) {
	for first := c.queue.Front(); first != nil; first = c.queue.Front() {
		if call, _ := first.Value.(*challengedCall); c.sh.now.Before(call.until) {
			c.sh.timers.Set(&c.timer, c, timerGiveUp, call.until)
			return
		}
		c.sh.srv.unanswered(c.remove(first), c.sh.now)
	}
}

// unanswered counts a call that ended in its challenge, and logs it within the limits.
func (srv *Server) unanswered(call *challengedCall, now time.Time) {
	srv.count.authUnanswered.Add(1)
	source := transport.SourceKey(call.source.Addr())
	if !srv.unansweredLines.Take(source, now, unansweredPerSource, unansweredPerSourceBurst, 0) ||
		!srv.unansweredLines.Take(netip.Addr{}, now, unansweredPerSecond, unansweredBurst, 0) {
		return
	}
	attributes := []any{"source", call.source.String(), "from", call.from, "to", call.to,
		"user_agent", call.userAgent, "offered", call.offered, "call_id", call.callID}
	if call.connection != 0 {
		attributes = append(attributes, "connection", call.connection.String())
	}
	srv.log.Warn("a call was challenged and the caller did not answer with credentials; "+
		"it has none for this server, or does not know the algorithm that was offered", attributes...)
}
