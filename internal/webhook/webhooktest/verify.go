package webhooktest

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// VerifyLikeTelnyx follows the published steps of Telnyx's SDKs, apart from package
// webhook: base64 key and signature, the text "timestamp|body", and five minutes.
func VerifyLikeTelnyx(publicKey string, header http.Header, body []byte, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(publicKey)
	if err != nil || len(key) != 32 {
		return fmt.Errorf("public key %q", publicKey)
	}
	signature, err := base64.StdEncoding.DecodeString(header.Get("telnyx-signature-ed25519"))
	if err != nil || len(signature) != 64 {
		return fmt.Errorf("signature %q", header.Get("telnyx-signature-ed25519"))
	}
	stamp, err := strconv.ParseInt(header.Get("telnyx-timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(stamp, 0)).Abs() > 300*time.Second {
		return fmt.Errorf("timestamp %q", header.Get("telnyx-timestamp"))
	}
	if !ed25519.Verify(key, fmt.Appendf(nil, "%s|%s", header.Get("telnyx-timestamp"), body), signature) {
		return errors.New("signature does not match")
	}
	return nil
}
