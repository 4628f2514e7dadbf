package telnyx

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// wantedCall is a call that a script asks for. It is hung up at once when it is
// answered.
type wantedCall struct {
	Address  string            `json:"address"` // of the caller, 127.0.0.2 and the like
	User     string            `json:"user"`
	Password string            `json:"password"`
	From     string            `json:"from"`
	To       string            `json:"to"`
	Headers  map[string]string `json:"headers"`
}

// placedCall is what became visible of it.
type placedCall struct {
	Status   int    `json:"status"`
	Phrase   string `json:"phrase"`
	CallID   string `json:"call_id"`
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
}

// phoneBooth places the calls that a script asks for, and returns its address.
func phoneBooth(t *testing.T, s *process.Server) string {
	t.Helper()
	booth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var wanted wantedCall
		if err := json.UnmarshalRead(r.Body, &wanted, json.RejectUnknownMembers(true)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		options := phone.Options{Server: s.SIP, From: wanted.From, To: wanted.To, User: wanted.User, Password: wanted.Password,
			LocalAddr: wanted.Address + ":0", HangUpAfter: time.Millisecond, NoAudio: true}
		for name, value := range wanted.Headers {
			options.Headers = append(options.Headers, phone.Header{Name: name, Value: value})
		}
		outcome, err := phone.Place(r.Context(), options)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.MarshalWrite(w, placedCall{Status: outcome.Status, Phrase: outcome.Phrase, CallID: outcome.CallID,
			Decision: outcome.Decision, Reason: outcome.RefusalReason})
	}))
	t.Cleanup(booth.Close)
	return booth.URL
}
