package sipgw

import (
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/webhook"
)

// The limits of digest authentication.
const (
	// nonceLife is how long a nonce is taken; after that the answer is stale=true
	// and the client tries again without asking its user.
	nonceLife = 5 * time.Minute
	// maxNonces bounds the nonces whose counts are remembered. With more in use the
	// older half is forgotten, and what is sent with those is stale.
	maxNonces = 65536
)

// nonces makes nonces that prove their own age, and remembers the counts with
// which each was used, so that no Authorization works twice (RFC 7616 section 3.3).
type nonces struct {
	secret [32]byte

	mu         sync.Mutex // guards all below
	young, old map[string]uint32
	// floor is when the youngest nonce that may have been forgotten was made: nonces
	// up to it are stale.
	floor, rotated time.Time
}

func newNonces() *nonces {
	n := &nonces{young: make(map[string]uint32)}
	rand.Read(n.secret[:])
	return n
}

// The parts of a nonce. It is short, since a sender that has not authenticated yet is
// answered with no more than is needed.
const (
	nonceTime   = 8 // Unix nanoseconds
	nonceChance = 2
	nonceMAC    = 8
	nonceBytes  = nonceTime + nonceChance + nonceMAC
)

// issue makes a nonce for a source: the time, some chance, and a MAC of all three.
func (n *nonces) issue(source netip.Addr, now time.Time) string {
	var b [nonceBytes]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixNano()))
	rand.Read(b[nonceTime : nonceTime+nonceChance])
	copy(b[nonceTime+nonceChance:], n.mac(b[:nonceTime+nonceChance], source))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (n *nonces) mac(data []byte, source netip.Addr) []byte {
	h := hmac.New(sha256.New, n.secret[:])
	h.Write(data)
	address := source.As16()
	h.Write(address[:])
	return h.Sum(nil)[:nonceMAC]
}

// fresh says whether a nonce is one of ours, for this source, and young enough.
func (n *nonces) fresh(nonce string, source netip.Addr, now time.Time) bool {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != nonceBytes ||
		!hmac.Equal(b[nonceTime+nonceChance:], n.mac(b[:nonceTime+nonceChance], source)) {
		return false
	}
	made := time.Unix(0, int64(binary.BigEndian.Uint64(b)))
	age := now.Sub(made)
	n.mu.Lock()
	defer n.mu.Unlock()
	return age >= -time.Second && age < nonceLife && made.After(n.floor)
}

// use notes a count and says whether it is higher than every one before.
func (n *nonces) use(nonce string, count uint32, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	last, seen := n.young[nonce]
	if !seen {
		last = n.old[nonce]
	}
	if count <= last {
		return false
	}
	if len(n.young) >= maxNonces/2 {
		n.old, n.young = n.young, make(map[string]uint32)
		n.floor, n.rotated = n.rotated, now
	}
	n.young[nonce] = count
	return true
}

// authorization is the digest answer of a request for a realm, under either name; of
// several the first for this realm, else the first of all, or "".
func authorization(m *message, realm string) string {
	first := ""
	for i := range m.fields {
		f := &m.fields[i]
		if f.name != "proxy-authorization" && f.name != "authorization" {
			continue
		}
		if first == "" {
			first = f.value
		}
		if c, err := digest.ParseCredentials(f.value); err == nil && c.Realm == realm {
			return f.value
		}
	}
	return first
}

// authenticate finds the connection of a request's user. named is the user that the request
// itself has named, "" for none: the digest has to be of that one. ok is false when the
// request has been answered, or is not worth an answer: with a challenge, or with a
// refusal that is the same whether the user exists or not. A guess is a wrong digest for
// our realm by a nonce that is in force and in a form that was offered. All else is
// challenged, and counts toward no ban.
func (sh *shard) authenticate(snapshot *policy.Snapshot, m *message, named string) (c *policy.Connection, ok bool) {
	value := authorization(m, sh.srv.config.Realm)
	if !digest.IsDigest(value) {
		sh.challenge(m, algorithmsOf(snapshot.ByUser(cmp.Or(named, addressUser(m.from)))), false)
		return nil, false
	}
	credentials, err := digest.ParseCredentials(value)
	if err != nil || credentials.Realm != sh.srv.config.Realm {
		sh.challenge(m, algorithmsOf(nil), false)
		return nil, false
	}
	c = snapshot.ByUser(credentials.Username)
	algorithms := algorithmsOf(c)
	if !sh.srv.nonces.fresh(credentials.Nonce, m.peer.addr.Addr(), sh.now) {
		sh.challenge(m, algorithms, true)
		return nil, false
	}
	if !usable(credentials) {
		sh.challenge(m, algorithms, false)
		return nil, false
	}
	if !sh.verify(credentials, c, m) {
		return nil, false
	}
	if named != "" && named != credentials.Username {
		// Told only to who knows the password of another user.
		sh.refuseStateless(m, admission.ReasonConnectionUnknown)
		return nil, false
	}
	if used := cmp.Or(strings.ToUpper(credentials.Algorithm), "MD5"); !slices.Contains(algorithms, used) {
		// Told only to who knows the password: a guess learns nothing of the user from it.
		sh.challenge(m, algorithms, false)
		return nil, false
	}
	if !sh.srv.nonces.use(credentials.Nonce, countOf(credentials), sh.now) {
		sh.srv.count.authReplays.Add(1)
		sh.challenge(m, algorithms, true)
		return nil, false
	}
	sh.srv.guesses.right(sh.srv.guesses.pairOf(m.peer.addr.Addr(), credentials.Username), sh.now)
	return c, true
}

