package sipgw

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/webhook"
)

// authenticate finds the connection of a request's user. named is the user that the request
// itself has named, "" for none: the digest has to be of that one. ok is false when the
// request has been answered, or is not worth an answer: with a challenge, or with a
// refusal that is the same whether the user exists or not. A guess is a wrong digest for
// our realm by a nonce that is in force and in a form that was offered. All else is
// challenged, and counts toward no ban.
func (sh *shard) authenticate(snapshot *policy.Snapshot, m *message, named string) (c *policy.Connection, ok bool) {
	value := m.Authorization(sh.srv.config.Realm)
	if !sip.IsDigest(value) {
		sh.challenge(m, algorithmsOf(snapshot.ByUser(askedUser(m, named))), false)
		return nil, false
	}
	if m.Method == "INVITE" {
		sh.challenged.answer(m.CallID)
	}
	credentials, ok := sip.ReadCredentials(value)
	if !ok || credentials.Realm != sh.srv.config.Realm {
		sh.challenge(m, algorithmsOf(snapshot.ByUser(credentials.UserName)), false)
		return nil, false
	}
	c = snapshot.ByUser(credentials.UserName)
	algorithms := algorithmsOf(c)
	if !sh.srv.nonces.Fresh(credentials.Nonce, m.Peer.Addr.Addr(), sh.now) {
		sh.challenge(m, algorithms, true)
		return nil, false
	}
	if !credentials.Usable() {
		sh.challenge(m, algorithms, false)
		return nil, false
	}
	if !sh.verify(&credentials, c, m) {
		return nil, false
	}
	if named != "" && named != credentials.UserName {
		// Told only to who knows the password of another user.
		sh.refuseStateless(m, admission.ReasonConnectionUnknown)
		return nil, false
	}
	if used := cmp.Or(strings.ToUpper(credentials.Algorithm), "MD5"); !slices.Contains(algorithms, used) {
		// Told only to who knows the password: a guess learns nothing of the user from it.
		sh.challenge(m, algorithms, false)
		return nil, false
	}
	if !sh.srv.nonces.Use(credentials.Nonce, credentials.NonceCount(), sh.now) {
		sh.srv.count.authReplays.Add(1)
		sh.challenge(m, algorithms, true)
		return nil, false
	}
	sh.srv.guesses.right(sh.srv.guesses.pairOf(m.Peer.Addr.Addr(), credentials.UserName), sh.now)
	return c, true
}

// verify checks a digest of a user, who may not exist, within the limits of guesses.
// When it says no, the request has been answered or is not worth an answer.
func (sh *shard) verify(credentials *sip.Credentials, c *policy.Connection, m *message) bool {
	srv, source := sh.srv, m.Peer.Addr.Addr()
	p := srv.guesses.pairOf(source, credentials.UserName)
	proven := srv.guesses.proven(p, sh.now)
	pairRoom, userRoom := srv.guesses.room(p, sh.now)
	// Unknown sources are banned in the end, and an operator has named the gateways.
	if srv.config.Limits.BanAfter >= 0 && !srv.filter.Knows(source) || srv.filter.Vouched(source) {
		pairRoom = true
	}
	if !proven && !pairRoom {
		srv.count.guessesHeld.Add(1)
		return false
	}
	known := srv.decoy
	if c != nil {
		known = c.HA1
	}
	right := credentials.Right(m.Method, known.MD5, known.SHA256) && c != nil && (proven || userRoom)
	if right && !c.AllowsSource(source) {
		srv.strayed(c, source, sh.now)
		right = false // and from here on it is a wrong one
	}
	// The Request-URI of a REGISTER names the registrar alone.
	if right && (credentials.Signed(m.URI) || m.Method == "REGISTER") {
		return true
	}
	if !right {
		srv.count.authFailures.Add(1)
		if srv.guesses.wrong(p, credentials.Response, c != nil, sh.now) {
			srv.strike(source, sh.now)
		}
		if proven && !pairRoom {
			srv.count.guessesHeld.Add(1)
			return false
		}
	}
	sh.refuseStateless(m, admission.ReasonConnectionUnknown)
	return false
}

// strayed notes a right password from a source that its connection does not allow.
func (srv *Server) strayed(c *policy.Connection, source netip.Addr, now time.Time) {
	srv.count.authStrays.Add(1)
	srv.config.Strayed(webhook.Stray{Account: c.Account, Connection: c.ID, UserName: c.UserName,
		Source: source.Unmap(), At: now})
}

// algorithmsOf are those of a connection's challenges, best first; those of anybody
// when it is nil.
func algorithmsOf(c *policy.Connection) []string {
	if c == nil {
		return connection.DigestAlgorithms()
	}
	return c.DigestAlgorithms
}

// challenge asks for digest credentials, and keeps nothing of the request.
func (sh *shard) challenge(m *message, algorithms []string, stale bool) {
	sh.srv.count.challenges.Add(1)
	if m.Method == "INVITE" {
		sh.challenged.note(m, algorithms)
	}
	nonce := sh.srv.nonces.Issue(m.Peer.Addr.Addr(), sh.now)
	status, phrase, name, extra, first := 407, "Proxy Authentication Required", "Proxy-Authenticate", "", ""
	if m.Method == "REGISTER" { // which we serve ourselves
		status, phrase, name = 401, "Unauthorized", "WWW-Authenticate"
	}
	for _, algorithm := range algorithms {
		extra += name + `: Digest realm="` + sh.srv.config.Realm + `", nonce="` + nonce +
			`", algorithm=` + algorithm + `, qop="auth"`
		if stale {
			extra += ", stale=true"
		}
		extra += "\r\n"
		if first == "" {
			first = extra
		}
	}
	sh.answerStateless(m, status, phrase, extra, first)
}
