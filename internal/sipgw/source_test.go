package sipgw

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/sip"
)

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestSourceRate: a known source that sends too much is turned away, but for what
// belongs to its running call and for emergency calls.
func TestSourceRate(t *testing.T) {
	const rate, flood = 4, 60
	var log logged
	w := newWorld(t, wish{config: func(c *Config) {
		c.Limits.SourcePerSecond, c.Logger = rate, slog.New(slog.NewTextHandler(&log, nil))
	}})
	pbx, _ := w.talk("")
	begun := time.Now()
	for range flood {
		w.pbx.invite("+12125550123", "")
	}
	refused := w.pbx.await("503 INVITE")
	if refused.Phrase != "CPS Limit Reached P05" || refused.Get("retry-after") == "" ||
		refused.Get("x-tollgate-reason") != "calls_per_second" {
		t.Errorf("%s, Retry-After %q, reason %q", refused.Phrase, refused.Get("retry-after"),
			refused.Get("x-tollgate-reason"))
	}
	w.pbx.invite("911", "")
	for {
		invite := w.carriers[0].await("INVITE")
		w.carriers[0].reply(invite, 486, "far", "", "")
		if strings.HasPrefix(invite.URI, "sip:911@") {
			break
		}
	}
	w.pbx.request(pbx, "BYE", "", "")
	w.carriers[0].reply(w.carriers[0].await("BYE"), 200, "", "", "")
	w.pbx.await("200 BYE")
	if paced := float64(w.srv.Stats().Paced); paced < flood-rate-rate*time.Since(begun).Seconds() {
		t.Errorf("%v of %d calls are turned away in %v", paced, flood, time.Since(begun))
	}
	if text := log.String(); strings.Count(text, "a source is turned away") != 1 ||
		!strings.Contains(text, "source="+pbxAddress+" limit=sip_source_rate") {
		t.Errorf("the log says:\n%s", text)
	}
}

// TestSourceCalls: a source has no more calls than it may, its emergency calls apart,
// and what did not become a call is not counted.
func TestSourceCalls(t *testing.T) {
	w := newWorld(t, wish{user: true, config: func(c *Config) { c.Limits.SourceCalls = 1 }})
	pbx, _ := w.talk("")
	w.pbx.invite("+12125550123", "")
	refused := w.pbx.await("503 INVITE")
	if refused.Phrase != "Service Unavailable TG5" || refused.Get("retry-after") == "" {
		t.Errorf("%s, Retry-After %q", refused.Phrase, refused.Get("retry-after"))
	}
	w.pbx.invite("911", "")
	w.busyAt(w.carriers[0])
	w.hangUp(pbx)
	w.record()
	for w.srv.Load().Calls > 0 { // until the first call is forgotten
		w.pbx.quiet()
	}
	pbx, _ = w.talk("")
	w.hangUp(pbx)
	w.record()
	phone := w.party(strangerAddress, false)
	for range 3 {
		challenged(phone, newDialog(phone, "+12125550123"))
	}
	if n := w.srv.Stats().Crowded; n != 1 {
		t.Errorf("%d calls are refused", n)
	}
	w.settled()
}

// TestTooMuchHeader: a known source's message with too many or too long header
// fields is answered, and costs no call.
func TestTooMuchHeader(t *testing.T) {
	w := newWorld(t, wish{})
	for name, extra := range map[string]string{
		"many": strings.Repeat("Accept: */*\r\n", sip.MaxHeaders),
		"long": "Record-Route: <sip:" + strings.Repeat("x", sip.MaxHeaderBytes) + ">\r\n",
	} {
		w.pbx.invite("+12125550123", extra)
		if m := w.pbx.next(); m.Status != 513 {
			t.Errorf("%s: %s", name, label(m))
		}
	}
	pbx, _ := w.talk("")
	w.hangUp(pbx)
	if s := w.srv.Stats(); s.Attempts != 1 || s.Invalid != 2 {
		t.Errorf("stats %+v", s)
	}
}
