package sipgw

import (
	"bytes"
	"net/netip"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// inRate reports whether a request of a source is within Limits.SourcePerSecond. What
// belongs to a call that there is has as much again to itself, so that running calls
// continue and end while new ones of their source are turned away. So have emergency calls
// of connections that are known there. Answers are not counted.
func (srv *Server) inRate(data []byte, from transport.Peer) bool {
	per := srv.config.Limits.SourcePerSecond
	if per <= 0 || bytes.HasPrefix(data, []byte("SIP/2.0 ")) {
		return true
	}
	begins := sip.IsNewCall(data)
	floor := 0.0
	if !begins && (bytes.HasPrefix(data, []byte("CANCEL ")) ||
		bytes.Contains(sip.HeaderOf(data, "to", 't'), []byte("tag="))) {
		floor = -per
	}
	source, now := transport.SourceKey(from.Addr.Addr()), srv.config.Clock()
	if srv.paces.Take(source, now, per, per, floor) {
		return true
	}
	return begins && srv.isEmergency(data, from) && srv.urgentInRate(source, from, now, per)
}

// leastUrgent is how many emergency calls a second of one source are accepted at least,
// whatever the rate of its other calls is.
const leastUrgent = 50

// urgentInRate bounds the emergency calls of a source that is above its rate. One that is
// too many is not refused: over UDP its INVITE is repeated until there is room again.
func (srv *Server) urgentInRate(source netip.Addr, from transport.Peer, now time.Time, per float64) bool {
	per = max(per, leastUrgent)
	return from.TCP || srv.urgent.Take(source, now, per, per, 0)
}

// isEmergency reports whether a new call dials what a connection that is known to be at
// its source knows as an emergency number. A stranger has none.
func (srv *Server) isEmergency(invite []byte, from transport.Peer) bool {
	if from.Stranger {
		return false
	}
	uri := sip.RequestURIOf(invite)
	if len(uri) > maxEmergencyURI {
		return false
	}
	token := sip.HeaderOf(invite, "x-telnyx-token", 0)
	if len(token) == 0 {
		token = sip.HeaderOf(invite, "x-tollgate-token", 0)
	}
	snapshot, source := srv.config.Live.Snapshot(), from.Addr.Addr()
	text := sip.DialledText(string(uri))
	charged := chargedNumber(string(sip.HeaderOf(invite, "p-charge-info", 0)))
	if c, dialled, _ := snapshot.BySource(source, text, string(token), charged); c != nil {
		return emergencyFor(snapshot, c, dialled)
	}
	for _, connection := range srv.filter.ConnectionsAt(source) {
		if c := snapshot.Connection(connection); c != nil && emergencyFor(snapshot, c, text) {
			return true
		}
	}
	return false
}

// maxEmergencyURI bounds the Request-URI that is looked at for an emergency number.
const maxEmergencyURI = 256

// emergencyFor reports whether a connection knows what was dialled as an emergency number.
func emergencyFor(snapshot *policy.Snapshot, c *policy.Connection, dialled string) bool {
	_, emergency := c.Emergency(snapshot.Account(c.Account), dialled)
	return emergency
}

// sourceCalls counts the calls that each source has, where that has a limit.
type sourceCalls struct {
	most int // 0 for no limit

	mu    sync.Mutex         // guards calls
	calls map[netip.Addr]int // by sourceKey
}

// enter counts a call of a source, unless it has as many as it may; an emergency
// call always enters.
func (c *sourceCalls) enter(source netip.Addr, emergency bool) bool {
	if c.most <= 0 {
		return true
	}
	source = transport.SourceKey(source)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[source] >= c.most && !emergency {
		return false
	}
	c.calls[source]++
	return true
}

// leave takes one call off.
func (c *sourceCalls) leave(source netip.Addr) {
	if c.most <= 0 {
		return
	}
	source = transport.SourceKey(source)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[source]--; c.calls[source] <= 0 {
		delete(c.calls, source)
	}
}

// limited logs that a source is turned away, one line a minute: a flood must not fill
// the log.
func (srv *Server) limited(source netip.Addr, by string) {
	srv.limitWarning.Warn(srv.log, srv.config.Clock(),
		"a source is turned away, since it is above a limit; further ones are only counted for a minute",
		"source", source.String(), "limit", by)
}
