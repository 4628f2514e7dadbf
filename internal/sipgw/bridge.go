package sipgw

import (
	"strings"

	"github.com/tollgate/tollgate/internal/record"
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
	how     string // what of it crosses
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
		how:     "From, in the gateway's form; anonymous where it is private",
		setting: "`caller_privacy`", trust: "the number that was decided upon"},
	{what: "P-Asserted-Identity", in: []place{inInvite}, to: toCarrier, how: "made from the caller's number",
		setting: "`caller_id_headers`", trust: "only a number that is confirmed", carry: assertedIdentity},
	{what: "Remote-Party-ID", in: []place{inInvite}, to: toCarrier, how: "made from the caller's number",
		setting: "`caller_id_headers`", trust: "`screen=yes` only for a number that is confirmed", carry: remoteParty},
	{what: "Privacy", in: []place{inInvite}, to: toCarrier, how: "`id` where the caller is private",
		setting: "`caller_privacy`", trust: "of no emergency call", carry: privacyID},
	{what: "Diversion", in: []place{inInvite}, to: toCarrier, how: "the newest 5, without names",
		setting: "`pass_diversions`", trust: "only numbers that the connection may show", carry: diversions},
	{what: "History-Info", in: []place{inInvite}, to: toCarrier,
		how:     "the newest 10, without names; none with `Privacy: history`",
		setting: "`pass_diversions`", trust: "only numbers that the connection may show", carry: history},
	{what: "Info-Package", in: []place{inInfo}, to: bothWays, how: "as it is", trust: "copied as text",
		carry: verbatim("Info-Package")},
	{what: "Content-Disposition", in: []place{inInfo}, to: bothWays, how: "as it is", trust: "copied as text",
		carry: verbatim("Content-Disposition")},
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
	var b strings.Builder
	for _, carry := range carriers[in][to] {
		b.WriteString(carry(p))
	}
	return b.String()
}

// verbatim carries the first value of a field as it is.
func verbatim(name string) func(passage) string {
	key := strings.ToLower(name)
	return func(p passage) string { return sip.Line(name, p.m.Get(key)) }
}

// away is the direction of what a leg's peer sends.
func (l *leg) away() direction {
	if l.side == record.SideCaller {
		return toCarrier
	}
	return toCaller
}
