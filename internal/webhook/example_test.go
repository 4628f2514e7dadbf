package webhook_test

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/tollgate/tollgate/internal/webhook"
)

// A receiver checks the signature over the body as it arrived, with the public key.
func ExampleVerify() {
	signer, err := webhook.NewSigner(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		fmt.Println(err)
		return
	}
	now, body, header := time.Now(), []byte(`{"data":{"event_type":"call.hangup"}}`), http.Header{}
	signer.Sign(header, body, now)
	fmt.Println(webhook.Verify(signer.PublicKey(), header, body, now))
	fmt.Println(webhook.Verify(signer.PublicKey(), header, append(body, ' '), now) != nil)
	fmt.Println(webhook.Verify(signer.PublicKey(), header, body, now.Add(time.Hour)) != nil)
	// Output:
	// <nil>
	// true
	// true
}
