package shaken

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
)

// tnAuthList is the extension that says for which numbers a certificate may sign (RFC 8226
// section 9).
var tnAuthList = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26}

// Authority is what a certificate may sign for.
type Authority struct {
	// Codes are the service provider codes. With one of them it may sign for every number
	// that the provider lets its customers use.
	Codes  []string
	ranges []numberRange
	// Unsaid means that the certificate has no such extension.
	Unsaid bool
}

// numberRange is a number and those that follow it, all of the same length.
type numberRange struct {
	digits      int
	first, last *big.Int
}

// Covers reports whether the certificate may sign for a number.
func (a *Authority) Covers(number string) bool {
	if a.Unsaid || len(a.Codes) > 0 {
		return true
	}
	text := Canonical(number)
	n, ok := new(big.Int).SetString(text, 10)
	for _, r := range a.ranges {
		if ok && len(text) == r.digits && r.first.Cmp(n) <= 0 && n.Cmp(r.last) <= 0 {
			return true
		}
	}
	return false
}

// ReadAuthority reads what a certificate may sign for.
func ReadAuthority(leaf *x509.Certificate) (a Authority, err error) {
	for _, extension := range leaf.Extensions {
		if !extension.Id.Equal(tnAuthList) {
			continue
		}
		var entries []asn1.RawValue
		rest, err := asn1.Unmarshal(extension.Value, &entries)
		if err != nil || len(rest) > 0 || len(entries) == 0 {
			return a, errAuthority
		}
		for _, entry := range entries {
			if err := a.read(entry); err != nil {
				return a, err
			}
		}
		return a, nil
	}
	a.Unsaid = true
	return a, nil
}

var errAuthority = errors.New("its TNAuthList is not what RFC 8226 says: ask the authority for a certificate with " +
	"one that is")

// read reads an entry: a service provider code, a range of numbers, or a number.
func (a *Authority) read(entry asn1.RawValue) error {
	var text string
	switch {
	case entry.Class != asn1.ClassContextSpecific:
		return errAuthority
	case entry.Tag == 0:
		if !whole(entry.Bytes, &text, "ia5") || text == "" {
			return errAuthority
		}
		a.Codes = append(a.Codes, text)
		return nil
	case entry.Tag == 1:
		var r struct {
			Start string `asn1:"ia5"`
			Count *big.Int
		}
		if !whole(entry.Bytes, &r, "") || r.Count.Sign() <= 0 {
			return errAuthority
		}
		return a.add(r.Start, r.Count)
	case entry.Tag == 2:
		if !whole(entry.Bytes, &text, "ia5") {
			return errAuthority
		}
		return a.add(text, big.NewInt(1))
	}
	return errAuthority
}

func whole(data []byte, into any, how string) bool {
	rest, err := asn1.UnmarshalWithParams(data, into, how)
	return err == nil && len(rest) == 0
}

func (a *Authority) add(start string, count *big.Int) error {
	const mostDigits = 15
	if len(start) == 0 || len(start) > mostDigits {
		return errAuthority
	}
	first, ok := new(big.Int).SetString(start, 10)
	if !ok {
		return nil // a number with # or *, from which no one calls
	}
	last := new(big.Int).Add(first, count)
	a.ranges = append(a.ranges, numberRange{len(start), first, last.Sub(last, big.NewInt(1))})
	return nil
}

// Check explains why a certificate and its key cannot sign calls, whatever the time.
func Check(pair *tls.Certificate) error {
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return fmt.Errorf("its key is %s, and calls are signed by ES256. Make a key by \"openssl ecparam -name prime256v1 "+
			"-genkey -noout\" and have the authority sign a request with it", describe(pair.PrivateKey))
	}
	leaf := pair.Leaf
	if leaf.IsCA && leaf.BasicConstraintsValid {
		return errors.New("its first certificate is that of an authority, which signs no calls. Put your own certificate " +
			"first in the file, and those between it and the root behind it")
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return errors.New("its key usage is not for signatures. Have the authority make one with digitalSignature")
	}
	_, err := ReadAuthority(leaf)
	return err
}

func describe(key any) string {
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		return key.Curve.Params().Name
	case *rsa.PrivateKey:
		return fmt.Sprintf("RSA of %d bits", key.N.BitLen())
	}
	return "not of P-256"
}

// CheckTime reports whether a certificate is in force.
func CheckTime(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s: %w. Look at the clock of this machine, or wait",
			leaf.NotBefore.UTC().Format(time.RFC3339), ErrValidity)
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate ended at %s: %w. Get a new one from the authority and put it into the file, "+
			"which is read again by itself", leaf.NotAfter.UTC().Format(time.RFC3339), ErrValidity)
	}
	return nil
}

// CheckURL explains why verifiers do not fetch certificates from an address
// (ATIS-1000074 section 5.3.1: HTTPS, no user, query or fragment, port 443 or 8443).
func CheckURL(x5u string) error {
	const most = 512
	const form = "give the address at which others get the certificate, such as " +
		"https://certificates.example.com/shaken.pem"
	u, err := url.Parse(x5u)
	switch {
	case x5u == "":
		return errors.New("is missing: " + form)
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || len(x5u) > most || strings.ContainsFunc(x5u, isUnsafe):
		return fmt.Errorf("%.100q is no address of HTTPS: %s", x5u, form)
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "", strings.Contains(x5u, "#"):
		return fmt.Errorf("%.100q has a user, a query or a fragment, which verifiers refuse: %s", x5u, form)
	case u.Port() != "" && u.Port() != "443" && u.Port() != "8443":
		return fmt.Errorf("%.100q has the port %s, and verifiers take 443 and 8443 only: %s", x5u, u.Port(), form)
	}
	return nil
}

// isUnsafe reports whether a character has no place in a URI, or would end the text that
// the URI stands in.
func isUnsafe(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"\\<>^`{|}", r) }
