package shaken

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// The reasons for which a call is not signed.
var (
	ErrOff = errors.New("a gateway's identity is sign, and there is no certificate: give --shaken-cert, --shaken-key " +
		"and --shaken-x5u, or set the gateway's identity to pass")
	ErrNumber   = errors.New("there is no number to sign")
	ErrValidity = errors.New("nothing can be signed by it now")
	ErrCover    = errors.New("the certificate is not for this number")
)

// Files gives the certificate in force and its key.
type Files interface {
	InForce() (*tls.Certificate, *x509.CertPool)
}

// Config is what a Signer needs.
type Config struct {
	Files Files  // nil: nothing is signed
	X5U   string // where others get the certificate, as CheckURL wants it
	Rand  io.Reader
	Log   *slog.Logger
}

// Signer signs calls. A nil one signs none. It is safe for concurrent use.
//
// Nothing is kept from one call to the next: two calls between the same numbers within a
// second have signatures of their own, since each has its own attestation and origin, and
// verifiers treat one that they have seen before as a replay.
type Signer struct {
	config   Config
	prepared atomic.Pointer[prepared]
	signed   [3]atomic.Uint64 // by attestation
	failed   [failures]atomic.Uint64
	warnedAt atomic.Int64 // Unix seconds
}

// prepared is what is the same for all calls of a certificate.
type prepared struct {
	pair      *tls.Certificate
	key       *ecdsa.PrivateKey
	header    string
	authority Authority
}

// The kinds of failures that are counted.
const (
	failedOff = iota
	failedValidity
	failedCover
	failedNumber
	failedOther
	failures
)

var failureNames = [failures]string{"no_certificate", "validity", "not_covered", "no_number", "other"}

// New returns a signer. Its files have been read, and have passed Check.
func New(config Config) *Signer { return &Signer{config: config} }

// Signed is a signed call as header fields.
type Signed struct {
	Identity string // the value of Identity
	Date     string // the value of Date, the time that was signed
}

// Sign signs the claims. A call whose claims cannot be signed goes out without.
func (s *Signer) Sign(c Claims) (Signed, error) {
	if s == nil {
		return Signed{}, ErrOff
	}
	signed, err := s.sign(&c)
	if err != nil {
		s.fail(err, c.At)
		return Signed{}, err
	}
	if n := int(c.Attestation[0] - 'A'); n < len(s.signed) {
		s.signed[n].Add(1)
	}
	return signed, nil
}

func (s *Signer) sign(c *Claims) (signed Signed, err error) {
	if Canonical(c.Caller) == "" || Canonical(c.Callee) == "" || c.Attestation == "" {
		return signed, ErrNumber
	}
	p, err := s.prepare()
	if err != nil {
		return signed, err
	}
	if err := CheckTime(p.pair.Leaf, c.At); err != nil {
		return signed, err
	}
	if !p.authority.Covers(c.Caller) {
		return signed, ErrCover
	}
	var room [256]byte
	payload := c.appendPayload(room[:0])
	token := make([]byte, 0, len(p.header)+len(payload)*4/3+len(s.config.X5U)+128)
	token = append(append(token, p.header...), '.')
	token = encoding.AppendEncode(token, payload)
	token, err = p.appendSignature(token, s.config.Rand)
	if err != nil {
		return signed, err
	}
	token = append(append(append(token, ";info=<"...), s.config.X5U...), ">;alg=ES256;ppt=shaken"...)
	return Signed{Identity: string(token), Date: c.At.UTC().Format(http.TimeFormat)}, nil
}

// prepare reads the current certificate.
func (s *Signer) prepare() (*prepared, error) {
	if s.config.Files == nil {
		return nil, ErrOff
	}
	pair, _ := s.config.Files.InForce()
	if p := s.prepared.Load(); p != nil && p.pair == pair {
		return p, nil
	}
	if pair == nil {
		return nil, ErrOff
	}
	if err := Check(pair); err != nil {
		return nil, err
	}
	authority, err := ReadAuthority(pair.Leaf)
	if err != nil {
		return nil, err
	}
	p := &prepared{pair, pair.PrivateKey.(*ecdsa.PrivateKey), header(s.config.X5U), authority}
	s.prepared.Store(p)
	return p, nil
}

// failEvery is how often at most a failure is logged. All are counted.
const failEvery = 60

func (s *Signer) fail(err error, now time.Time) {
	kind := failedOther
	switch {
	case errors.Is(err, ErrOff):
		kind = failedOff
	case errors.Is(err, ErrValidity):
		kind = failedValidity
	case errors.Is(err, ErrCover):
		kind = failedCover
	case errors.Is(err, ErrNumber):
		kind = failedNumber
	}
	s.failed[kind].Add(1)
	last := s.warnedAt.Load()
	if kind != failedNumber && now.Unix()-last >= failEvery && s.warnedAt.CompareAndSwap(last, now.Unix()) {
		s.config.Log.Error("calls go out without a signature", "err", err)
	}
}

// Leaf is the certificate in force; nil for none.
func (s *Signer) Leaf() *x509.Certificate {
	if s == nil || s.config.Files == nil {
		return nil
	}
	if pair, _ := s.config.Files.InForce(); pair != nil {
		return pair.Leaf
	}
	return nil
}

// Stats are counts since the start.
type Stats struct {
	Signed map[string]uint64 // by attestation
	Failed map[string]uint64 // by what kept the call from being signed
	Expiry time.Time         // of the certificate in force; zero for none
}

// Stats returns the counters.
func (s *Signer) Stats() Stats {
	stats := Stats{Signed: make(map[string]uint64), Failed: make(map[string]uint64)}
	if s == nil {
		return stats
	}
	if leaf := s.Leaf(); leaf != nil {
		stats.Expiry = leaf.NotAfter
	}
	for i := range s.signed {
		stats.Signed[string(rune('A'+i))] = s.signed[i].Load()
	}
	for i := range s.failed {
		stats.Failed[failureNames[i]] = s.failed[i].Load()
	}
	return stats
}

// appendSignature signs what a token has and appends the signature by ES256: the two
// numbers of 32 bytes, not their ASN.1 (RFC 7518 section 3.4).
func (p *prepared) appendSignature(token []byte, random io.Reader) ([]byte, error) {
	sum := sha256.Sum256(token)
	r, s, err := ecdsa.Sign(random, p.key, sum[:])
	if err != nil {
		return nil, err
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return encoding.AppendEncode(append(token, '.'), signature[:]), nil
}
