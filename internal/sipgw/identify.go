package sipgw

import (
	"net/url"
	"strings"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/policy"
)

// identify finds the connection of a new call: by its source address first, with
// the tech prefix, the token or the P-Charge-Info that tells connections behind one
// address apart, otherwise by digest credentials. A request that names a user in
// X-Telnyx-Username wants to be that user, and must prove it wherever it comes from;
// only a call for help from a known source goes on as the source's. ok is false when the
// request is done with. A nil connection is that of a known source which has not said
// whose call it is.
func (sh *shard) identify(m *message) (attempt admission.Call, connection *policy.Connection, ok bool) {
	srv := sh.srv
	snapshot := srv.config.Live.Snapshot()
	if own := m.peer.own(); own != nil {
		return own.attempt(snapshot)
	}
	source := m.peer.addr.Addr()
	token := m.get("x-telnyx-token")
	if token == "" {
		token = m.get("x-tollgate-token")
	}
	connection, dialled, identity := snapshot.BySource(source, dialledText(m.uri), token,
		chargedNumber(m.get("p-charge-info")))
	user := kept(m.get("x-telnyx-username"), maxUser)
	if user != "" && connection != nil && !emergencyFor(snapshot, connection, dialled) {
		connection, dialled = nil, dialledText(m.uri)
	}
	unknown := connection == nil && !snapshot.Known(source)
	proves := unknown || m.has("authorization") || m.has("proxy-authorization")
	if connection == nil && (user != "" || proves && snapshot.HasUsers()) {
		if connection, ok = sh.authenticate(snapshot, m, user); !ok {
			return attempt, nil, false
		}
		identity, m.proved = policy.IdentityKnown, true
		srv.filter.authenticated(source, connection.ID)
		srv.transport.known(m.peer.conn)
	}
	attempt = admission.Call{
		ID: srv.config.NewID(), Identity: identity, Source: source,
		From: callerText(m), To: kept(dialled, maxUser), SIPCallID: kept(m.callID, maxCallID),
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
	if !transportAllowed(connection, m.peer, m.proved) {
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
	return policy.ChargedNumber(addressUser(value))
}

// transportAllowed says whether the connection takes calls by this transport. UDP
// is what a connection has by default, and any other is then taken too: the
// address or the password has proved who it is. Published set-ups of FQDN connections
// say TCP for calls to the domain name, and call over UDP or TLS with a password.
func transportAllowed(c *policy.Connection, from peer, proved bool) bool {
	switch c.Transport {
	case "tcp":
		return proved || from.tcp && !from.tls
	case "tls":
		return from.tls
	}
	return true
}

// What is kept of the texts that a caller sends. Longer ones are no numbers.
const (
	maxUser   = 64
	maxCallID = 256
)

// dialledText is what was dialled: the user part of the Request-URI without its
// parameters, the number of a tel URI (RFC 3966), or a service URN as it is.
func dialledText(uri string) string {
	parts, ok := uriParts(uri)
	if !ok {
		scheme, rest, _ := strings.Cut(uri, ":")
		switch {
		case strings.EqualFold(scheme, "tel"):
			return userText(rest)
		case strings.EqualFold(scheme, "urn"):
			return kept(uri, maxUser)
		}
		return ""
	}
	return userText(parts.user)
}

// userText decodes a user part, and cuts parameters such as phone-context off
// (RFC 3261 section 19.1.6).
func userText(user string) string {
	user, _, _ = strings.Cut(user, ";")
	if strings.Contains(user, "%") {
		decoded, err := url.PathUnescape(user)
		if err != nil {
			return ""
		}
		user = decoded
	}
	return kept(user, maxUser)
}

// kept is a copy of a text for records: valid UTF-8 without control characters, of
// at most so many bytes.
func kept(text string, most int) string {
	return oneLine(strings.ToValidUTF8(strings.Clone(text[:min(len(text), most)]), "?"))
}

// callerText is the caller id as presented: the first that is there of
// P-Preferred-Identity, P-Asserted-Identity, Remote-Party-ID and From, the order
// that Telnyx documents. An anonymous caller has none.
func callerText(m *message) string {
	for _, name := range [...]string{"p-preferred-identity", "p-asserted-identity", "remote-party-id", "from"} {
		for value := range values(m.get(name)) {
			if caller := addressUser(value); caller != "" {
				return caller
			}
		}
	}
	return ""
}

// addressUser is the user part of an address, "" for none and for anonymous.
func addressUser(value string) string {
	address, ok := readAddress(value)
	if !ok {
		return ""
	}
	if number, found := strings.CutPrefix(strings.ToLower(address.uri), "tel:"); found {
		return userText(number)
	}
	parts, ok := uriParts(address.uri)
	if !ok || strings.EqualFold(parts.user, "anonymous") || strings.EqualFold(parts.host, "anonymous.invalid") {
		return ""
	}
	return userText(parts.user)
}

// privacyWanted says whether the caller asked to be anonymous towards the callee.
func privacyWanted(m *message) bool {
	for value := range strings.SplitSeq(m.get("privacy"), ";") {
		switch strings.ToLower(trimSpace(value)) {
		case "id", "user", "header":
			return true
		}
	}
	address, ok := readAddress(m.from)
	return ok && strings.Contains(strings.ToLower(address.uri), "anonymous@")
}
