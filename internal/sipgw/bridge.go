package sipgw

import (
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip"
)

// place is a kind of message in which something crosses from one leg of a call to the
// other.
type place uint8

const (
	inInvite       place = iota // that begins a call
	inProgress                  // a provisional response to it, but 100
	inAnswer                    // a 2xx to it
	inRefusal                   // any other final response to it
	inAck                       // the ACK of a 2xx
	inOffer                     // a re-INVITE or UPDATE
	inOfferAnswer               // a 2xx to it
	inOfferRefusal              // any other final response to it
	inPrack                     // or its 2xx
	inInfo
	inInfoResponse
	inCancel
	inBye
	places // the number of places
)

// placeNames are what the documentation calls the places.
var placeNames = [places]string{
	inInvite: "INVITE", inProgress: "1xx", inAnswer: "2xx", inRefusal: "3xx to 6xx", inAck: "ACK",
	inOffer: "re-INVITE, UPDATE", inOfferAnswer: "their 2xx", inOfferRefusal: "their refusal",
	inPrack: "PRACK and its 2xx", inInfo: "INFO", inInfoResponse: "its response", inCancel: "CANCEL", inBye: "BYE",
}

// direction is towards whom something crosses.
type direction uint8

const (
	toCarrier direction = 1 << iota
	toCaller
	bothWays = toCarrier | toCaller
)

// crossing is one thing that crosses between the legs of a call. All else ends at the
// gateway: each leg has its own dialog, and says nothing of the other.
type crossing struct {
	what    string // a header field, or what else it is
	in      []place
	to      direction
	how     string // what is passed
	setting string // that changes it, of the connection; "" for none
	trust   string // why it can be believed, or what is done where it cannot
	// carry writes the header lines. It is nil for what is no header field of its own: the
	// body, the status, and the addresses of the leg.
	carry func(passage) string
}

// passage is one message on its way through the gateway.
type passage struct {
	s       *session
	m       *message // as it came
	attempt *attempt // at the gateway that gets it, of an INVITE that begins a call
}

