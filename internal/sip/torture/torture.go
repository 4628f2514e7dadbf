// Package torture holds the SIP torture test messages of RFC 4475, and those of RFC 5118
// for IPv6, rebuilt from the text of the RFCs, with what an element like Tollgate's gateway is
// expected to do with each. It is test data that other packages' tests import.
package torture

import (
	"slices"
	"strings"
)

// Outcome is what a gateway does with a message.
type Outcome uint8

const (
	// Accept means the message is passed on to the call logic.
	Accept Outcome = iota
	// Answer means the request is refused with a response.
	Answer
	// Drop means the message is discarded and nothing is sent.
	Drop
)

// String returns the outcome's name.
func (o Outcome) String() string {
	switch o {
	case Accept:
		return "accept"
	case Answer:
		return "answer"
	case Drop:
		return "drop"
	}
	return "unknown"
}

// Want is the expected treatment of one message by a B2BUA that takes INVITE,
// ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK and INFO, is no registrar, speaks
// application/sdp only and knows the extensions timer and 100rel.
type Want struct {
	Outcome Outcome
	// Status is the code of the response when Outcome is Answer, else 0.
	Status int
	// Header is one header line the response must carry, without its CRLF, or
	// empty when the RFC asks for none.
	Header string
	// Why gives the reason in the terms of RFC 4475 or RFC 3261.
	Why string
}

// Message is one message of an RFC.
type Message struct {
	// Name is the RFC's short name, such as "wsinv".
	Name string
	// Section is the section of the RFC that describes the message.
	Section string
	// Bytes is the whole datagram.
	Bytes []byte
	// Valid is true when the RFC calls the message well formed. A valid message
	// may still be refused, for instance for an unknown method.
	Valid bool
	Want  Want
}

// Messages returns all messages in the order of the RFC. Every call returns
// fresh byte slices, so a test may change them.
func Messages() []Message {
	all := slices.Concat(validMessages, invalidMessages, transactionMessages, applicationMessages, compatibilityMessages)
	for i := range all {
		all[i].Bytes = slices.Clone(all[i].Bytes)
	}
	return all
}

// Named returns the message with the given RFC name.
func Named(name string) (Message, bool) {
	for _, message := range Messages() {
		if message.Name == name {
			return message, true
		}
	}
	return Message{}, false
}

// allow is the Allow header line of the gateway's 405 and 501 responses.
const allow = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK, INFO"

func accept(why string) Want { return Want{Outcome: Accept, Why: why} }
func drop(why string) Want   { return Want{Outcome: Drop, Why: why} }

func refuse(status int, header, why string) Want {
	return Want{Outcome: Answer, Status: status, Header: header, Why: why}
}

// wire turns a message written over several source lines into what travels: the
// first newline, there for layout only, goes, and every other becomes CRLF.
func wire(text string) []byte {
	return []byte(strings.ReplaceAll(strings.TrimPrefix(text, "\n"), "\n", "\r\n"))
}

// sdp is the session description most messages carry: only the address in the
// origin, the address in the connection line and the time line differ.
func sdp(origin, connection, timing string) string {
	return "v=0\n" +
		"o=mhandley 29739 7272939 IN IP4 " + origin + "\n" +
		"s=-\n" +
		"c=IN IP4 " + connection + "\n" +
		"t=" + timing + "\n" +
		"m=audio 49217 RTP/AVP 0 12\n" +
		"m=video 3227 RTP/AVP 31\n" +
		"a=rtpmap:31 LPC\n"
}
