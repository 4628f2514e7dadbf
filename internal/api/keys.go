package api

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
)

// The form of keys that Tollgate makes: a fixed beginning by which scanners for
// leaked secrets find it, 256 random bits, and a checksum by which a mistyped key
// is refused without asking the store.
const (
	keyPrefix     = "tg_live_"
	keyRandom     = 43 // base-62 digits of 256 bits
	keyChecksum   = 6  // base-62 digits of a CRC-32
	keyRandomBits = 256
)

// Lengths of keys of any form.
const (
	minKey = 16
	maxKey = 256
)

// ErrKey means that a text cannot be an API key.
var ErrKey = errors.New("an API key has 16 to 256 visible ASCII characters")

// NewKey makes an API key from a source of random bytes. The key is shown once
// and never stored; what is stored is made by ImportKey.
func NewKey(random io.Reader) (string, error) {
	var bits [keyRandomBits / 8]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return "", fmt.Errorf("make an API key: %w", err)
	}
	body := keyPrefix + base62(new(big.Int).SetBytes(bits[:]), keyRandom)
	return body + checksum(body), nil
}

func base62(n *big.Int, width int) string {
	text := n.Text(62)
	return strings.Repeat("0", width-len(text)) + text
}

func checksum(body string) string {
	return base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), keyChecksum)
}

// ImportKey turns a key of any form into what is stored of it: its hash, and a
// few characters for people to tell keys apart. No scope means read and write.
func ImportKey(secret string, account id.ID, name string, scopes ...string) (store.Key, error) {
	if !plausible(secret) {
		return store.Key{}, ErrKey
	}
	if len(scopes) == 0 {
		scopes = []string{ScopeRead, ScopeWrite}
	}
	return store.Key{Head: collection.Head[id.ID]{AccountID: account},
		Name: name, Hash: HashKey(secret), Hint: hintOf(secret), Scopes: scopes}, nil
}

// HashKey is the hash by which a key is found. A key has 256 random bits, so a
// fast hash is as good as a slow one; and since the store looks the hash up, how
// long it takes tells nothing about the key.
func HashKey(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// plausible is false for what cannot be a key, so that the store is not asked.
func plausible(secret string) bool {
	if len(secret) < minKey || len(secret) > maxKey ||
		strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return false
	}
	if strings.HasPrefix(secret, keyPrefix) && len(secret) == len(keyPrefix)+keyRandom+keyChecksum {
		body := secret[:len(secret)-keyChecksum]
		return secret[len(body):] == checksum(body)
	}
	return true
}