// crossings are everything that crosses. docs/SIP.md prints them.
var crossings = []crossing{
	{what: "Reason", in: []place{inProgress, inRefusal, inOfferRefusal, inCancel, inBye}, to: bothWays,
		how:   "up to 8 of 2 KiB, as they are; a BYE has none of Tollgate's own then",
		trust: "a token with parameters, of any protocol", carry: carries(fieldReason, 8, 2048, sip.IsToken)},
	{what: "session description, with the whole body and its Content-Type", to: bothWays,
		in:      []place{inInvite, inProgress, inAnswer, inAck, inOffer, inOfferAnswer, inPrack},
		how:     "as it is, or as the media relay has it",
		setting: "`anchor_media`, `encrypted_media`", trust: "media go where the relay allows"},
	{what: "status and phrase", in: []place{inProgress, inRefusal, inOfferRefusal, inInfoResponse}, to: bothWays,
		how: "the phrase up to 128 bytes; 401, 407 and redirections become 403 or 488", trust: "copied as text"},
	{what: "Max-Forwards", in: []place{inInvite}, to: toCarrier, how: "one less", trust: "0 is refused"},
	{what: "callee", in: []place{inInvite}, to: toCarrier, how: "Request-URI and To, in the gateway's form",
		trust: "the number that was decided upon"},
	{what: "caller", in: []place{inInvite}, to: toCarrier,
		how:     "the number in From, in the gateway's form; anonymous where it is private; or the gateway's `from_user`",
		setting: "`caller_privacy`, `from_user`, `from_domain`", trust: "the number that was decided upon"},
	{what: "P-Asserted-Identity", in: []place{inInvite}, to: toCarrier, how: "made from the caller's number",
		setting: "`caller_id_headers`, `from_user`",
		trust:   "only a number that is confirmed; of another, `P-Preferred-Identity` where From has `from_user`",
		carry:   assertedIdentity},
	{what: "Remote-Party-ID", in: []place{inInvite}, to: toCarrier, how: "made from the caller's number",
		setting: "`caller_id_headers`", trust: "`screen=yes` only for a number that is confirmed", carry: remoteParty},
	{what: "Privacy", in: []place{inInvite}, to: toCarrier, how: "`id` where the caller is private",
		setting: "`caller_privacy`", trust: "of no emergency call", carry: privacyID},
	{what: "Diversion", in: []place{inInvite}, to: toCarrier, how: "the newest 5, without names",
		setting: "`diversions`, `pass_headers`", trust: "only numbers that the connection may show", carry: diversions},
	{what: "History-Info", in: []place{inInvite}, to: toCarrier,
		how:     "the newest 10, without names; none with `Privacy: history`",
		setting: "`diversions`, `pass_headers`", trust: "only numbers that the connection may show", carry: history},
	{what: "display name", in: []place{inInvite}, to: toCarrier,
		how:     "from From to From, up to 128 bytes",
		setting: "`caller_privacy`", trust: "only characters that can be seen; none where the number or the name is private"},
	{what: "Identity", in: []place{inInvite}, to: toCarrier,
		how:     "up to 4 of 4 KiB, as they are, with the Date; and one of our own where calls are signed",
		setting: "`identity` of the gateway",
		trust:   "only where the numbers of From and To go on as they came, and the caller is not private", carry: passports},
	{what: "Geolocation", in: []place{inInvite}, to: toCarrier, how: "up to 8 references of 2 KiB",
		trust: "in brackets; a location in the body goes on with it",
		carry: carries("Geolocation", 8, 2048, sip.IsReference)},
	{what: "Geolocation-Routing", in: []place{inInvite}, to: toCarrier, how: "as it is",
		trust: "a token", carry: carries("Geolocation-Routing", 1, 64, sip.IsToken)},
	{what: "Geolocation-Error", in: []place{inProgress, inAnswer, inRefusal}, to: toCaller, how: "as it is",
		trust: "a code with parameters", carry: carries("Geolocation-Error", 1, 256, sip.IsToken)},
	{what: "Priority", in: []place{inInvite}, to: toCarrier, how: "as it is", trust: "a token, of an emergency call",
		carry: ofEmergency("Priority", 1, 64, sip.IsToken)},
	{what: "Call-Info", in: []place{inInvite}, to: toCarrier, how: "up to 8 of 2 KiB",
		trust: "in brackets, of an emergency call (RFC 7852)", carry: ofEmergency("Call-Info", 8, 2048, sip.IsReference)},
	{what: "Call-Info", in: []place{inRefusal}, to: toCaller, how: "of 603, 607 and 608: up to 4 of 4 KiB",
		trust: "in brackets: whom to ask about a call that was blocked (RFC 8688)", carry: redress},
	{what: "header fields that are listed", in: withList, to: bothWays,
		how:     "as they are, up to 8 lines of 1 KiB of each name",
		setting: "`pass_headers` of the connection and of the gateway", trust: "one of the lists names them",
		carry: listed},
	{what: "199", in: []place{inInvite, inProgress}, to: bothWays,
		how: "`Supported: 199` to the carrier, and the response to the caller", trust: "only of a caller that supports it",
		carry: earlyEnds},
	{what: "Warning", in: []place{inProgress, inAnswer, inRefusal, inOfferAnswer, inOfferRefusal, inInfoResponse},
		to: bothWays, how: "up to 4 of 512 bytes: code and text, by the agent `tollgate`",
		trust: "a code, an agent and a quoted text", carry: warnings},
	{what: "Retry-After", in: []place{inRefusal, inOfferRefusal, inInfoResponse}, to: bothWays, how: "as it is",
		trust: "seconds", carry: carries(fieldRetryAfter, 1, 256, sip.IsDelay)},
	{what: "Accept, Accept-Encoding, Accept-Language", in: []place{inRefusal, inOfferRefusal, inInfoResponse},
		to: bothWays, how: "of 406, 415 and 488: up to 16 values", trust: "tokens", carry: acceptable},
	{what: "MIME-Version", in: withBody, to: bothWays, how: "with its body", trust: "a token",
		carry: ofBody("MIME-Version", sip.IsToken)},
	{what: "Content-Disposition", in: withBody, to: bothWays, how: "with its body", trust: "a token with parameters",
		carry: ofBody("Content-Disposition", sip.IsToken)},
	{what: "Content-ID", in: withBody, to: bothWays, how: "with its body (RFC 8262)", trust: "up to 256 bytes",
		carry: ofBody("Content-ID", nil)},
	{what: "Content-Language", in: withBody, to: bothWays, how: "with its body", trust: "up to 256 bytes",
		carry: ofBody("Content-Language", sip.IsToken)},
	{what: "Accept-Contact, Reject-Contact", in: []place{inInvite}, to: toCarrier, how: "up to 8 of 1 KiB, as they are",
		trust: "`*` with parameters (RFC 3841)", carry: preferences},
	{what: "Request-Disposition", in: []place{inInvite}, to: toCarrier, how: "up to 12 directives",
		trust: "those of RFC 3841",
		carry: carries("Request-Disposition", 12, 32, isDirective)},
	{what: "Info-Package", in: []place{inInfo}, to: bothWays, how: "as it is", trust: "a token with parameters",
		carry: carries("Info-Package", 1, 256, sip.IsToken)},
	{what: "body and Content-Type", in: []place{inInfo}, to: bothWays, how: "as it is", trust: "of no meaning here"},
}

