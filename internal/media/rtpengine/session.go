package rtpengine

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/record"
)

// maxDescriptionBytes keeps a request within a datagram.
const maxDescriptionBytes = 32 << 10

// session is one anchored call.
type session struct {
	engine  *Engine
	opening media.Opening
	id      string // rtpengine's call-id

	mu         sync.Mutex // guards all below
	at         *instance  // where the call is, once an offer was accepted
	offeredBy  record.Side
	joined     bool // an answer was accepted
	offer      dict // the last offer, and the last that was answered with its answer
	agreed     [2]dict
	encrypted  [2]bool // whether a side speaks SRTP
	held       [2]bool // whether the last description of a side stops media
	answeredAt time.Time
	closed     bool

	// Silence.
	asked, heard time.Time
	packets      int64
	lost         bool
}

// tag names a side to rtpengine.
func tag(side record.Side) string {
	if side == record.SideCallee {
		return "callee"
	}
	return "caller"
}

func place(side record.Side) int {
	if side == record.SideCallee {
		return 1
	}
	return 0
}

func opposite(side record.Side) record.Side {
	if side == record.SideCaller {
		return record.SideCallee
	}
	return record.SideCaller
}

// Offer implements media.Session. An instance that does not answer is passed over:
// in a call that is up, both sides then learn new ports by the same offer.
func (s *session) Offer(d media.Description, done func([]byte, error)) {
	sdp, err := s.engine.check(d)
	if err != nil {
		done(nil, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		done(nil, media.ErrClosed)
		return
	}
	to := opposite(d.From)
	encrypted := d.Encryption == media.Encrypted || d.Encryption == media.AsOffered && media.OffersSRTP(d.SDP)
	if !s.answeredAt.IsZero() && d.Encryption != media.Encrypted {
		encrypted = s.encrypted[place(to)]
	}
	request := s.request("offer", d, sdp)
	request["from-tag"] = tag(d.From)
	if s.joined {
		request["to-tag"] = tag(to)
	}
	request["transport-protocol"] = protocol(d.SDP, encrypted)
	if !bytes.Contains(d.SDP, []byte("UDP/TLS/")) {
		request["DTLS"] = "off"
	} else {
		delete(request, "transport-protocol")
	}
	order := s.engine.order()
	if s.at != nil {
		order = append([]*instance{s.at}, slices.DeleteFunc(order, func(i *instance) bool { return i == s.at })...)
	}
	s.offerTo(order, request, d, done)
}

// offerTo tries the instances one after the other.
func (s *session) offerTo(order []*instance, request dict, d media.Description, done func([]byte, error)) {
	order[0].send(request, s.engine.config.Clock(), func(answer dict, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.closed:
			s.delete(order[0])
			done(nil, media.ErrClosed)
		case err != nil && len(order) > 1:
			s.engine.config.Logger.Warn("rtpengine failed; trying the next one", "call", s.opening.Call.ID, "error", err)
			delete(request, "to-tag")
			s.offerTo(order[1:], request, d, done)
		case err != nil:
			done(nil, err)
		default:
			sdp, err := description(answer)
			if err == nil {
				if s.at != order[0] {
					order[0].took(1)
				}
				s.at = order[0]
				s.offeredBy = d.From
				s.offer = request
				s.note(d)
			}
			done(sdp, err)
		}
	})
}

// Answer implements media.Session.
func (s *session) Answer(d media.Description, done func([]byte, error)) {
	judged, err := s.engine.check(d)
	if err != nil {
		done(nil, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		done(nil, media.ErrClosed)
		return
	case s.at == nil || s.offeredBy == d.From:
		done(nil, fmt.Errorf("%w: an answer without an offer", media.ErrDescription))
		return
	}
	request := s.request("answer", d, judged)
	request["from-tag"], request["to-tag"] = tag(s.offeredBy), tag(d.From)
	s.at.send(request, s.engine.config.Clock(), func(answer dict, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			done(nil, media.ErrClosed)
			return
		}
		var sdp []byte
		if err == nil {
			sdp, err = description(answer)
		}
		if err == nil {
			s.joined, s.agreed = true, [2]dict{s.offer, request}
			s.note(d)
		}
		done(sdp, err)
	})
}

// Refused implements media.Session. rtpengine moves the media at the offer, so that
// the exchange before it is made once more.
func (s *session) Refused(done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.joined {
		done()
		return
	}
	at, agreed := s.at, s.agreed
	at.send(agreed[0], s.engine.config.Clock(), func(dict, error) {
		at.send(agreed[1], s.engine.config.Clock(), func(dict, error) { done() })
	})
}

// request is what offers and answers have in common. sdp is the description as it was
// judged.
func (s *session) request(command string, d media.Description, sdp []byte) dict {
	r := dict{
		"command": command, "call-id": s.id, "sdp": string(sdp),
		"replace": []string{"origin", "session-connection"}, "ICE": "remove",
		// Once a side was heard, no other source is; and a side that did not move keeps its port.
		"flags":    []string{"strict-source", "port-latching", s.learning(d)},
		"rtcp-mux": []string{"demux"},
	}
	if family := familyOf(d.Target); family != "" {
		r["address-family"] = family
	}
	return r
}

// learning is how rtpengine is to find out where the media of a side come from.
func (s *session) learning(d media.Description) string {
	if s.engine.config.AnySource || !named(d) {
		return "endpoint-learning-immediate" // the first packet decides
	}
	return "endpoint-learning-off" // nothing is heard but the address and port of the description
}

