package app

import (
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/sipgw"
	"github.com/tollgate/tollgate/internal/spoken"
	"github.com/tollgate/tollgate/internal/verification"
)

// codeRings is how long a call that says a code may ring.
const codeRings = 45 * time.Second

// codeSayer places calls that say codes; nil where nothing anchors media, and so nothing
// could say them.
func (a *App) codeSayer(anchor media.Relay) func(verification.Call) error {
	if anchor == nil {
		return nil
	}
	return func(c verification.Call) error {
		message := spoken.Code(c.Code, c.Extension)
		return a.sip.Originate(sipgw.Origination{
			ID: c.ID, Connection: c.Connection, From: c.From, To: c.To,
			SIPCallID: "verification-" + c.ID.String(), Says: message.Payloads, Length: message.Length(), Rings: codeRings,
		})
	}
}
