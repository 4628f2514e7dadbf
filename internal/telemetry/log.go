package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tollgate/tollgate/internal/record"
)

// keptDigits are those of a number that a log shows: the start, which says where it
// is, so that an operator can tell calls apart without knowing who was called.
const keptDigits = 4

// The digits of what may be a telephone number (ITU-T E.164). Ids of resources
// have more.
const (
	fewestDigits = 7
	mostDigits   = 15
)

// maskText takes the telephone numbers in a text apart from their first digits. A
// number is a run of digits that is no part of a longer word, an address or a
// decimal; with a plus or a bracket before it, it may have the separators that
// people write.
func maskText(text string) string {
	var out []byte
	for i := 0; i < len(text); {
		end, digits := numberAt(text, i)
		if digits < fewestDigits || digits > mostDigits {
			if out != nil {
				out = append(out, text[i:end]...)
			}
			i = end
			continue
		}
		if out == nil {
			out = append(make([]byte, 0, len(text)), text[:i]...)
		}
		for n := 0; i < end; i++ {
			c := text[i]
			if isDigit(c) {
				if n++; n > keptDigits {
					c = '*'
				}
			}
			out = append(out, c)
		}
	}
	if out == nil {
		return text
	}
	return string(out)
}

// numberAt returns the end of what begins at i, at least i+1, and how many digits it
// has if it is a number; 0 if it is something else.
func numberAt(text string, i int) (end, digits int) {
	separated := text[i] == '+' || text[i] == '('
	if !separated && !isDigit(text[i]) {
		return i + 1, 0
	}
	for end = i + 1; end < len(text); end++ {
		if !isDigit(text[end]) && (!separated || !isSeparator(text[end])) {
			break
		}
	}
	for end > i+1 && isSeparator(text[end-1]) {
		end--
	}
	for _, c := range []byte(text[i:end]) {
		if isDigit(c) {
			digits++
		}
	}
	before, after := byte(' '), byte(' ')
	if i > 0 {
		before = text[i-1]
	}
	if end < len(text) {
		after = text[end]
	}
	decimal := after == '.' && end+1 < len(text) && isDigit(text[end+1])
	if isWord(before) || before == '.' || isWord(after) || decimal {
		return end, 0
	}
	return end, digits
}

func isDigit(c byte) bool     { return c >= '0' && c <= '9' }
func isSeparator(c byte) bool { return c == ' ' || c == '-' || c == '(' || c == ')' || c == '.' }

// isWord reports whether a digit beside this character is a part of its word.
func isWord(c byte) bool {
	return c == '_' || c == '-' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// Mask returns a handler of logs that shows no telephone numbers, whatever
// the message and the attributes have in them. Digits of numeric attributes are
// counts and times, and stay.
func Mask(inner slog.Handler) slog.Handler { return masking{inner} }

type masking struct{ slog.Handler }

// Handle implements slog.Handler.
func (m masking) Handle(ctx context.Context, r slog.Record) error {
	masked := slog.NewRecord(r.Time, r.Level, maskText(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		masked.AddAttrs(maskAttr(a))
		return true
	})
	return m.Handler.Handle(ctx, masked)
}

// WithAttrs implements slog.Handler.
func (m masking) WithAttrs(attrs []slog.Attr) slog.Handler {
	masked := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		masked[i] = maskAttr(a)
	}
	return masking{m.Handler.WithAttrs(masked)}
}

// WithGroup implements slog.Handler.
func (m masking) WithGroup(name string) slog.Handler { return masking{m.Handler.WithGroup(name)} }

func maskAttr(a slog.Attr) slog.Attr {
	value := a.Value.Resolve()
	switch value.Kind() {
	case slog.KindString:
		return slog.String(a.Key, maskText(value.String()))
	case slog.KindGroup:
		members := make([]slog.Attr, 0, len(value.Group()))
		for _, member := range value.Group() {
			members = append(members, maskAttr(member))
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(members...)}
	case slog.KindAny:
		return slog.String(a.Key, maskText(fmt.Sprint(value.Any())))
	}
	return slog.Attr{Key: a.Key, Value: value}
}

// LogCalls writes a line about each call that has ended, for who looks for
// something, and one warning for all that were lost together.
func LogCalls(logger *slog.Logger, records []*record.Call) {
	ctx := context.Background()
	lost := 0
	each := logger.Enabled(ctx, slog.LevelDebug)
	for _, r := range records {
		if r.Outcome == record.OutcomeLost {
			lost++
		}
		if !each {
			continue
		}
		logger.LogAttrs(ctx, slog.LevelDebug, "call ended",
			slog.String("call", r.ID.String()), slog.String("account", r.AccountID.String()),
			slog.String("profile", r.ProfileID.String()),
			slog.String("connection", r.ConnectionID.String()), slog.String("gateway", r.GatewayID.String()),
			slog.String("from", r.From), slog.String("to", r.To),
			slog.String("outcome", r.Outcome.String()), slog.String("reason", r.Reason),
			slog.Int("sip_status", int(r.SIPStatus)),
			slog.String("cause", r.HangupCause), slog.String("ended_by", r.HangupSource.String()),
			slog.Duration("duration", time.Duration(r.DurationMicros)*time.Microsecond), slog.Int64("billed_sec", r.BilledSecs))
	}
	if lost > 0 {
		logger.Warn("calls were lost: their process died or stopped responding; each is charged for its grant at most",
			"calls", lost)
	}
}
