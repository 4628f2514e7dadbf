package telnyx

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/hearing"
	"github.com/tollgate/tollgate/test/process"
)

// wantedCall is a call that a script asks for.
type wantedCall struct {
	Address  string            `json:"address"` // of the caller, 127.0.0.2 and the like
	User     string            `json:"user"`
	Password string            `json:"password"`
	From     string            `json:"from"`
	To       string            `json:"to"`
	Headers  map[string]string `json:"headers"`
	TalkMS   int               `json:"talk_ms"` // from the answer to the hang-up, with sound
	Hold     bool              `json:"hold"`    // leaves the call up until the test ends
}

// placedCall is what became visible of it.
type placedCall struct {
	Status   int    `json:"status"`
	Phrase   string `json:"phrase"`
	CallID   string `json:"call_id"`
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
}

// phoneBooth places the calls that a script asks for, and tells the code that was said in
// one. It returns its address.
func phoneBooth(t *testing.T, s *process.Server, heard *hearing.Ear) string {
	t.Helper()
	paths := http.NewServeMux()
	paths.HandleFunc("GET /code", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(heard.Code())) })
	paths.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		var wanted wantedCall
		if err := json.UnmarshalRead(r.Body, &wanted, json.RejectUnknownMembers(true)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		outcome, err := place(t, s, wanted)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.MarshalWrite(w, placedCall{Status: outcome.Status, Phrase: outcome.Phrase, CallID: outcome.CallID,
			Decision: outcome.Decision, Reason: outcome.RefusalReason})
	})
	booth := httptest.NewServer(paths)
	t.Cleanup(booth.Close)
	return booth.URL
}

// place makes a call and returns when it is over, or answered if it is to be held.
func place(t *testing.T, s *process.Server, wanted wantedCall) (phone.Outcome, error) {
	t.Helper()
	options := phone.Options{Server: s.SIP, From: wanted.From, To: wanted.To, User: wanted.User, Password: wanted.Password,
		LocalAddr: wanted.Address + ":0", NoAudio: wanted.TalkMS == 0}
	if !wanted.Hold {
		options.HangUpAfter = max(time.Millisecond, time.Duration(wanted.TalkMS)*time.Millisecond)
	}
	for name, value := range wanted.Headers {
		options.Headers = append(options.Headers, phone.Header{Name: name, Value: value})
	}
	call, err := phone.Dial(t.Context(), options)
	if err != nil {
		return phone.Outcome{}, err
	}
	t.Cleanup(call.Close)
	if wanted.Hold {
		<-call.Answered()
		return call.Outcome(), nil
	}
	return call.Wait(), nil
}
