package media

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tollgate/tollgate/internal/record"
)

// Relay anchors calls: it puts ports of its own between the two sides and passes
// their media on. There are two, the built-in one (package relay) and rtpengine;
// both keep to the obligations written here.
type Relay interface {
	// Open begins an anchored call. It returns at once and takes no ports yet.
	Open(o Opening) Session
}

// Opening describes a call to a Relay.
type Opening struct {
	Call Call
	// Tap is given the audio; nil when the call is not recorded. The Session closes it.
	Tap Tap
	// Lost is called at most once, from any goroutine, when an answered call has
	// fallen silent for longer than the Relay was told to wait.
	Lost func()
}

// Session is one anchored call. Its methods are called by one goroutine and return
// without waiting for anyone. There is one Offer or Answer at a time: the next is
// given after done of the one before was called, and so is Refused.
//
// Offers and answers are those of RFC 3264. An offer that is refused changes nothing
// in what passes. One offer may have several answers until the call is
// answered: those of the branches of a fork, of which the last counts.
type Session interface {
	// Offer takes what one side offers and gives done what to offer to the other.
	// done is called once, from any goroutine, perhaps before Offer returns.
	Offer(d Description, done func(sdp []byte, err error))
	// Answer takes what the other side answers and gives done what to answer to the
	// side that made the offer. From then on media pass.
	Answer(d Description, done func(sdp []byte, err error))
	// Refused means that the last offer was refused: the media that flowed before it continue.
	Refused(done func())
	// Answered means that the call was answered: silence is measured from here on. It
	// comes after the Answer, or before it where the side that answers the call has
	// made the offer.
	Answered(at time.Time)
	// Close gives the ports back and closes the Tap. What is under way ends with
	// ErrClosed. It may be called more than once.
	Close()
}

// Measurer is a Session that has counted the packets of the call's audio.
type Measurer interface {
	// Quality is how they arrived so far; nil when the call has no audio, or was not
	// answered.
	Quality() *record.Quality
}

// Description is a session description on its way from one side to the other.
type Description struct {
	From record.Side
	SDP  []byte
	// Source is the address that the signalling of the side that wrote it comes
	// from, and Target the one that the signalling of the other side goes to.
	Source, Target netip.Addr
	// Sender is the address that this description itself came from, where that is
	// another. The side may name what is as close as either.
	Sender netip.Addr
	// Encryption is what an offer is to ask of the side that gets it, unless that
	// side speaks SRTP in this call already. It does not matter to an answer.
	Encryption Encryption
}

// Encryption is whether a side is offered SRTP with its keys in the description
// (RFC 4568) or plain RTP.
type Encryption uint8

// The ways to offer.
const (
	AsOffered Encryption = iota // what the other side has offered
	Plain
	Encrypted
)

// OffersSRTP reports whether a description offers audio by SRTP.
func OffersSRTP(sdp []byte) bool {
	for line := range bytes.Lines(sdp) {
		if bytes.HasPrefix(line, []byte("m=audio ")) && bytes.Contains(line, []byte("/SAVP")) {
			return true
		}
	}
	return false
}

// The reasons for which a call cannot be anchored.
var (
	// ErrForbidden is wrapped, and ErrDescription with it, when a description would aim
	// the relay at the server itself.
	ErrForbidden = fmt.Errorf("%w: it names a socket of this server", ErrDescription)
	// ErrDescription is wrapped when a description cannot be read, or says what
	// cannot be relayed.
	ErrDescription = errors.New("session description")
	// ErrClear is wrapped, and ErrDescription with it, when a description asks for media
	// that are not encrypted, of a side whose media must be.
	ErrClear = fmt.Errorf("%w: it asks for media without encryption", ErrDescription)
	// ErrExhausted is wrapped when there are no ports left, or no relay that answers.
	ErrExhausted = errors.New("no media relay is free")
	// ErrClosed means that the Session was closed.
	ErrClosed = errors.New("the media session is closed")
)

// Split gives calls that are recorded to one Relay and all others to another: a
// recording needs the packets, which a relay in another process does not give.
type Split struct{ Recorded, Others Relay }

// Open implements Relay.
func (s Split) Open(o Opening) Session {
	if o.Tap != nil {
		return s.Recorded.Open(o)
	}
	return s.Others.Open(o)
}