// carriers are those with header lines of their own, by place and direction.
var carriers = sortCrossings()

func sortCrossings() (by [places][bothWays + 1][]func(passage) string) {
	for i := range crossings {
		c := &crossings[i]
		if c.carry == nil {
			continue
		}
		for _, at := range c.in {
			for _, to := range [...]direction{toCarrier, toCaller} {
				if c.to&to != 0 {
					by[at][to] = append(by[at][to], c.carry)
				}
			}
		}
	}
	return by
}

// cross writes the header lines that cross to the other leg in a message.
func (p passage) cross(in place, to direction) string {
	lines := ""
	for _, carry := range carriers[in][to] {
		lines += carry(p)
	}
	return lines
}

// withBody are the places of bodies that cross.
var withBody = []place{inInvite, inProgress, inAnswer, inAck, inOffer, inOfferAnswer, inPrack, inInfo}

const (
	fieldReason     = "Reason"
	fieldRetryAfter = "Retry-After"
)

// carries has a header field cross as sip.Carried has it.
func carries(name string, mostValues, mostBytes int, reads func(string) bool) func(passage) string {
	field := sip.NewCarried(name, mostValues, mostBytes, reads)
	return func(p passage) string { return field.Lines(&p.m.Message) }
}

// warnings tells each side of what the other's network warns, and not which host has.
func warnings(p passage) string { return unnamed.Lines(&p.m.Message) }

var unnamed = sip.NewCarried("Warning", 4, 512, sip.IsWarning).Writing(sip.UnnamedWarning)

// ofEmergency has a header field cross in emergency calls only.
func ofEmergency(name string, mostValues, mostBytes int, reads func(string) bool) func(passage) string {
	carry := carries(name, mostValues, mostBytes, reads)
	return func(p passage) string {
		if _, emergency := p.s.machine.Emergency(); !emergency || p.lists(name) {
			return ""
		}
		return carry(p)
	}
}

// ofBody has a header field cross that says something of the body.
func ofBody(name string, reads func(string) bool) func(passage) string {
	carry := carries(name, 1, 256, reads)
	return func(p passage) string {
		if len(p.m.Body) == 0 {
			return ""
		}
		return carry(p)
	}
}

// withList are the places in which the lists of names count.
var withList = []place{inInvite, inProgress, inAnswer, inRefusal, inOffer, inOfferAnswer, inInfo, inInfoResponse, inBye}

// mostListed is how many lines of a listed name are passed on.
const mostListed, mostListedBytes = 8, 1024

