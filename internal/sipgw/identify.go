package sipgw

import (
	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// identify finds the connection of a new call: by its source address first, with
// the tech prefix, the token or the P-Charge-Info that tells connections behind one
// address apart, otherwise by digest credentials. A request that names a user in
// X-Telnyx-Username wants to be that user, and must prove it wherever it comes from;
// only an emergency call from a known source counts as the source's. ok is false when the
// request is done with. A nil connection is that of a known source which has not said
// whose call it is.
func (sh *shard) identify(m *message) (attempt admission.Call, connection *policy.Connection, ok bool) {
	srv := sh.srv
	snapshot := srv.config.Live.Snapshot()
	if own := ownOf(&m.Peer); own != nil {
		return own.attempt(snapshot)
	}
	source := m.Peer.Addr.Addr()
	token := m.Get("x-telnyx-token")
	if token == "" {
		token = m.Get("x-tollgate-token")
	}
	connection, dialled, identity := snapshot.BySource(source, sip.DialledText(m.URI), token,
		chargedNumber(m.Get("p-charge-info")))
	user := sip.Kept(m.Get("x-telnyx-username"), sip.MaxUser)
	if user != "" && connection != nil && !emergencyFor(snapshot, connection, dialled) {
		connection, dialled = nil, sip.DialledText(m.URI)
	}
	unknown := connection == nil && !snapshot.Known(source)
	proves := unknown || m.Has("authorization") || m.Has("proxy-authorization")
	if connection == nil && (user != "" || proves && snapshot.HasUsers()) {
		if connection, ok = sh.authenticate(snapshot, m, user); !ok {
			return attempt, nil, false
		}
		identity, m.Proved = policy.IdentityKnown, true
		srv.filter.Authenticated(source, connection.ID)
		srv.transport.Known(m.Peer.Conn)
	}
	attempt = admission.Call{
		ID: srv.config.NewID(), Identity: identity, Source: source,
		From: m.CallerText(), To: sip.Kept(dialled, sip.MaxUser), SIPCallID: sip.Kept(m.CallID, maxCallID),
		MaxSecs: admission.WholeSecs(srv.MaxCall()),
	}
	if connection == nil {
		if unknown {
			// The attempt belongs to no account, so it has no record and costs no transaction.
			sh.refuseStateless(m, admission.ReasonConnectionUnknown)
			return attempt, nil, false
		}
		return attempt, nil, true
	}
	if !transportAllowed(connection, m.Peer, m.Proved) {
		attempt.Identity = policy.IdentityNone
		return attempt, nil, true
	}
	attempt.Connection = connection.ID
	return attempt, connection, true
}

// chargedNumber is the number of a P-Charge-Info header (RFC 8496), 0 for none.
func chargedNumber(value string) e164.Number {
	if value == "" {
		return 0
	}
	return policy.ChargedNumber(sip.AddressUser(value))
}

// transportAllowed reports whether the connection takes calls by this transport. UDP
// is what a connection has by default, and any other is then taken too: the
// address or the password has proved who it is. Published set-ups of FQDN connections
// say TCP for calls to the domain name, and call over UDP or TLS with a password.
func transportAllowed(c *policy.Connection, from transport.Peer, proved bool) bool {
	switch c.Transport {
	case "tcp":
		return proved || from.TCP && !from.TLS
	case "tls":
		return from.TLS
	}
	return true
}

// maxCallID is what is kept of a Call-ID, in bytes.
const maxCallID = 256
