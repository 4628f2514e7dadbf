package sipgw

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/timer"
)

// probe is the part of a trunk that speaks to the gateway outside of calls. All but
// armed belongs to the shard's goroutine.
type probe struct {
	armed atomic.Bool // the shard has been told of it
	sh    *shard

	ping, silence timer.Timer
	pinging       *transaction.Client
	asked         time.Time

	register  timer.Timer
	callID    string
	seq       uint32
	tag       string
	enrolling bool // a REGISTER awaits its answer
	enrolled  *routing.Gateway
	address   transport.Peer // where the registration was made
	// challenges are those of the registrar and of the proxies before it.
	challenges sip.Challenges
	failures   int
	minimum    time.Duration // of an interval too brief (423)
}

func (p *probe) fresh() bool { return !p.armed.Load() }

// The times of what a gateway is asked.
const (
	// pingDown is the longest interval at which a gateway that is down is asked.
	pingDown = 10 * time.Second
	// silencesDown is how many OPTIONS in a row without an answer take a gateway out.
	silencesDown = 2
	// The pauses after a registration that failed double between these.
	registerRetryLeast = 5 * time.Second
	registerRetryMost  = 10 * time.Minute
)

// wake makes the trunk's shard look at what is to be asked of the gateway.
func (t *trunk) wake() {
	t.probe.armed.Store(true)
	t.probe.sh.post(t.plan)
}

// wanted is what the policy wants asked now.
func (t *trunk) wanted() (gateway *routing.Gateway, here bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gateway, !t.gone && t.gateway.Enabled && t.forbidden == "" && !t.srv.stopping.Load()
}

// plan starts or ends OPTIONS and the registration as the policy says.
func (t *trunk) plan() {
	p := &t.probe
	gateway, here := t.wanted()
	if here && gateway.OptionsIntervalSecs > 0 {
		if !p.ping.IsSet() && p.pinging == nil {
			t.ask()
		}
	} else {
		p.sh.timers.Stop(&p.ping)
	}
	switch {
	case here && gateway.Register:
		if p.enrolled != gateway && !p.enrolling {
			p.failures = 0
			t.enrol(t.registerExpires(gateway))
		}
	case p.enrolled != nil && p.enrolled.Register:
		t.enrol(0)
	default:
		p.sh.timers.Stop(&p.register)
	}
}

func (t *trunk) Expire(kind timer.Kind) {
	p := &t.probe
	switch kind {
	case timerPing:
		t.ask()
	case timerSilence:
		if p.pinging != nil {
			p.pinging.Silent()
			p.pinging.Drop()
			t.heard(nil)
		}
	case timerRegister:
		if gateway, here := t.wanted(); here && gateway.Register && !p.enrolling {
			t.enrol(t.registerExpires(gateway))
		}
	}
}

// outside writes a request outside of any dialog.
func (t *trunk) outside(method, uri, from, to, callID string, seq uint32,
	peer transport.Peer, branch, extra string) []byte {
	w := sip.NewWriter()
	w.RequestLine(method, uri)
	w.Via(peer.Transport(), t.srv.transport.Own(peer).HostPort, branch)
	w.Field("Max-Forwards", "70")
	w.Field("From", from)
	w.Field("To", to)
	w.Field("Call-ID", callID)
	w.CSeq(seq, method)
	w.Lines(extra)
	return w.Finish("", nil)
}

// find resolves the gateway's address on the shard's goroutine.
func (t *trunk) find(gateway *routing.Gateway, found func(to transport.Peer, ok bool)) {
	t.srv.resolver.Resolve(gateway, func(targets []transport.Target) {
		t.probe.sh.post(func() {
			if len(targets) == 0 {
				found(transport.Peer{}, false)
				return
			}
			found(t.srv.peerOf(gateway, targets[0]), true)
		})
	})
}

