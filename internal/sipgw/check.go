package sipgw

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/timer"
)

// The times of a check, which is bounded as a whole by their sum.
const (
	checkOptions = 3 * time.Second // for an answer to OPTIONS
	checkRinging = 7 * time.Second // for the phone to ring
	checkCancel  = time.Second     // for the final response after our CANCEL
	checkTargets = 4               // addresses to which a connection is tried
	maxCheckText = 200             // of a text of the carrier, bytes
)

// checker asks one gateway what it does: name, connection, OPTIONS, and a call that ends at
// the first ringing. It belongs to the shard of its trunk. The call has no caller, no
// media, no record and no charge: no one can speak in it.
type checker struct {
	t              *trunk
	gateway        *routing.Gateway
	number, caller e164.Number // 0: no call; no caller is shown
	result         routing.Check
	done           chan routing.Check

	targets []transport.Target
	peer    transport.Peer
	began   time.Time // of the step
	wait    timer.Timer
	step    string
	over    bool

	call       checkedCall
	challenges sip.Challenges
}

// checkedCall is the dialog of the call.
type checkedCall struct {
	tx                    *transaction.Client
	callID, tag, branch   string
	seq                   uint32
	target, from, to      string
	ack                   []byte
	body                  []byte
	lines                 string // the credentials of the INVITE
	cancelled, rang, sent bool
}

// Check asks a gateway what it does, one check at a time. number is called, as the caller
// given, and no call is placed where it is 0. The answer comes within some 15 s.
func (srv *Server) Check(ctx context.Context, gateway id.ID, number, caller e164.Number) (routing.Check, error) {
	srv.trunks.mu.Lock()
	t := srv.trunks.byID[gateway]
	srv.trunks.mu.Unlock()
	if t == nil || !srv.started.Load() || srv.stopping.Load() {
		return routing.Check{}, routing.ErrNotCarried
	}
	if !t.checking.CompareAndSwap(false, true) {
		return routing.Check{}, routing.ErrBeingChecked
	}
	c := &checker{t: t, gateway: t.configured(), number: number, caller: caller, done: make(chan routing.Check, 1)}
	c.result.Addresses, c.result.Steps = []string{}, []routing.CheckStep{}
	t.probe.sh.post(c.resolve)
	select {
	case result := <-c.done:
		return result, nil
	case <-ctx.Done():
		return routing.Check{}, ctx.Err()
	case <-srv.stopped:
		return routing.Check{}, routing.ErrNotCarried
	}
}

func (c *checker) sh() *shard { return c.t.probe.sh }

// begin begins a step.
func (c *checker) begin(step string, wait time.Duration) {
	c.step, c.began = step, c.sh().now
	if wait > 0 {
		c.sh().timers.Set(&c.wait, c, timerGiveUp, c.began.Add(wait))
	}
}

// since is how long the step has taken, in microseconds.
func (c *checker) since() int64 { return c.sh().srv.config.Clock().Sub(c.began).Microseconds() }

// end ends a step.
func (c *checker) end(passed bool, status int, says, advice string) {
	c.sh().timers.Stop(&c.wait)
	c.result.Add(routing.CheckStep{Step: c.step, Passed: passed, Status: int32(status), TookMicros: c.since(),
		Says: says}, advice)
}

// finish hands the result over.
func (c *checker) finish() {
	if c.over {
		return
	}
	c.over = true
	c.sh().timers.Stop(&c.wait)
	c.result.Works = true
	for i := range c.result.Steps {
		c.result.Works = c.result.Works && c.result.Steps[i].Passed
	}
	c.t.checking.Store(false)
	c.done <- c.result
}

func (c *checker) resolve() {
	c.begin("resolve", 0)
	c.t.srv.resolver.Resolve(c.gateway, func(targets []transport.Target) {
		c.sh().post(func() { c.resolved(targets) })
	})
}

