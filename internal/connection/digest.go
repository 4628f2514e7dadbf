package connection

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/tollgate/tollgate/internal/field"
)

// Realm is the realm of digest authentication. It is part of every hashed password and
// therefore not a setting.
const Realm = "tollgate"

// HA1 holds the hashes of a user's password that digests are checked against (RFC 7616,
// section 3.4.2): anyone who has them can authenticate as the user in this realm, but
// does not know the password.
type HA1 struct {
	MD5, SHA256 string // hexadecimal
}

// DigestSettings are the rules for callers that authenticate with credentials.
type DigestSettings struct {
	// what the challenges offer, in their order; another one is challenged again. Many phones and PBXs give up at
	// two challenges, or at one with SHA-256. A request without credentials is challenged by the user that its From
	// names, and as anybody where that is a caller's number
	DigestAlgorithms []string `json:"digest_algorithms" maxItems:"2" doc:"Tollgate's own: the digest algorithms that are taken, in the order of the challenges: MD5, SHA-256. Many phones and PBXs give up at two challenges, or at one with SHA-256; the default is MD5 alone."`
	// addresses and networks from which the credentials are accepted, null for all. From elsewhere the right password
	// gets the answer of a wrong one, even for an emergency number, and the webhook `connection.source_refused`
	// reports it. Admissions over HTTP with this connection then need `source_ip`, and are refused with
	// `source_not_allowed` (TG16)
	AllowedSources *[]Network `json:"allowed_sources" maxItems:"100" doc:"Tollgate's own: the addresses and networks, such as 192.0.2.0/24, from which the credentials are taken; null for all. From elsewhere the right password is answered as a wrong one, and the event connection.source_refused tells of it."`
}

// KnownAlgorithms are those that a connection may name.
func KnownAlgorithms() []string { return []string{"MD5", "SHA-256"} }

// DigestAlgorithms are the default, and what is asked of users that do not exist. It is
// one, since many phones and PBXs give up at two challenges, and it is MD5, since many
// know nothing else.
func DigestAlgorithms() []string { return []string{"MD5"} }

func newDigestSettings() DigestSettings { return DigestSettings{DigestAlgorithms: DigestAlgorithms()} }

// problems validates the credentials and the rules for them. An empty user name or
// password counts as missing.
func (d *DigestSettings) problems(userName, password string) []field.Error {
	errs := append(userNameProblem(userName), algorithmProblems(d.DigestAlgorithms)...)
	if d.AllowedSources != nil {
		if len(*d.AllowedSources) == 0 {
			errs = append(errs, field.Error{Pointer: "/allowed_sources", Code: field.Length,
				Detail: "allowed_sources is empty, so no caller could authenticate. Give the networks from which the requests " +
					"arrive, or null for all."})
		}
		errs = append(errs, NetworkProblems("/allowed_sources", *d.AllowedSources)...)
	}
	if !IsHashed(password) && strings.ContainsFunc(password, isControl) {
		errs = append(errs, field.Error{Pointer: "/password", Code: field.Malformed,
			Detail: "The password holds a control character. Use printable characters."})
	}
	return errs
}

// hashedPrefix marks a password that is stored as hashes only. It cannot occur in a
// password from a request, which has no control characters.
const hashedPrefix = "\x1fHA1:"

// HashPassword returns the stored form of a password that keeps only its hashes.
func HashPassword(userName, password string) string {
	h := HA1Of(userName, password)
	return hashedPrefix + h.MD5 + ":" + h.SHA256
}

// IsHashed reports whether a password is stored as hashes only. The hashes are valid
// for the user name they were made with.
func IsHashed(password string) bool { return strings.HasPrefix(password, hashedPrefix) }

// HA1Of returns the hashes of a stored password of either form.
func HA1Of(userName, password string) HA1 {
	if rest, ok := strings.CutPrefix(password, hashedPrefix); ok {
		md, sha, _ := strings.Cut(rest, ":")
		return HA1{MD5: md, SHA256: sha}
	}
	text := []byte(userName + ":" + Realm + ":" + password)
	old, strong := md5.Sum(text), sha256.Sum256(text)
	return HA1{MD5: hex.EncodeToString(old[:]), SHA256: hex.EncodeToString(strong[:])}
}