// listed carries the header fields that the connection's list names, and those of the
// gateway's. Diversion and History-Info have rules of their own.
func listed(p passage) (lines string) {
	ofConnection, ofGateway := p.s.connected.PassHeaders, p.gateway().PassHeaders
	for i, name := range ofConnection {
		if !names(ofConnection[:i], name) {
			lines += p.listedField(name)
		}
	}
	for i, name := range ofGateway {
		if !names(ofConnection, name) && !names(ofGateway[:i], name) {
			lines += p.listedField(name)
		}
	}
	return lines
}

func (p passage) listedField(name string) string {
	if !sip.MayPass(name) || strings.EqualFold(name, "Diversion") || strings.EqualFold(name, "History-Info") {
		return ""
	}
	return sip.NewCarried(name, mostListed, mostListedBytes, nil).Lines(&p.m.Message)
}

// lists reports whether one of the lists names a header field.
func (p passage) lists(name string) bool {
	return names(p.s.connected.PassHeaders, name) || names(p.gateway().PassHeaders, name)
}

func names(list []string, name string) bool {
	return slices.ContainsFunc(list, func(listed string) bool { return strings.EqualFold(listed, name) })
}

// gateway is the gateway that gets a message or has sent it.
func (p passage) gateway() *routing.Gateway {
	switch {
	case p.attempt != nil:
		return p.attempt.gateway
	case p.s.attempt != nil:
		return p.s.attempt.gateway
	case p.s.trunk != nil:
		return p.s.trunk.configured()
	}
	return &routing.Gateway{}
}

// ofStatus has header fields cross in responses of some kinds only.
func ofStatus(statuses []int, fields ...func(passage) string) func(passage) string {
	return func(p passage) (lines string) {
		if slices.Contains(statuses, p.m.Status) {
			for _, carry := range fields {
				lines += carry(p)
			}
		}
		return lines
	}
}

// redress says where a caller may complain that was blocked.
func redress(p passage) string {
	if p.lists("Call-Info") {
		return ""
	}
	return complaints(p)
}

var complaints = ofStatus([]int{603, 607, 608}, carries("Call-Info", 4, 4096, sip.IsReference))

// acceptable describes what would have been taken.
var acceptable = ofStatus([]int{406, 415, 488}, carries("Accept", 16, 128, sip.IsMediaRange),
	carries("Accept-Encoding", 16, 128, sip.IsToken), carries("Accept-Language", 16, 128, sip.IsToken))

// earlyEnds tells the carrier whether the caller takes 199, which says that a branch of a
// fork has ended (RFC 6228).
func earlyEnds(p passage) string {
	if p.m.Request && takesEarlyEnds(p.m) {
		return "Supported: 199\r\n"
	}
	return ""
}

func takesEarlyEnds(invite *message) bool { return invite.Lists("supported", "199") }

// parting is what crosses from the message that ended one side of a call, for the other side.
type parting struct {
	lines string
	to    direction
}

// part notes what crosses from a message that ends a side.
func (s *session) part(m *message, in place, to direction) {
	s.parting = nil
	if lines := (passage{s: s, m: m}).cross(in, to); lines != "" {
		s.parting = &parting{lines, to}
	}
}

// towards is what crosses to a side.
func (p *parting) towards(to direction) string {
	if p == nil || p.to != to {
		return ""
	}
	return p.lines
}

// partingLines are the header lines of a BYE of ours: what crosses from the other side, and
// our own reason where it has none.
func (l *leg) partingLines(reason string) string {
	lines := l.s.parting.towards(bothWays &^ l.away())
	if hasLine(lines, fieldReason) {
		return lines
	}
	return reason + lines
}

// hasLine reports whether header lines have one of that name.
func hasLine(lines, name string) bool { return strings.Contains("\r\n"+lines, "\r\n"+name+":") }

// away is the direction of what a leg's peer sends.
func (l *leg) away() direction {
	if l.side == record.SideCaller {
		return toCarrier
	}
	return toCaller
}