func (c *checker) resolved(targets []transport.Target) {
	for _, t := range targets {
		c.result.Addresses = append(c.result.Addresses, t.Addr.String()+" ("+t.Transport+")")
	}
	if len(targets) == 0 {
		c.t.mu.Lock()
		why := c.t.forbidden
		c.t.mu.Unlock()
		if why != "" {
			c.end(false, 0, "The address is not allowed: "+why+".", "Correct the address of the gateway, or "+
				"the setting that "+
				"the text names.")
		} else {
			c.end(false, 0, c.gateway.Address+" leads to no address.",
				"Correct the spelling of address, or ask the carrier which name it has; see that the name "+
					"servers of this machine answer.")
		}
		c.finish()
		return
	}
	c.end(true, 0, c.gateway.Address+" leads to "+strings.Join(c.result.Addresses, ", ")+".", "")
	c.targets = targets[:min(len(targets), checkTargets)]
	c.connect()
}

// connect tries the addresses in their order until one takes a connection.
func (c *checker) connect() {
	if len(c.targets) == 0 {
		c.finish()
		return
	}
	c.peer = c.t.srv.peerOf(c.gateway, c.targets[0])
	c.targets = c.targets[1:]
	if !c.peer.TCP {
		c.options()
		return
	}
	c.begin("connect", 0)
	c.t.srv.transport.TryConnect(c.peer, func(certificate *x509.Certificate, err error) {
		c.sh().post(func() { c.connected(certificate, err) })
	})
}

func (c *checker) connected(certificate *x509.Certificate, err error) {
	at := c.peer.Transport() + " to " + c.peer.Addr.String()
	if err != nil {
		c.end(false, 0, at+" fails: "+err.Error()+".", connectAdvice(err, c.peer.TLS))
		c.connect()
		return
	}
	says := at + " is connected."
	advice := ""
	if certificate != nil {
		says = at + " is connected, and the certificate of " + sip.Kept(certificate.Subject.String(), maxCheckText) +
			" is valid until " + certificate.NotAfter.UTC().Format(time.DateOnly) + "."
		if c.peer.Unverified {
			advice = "The certificate is not verified, since tls_skip_verify is on. Turn it off once the " +
				"certificate is right."
		}
	}
	c.end(true, 0, says, advice)
	c.options()
}

// options sends OPTIONS. That it is not answered is no reason not to call.
func (c *checker) options() {
	srv := c.t.srv
	c.begin("options", checkOptions)
	uri := "sip:" + c.gateway.Address
	own := srv.transport.Own(c.peer)
	branch := srv.newBranch()
	data := c.t.outside("OPTIONS", uri, "<sip:tollgate@"+own.Host+">;tag="+newToken(), "<"+uri+">",
		srv.newCallID(c.sh()), 1, c.peer, branch, own.Contact+"Accept: application/sdp\r\n")
	srv.filter.Learn(c.peer.Addr.Addr())
	c.call.tx = c.sh().transactions.Request("OPTIONS", branch, c.peer, data, func(m *message) {
		if c.step != "options" || c.over || m != nil && m.Status < 200 {
			return
		}
		c.answeredOptions(m)
	})
}

func (c *checker) answeredOptions(m *message) {
	switch {
	case m == nil:
		c.end(false, 0, "Nothing came back to OPTIONS.", adviceSilence)
	case m.Status < 300:
		c.end(true, m.Status, "OPTIONS is answered with "+statusText(m)+".", "")
	default:
		// Any answer shows that the gateway is there.
		c.end(true, m.Status, "OPTIONS is answered with "+statusText(m)+", which shows that the carrier is there.", "")
	}
	if c.number == 0 {
		c.finish()
		return
	}
	c.invite()
}

// Expire implements timer.Owner.
func (c *checker) Expire(timer.Kind) {
	if c.over {
		return
	}
	switch {
	case c.step == "options":
		c.call.tx.Drop()
		c.answeredOptions(nil)
	case !c.call.cancelled:
		c.cancel()
	default:
		c.conclude(nil)
	}
}

