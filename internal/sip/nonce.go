package sip

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// The limits of digest authentication.
const (
	// nonceLife is how long a nonce is accepted; after that the answer is stale=true
	// and the client tries again without asking its user.
	nonceLife = 5 * time.Minute
	// maxNonces bounds the nonces whose counts are remembered, some 16 MB. With more in use
	// within nonceLife, twice as many as telephones may be registered, the older half is
	// forgotten, and what is sent with those is stale.
	maxNonces = 1 << 19
)

// The parts of a nonce. It is short, since a sender that has not authenticated yet is
// answered with no more than is needed.
const (
	nonceTime   = 8 // Unix nanoseconds
	nonceChance = 2
	nonceMAC    = 8
	nonceBytes  = nonceTime + nonceChance + nonceMAC
)

// nonceKey is a nonce without its encoding: its text would keep the whole message.
type nonceKey [nonceBytes]byte

// Nonces makes nonces that prove their own age, and remembers the counts with
// which each was used, so that no Authorization works twice (RFC 7616 section 3.3).
type Nonces struct {
	secret [32]byte

	mu         sync.Mutex // guards all below
	young, old map[nonceKey]uint32
	// floor is when the youngest nonce that may have been forgotten was made: nonces
	// up to it are stale.
	floor, rotated time.Time
}

// NewNonces makes nonces under a random secret.
func NewNonces() *Nonces {
	n := &Nonces{young: make(map[nonceKey]uint32)}
	rand.Read(n.secret[:])
	return n
}

// Issue makes a nonce for a source: the time, some chance, and a MAC of all three.
func (n *Nonces) Issue(source netip.Addr, now time.Time) string {
	var b [nonceBytes]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixNano()))
	rand.Read(b[nonceTime : nonceTime+nonceChance])
	copy(b[nonceTime+nonceChance:], n.mac(b[:nonceTime+nonceChance], source))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (n *Nonces) mac(data []byte, source netip.Addr) []byte {
	h := hmac.New(sha256.New, n.secret[:])
	h.Write(data)
	address := source.As16()
	h.Write(address[:])
	return h.Sum(nil)[:nonceMAC]
}

// Fresh reports whether a nonce is one of ours, for this source, and young enough.
func (n *Nonces) Fresh(nonce string, source netip.Addr, now time.Time) bool {
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

// Use notes a count and reports whether it is higher than every one before.
func (n *Nonces) Use(nonce string, count uint32, now time.Time) bool {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != nonceBytes {
		return false
	}
	key := nonceKey(b)
	n.mu.Lock()
	defer n.mu.Unlock()
	last, seen := n.young[key]
	if !seen {
		last = n.old[key]
	}
	if count <= last {
		return false
	}
	if len(n.young) >= maxNonces/2 || now.Sub(n.rotated) >= nonceLife {
		n.old, n.young = n.young, make(map[nonceKey]uint32)
		n.floor, n.rotated = n.rotated, now
	}
	n.young[key] = count
	return true
}
