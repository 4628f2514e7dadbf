// Package registration is what is known of the telephones that register: the contacts of
// each connection, and the rules by which a REGISTER changes them (RFC 3261 section 10.3).
// No call is routed to a contact: telephones and PBXs make no calls while they are not
// registered, and customers ask whether they are.
package registration

import (
	"net/netip"
	"time"

	"github.com/tollgate/tollgate/internal/id"
)

// How long a contact is remembered after it has ended: every one until all nodes know of
// it, and the latest of a connection for longer, so that its state can be told.
const (
	EndedKept  = time.Hour
	LatestKept = 24 * time.Hour
)

// LongestDelay is how long a request may be on its way (64 * T1 of RFC 3261). One of the same
// Call-ID with a lower CSeq that comes later is of a telephone that was switched off and on.
const LongestDelay = 32 * time.Second

// Binding is a contact of a connection, registered or ended.
type Binding struct {
	Account, Connection id.ID
	Contact             string
	CallID              string
	Seq                 uint32    // of the latest REGISTER that named it
	At                  time.Time // of the same
	RegisteredAt        time.Time // of the latest REGISTER that registered it
	Until               time.Time // when it ends, or ended
	Removed             bool      // a REGISTER has ended it
	Source              netip.AddrPort
	Transport           string // as in UDP
	UserAgent           string
}

// Live says whether the contact is registered at a time.
func (b *Binding) Live(now time.Time) bool { return now.Before(b.Until) }

// Supersedes says whether what b tells of a contact holds against what another node tells
// of the same one. Of one telephone's requests the later by CSeq counts, in whatever order
// they came; of others, or where none can have been on its way for so long, the later by time.
func (b *Binding) Supersedes(other *Binding) bool {
	if b.CallID == other.CallID && b.Seq != other.Seq && b.At.Sub(other.At).Abs() < LongestDelay {
		return b.Seq > other.Seq
	}
	return !b.At.Before(other.At)
}
