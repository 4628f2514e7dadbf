package webhook

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Headers of a request. Source: Telnyx v2, webhook signing; webhook-id is of
// Standard Webhooks 1.0.
const (
	HeaderSignature = "Telnyx-Signature-Ed25519"
	HeaderTimestamp = "Telnyx-Timestamp"
	HeaderID        = "Webhook-Id" // the event's id, for recognising repeats
)

// VerifyTolerance is how far the time of a request may be from the receiver's
// clock, in both directions. Source: Telnyx's SDKs.
const VerifyTolerance = 5 * time.Minute

// Signer signs requests with Ed25519.
type Signer struct{ key ed25519.PrivateKey }

// NewSigner makes a signer from a secret seed of 32 bytes.
func NewSigner(seed []byte) (*Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("make webhook signer: the seed has %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	return &Signer{ed25519.NewKeyFromSeed(seed)}, nil
}

// PublicKey is the key that receivers verify with: base64 of its 32 bytes.
func (s *Signer) PublicKey() string {
	return base64.StdEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
}

// String names the signer by its public key and keeps the secret one out of logs.
func (s *Signer) String() string { return "signer " + s.PublicKey() }

// GoString is String, for the same reason.
func (s *Signer) GoString() string { return s.String() }

// Signature proves when and by whom a body was sent. Its fields are the values of
// HeaderTimestamp and HeaderSignature.
type Signature struct{ Timestamp, Value string }

// Sign signs a body that is sent now.
func (s *Signer) Sign(body []byte, now time.Time) Signature {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signed := ed25519.Sign(s.key, signedText(timestamp, body))
	return Signature{Timestamp: timestamp, Value: base64.StdEncoding.EncodeToString(signed)}
}

func signedText(timestamp string, body []byte) []byte {
	return append([]byte(timestamp+"|"), body...)
}

// ErrSignature means that a request is not what the sender signed, or not now. It
// is wrapped with why.
var ErrSignature = errors.New("webhook signature does not verify")

// Verify checks a received request: the signature of its headers, and the body byte
// for byte as it arrived. publicKey is Signer.PublicKey. Errors wrap ErrSignature.
func (s Signature) Verify(publicKey string, body []byte, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(publicKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: the public key is not base64 of %d bytes", ErrSignature, ed25519.PublicKeySize)
	}
	seconds, err := strconv.ParseInt(s.Timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: %s is missing or not a number", ErrSignature, HeaderTimestamp)
	}
	const tolerance = int64(VerifyTolerance / time.Second)
	if age := now.Unix() - seconds; age > tolerance || -age > tolerance {
		return fmt.Errorf("%w: it was sent %d seconds ago, more than %v from now", ErrSignature, age, VerifyTolerance)
	}
	signature, err := base64.StdEncoding.DecodeString(s.Value)
	if err != nil || !ed25519.Verify(key, signedText(s.Timestamp, body), signature) {
		return fmt.Errorf("%w: %s is not the key's signature of this body", ErrSignature, HeaderSignature)
	}
	return nil
}
