package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
)

// columns is the widest line that is written.
const columns = 100

// The colours of a terminal (ECMA-48 SGR).
const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

// printer writes the demonstration for people. It keeps the first error.
type printer struct {
	out    io.Writer
	colour bool
	err    error
}

func newPrinter(out io.Writer, noColour bool) *printer {
	file, isFile := out.(*os.File)
	_, refused := os.LookupEnv("NO_COLOR")
	return &printer{out: out, colour: isFile && !noColour && !refused && isatty.IsTerminal(file.Fd())}
}

func (p *printer) say(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

func (p *printer) in(colour, text string) string {
	if !p.colour {
		return text
	}
	return colour + text + plain
}

func (p *printer) opening(s *stage) {
	p.say("%s\n", p.in(bold, "Tollgate: a phone, an outbound voice profile that is enforced, and a carrier"))
	p.say("  phone  --SIP-->  Tollgate %s  --SIP-->  carrier %s\n", s.server.SIPAddr(), s.carrier.Addr())
	p.say("                   API http://%s\n\n", s.server.HTTPAddr())
	p.say("Made over the API, with requests that you can send too:\n")
}

func (p *printer) request(path, what string) {
	p.say("  POST %-38s %s\n", path, what)
}

// The widths of the table's columns.
const row = " %-2s %-14s %-38s %-8s %8s %8s %9s\n"

func (p *printer) header() {
	p.say("\nThe calls, each a real SIP call:\n\n")
	p.say("%s", p.in(bold, fmt.Sprintf(row, "#", "Dialled", "What it shows", "Answer", "Talked", "Billed", "Cost")))
}

func (p *printer) result(number int, r *result) {
	answer, talked, billed, cost := fmt.Sprint(r.wire.Status), "-", "-", "-"
	if !r.wire.Answered.IsZero() {
		talked = fmt.Sprintf("%.1f s", r.wire.Duration().Seconds())
		billed, cost = fmt.Sprintf("%d s", r.record.BilledSec), "$"+r.record.Cost.String()
	}
	switch code := r.decision.Code; {
	case code != nil:
		answer += " " + *code
	case r.wire.Status == 200:
		answer += " OK"
	}
	line := fmt.Sprintf(row, fmt.Sprint(number), r.dialled, r.about, answer, talked, billed, cost)
	colour := green
	switch {
	case len(r.mismatches) > 0:
		colour = red
	case r.want.code != "":
		colour = yellow
	}
	p.say("%s", p.in(colour, line))
	p.detail("wire", r.wireText())
	if refusing, ok := r.decision.refusing(); ok {
		p.detail("why", fmt.Sprintf("%s: seen %s; allowed %s", refusing.Rule, refusing.Seen, refusing.Allowed))
		p.detail("fix", refusing.Fix)
	} else {
		p.detail("why", r.chargeText())
	}
	for _, m := range r.mismatches {
		p.detail("WRONG", m)
	}
}

// detail writes one fact below a call, wrapped to the width.
func (p *printer) detail(name, text string) {
	const indent = 12
	for i, line := range wrap(text, columns-indent) {
		if i > 0 {
			name = ""
		}
		p.say("    %-7s %s\n", name, line)
	}
}

// wireText is what came back over SIP.
func (r *result) wireText() string {
	text := fmt.Sprintf("%d %s", r.wire.Status, r.wire.Phrase)
	switch {
	case r.wire.Answered.IsZero():
		return text
	case r.record.HangupSource == "tollgate":
		return text + "; then BYE from Tollgate to both sides"
	}
	return text + "; then BYE from the " + r.record.HangupSource
}

// chargeText is how the cost of a call that was admitted came about.
func (r *result) chargeText() string {
	switch {
	case r.record.Emergency:
		return "an emergency number is tested before every rule, and is outside every limit"
	case r.record.HangupCause == "ALLOTTED_TIMEOUT":
		return fmt.Sprintf("the day's money held for it ended after %d s, and spend_limit_action is end_calls",
			r.record.GrantedSec)
	}
	return fmt.Sprintf("every rule passed; %d s at $%s a minute, billed by the second", r.record.BilledSec, r.record.Rate)
}

func (p *printer) closing(results []result, t totals, took time.Duration) {
	through := 0
	for _, r := range results {
		if r.want.code == "" {
			through++
		}
	}
	p.say("\nSpend today: $%s posted of a daily_spend_limit of $%s; $%s still held.\n",
		t.usage.Posted, t.usage.DailySpendLimit, t.usage.Held)
	p.say("The carrier saw %d of %d calls; %d should have been admitted.\n", t.carrier, len(results), through)
	for _, m := range t.mismatches {
		p.say("%s\n", p.in(red, "WRONG: "+m))
	}
	wrong := 0
	for _, r := range results {
		if len(r.mismatches) > 0 {
			wrong++
		}
	}
	if t.ok(results) {
		p.say("%s\n", p.in(green, fmt.Sprintf("All %d calls came out as expected, in %.1f s.", len(results), took.Seconds())))
	} else {
		p.say("%s\n", p.in(red, fmt.Sprintf("%d of %d calls came out otherwise than expected; see WRONG above.", wrong,
			len(results))))
	}
	p.say("%s", nextSteps)
}

const nextSteps = `
Next, on your own machine:
  tollgate serve                 # API on 127.0.0.1:8080, SIP on 127.0.0.1:5060; shows a key once
  export TOLLGATE_API_KEY=...    # that key, in another terminal
  curl http://127.0.0.1:8080/v2/outbound_voice_profiles \
    -H "Authorization: Bearer $TOLLGATE_API_KEY" -H "Content-Type: application/json" \
    -d '{"name": "office", "whitelisted_destinations": ["US", "CA"],
         "daily_spend_limit": "100.00", "daily_spend_limit_enabled": true}'
`

// wrap breaks text at blanks into lines of at most width bytes; a longer word
// stands on a line of its own and is cut.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		for len(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines, word = append(lines, word[:width]), word[width:]
		}
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