// named reports whether the media of the side that wrote a description will come from
// where it says: all its addresses are public, or that of its signalling. Another
// one is behind a translator, which decides the address.
func named(d media.Description) bool {
	found := false
	for line := range bytes.Lines(d.SDP) {
		text, ok := bytes.CutPrefix(line, []byte("c=IN IP"))
		if !ok || len(text) < 2 {
			continue
		}
		host, _, _ := strings.Cut(strings.TrimSpace(string(text[2:])), "/")
		address, err := netip.ParseAddr(host)
		if err != nil {
			return false
		}
		address = address.Unmap()
		public := address.IsGlobalUnicast() && !address.IsPrivate() && !sharedSpace.Contains(address)
		if !public && address != d.Source.Unmap() {
			return false
		}
		found = true
	}
	return found
}

// sharedSpace is the address space between carriers' translators (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

func familyOf(a netip.Addr) string {
	switch a = a.Unmap(); {
	case a.Is4():
		return "IP4"
	case a.Is6():
		return "IP6"
	}
	return ""
}

// protocol is that of the audio, with or without encryption.
func protocol(sdp []byte, encrypted bool) string {
	name := "RTP/AVP"
	if encrypted {
		name = "RTP/SAVP"
	}
	if bytes.Contains(sdp, []byte("AVPF ")) {
		name += "F"
	}
	return name
}

// note remembers what a side's description says.
func (s *session) note(d media.Description) {
	i := place(d.From)
	s.encrypted[i] = media.OffersSRTP(d.SDP)
	s.held[i] = false
	for _, sign := range []string{"a=inactive", "a=sendonly", "a=recvonly", "c=IN IP4 0.0.0.0", "c=IN IP6 ::\r"} {
		s.held[i] = s.held[i] || bytes.Contains(d.SDP, []byte(sign))
	}
	s.heard = s.engine.config.Clock()
}

// check refuses a description that no instance can relay, and returns what may be sent.
func (e *Engine) check(d media.Description) ([]byte, error) {
	if len(d.SDP) > maxDescriptionBytes || !bytes.HasPrefix(d.SDP, []byte("v=")) ||
		!bytes.Contains(d.SDP, []byte("\nm=")) {
		return nil, fmt.Errorf("%w: want at least one stream and at most %d bytes",
			media.ErrDescription, maxDescriptionBytes)
	}
	return judge(e.config.Reach, d)
}

// description takes the session description out of an answer of rtpengine's.
func description(answer dict) ([]byte, error) {
	result, _ := answer["result"].(string)
	sdp, _ := answer["sdp"].(string)
	if result == "ok" && sdp != "" {
		return []byte(sdp), nil
	}
	reason, _ := answer["error-reason"].(string)
	if result == "load limit" {
		return nil, fmt.Errorf("%w: rtpengine has reached its limit: %.200s", media.ErrExhausted, reason)
	}
	if reason == "Ran out of ports" || reason == "Error rewriting SDP" {
		return nil, fmt.Errorf("%w: rtpengine: %.200s", media.ErrExhausted, reason)
	}
	return nil, fmt.Errorf("%w: rtpengine: %.200s", media.ErrDescription, reason)
}

// Answered implements media.Session.
func (s *session) Answered(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answeredAt, s.heard = at, at
}

// Close implements media.Session.
func (s *session) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	if first && s.at != nil {
		s.at.took(-1)
		s.delete(s.at)
	}
	s.mu.Unlock()
	if !first {
		return
	}
	s.engine.forget(s)
	if s.opening.Tap != nil {
		s.opening.Tap.Close()
	}
}

// delete ends the call at an instance. One that does not hear of it ends the call
// by its own timeout.
func (s *session) delete(i *instance) {
	i.send(dict{"command": "delete", "call-id": s.id, "from-tag": tag(record.SideCaller), "delete-delay": "0"},
		s.engine.config.Clock(), func(dict, error) {})
}

// checkSilence asks from time to time how many packets the call has had.
func (s *session) checkSilence(now time.Time) {
	limit := s.engine.config.Silence
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.lost || s.answeredAt.IsZero() || s.at == nil || now.Sub(s.asked) < limit/4 {
		return
	}
	s.asked = now
	s.at.send(dict{"command": "query", "call-id": s.id}, now, s.count)
}

func (s *session) count(answer dict, err error) {
	if err != nil {
		return // an instance that does not answer may pass media anyway
	}
	now := s.engine.config.Clock()
	s.mu.Lock()
	packets, known := packetsOf(answer)
	if packets != s.packets || s.held[0] || s.held[1] {
		s.packets, s.heard = packets, now
	}
	// A call that rtpengine does not know has timed out there, or was lost with it.
	lost := !s.closed && !s.lost && (!known || now.Sub(s.heard) > s.engine.config.Silence)
	s.lost = s.lost || lost
	s.mu.Unlock()
	if lost && s.opening.Lost != nil {
		s.opening.Lost()
	}
}

// packetsOf adds up the counts of RTP and RTCP in the answer to a query.
func packetsOf(answer dict) (packets int64, known bool) {
	if result, _ := answer["result"].(string); result != "ok" {
		return 0, false
	}
	totals, _ := answer["totals"].(dict)
	for _, kind := range []string{"RTP", "RTCP"} {
		counts, _ := totals[kind].(dict)
		n, _ := counts["packets"].(int64)
		packets += n
	}
	return packets, true
}
