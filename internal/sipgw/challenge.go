package sipgw

import (
	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/internal/sip"
)

// answerChallenge returns the header line that answers a 401 or 407, or "" when the
// challenge cannot be met (RFC 3261 section 22).
func answerChallenge(m *sip.Message, method, uri, userName, password string) string {
	name, answerName := "www-authenticate", "Authorization"
	switch m.Status {
	case 407:
		name, answerName = "proxy-authenticate", "Proxy-Authorization"
	case 401:
	default:
		return ""
	}
	if userName == "" {
		return ""
	}
	for i := range m.Fields {
		if m.Fields[i].Name != name {
			continue
		}
		challenge, err := digest.ParseChallenge(m.Fields[i].Value)
		if err != nil || !digest.CanDigest(challenge) {
			continue
		}
		credentials, err := digest.Digest(challenge, digest.Options{
			Method: method, URI: uri, Username: userName, Password: password, Count: 1,
		})
		if err == nil {
			return sip.Line(answerName, credentials.String())
		}
	}
	return ""
}