// ask sends OPTIONS (RFC 3261 section 11). Any answer shows that the gateway is alive.
func (t *trunk) ask() {
	p := &t.probe
	gateway, here := t.wanted()
	if !here || gateway.OptionsIntervalSecs <= 0 || p.pinging != nil {
		return
	}
	placeholder := new(transaction.Client)
	p.pinging, p.asked = placeholder, p.sh.now
	t.find(gateway, func(to transport.Peer, ok bool) {
		if p.pinging != placeholder {
			return
		}
		if !ok {
			t.heard(nil)
			return
		}
		uri := "sip:" + gateway.Address
		self := "<sip:tollgate@" + t.srv.transport.Own(to).Host + ">"
		branch := t.srv.newBranch()
		data := t.outside("OPTIONS", uri, self+";tag="+newToken(), "<"+uri+">", t.srv.newCallID(p.sh), 1, to, branch,
			t.srv.transport.Own(to).Contact+"Accept: application/sdp\r\n")
		t.srv.filter.Learn(to.Addr.Addr())
		p.asked = p.sh.now
		p.pinging = p.sh.transactions.Request("OPTIONS", branch, to, data, func(m *message) {
			if m == nil || m.Status >= 200 {
				t.heard(m)
			}
		})
		p.sh.timers.Set(&p.silence, t, timerSilence, p.sh.now.Add(t.srv.config.Timers.PingWait))
	})
}

// heard takes the answer to OPTIONS, or nil for none.
func (t *trunk) heard(m *message) {
	p := &t.probe
	if p.pinging == nil {
		return
	}
	p.pinging = nil
	p.sh.timers.Stop(&p.silence)
	now := p.sh.now
	t.mu.Lock()
	pause := time.Duration(t.gateway.OptionsIntervalSecs) * time.Second
	if m != nil {
		t.silences, t.answered, t.took = 0, now, t.srv.config.Clock().Sub(p.asked)
		if t.state == routing.StateDown || t.state == routing.StateTripped {
			t.failures = 0
			t.set(routing.StateUp, time.Time{})
		}
	} else if t.silences++; t.silences >= silencesDown {
		t.set(routing.StateDown, time.Time{})
	}
	if t.silences > 0 {
		pause = min(pause, pingDown)
	}
	t.mu.Unlock()
	p.sh.timers.Set(&p.ping, t, timerPing, now.Add(pause))
}

func (t *trunk) registerExpires(gateway *routing.Gateway) time.Duration {
	return max(time.Duration(gateway.RegisterExpiresSecs)*time.Second, t.probe.minimum, time.Minute)
}

// enrol registers with the gateway, or takes the registration back with 0 (RFC 3261
// section 10.2).
func (t *trunk) enrol(expires time.Duration) {
	p := &t.probe
	gateway := p.enrolled
	if expires > 0 || gateway == nil {
		gateway, _ = t.wanted()
	}
	if p.enrolled != gateway {
		p.challenges = sip.Challenges{} // those of another user or server
	}
	p.enrolling, p.enrolled = true, gateway
	if p.callID == "" {
		p.callID, p.tag = t.srv.newCallID(p.sh), newToken()
	}
	t.find(gateway, func(to transport.Peer, ok bool) {
		if !ok {
			t.enrolment(nil, expires)
			return
		}
		p.address = to
		t.srv.filter.Learn(to.Addr.Addr())
		t.sendRegister(gateway, expires)
	})
}

