// Package secret keeps secrets: it seals what is stored and must be read again,
// authenticates what is stored and must not be changed, and looks after the files
// that hold keys.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// keyBytes is the length of a key.
const keyBytes = 32

// sealedPrefix is how a sealed value begins; the id of its key follows, and then the
// nonce and the ciphertext of AES-256-GCM in base64.
const sealedPrefix = "tgsealed1:"

// ErrNoKey means that a value was sealed under a key that the vault does not have.
var ErrNoKey = errors.New("it was sealed under a key that is not in the key file")

// ErrDamaged means that a sealed value was changed, or moved from where it belongs.
var ErrDamaged = errors.New("a sealed value was changed or moved")

// Vault has keys: the first is that under which values are sealed and messages
// authenticated, all of them open and verify.
type Vault struct {
	keys []vaultKey
}

type vaultKey struct {
	id   string
	aead cipher.AEAD
	mac  []byte
}

// New makes a vault of keys of 32 bytes.
func New(keys ...[]byte) (*Vault, error) {
	v := &Vault{}
	for _, key := range keys {
		if len(key) != keyBytes {
			return nil, fmt.Errorf("a secrets key has %d bytes, not %d", keyBytes, len(key))
		}
		made, err := newVaultKey(key)
		if err != nil {
			return nil, err
		}
		if v.Has(made.id) {
			return nil, fmt.Errorf("duplicate key %s", made.id)
		}
		v.keys = append(v.keys, made)
	}
	if len(v.keys) == 0 {
		return nil, errors.New("no key")
	}
	return v, nil
}

func newVaultKey(key []byte) (vaultKey, error) {
	sum := sha256.Sum256(append([]byte("tollgate secrets key id"), key...))
	k := vaultKey{id: hex.EncodeToString(sum[:6])}
	sealing, err := hkdf.Key(sha256.New, key, nil, "tollgate sealed secrets", keyBytes)
	if err != nil {
		return k, err
	}
	if k.mac, err = hkdf.Key(sha256.New, key, nil, "tollgate authentication", keyBytes); err != nil {
		return k, err
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return k, err
	}
	k.aead, err = cipher.NewGCM(block)
	return k, err
}

// Open is a vault with a public key. It is for stores of tests and tools: they seal as
// every store does, and keep nothing secret.
func Open() *Vault {
	key, err := newVaultKey(make([]byte, keyBytes))
	if err != nil {
		panic(err) // of a constant
	}
	return &Vault{keys: []vaultKey{key}}
}

// ID names the key that seals. It tells nothing about the key.
func (v *Vault) ID() string { return v.keys[0].id }

// Has reports whether the vault has a key.
func (v *Vault) Has(keyID string) bool { return v.find(keyID) != nil }

func (v *Vault) find(keyID string) *vaultKey {
	for i := range v.keys {
		if v.keys[i].id == keyID {
			return &v.keys[i]
		}
	}
	return nil
}

// Seal encrypts a text. It is opened only with the same place: so a writer of the
// database cannot see one secret by moving it to where another is shown.
func (v *Vault) Seal(place, text string) string {
	key := &v.keys[0]
	nonce := make([]byte, key.aead.NonceSize(), key.aead.NonceSize()+len(text)+key.aead.Overhead())
	_, _ = rand.Read(nonce) // it never fails
	sealed := key.aead.Seal(nonce, nonce, []byte(text), []byte(place))
	return sealedPrefix + key.id + ":" + base64.RawStdEncoding.EncodeToString(sealed)
}

// Unseal opens what Seal has made. What is not sealed is returned as it is: it was
// stored by a server that sealed nothing.
func (v *Vault) Unseal(place, sealed string) (string, error) {
	id, body, ok := cutSealed(sealed)
	if !ok {
		return sealed, nil
	}
	key := v.find(id)
	if key == nil {
		return "", fmt.Errorf("%w: %.20q", ErrNoKey, id)
	}
	raw, err := base64.RawStdEncoding.DecodeString(body)
	if err != nil || len(raw) < key.aead.NonceSize() {
		return "", ErrDamaged
	}
	text, err := key.aead.Open(nil, raw[:key.aead.NonceSize()], raw[key.aead.NonceSize():], []byte(place))
	if err != nil {
		return "", ErrDamaged
	}
	return string(text), nil
}

// Current reports whether a stored value is sealed under the key that seals now.
func (v *Vault) Current(stored string) bool {
	id, _, ok := cutSealed(stored)
	return ok && id == v.ID()
}

func cutSealed(text string) (id, body string, ok bool) {
	rest, ok := strings.CutPrefix(text, sealedPrefix)
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, ":")
}

// Mark stands for a secret where only equality matters: it does not
// reveal the secret without the key.
func (v *Vault) Mark(text string) string {
	h := hmac.New(sha256.New, v.keys[0].mac)
	h.Write([]byte("mark:" + text))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// MAC authenticates parts under a key of the vault. ok is false when it has none of
// that id.
func (v *Vault) MAC(keyID, purpose string, parts ...[]byte) (sum [32]byte, ok bool) {
	key := v.find(keyID)
	if key == nil {
		return sum, false
	}
	h := hmac.New(sha256.New, key.mac)
	h.Write([]byte(purpose + ":"))
	for _, part := range parts {
		h.Write(part)
	}
	h.Sum(sum[:0])
	return sum, true
}
