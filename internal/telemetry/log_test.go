package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestMaskedTexts(t *testing.T) {
	for in, want := range map[string]string{
		"+12125550123":                        "+1212*******",
		"call to +12125550123 failed":         "call to +1212******* failed",
		"sip:+12125550123@192.0.2.1:5060":     "sip:+1212*******@192.0.2.1:5060",
		"+1 (212) 555-0123, then":             "+1 (212) ***-****, then",
		"2026-11-26 07:35 1234567.5":          "2026-11-26 07:35 1234567.5",
		"12345678-abcd-7000-8000-0000":        "12345678-abcd-7000-8000-0000",
		"(212) 555-0123":                      "(212) 5**-****",
		"12125550123,13125550100":             "1212*******,1312*******",
		`"0012125550123"`:                     `"0012*********"`,
		"account=2125855878912409600":         "account=2125855878912409600",
		"2026-11-26T07:35:12.721Z":            "2026-11-26T07:35:12.721Z",
		"192.0.2.1:5060 10.20.30.40":          "192.0.2.1:5060 10.20.30.40",
		"019c0000-0000-7000-8000-00000000000": "019c0000-0000-7000-8000-00000000000",
		"5060 calls, 123456 queued":           "5060 calls, 123456 queued",
		"":                                    "",
	} {
		if got := maskText(in); got != want {
			t.Errorf("maskText(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNothingThatIsLoggedShowsANumber(t *testing.T) {
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		log := slog.New(Mask(handler(&out))).With("from", "+13125550100").WithGroup("call")
		log.Warn("no route to +12125550123", "error", errors.New("dial 0012125550123: no"),
			slog.Group("sip", slog.String("uri", "tel:+1-212-555-0123"), slog.Int("took_us", 12125550123)),
			"list", []string{"+12125550123"}, "id", "2125855878912409600")
		text := out.String()
		if strings.Contains(strings.ReplaceAll(text, "took_us=12125550123", ""), "5550") &&
			strings.Contains(strings.ReplaceAll(text, `"took_us":12125550123`, ""), "5550") {
			t.Errorf("%s: %s", name, text)
		}
		if !strings.Contains(text, "12125550123") || !strings.Contains(text, "2125855878912409600") ||
			!strings.Contains(text, "1312") {
			t.Errorf("%s: more was masked than numbers: %s", name, text)
		}
	}
}
