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
	"hash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/policy"
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

// issue makes a nonce for a source: the time, some chance, and a MAC of all three.
func (n *nonces) issue(source netip.Addr, now time.Time) string {
	var b [32]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixNano()))
	rand.Read(b[8:16])
	copy(b[16:], n.mac(b[:16], source))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (n *nonces) mac(data []byte, source netip.Addr) []byte {
	h := hmac.New(sha256.New, n.secret[:])
	h.Write(data)
	address := source.As16()
	h.Write(address[:])
	return h.Sum(nil)[:16]
}

// fresh says whether a nonce is one of ours, for this source, and young enough.
func (n *nonces) fresh(nonce string, source netip.Addr, now time.Time) bool {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 32 || !hmac.Equal(b[16:], n.mac(b[:16], source)) {
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

// authorization is the digest answer of a request, under either name.
func authorization(m *message) string {
	if value := m.get("proxy-authorization"); value != "" {
		return value
	}
	return m.get("authorization")
}

// authenticate finds the credential connection of a request. ok is false when the
// request has been answered: with a challenge, or with a refusal that is the same
// whether the user exists or not.
func (sh *shard) authenticate(snapshot *policy.Snapshot, m *message, tx *serverTx) (c *policy.Connection, ok bool) {
	value := authorization(m)
	if !digest.IsDigest(value) {
		sh.challenge(tx, algorithmsOf(snapshot.ByUser(addressUser(m.from))), false)
		return nil, false
	}
	credentials, err := digest.ParseCredentials(value)
	if err != nil || credentials.Realm != sh.g.config.Realm {
		sh.challenge(tx, algorithmsOf(nil), false)
		return nil, false
	}
	c = snapshot.ByUser(credentials.Username)
	algorithms := algorithmsOf(c)
	if !sh.g.nonces.fresh(credentials.Nonce, m.peer.addr.Addr(), sh.now) {
		sh.challenge(tx, algorithms, true)
		return nil, false
	}
	password := sh.g.decoy
	if c != nil {
		password = c.Password
	}
	if right := digestRight(credentials, m, password); !right || c == nil {
		sh.g.count.authFailures.Add(1)
		sh.g.guessed(m.peer.addr.Addr(), sh.now)
		tx.refuse(admission.ReasonConnectionUnknown, nil)
		return nil, false
	}
	if used := cmp.Or(strings.ToUpper(credentials.Algorithm), "MD5"); !slices.Contains(algorithms, used) {
		// Told only to who knows the password: a guess learns nothing of the user from it.
		sh.challenge(tx, algorithms, false)
		return nil, false
	}
	if credentials.Nc <= 0 || !sh.g.nonces.use(credentials.Nonce, uint32(credentials.Nc), sh.now) {
		sh.g.count.authReplays.Add(1)
		sh.challenge(tx, algorithms, true)
		return nil, false
	}
	return c, true
}

// algorithmsOf are those of a connection's challenges, best first; those of anybody
// when it is nil.
func algorithmsOf(c *policy.Connection) []string {
	if c == nil {
		return connection.DigestAlgorithms()
	}
	return c.DigestAlgorithms
}

// challenge asks for digest credentials.
func (sh *shard) challenge(tx *serverTx, algorithms []string, stale bool) {
	sh.g.count.challenges.Add(1)
	nonce := sh.g.nonces.issue(tx.request.peer.addr.Addr(), sh.now)
	extra := ""
	for _, algorithm := range algorithms {
		extra += `Proxy-Authenticate: Digest realm="` + sh.g.config.Realm + `", nonce="` + nonce +
			`", algorithm=` + algorithm + `, qop="auth"`
		if stale {
			extra += ", stale=true"
		}
		extra += "\r\n"
	}
	tx.respond(407, "Proxy Authentication Required", extra)
}

// digestRight checks the response of a digest in constant time.
func digestRight(c *digest.Credentials, m *message, password string) bool {
	var h hash.Hash
	switch strings.ToUpper(c.Algorithm) {
	case "", "MD5":
		h = md5.New()
	case "SHA-256":
		h = sha256.New()
	default:
		return false
	}
	if c.QOP != "auth" || c.Cnonce == "" || !sameTarget(c.URI, m.uri) {
		return false
	}
	sum := func(parts ...string) string {
		h.Reset()
		h.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h.Sum(nil))
	}
	want := sum(sum(c.Username, c.Realm, password), c.Nonce, ncText(c.Nc), c.Cnonce, c.QOP, sum(m.method, c.URI))
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c.Response))) == 1
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