// invite begins the call.
func (c *checker) invite() {
	srv, g := c.t.srv, c.gateway
	own := srv.transport.Own(c.peer)
	host := own.Host
	if domain := textOf(g.FromDomain); domain != "" {
		host = domain
	}
	call := &c.call
	call.callID, call.tag = srv.newCallID(c.sh()), srv.newTag()
	call.target = g.URIOf(strings.ReplaceAll(g.UserPart(c.number), "#", "%23"), g.Address)
	call.to = "<" + call.target + ">"
	switch {
	case textOf(g.FromUser) != "":
		call.from = "<sip:" + *g.FromUser + "@" + host + ">"
	case c.caller == 0:
		call.from = `"Anonymous" <sip:anonymous@anonymous.invalid>`
	default:
		call.from = "<" + g.URIOf(g.CallerPart(c.caller), host) + ">"
	}
	call.body = c.offer(own)
	c.result.Call = &routing.CheckedCall{Credentials: "not_asked", Codecs: []string{}}
	c.begin("call", checkRinging)
	c.sendInvite()
}

func (c *checker) sendInvite() {
	srv, call := c.t.srv, &c.call
	call.seq++
	call.branch = srv.newBranch()
	call.lines = c.challenges.Lines(userOf(c.gateway), "INVITE", call.target, call.body)
	w := c.request("INVITE", call.target, call.to, call.seq, call.branch)
	w.Lines(srv.transport.Own(c.peer).Contact + sip.LineAllow + call.lines)
	if c.caller != 0 && textOf(c.gateway.FromUser) != "" {
		w.Field("P-Preferred-Identity", "<"+c.gateway.URIOf(c.gateway.CallerPart(c.caller),
			srv.transport.Own(c.peer).Host)+">")
	}
	branch := call.branch
	call.tx = c.sh().transactions.Request("INVITE", branch, c.peer, w.Finish("application/sdp", call.body),
		func(m *message) {
			if branch == call.branch {
				c.response(m)
			}
		})
}

// request begins a request of the call.
func (c *checker) request(method, uri, to string, seq uint32, branch string) *sip.Writer {
	w := sip.NewWriter()
	w.RequestLine(method, uri)
	w.Via(c.peer.Transport(), c.t.srv.transport.Own(c.peer).HostPort, branch)
	w.Field("Max-Forwards", "70")
	w.Field("From", c.call.from+";tag="+c.call.tag)
	w.Field("To", to)
	w.Field("Call-ID", c.call.callID)
	w.CSeq(seq, method)
	return w
}

// offer describes audio that is never sent.
func (c *checker) offer(own *transport.OwnAddress) []byte {
	family, host := "IP4", own.Host
	if strings.HasPrefix(host, "[") {
		family, host = "IP6", strings.Trim(host, "[]")
	}
	profile, keys := "RTP/AVP", ""
	if textOf(c.gateway.EncryptedMedia) == routing.MediaSRTP {
		var key [30]byte
		rand.Read(key[:])
		profile = "RTP/SAVP"
		keys = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.StdEncoding.EncodeToString(key[:]) + "\r\n"
	}
	return []byte("v=0\r\no=tollgate 1 1 IN " + family + " " + host + "\r\ns=-\r\nc=IN " + family + " " + host +
		"\r\nt=0 0\r\nm=audio 9 " + profile + " 0 8 9 101\r\n" + keys + "a=rtpmap:0 " +
		"PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n" +
		"a=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n")
}

