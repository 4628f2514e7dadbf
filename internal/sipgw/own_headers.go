package sipgw

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"strconv"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/sip"
)

// newToken is a new tag or the secret part of a branch or Call-ID: 80 bits that
// cannot be guessed, since a tag is what lets a peer hang up.
func newToken() string { return rand.Text()[:16] }

// newBranch names a transaction of ours. The part in the middle is drawn once per
// process; a request that comes back with it has looped.
func (srv *Server) newBranch() string { return sip.MagicCookie + srv.mark + newToken() }

// newCallID is a Call-ID that falls on the given shard.
func (srv *Server) newCallID(sh *shard) string {
	for {
		if id := rand.Text(); srv.shardOf(id) == sh {
			return id
		}
	}
}

// ownAddress is where a peer reaches us by the transport in use.
func (srv *Server) ownAddress(to peer) string {
	if to.tls {
		return srv.secureHostPort
	}
	return srv.hostPort
}

// contactLine is our Contact towards a peer. A hop secured by TLS is told by the
// transport: a sips URI would promise that every hop behind it is secured too (RFC
// 5630 section 3.1.3), which Tollgate cannot.
func (srv *Server) contactLine(to peer) string {
	switch {
	case to.tls:
		return srv.contacts.tls
	case to.tcp:
		return srv.contacts.tcp
	}
	return srv.contacts.udp
}

// contactLines are our Contacts, which are the same for all peers.
type contactLines struct{ udp, tcp, tls string }

// setAddresses notes where peers reach us. secure is "" without TLS.
func (srv *Server) setAddresses(plain, secure string) {
	srv.hostPort, srv.secureHostPort = plain, secure
	srv.contacts = contactLines{
		udp: "Contact: <sip:tollgate@" + plain + ">\r\n",
		tcp: "Contact: <sip:tollgate@" + plain + ";transport=tcp>\r\n",
		tls: "Contact: <sip:tollgate@" + secure + ";transport=tls>\r\n",
	}
	srv.host, _, _ = net.SplitHostPort(plain)
	if ip, err := netip.ParseAddr(srv.host); err == nil && ip.Is6() {
		srv.host = "[" + srv.host + "]"
	}
}

// transportParam is the parameter of a URI that is reached by the peer's transport.
func (p peer) transportParam() string {
	switch {
	case p.tls:
		return ";transport=tls"
	case p.tcp:
		return ";transport=tcp"
	}
	return ""
}

// lineEncodedContact is our Contact where it is encoded: nothing in it looks like an
// address, so that no translator or application layer gateway on the way can put
// another in its place. The name is one that never resolves (RFC 6761 section 6.4):
// a peer that has it goes by the route set.
const lineEncodedContact = "Contact: <sip:tollgate@encoded.invalid>\r\n"

// contactLine is our Contact within the dialog.
func (l *leg) contactLine() string { return l.contactTo(l.peer) }

func (l *leg) contactTo(to peer) string {
	if l.encoded {
		return lineEncodedContact
	}
	return l.s.sh.srv.contactLine(to)
}

// routeLine is, where our Contact is encoded, the Record-Route by which requests
// within the dialog reach us nevertheless: that of a proxy right before us (RFC 3261
// section 16.12.1.1).
func (l *leg) routeLine(to peer) string {
	if !l.encoded {
		return ""
	}
	return "Record-Route: <sip:" + l.s.sh.srv.ownAddress(to) + to.transportParam() + ";lr>\r\n"
}

// publicAddress is the address that Contact and Via name. An unspecified one
// stands for the address from which the default route leaves.
func publicAddress(bound netip.AddrPort, host string) string {
	port := strconv.Itoa(int(bound.Port()))
	if host != "" {
		return net.JoinHostPort(host, port)
	}
	address := bound.Addr()
	if address.IsUnspecified() {
		// No packet is sent: connecting a UDP socket only looks up the route to the
		// documentation prefix of RFC 5737.
		if conn, err := new(net.Dialer).DialContext(context.Background(), "udp", "192.0.2.1:9"); err == nil {
			address = conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
			conn.Close()
		} else {
			address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	return net.JoinHostPort(address.Unmap().String(), port)
}

// lineSupported is the extensions that the server supports.
const lineSupported = "Supported: timer\r\n"

// lineReliable is the same of calls whose caller takes reliable provisional responses.
const lineReliable = "Supported: timer, 100rel\r\n"

// lineRejected goes with every refusal of Tollgate's own.
const lineRejected = "Reason: Q.850;cause=21;text=\"CALL_REJECTED\"\r\n"

// reasonLine says in a BYE why Tollgate hangs up (RFC 3326).
func reasonLine(cause string) string {
	switch cause {
	case call.CauseTimeLimit:
		return "Reason: Q.850;cause=102;text=\"TIME_LIMIT\"\r\n"
	case call.CauseLostPeer:
		return "Reason: Q.850;cause=41;text=\"PEER_LOST\"\r\n"
	case call.CauseMediaTimeout:
		return "Reason: Q.850;cause=102;text=\"MEDIA_TIMEOUT\"\r\n"
	case call.CauseIncompatible:
		return "Reason: Q.850;cause=88;text=\"INCOMPATIBLE_DESTINATION\"\r\n"
	case call.CauseStopping, call.CauseLease, call.CauseNoAck:
		return "Reason: Q.850;cause=41;text=\"TEMPORARY_FAILURE\"\r\n"
	}
	return "Reason: Q.850;cause=16;text=\"NORMAL_CLEARING\"\r\n"
}
