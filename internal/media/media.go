// Package media is the seam between the signalling of a call and its audio: what an
// anchored call's packets are given to, and what they are.
package media

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// Format is one payload type that a side may send, from the offer and the answer
// (RFC 3264, RFC 4566 section 6 "rtpmap").
type Format struct {
	PayloadType uint8
	Name        string // as in PCMU, PCMA, G722, opus, telephone-event; case does not matter
	ClockRate   int    // of the RTP timestamps, Hz: 8000 for G722 too (RFC 3551 section 4.5.2)
	Channels    int    // at least 1
}

// Call describes a call whose gateways are about to be tried.
type Call struct {
	ID                           uuid.UUID // of the call, its lease, its decision and its record
	Account, Profile, Connection id.ID
	From, To                     e164.Number
	SIPCallID                    string
	Emergency                    bool
}

// Recorder says which calls are recorded.
type Recorder interface {
	// Record is asked once for each call that was admitted, before its offer is
	// sent on. It returns nil when the call is not recorded. A call that is recorded
	// is anchored, whatever else asks for it.
	Record(c Call) Tap
}

// Tap is given the audio of one anchored call. Formats and Packet are called for
// both sides, from any goroutine, and must not block: what cannot be accepted is
// dropped and counted by the Tap.
type Tap interface {
	// Formats describes what a side may send from now on.
	Formats(side record.Side, formats []Format)
	// Answered is the moment at which the recording begins. It is set after the
	// Formats of both sides.
	Answered(at time.Time)
	// Packet gives one RTP packet (RFC 3550) as the side sent it, decrypted. The
	// bytes may be read only until it returns.
	Packet(side record.Side, at time.Time, packet []byte)
	// Close ends the call, answered or not. Nothing is called after it.
	Close()
}

// Selective is a Tap that cannot take every format. Of an offer only those are passed on that it
// takes, and what is not voice; if it takes none, the offer is passed on unchanged.
type Selective interface {
	Tap
	Takes(format Format) bool
}

// Announcer is a Tap that has something to say before the recording begins. Once
// the call is answered and before it tells Answered, a Relay that carries the audio
// itself asks for what each side is to hear, and plays it to both; meanwhile neither
// side hears the other.
type Announcer interface {
	Tap
	// Announcement is what a side is to hear, as RTP payloads of 20 ms each; none is
	// nothing. It is called once for each side, after Formats.
	Announcement(to record.Side) Announcement
}

// Announcement is RTP that is played to a side.
type Announcement struct {
	PayloadType uint8
	Step        uint32   // of the timestamp, each payload
	Payloads    [][]byte // read only
}