// response takes the responses to the INVITE, also those that come after the check.
func (c *checker) response(m *message) {
	if m == nil {
		c.conclude(nil)
		return
	}
	told := c.result.Call
	if !c.over && m.Status < 300 && len(m.Body) > 0 {
		told.Codecs = codecsOf(m.Body)
		told.EarlyMedia = told.EarlyMedia || m.Status < 200
	}
	switch {
	case m.Status < 200:
		c.progress(m)
	case m.Status < 300:
		c.hangUp(m)
		c.conclude(m)
	case (m.Status == 401 || m.Status == 407) && c.challenged(m):
		c.sendInvite()
	default:
		c.conclude(m)
	}
}

// progress takes a provisional response: at the first ringing the call is cancelled.
func (c *checker) progress(m *message) {
	if c.over {
		return
	}
	told, at := c.result.Call, c.since()
	if m.Status == 100 {
		if told.TryingMicros == nil {
			told.TryingMicros = &at
		}
		return
	}
	if m.Status == 180 || len(m.Body) > 0 {
		if told.RingingMicros == nil {
			told.RingingMicros = &at
		}
		c.call.rang = true
		c.cancel()
	}
}

// cancel gives the call up.
func (c *checker) cancel() {
	if c.call.cancelled {
		return
	}
	c.call.cancelled = true
	call := &c.call
	call.tx.Stop(c.request("CANCEL", call.target, call.to, call.seq, call.branch).Finish("", nil))
	c.sh().timers.Set(&c.wait, c, timerGiveUp, c.sh().now.Add(checkCancel))
}

// challenged notes a challenge, and says whether it is answered.
func (c *checker) challenged(m *message) bool {
	told := c.result.Call
	header := "www-authenticate"
	if m.Status == 407 {
		header = "proxy-authenticate"
	}
	realm, algorithm := sip.ChallengeOf(m.Get(header))
	told.Realm, told.Algorithm = keptOrNil(realm), keptOrNil(algorithm)
	if textOf(c.gateway.UserName) == "" || c.gateway.Password == nil {
		told.Credentials = "missing"
		return false
	}
	told.Credentials = "refused"
	if c.over || c.call.cancelled || !c.challenges.Take(&m.Message) {
		return false
	}
	c.call.sent = true
	return true
}

// hangUp ends a call that is answered, though it was to be cancelled before.
func (c *checker) hangUp(m *message) {
	call, srv := &c.call, c.t.srv
	if call.ack != nil {
		srv.transport.Send(c.peer, call.ack, nil) // the 2xx was repeated
		return
	}
	target := m.Contact()
	if target == "" {
		target = call.target
	}
	routes := ""
	for _, value := range m.All("record-route") {
		if address, ok := sip.ReadAddress(value); ok {
			routes = sip.Line("Route", "<"+address.URI+">") + routes
		}
	}
	w := c.request("ACK", target, m.To, call.seq, srv.newBranch())
	w.Lines(routes + call.lines)
	call.ack = w.Finish("", nil)
	srv.transport.Send(c.peer, call.ack, nil)
	call.seq++
	branch := srv.newBranch()
	bye := c.request("BYE", target, m.To, call.seq, branch)
	bye.Lines(routes + c.challenges.Lines(userOf(c.gateway), "BYE", target, nil))
	c.sh().transactions.Request("BYE", branch, c.peer, bye.Finish("", nil), func(*message) {})
}

// conclude tells how the call ended; m is nil where no final response came.
func (c *checker) conclude(m *message) {
	if c.over {
		return
	}
	told := c.result.Call
	status := 0
	if m != nil {
		status = m.Status
		told.Status, told.Phrase = int32(status), keptOrNil(m.Phrase)
		told.Reason, told.Warning = keptOrNil(m.Get("reason")), keptOrNil(m.Get("warning"))
	}
	if c.call.sent && status != 401 && status != 407 && (m != nil || told.RingingMicros != nil) {
		told.Credentials = "accepted"
	}
	v := c.judge(m)
	c.end(v.passed, status, v.says, v.advice)
	c.finish()
}

func keptOrNil(text string) *string {
	if text == "" {
		return nil
	}
	text = sip.Kept(text, maxCheckText)
	return &text
}
