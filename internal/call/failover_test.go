package call

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sipPage shows what final responses mean.
const sipPage = "../../docs/SIP.md"

var update = flag.Bool("update", false, "rewrite the table of "+sipPage)

//go:generate go test -run ^TestWhatResponsesMeanIsDocumented$ . -update

func TestWhatResponsesMeanIsDocumented(t *testing.T) {
	const start, end = "<!-- outcomes: start -->\n", "<!-- outcomes: end -->\n"
	text, err := os.ReadFile(sipPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), start)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", sipPage)
	}
	page := before + start + outcomeTable() + end + after
	if *update {
		if err := os.WriteFile(sipPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(page, string(text)); diff != "" {
		t.Errorf("run go generate ./internal/call (-table +page):\n%s", diff)
	}
}

// outcomeTable prints the outcomes.
func outcomeTable() string {
	var b strings.Builder
	b.WriteString("| status | if | then | why |\n|---|---|---|---|\n")
	for i := range Outcomes {
		o := &Outcomes[i]
		statuses := strings.Trim(strings.ReplaceAll(fmt.Sprint(o.Statuses), " ", ", "), "[]")
		switch {
		case o.Statuses == nil && o.From == 300 && o.To == 699:
			statuses = "any"
		case o.Statuses == nil:
			statuses = fmt.Sprintf("%d to %d", o.From, o.To)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", statuses, o.If, o.Means, o.Why)
	}
	return b.String()
}

// TestWhatResponsesMean: the meaning of every kind of response, also where two lines of
// the table fit.
func TestWhatResponsesMean(t *testing.T) {
	rung := func(c *Call) { c.rung = true }
	urgent := func(c *Call) { c.rung, c.emergency = true, "911" }
	persistent := func(c *Call) { c.rung, c.gateways[0].FailoverAfterRinging = true, true }
	listed := func(c *Call) { c.gateways[0].FailoverStatuses = []int32{404, 480, 603} }
	for _, test := range []struct {
		answer Answer
		at     func(*Call)
		want   Meaning
	}{
		{answer: Answer{Status: 401, Again: true}, want: Again},
		{answer: Answer{Status: 407, Again: true}, at: rung, want: Again},
		{answer: Answer{Status: 407}, want: NextGateway},
		{answer: Answer{Status: 422, Again: true}, want: Again},
		{answer: Answer{Status: 422}, want: NextGateway},
		{answer: Answer{Status: 420}, want: NextGateway},
		{answer: Answer{Status: 421}, want: NextGateway},
		{answer: Answer{Status: 421}, at: rung, want: Final},
		{answer: Answer{Status: 482}, want: NextGateway},
		{answer: Answer{Status: 483}, want: NextGateway},
		{answer: Answer{Status: 488}, want: NextGateway},
		{answer: Answer{Status: 488}, at: rung, want: Final},
		{answer: Answer{Status: 415}, want: NextGateway},
		{answer: Answer{Status: 402}, want: NextGateway},
		{answer: Answer{Status: 302}, want: NextGateway},
		{answer: Answer{Status: 300}, at: rung, want: Final},
		{answer: Answer{Status: 408}, want: NextGateway},
		{answer: Answer{Status: 408}, at: persistent, want: Final},
		{answer: Answer{Status: 500}, at: rung, want: Final},
		{answer: Answer{Status: 500}, at: persistent, want: NextGateway},
		{answer: Answer{Status: 500}, at: urgent, want: NextGateway},
		{answer: Answer{Status: 486}, at: urgent, want: Final},
		{answer: Answer{Status: 503}, want: NextGateway},
		{answer: Answer{Status: 503, Server: true, RetryAfter: true}, want: NextServer},
		{answer: Answer{Status: 503, RetryAfter: true}, want: NextAndRest},
		{answer: Answer{Status: 503, RetryAfter: true}, at: rung, want: Final},
		{answer: Answer{Status: 500, RetryAfter: true}, want: NextGateway},
		{answer: Answer{Status: 480, RetryAfter: true}, want: Final},
		{answer: Answer{Status: 580}, want: NextGateway},
		{answer: Answer{Status: 404}, want: Final},
		{answer: Answer{Status: 404}, at: listed, want: NextGateway},
		{answer: Answer{Status: 603}, at: listed, want: NextGateway},
		{answer: Answer{Status: 480}, at: func(c *Call) { listed(c); rung(c) }, want: Final},
		{answer: Answer{Status: 403}, want: Final},
		{answer: Answer{Status: 499}, want: Final},
		{answer: Answer{Status: 600}, want: Final},
		{answer: Answer{Status: 699}, want: Final},
	} {
		c := attemptOf(t, false)
		if test.at != nil {
			test.at(c)
		}
		if got := c.Means(test.answer); got != test.want {
			t.Errorf("%+v, rung %v: %v, want %v", test.answer, c.rung, got, test.want)
		}
	}
}

// TestAttemptsAreKept: each gateway that was tried is in the record, with its status, the
// reason and how long it took; the bound holds.
func TestAttemptsAreKept(t *testing.T) {
	c := attemptOf(t, false)
	l := &timeline{call: c, now: start}
	at := func(millis int64, e Event) {
		l.now = start.Add(time.Duration(millis) * time.Millisecond)
		l.handle(e)
	}
	at(0, Begin{})
	at(10, event([]string{"allowed", "30"}))
	at(5010, Unreachable{Gateway: 0, Trying: true})
	at(5260, Refused{Gateway: 1, Status: 486, Phrase: "Busy Here"})
	var got []string
	for _, a := range c.ending.Attempts {
		got = append(got, fmt.Sprintf("%d %d %s %d", uint64(a.Gateway), a.Status, a.Reason, a.Millis))
	}
	if diff := cmp.Diff([]string{"11 0 no_ringing 5000", "12 486 Busy Here 250"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range 2 * mostAttempts {
		c.tried(500, "", start)
	}
	if n := len(c.ending.Attempts); n != mostAttempts {
		t.Errorf("%d attempts are kept", n)
	}
}
