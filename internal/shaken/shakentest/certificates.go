// Package shakentest makes certificates for tests of signing.
package shakentest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// X5U is where the certificates of tests would be.
const X5U = "https://certificates.example.com/shaken.pem"

// Pair is a certificate and its key, in memory and as PEM.
type Pair struct {
	TLS       *tls.Certificate
	Cert, Key []byte
}

// InForce implements shaken.Files.
func (p *Pair) InForce() (*tls.Certificate, *x509.CertPool) { return p.TLS, nil }

// Wish is what a test wants other than a certificate of P-256 for the code 1234 that is in
// force from an hour ago until in a day.
type Wish struct {
	Curve     elliptic.Curve
	From, To  time.Time
	Authority []byte // the TNAuthList; nil for the usual
	Bare      bool   // without it
	Template  func(*x509.Certificate)
}

// SPC is an entry of a TNAuthList with a service provider code.
func SPC(code string) asn1.RawValue { return explicit(0, must(asn1.MarshalWithParams(code, "ia5"))) }

// Range is an entry with numbers.
func Range(start string, count int) asn1.RawValue {
	return explicit(1, must(asn1.Marshal(struct {
		Start string `asn1:"ia5"`
		Count int
	}{start, count})))
}

// One is an entry with a number.
func One(number string) asn1.RawValue {
	return explicit(2, must(asn1.MarshalWithParams(number, "ia5")))
}

// Authority is a TNAuthList.
func Authority(entries ...asn1.RawValue) []byte { return must(asn1.Marshal(entries)) }

func explicit(tag int, inner []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: inner}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// New makes a certificate that signs itself.
func New(t testing.TB, w Wish) *Pair {
	t.Helper()
	if w.Curve == nil {
		w.Curve = elliptic.P256()
	}
	if w.From.IsZero() {
		w.From = time.Now().Add(-time.Hour)
	}
	if w.To.IsZero() {
		w.To = time.Now().Add(24 * time.Hour)
	}
	if w.Authority == nil {
		w.Authority = Authority(SPC("1234"))
	}
	key, err := ecdsa.GenerateKey(w.Curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "SHAKEN 1234"}, NotBefore: w.From, NotAfter: w.To,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if !w.Bare {
		list := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26}
		template.ExtraExtensions = []pkix.Extension{{Id: list, Value: w.Authority}}
	}
	if w.Template != nil {
		w.Template(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := &Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}),
	}
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	p.TLS = &pair
	return p
}

// Write puts both into files of a folder.
func (p *Pair) Write(t testing.TB, folder string) (cert, key string) {
	t.Helper()
	cert, key = filepath.Join(folder, "shaken.pem"), filepath.Join(folder, "shaken.key")
	for name, text := range map[string][]byte{cert: p.Cert, key: p.Key} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
