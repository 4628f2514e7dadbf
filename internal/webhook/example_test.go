package webhook_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/webhook"
)

// A receiver checks the signature over the body as it arrived, with the public key.
func ExampleSignature_Verify() {
	signer, err := webhook.NewSigner(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		fmt.Println(err)
		return
	}
	now, body := time.Now(), []byte(`{"data":{"event_type":"call.hangup"}}`)
	signature := signer.Sign(body, now)
	fmt.Println(signature.Verify(signer.PublicKey(), body, now))
	fmt.Println(signature.Verify(signer.PublicKey(), append(body, ' '), now) != nil)
	fmt.Println(signature.Verify(signer.PublicKey(), body, now.Add(time.Hour)) != nil)
	// Output:
	// <nil>
	// true
	// true
}
