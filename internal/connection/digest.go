package connection

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Realm is that of digest authentication. Hashed passwords hold for it alone, so it
// is not a setting.
const Realm = "tollgate"

// HA1 are the hashes of a user's password by which digests are checked (RFC 7616,
// section 3.4.2): whoever has them can authenticate as the user in this realm, but
// does not know the password.
type HA1 struct {
	MD5, SHA256 string // hexadecimal
}

// hashedPrefix marks a password that is stored as its hashes alone. A password that is
// given has no control characters.
const hashedPrefix = "\x1fHA1:"

// HashPassword is the form of a password that keeps its hashes alone.
func HashPassword(userName, password string) string {
	h := HA1Of(userName, password)
	return hashedPrefix + h.MD5 + ":" + h.SHA256
}

// IsHashed says whether a password is stored as its hashes alone. They hold for the
// user name with which they were made.
func IsHashed(password string) bool { return strings.HasPrefix(password, hashedPrefix) }

// HA1Of are the hashes of a password as it is stored, in either form.
func HA1Of(userName, password string) HA1 {
	if rest, ok := strings.CutPrefix(password, hashedPrefix); ok {
		md, sha, _ := strings.Cut(rest, ":")
		return HA1{MD5: md, SHA256: sha}
	}
	text := []byte(userName + ":" + Realm + ":" + password)
	old, strong := md5.Sum(text), sha256.Sum256(text)
	return HA1{MD5: hex.EncodeToString(old[:]), SHA256: hex.EncodeToString(strong[:])}
}
