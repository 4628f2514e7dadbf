package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/phone"
)

// TestDemo is the whole of Tollgate end to end: API, decisions, SIP, money, records.
func TestDemo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	began := time.Now()
	ok, err := Run(t.Context(), &out, Options{})
	if err != nil || !ok {
		t.Fatalf("ok %v, error %v; it wrote:\n%s", ok, err, out.String())
	}
	t.Logf("took %v and wrote:\n%s", time.Since(began), out.String())
	for _, want := range []string{"403 D13", "403 D24", "403 D2 ", "403 TG3", "associated countries: JAM", "$0.06",
		"All 8 calls came out as expected"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > columns+1 {
			t.Errorf("a line has %d columns: %s", len(line), line)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("colours are written to what is no terminal")
	}
	nothingLeft(t)
}

func nothingLeft(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "tollgate-demo-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestUnexpectedVerdict expects wrongly that a call is refused, and that another is
// let through.
func TestUnexpectedVerdict(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	scenario := []step{steps()[1], steps()[3]}
	scenario[0].want.code = "D24"
	scenario[0].want.reason = "rate_above_maximum"
	scenario[1].want = want{status: 200, reason: "allowed", hungUpBy: "caller", cause: "normal_clearing", rate: perMinute}
	var out bytes.Buffer
	ok, err := run(t.Context(), &out, Options{}, scenario)
	if err != nil || ok {
		t.Fatalf("ok %v, error %v; it wrote:\n%s", ok, err, out.String())
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"WRONG decision: expected rate_above_maximum, got destination_not_whitelisted",
		"WRONG code in the SIP reason phrase: expected D24, got D13",
		"WRONG SIP status: expected 200, got 403",
		"WRONG: calls that reached the carrier: expected 1, got 0",
		"2 of 2 calls came out otherwise than expected",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}

// TestInterrupt ends the demonstration while a call is up: the first is from about
// 0.3 s on.
func TestInterrupt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	why := errors.New("interrupted")
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
	defer cancel()
	began := time.Now()
	var out bytes.Buffer
	ok, err := Run(ctx, &out, Options{})
	if ok || !errors.Is(err, why) {
		t.Errorf("ok %v, error %v, want false and %v", ok, err, why)
	}
	if took := time.Since(began); took > time.Second+stopLimit {
		t.Errorf("it took %v to stop", took-time.Second)
	}
	nothingLeft(t)
}

// TestWriterFails has an output that takes nothing.
func TestWriterFails(t *testing.T) {
	p := newPrinter(failing{}, false)
	p.say("a")
	p.say("b")
	if !errors.Is(p.err, errFull) {
		t.Errorf("error %v, want %v", p.err, errFull)
	}
}

var errFull = errors.New("full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestCheck(t *testing.T) {
	answered := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	good := func() result {
		code := "D13"
		r := result{step: steps()[1]}
		r.wire = phone.Outcome{Status: 403, Phrase: "Dialed number D13", Decision: "id",
			RefusalReason: "destination_not_whitelisted"}
		r.record = callRecord{DecisionID: "id", Outcome: "refused", HangupSource: "tollgate", HangupCause: "CALL_REJECTED"}
		r.decision = decision{Reason: "destination_not_whitelisted", Code: &code}
		return r
	}
	paid := func() result {
		r := result{step: steps()[0]}
		r.wire = phone.Outcome{Status: 200, Answered: answered, Ended: answered.Add(1400 * time.Millisecond),
			HungUpBy: phone.SideCaller}
		r.record = callRecord{Outcome: "answered", HangupSource: "caller", HangupCause: "NORMAL_CLEARING",
			CallSec: 2, BilledSec: 2, GrantedSec: 6, Rate: perMinute, Cost: 2 * money.Cent}
		r.decision = decision{Allowed: true, Reason: "allowed"}
		return r
	}
	for name, c := range map[string]struct {
		make   func() result
		change func(*result)
		want   []string
	}{
		"refused": {good, func(*result) {}, nil},
		"paid":    {paid, func(*result) {}, nil},
		"code": {good, func(r *result) { r.wire.Phrase = "D24" },
			[]string{"code in the SIP reason phrase: expected D13, got D24"}},
		"other decision": {good, func(r *result) { r.wire.Decision = "" },
			[]string{"X-Tollgate-Decision: expected id, got "}},
		"charged":   {good, func(r *result) { r.record.Cost = money.Cent }, []string{"cost: expected 0.00, got 0.01"}},
		"too dear":  {paid, func(r *result) { r.record.Cost++ }, []string{"cost: expected 0.02, got 0.020000001"}},
		"too cheap": {paid, func(r *result) { r.record.Cost-- }, []string{"cost: expected 0.02, got 0.019999999"}},
		"too long": {paid, func(r *result) { r.record.BilledSec, r.record.CallSec, r.record.Cost = 4, 4, 4*money.Cent },
			[]string{"billed seconds: expected 1 to 3 of a call of 1.4 s, got 4"}},
		"beyond the grant": {paid, func(r *result) { r.record.GrantedSec = 1 },
			[]string{"billed seconds: expected 1, got 2"}},
		"other side": {paid, func(r *result) { r.wire.HungUpBy = phone.SideCallee },
			[]string{"BYE from: expected caller, got far side"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := c.make()
			c.change(&r)
			if diff := cmp.Diff(c.want, r.check()); diff != "" {
				t.Errorf("mismatches (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUntilSafe(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"2026-03-01T12:00:00Z": 0, "2026-03-01T23:59:44Z": 0, "2026-03-01T23:59:50Z": 10 * time.Second,
		"2026-03-02T00:00:00Z": 0, "2026-03-02T05:29:55+05:30": 5 * time.Second,
	} {
		now, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := untilSafe(now); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := wrap("one two  three fourteen-letters five", 9)
	want := []string{"one two", "three", "fourteen-", "letters", "five"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
