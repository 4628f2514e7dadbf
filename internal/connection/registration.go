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

// Registration describes the telephone that registers with the user name of a credential
// connection. Before its first registration only the state is known.
type Registration struct {
	State     string
	Contact   netip.AddrPort // the source of the registration
	Transport string         // as in UDP
	UserAgent string
	At        time.Time // of the last registration
}

// Registrations looks up registrations. The part of the server that accepts them
// implements it.
type Registrations interface {
	// Registration returns the registration of a connection of an account. ok is false if
	// there has been none.
	Registration(account, connection id.ID) (r Registration, ok bool)
}
