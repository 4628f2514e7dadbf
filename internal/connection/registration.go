package connection

import (
	"net/netip"
	"time"

	"github.com/tollgate/tollgate/internal/id"
)

// The states of a registration, in Telnyx's words.
const (
	NotRegistered = "Not Registered"
	Registered    = "Registered"
	Expired       = "Expired"
	Unregistered  = "Unregistered"
)

// Registration is what is known of the telephone that registers with the user name of
// a credential connection. Nothing but the state is known before its first registration.
type Registration struct {
	State     string
	Contact   netip.AddrPort // where it was registered from
	Transport string         // as in UDP
	UserAgent string
	At        time.Time // of the last registration
}

// Registrations tells of registrations. It is for whatever takes them.
type Registrations interface {
	// Registration is that of a connection; ok is false when there has been none.
	Registration(connection id.ID) (r Registration, ok bool)
}