func (t *trunk) sendRegister(gateway *routing.Gateway, expires time.Duration) {
	p := &t.probe
	domain := gateway.Host()
	if strings.Contains(domain, ":") {
		domain = "[" + domain + "]"
	}
	if gateway.FromDomain != nil && *gateway.FromDomain != "" {
		domain = *gateway.FromDomain
	}
	user, uri := textOf(gateway.UserName), "sip:"+domain
	record := "<sip:" + user + "@" + domain + ">"
	p.seq++
	branch := t.srv.newBranch()
	data := t.outside("REGISTER", uri, record+";tag="+p.tag, record, p.callID, p.seq, p.address, branch,
		t.srv.transport.Own(p.address).Contact+"Expires: "+sip.Seconds(expires)+"\r\n"+
			p.challenges.Lines(userOf(gateway), "REGISTER", uri, nil))
	p.sh.transactions.Request("REGISTER", branch, p.address, data, func(m *message) {
		if m != nil && m.Status < 200 {
			return
		}
		if m != nil && gateway.UserName != nil && p.challenges.Take(&m.Message) {
			t.sendRegister(gateway, expires)
			return
		}
		p.challenges.Accepted()
		t.enrolment(m, expires)
	})
}

// enrolment takes the final answer to REGISTER, or nil for none.
func (t *trunk) enrolment(m *message, expires time.Duration) {
	p := &t.probe
	p.enrolling = false
	now := p.sh.now
	gateway, here := t.wanted()
	if expires == 0 {
		p.enrolled = nil
		t.srv.finished()
	}
	granted := time.Duration(0)
	status := int32(408)
	if m != nil {
		status = int32(m.Status)
		if m.Status < 300 {
			granted = grantedExpires(m, t.srv.transport.Own(p.address).HostPort, expires)
		}
		if m.Status == 423 {
			p.minimum = min(sip.ReadSeconds(m.Get("min-expires")), 24*time.Hour)
		}
	}
	t.mu.Lock()
	t.registerStatus = status
	switch {
	case granted > 0:
		t.registered = now.Add(granted)
	case m != nil || !now.Before(t.registered):
		// Silence leaves what is in force to its end; a refusal ends it.
		t.registered = time.Time{}
	}
	t.mu.Unlock()
	if !here || !gateway.Register {
		p.sh.timers.Stop(&p.register)
		return
	}
	pause := granted * 4 / 5
	if granted == 0 {
		pause = min(registerRetryLeast<<min(p.failures, 8), registerRetryMost)
		pause += time.Duration(rand.Int64N(int64(pause / 4)))
		if m != nil && m.Status == 423 && p.failures == 0 {
			pause = 0
		}
		p.failures++
		t.srv.log.Warn("gateway registration failed", "gateway", t.id.String(), "name", gateway.Name, "status", status,
			"again_in",
			pause.String())
	} else {
		p.failures = 0
	}
	if p.enrolled != gateway {
		pause = 0 // the policy has changed meanwhile
	}
	p.sh.timers.Set(&p.register, t, timerRegister, now.Add(pause))
}

// grantedExpires is how long the registrar keeps our Contact: its expires
// parameter, else the Expires header, else what was asked for.
func grantedExpires(m *message, own string, asked time.Duration) time.Duration {
	for _, value := range m.All("contact") {
		address, ok := sip.ReadAddress(value)
		if !ok || !strings.Contains(address.URI, own) {
			continue
		}
		if text, found := address.Parameter("expires"); found {
			return min(sip.ReadSeconds(text), 24*time.Hour)
		}
	}
	if value := m.Get("expires"); value != "" {
		return min(sip.ReadSeconds(value), 24*time.Hour)
	}
	return asked
}

// farewellWait is how long a stop waits for gateways to let registrations go.
const farewellWait = time.Second

// farewell takes the registrations back when the server stops.
func (srv *Server) farewell() {
	ctx, cancel := context.WithTimeout(context.Background(), farewellWait)
	defer cancel()
	list := srv.trunks.all()
	for _, t := range list {
		t.probe.sh.post(func() {
			if t.probe.enrolled != nil && t.probe.address.Addr.IsValid() {
				t.enrol(0)
			}
		})
	}
	for {
		waiting := 0
		srv.each(func(sh *shard) {
			for _, t := range list {
				if t.probe.sh == sh && t.probe.enrolled != nil && t.probe.address.Addr.IsValid() {
					waiting++
				}
			}
		})
		if waiting == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-srv.ended:
		}
	}
}
