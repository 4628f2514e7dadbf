// Package shaken signs who calls whom, so that the networks on the way can believe the
// caller's number (STIR/SHAKEN: RFC 8224, RFC 8225, RFC 8588, ATIS-1000074). It knows
// nothing of SIP messages: it makes the value of an Identity header field, and reads what
// others have made.
package shaken

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// Claims are the claims of a PASSporT about a call.
type Claims struct {
	Attestation    string // A, B or C
	Caller, Callee string // in any form that Canonical reads
	Origin         uuid.UUID
	At             time.Time
}

// Canonical is a number as PASSporTs have it: digits, and the # and * of services (RFC 8224
// section 8.3). It has the country code where the number that it is given has one.
func Canonical(number string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '#' || r == '*' {
			return r
		}
		return -1
	}, number)
}

// appendPayload writes the claims in the form in which RFC 8225 section 9 signs them: members in the
// order of their names, no space, and every number a text.
func (c *Claims) appendPayload(b []byte) []byte {
	b = append(append(b, `{"attest":"`...), c.Attestation...)
	b = append(append(b, `","dest":{"tn":["`...), Canonical(c.Callee)...)
	b = strconv.AppendInt(append(b, `"]},"iat":`...), c.At.Unix(), 10)
	b = append(append(b, `,"orig":{"tn":"`...), Canonical(c.Caller)...)
	b = append(append(b, `"},"origid":"`...), c.Origin.String()...)
	return append(b, `"}`...)
}

// header is the protected header, encoded. It is the same for all calls of a certificate.
func header(x5u string) string {
	return encoding.EncodeToString([]byte(`{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"` + x5u + `"}`))
}

var encoding = base64.RawURLEncoding

// Freshness is how far from now a PASSporT may have been made: what verifiers commonly take
// (ATIS-1000074 section 5.3.1).
const Freshness = time.Minute

// Passport is a PASSporT, read without its certificate. Its signature is not
// verified.
type Passport struct {
	Type   string // shaken, div, rcd, or another; "" for none
	Caller string // canonical; "" where it is no number
	// Callees are canonical, without those that are no numbers.
	Callees []string
	At      time.Time
}

// Read reads the value of an Identity header field in its full form. ok is false when it
// has another form, or no form at all.
func Read(value string) (p Passport, ok bool) {
	token, _, _ := strings.Cut(value, ";")
	parts := strings.Split(strings.TrimSpace(token), ".")
	if len(parts) != 3 {
		return p, false
	}
	var head struct {
		Type string `json:"ppt"`
	}
	var body struct {
		Callee struct {
			Numbers jsontext.Value `json:"tn"`
		} `json:"dest"`
		Caller struct {
			Number string `json:"tn"`
		} `json:"orig"`
		At int64 `json:"iat"`
	}
	if !decode(parts[0], &head) || !decode(parts[1], &body) {
		return p, false
	}
	p = Passport{Type: head.Type, Caller: Canonical(body.Caller.Number), At: time.Unix(body.At, 0)}
	for _, number := range texts(body.Callee.Numbers) {
		p.Callees = append(p.Callees, Canonical(number))
	}
	return p, true
}

func decode(part string, into any) bool {
	text, err := encoding.DecodeString(strings.TrimRight(part, "="))
	return err == nil && json.Unmarshal(text, into) == nil
}

// texts reads a list of texts, or a text that should have been a list.
func texts(value jsontext.Value) (list []string) {
	if json.Unmarshal(value, &list) == nil {
		return list
	}
	var one string
	if json.Unmarshal(value, &one) == nil {
		return []string{one}
	}
	return nil
}

// IsOf reports whether the PASSporT is of a call from one number to another, made just now.
func (p *Passport) IsOf(caller, callee string, now time.Time) bool {
	if p.Caller == "" || p.Caller != Canonical(caller) || now.Sub(p.At).Abs() > Freshness {
		return false
	}
	for _, number := range p.Callees {
		if number != "" && number == Canonical(callee) {
			return true
		}
	}
	return false
}

// Keep chooses the passports of a call that are passed on beside one of our
// own. With whole the call is signed already, by a passport of type shaken that is of this
// call, or that a div (RFC 8946) refers to it from the number that was called first: then all
// are passed on unchanged, and ours would add nothing. Otherwise what is of another call or
// another time is left out, since a network may judge the call by the first that it finds.
func Keep(values []string, caller, callee string, now time.Time) (kept []string, whole bool) {
	var shaken []Passport
	diverted := false
	for _, value := range values {
		p, ok := Read(value)
		fits := ok && p.IsOf(caller, callee, now)
		switch {
		case ok && p.Type == "shaken":
			shaken = append(shaken, p)
			whole = whole || fits
		case fits && p.Type == "div":
			diverted = true
		case fits:
			kept = append(kept, value)
		}
	}
	for _, p := range shaken {
		whole = whole || diverted && p.Caller == Canonical(caller)
	}
	if whole {
		return values, true
	}
	return kept, false
}
