package phone

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Report writes for people what happened on the wire, and what came of it.
func Report(w io.Writer, o Outcome) error {
	var b strings.Builder
	from := o.From
	if from == "" {
		from = "anonymous"
	}
	fmt.Fprintf(&b, "Call from %s to %s by way of %s\n\n", from, o.To, o.Server)
	for _, e := range o.Transcript {
		b.WriteString(e.text(o.Started))
	}
	fmt.Fprintf(&b, "\n%s\n", o.Summary())
	for _, fact := range []struct{ name, value string }{
		{"reason", o.RefusalReason}, {"Reason", o.Reason}, {"decision", o.Decision}, {"Call-ID", o.CallID},
	} {
		if fact.value != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", fact.name, fact.value)
		}
	}
	if o.AudioSent > 0 || o.AudioReceived > 0 {
		fmt.Fprintf(&b, "  %-9s %d RTP packets sent, %d received\n", "audio", o.AudioSent, o.AudioReceived)
	}
	if len(o.Transcript) == maxTranscript {
		fmt.Fprintf(&b, "  only the first %d messages are shown\n", maxTranscript)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// text is the entry with its time since the call began.
func (e Entry) text(started time.Time) string {
	arrow, repeated := "<-", ""
	if e.Sent {
		arrow = "->"
	}
	if e.Repeated {
		repeated = "  (again)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%8.3f s  %s  %s%s\n", max(0, e.At.Sub(started)).Seconds(), arrow, e.Line, repeated)
	for _, h := range e.Headers {
		fmt.Fprintf(&b, "%18s%s\n", "", h)
	}
	return b.String()
}

// Summary describes the outcome of the call in one line.
func (o *Outcome) Summary() string {
	waited := o.Ended.Sub(o.Started).Seconds()
	switch {
	case o.Ended.IsZero() && !o.Answered.IsZero():
		return "Answered, and still up."
	case o.Ended.IsZero():
		return "Not answered yet."
	case !o.Answered.IsZero():
		return fmt.Sprintf("Answered after %.1f s, hung up by the %s after %.1f s.",
			o.Answered.Sub(o.Started).Seconds(), o.HungUpBy, o.Duration().Seconds())
	case o.NoResponse:
		return fmt.Sprintf("No answer from the server: %s, after %.1f s.", o.Phrase, waited)
	case o.Status == 487:
		return fmt.Sprintf("Cancelled after %.1f s: %d %s", waited, o.Status, o.Phrase)
	}
	return fmt.Sprintf("Refused after %.1f s: %d %s", waited, o.Status, o.Phrase)
}