// verify checks a digest of a user, who may not exist, within the limits of guesses.
// When it says no, the request has been answered or is not worth an answer.
func (sh *shard) verify(credentials *digest.Credentials, c *policy.Connection, m *message) bool {
	srv, source := sh.srv, m.peer.addr.Addr()
	p := srv.guesses.pairOf(source, credentials.Username)
	proven := srv.guesses.proven(p, sh.now)
	pairRoom, userRoom := srv.guesses.room(p, sh.now)
	// Unknown sources are banned in the end, and an operator has named the gateways.
	if srv.config.Limits.BanAfter >= 0 && !srv.filter.knows(source) || srv.filter.vouched(source) {
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
	right := digestRight(credentials, m, known) && c != nil && (proven || userRoom)
	if right && !c.AllowsSource(source) {
		srv.strayed(c, source, sh.now)
		right = false // and from here on it is a wrong one
	}
	if right && sameTarget(credentials.URI, m.uri) {
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
	nonce := sh.srv.nonces.issue(m.peer.addr.Addr(), sh.now)
	extra, first := "", ""
	for _, algorithm := range algorithms {
		extra += `Proxy-Authenticate: Digest realm="` + sh.srv.config.Realm + `", nonce="` + nonce +
			`", algorithm=` + algorithm + `, qop="auth"`
		if stale {
			extra += ", stale=true"
		}
		extra += "\r\n"
		if first == "" {
			first = extra
		}
	}
	sh.answerStateless(m, 407, "Proxy Authentication Required", extra, first)
}

// usable says whether credentials have a form that was offered, or that of RFC 2069,
// which has no qop. Others prove nothing and guess nothing.
func usable(c *digest.Credentials) bool {
	switch strings.ToUpper(c.Algorithm) {
	case "", "MD5", "SHA-256":
	default:
		return false
	}
	if c.Username == "" || c.Response == "" || c.URI == "" || c.Userhash {
		return false
	}
	return c.QOP == "" || c.QOP == "auth" && c.Cnonce != "" && c.Nc > 0
}

// countOf is the nonce count of credentials. Without qop there is none: such a nonce
// works once.
func countOf(c *digest.Credentials) uint32 {
	if c.QOP == "" {
		return math.MaxUint32
	}
	return uint32(c.Nc)
}

// digestRight checks the response of a digest in constant time.
func digestRight(c *digest.Credentials, m *message, known connection.HA1) bool {
	h, ha1 := md5.New(), known.MD5
	if strings.EqualFold(c.Algorithm, "SHA-256") {
		h, ha1 = sha256.New(), known.SHA256
	}
	sum := func(parts ...string) string {
		h.Reset()
		h.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h.Sum(nil))
	}
	given := []byte(strings.ToLower(c.Response))
	request := sum(m.method, c.URI)
	if c.QOP == "" {
		return subtle.ConstantTimeCompare([]byte(sum(ha1, c.Nonce, request)), given) == 1
	}
	count := ncText(c.Nc)
	right := subtle.ConstantTimeCompare([]byte(sum(ha1, c.Nonce, count, c.Cnonce, c.QOP, request)), given)
	if upper := strings.ToUpper(count); upper != count {
		// Some write the count in capitals, and hash it so.
		right |= subtle.ConstantTimeCompare([]byte(sum(ha1, c.Nonce, upper, c.Cnonce, c.QOP, request)), given)
	}
	return right == 1
}

// sameTarget says whether the URI that was signed is the one that is called. A
// proxy on the way may have rewritten its host or parameters, but what is dialled
// must be what was signed.
func sameTarget(signed, called string) bool {
	if signed == called {
		return true
	}
	s, okS := uriParts(signed)
	c, okC := uriParts(called)
	return okS && okC && s.user == c.user && s.user != ""
}

// ncText writes a nonce count as it is hashed.
func ncText(n int) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return hex.EncodeToString(b[:])
}
