package numbering

import (
	"testing"

	"github.com/go-json-experiment/json"
)

func moment(t *testing.T, text string) *Moment {
	t.Helper()
	if text == "" {
		return nil
	}
	m, err := ParseMoment(text)
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestOverlaps(t *testing.T) {
	for _, c := range []struct {
		from, until, otherFrom, otherUntil string
		want                               bool
	}{
		{"", "", "", "", true},
		{"", "2026-01-01", "2026-01-01", "", false},
		{"2026-01-01", "", "", "2026-01-01T00:00:00Z", false},
		{"", "2026-01-02", "2026-01-01", "", true},
		{"2026-01-01", "2027-01-01", "2026-06-01", "2026-07-01", true},
		{"2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01", false},
	} {
		a := Override{Prefix: "1436", ValidFrom: moment(t, c.from), ValidUntil: moment(t, c.until)}
		b := Override{Prefix: "1436", ValidFrom: moment(t, c.otherFrom), ValidUntil: moment(t, c.otherUntil)}
		if a.Overlaps(&b) != c.want || b.Overlaps(&a) != c.want {
			t.Errorf("%+v: want %v", c, c.want)
		}
		b.Prefix = "14361"
		if a.Overlaps(&b) {
			t.Errorf("%+v: another prefix", c)
		}
	}
}

func TestValidate(t *testing.T) {
	text, digits := func(s string) *string { return &s }, func(n int32) *int32 { return &n }
	for _, c := range []struct {
		o       Override
		pointer string // "" for nothing wrong
	}{
		{Override{Prefix: "1436"}, ""},
		{Override{Prefix: "1436", Country: text("US"), NumberType: text("mobile"), MinDigits: digits(11),
			MaxDigits: digits(11)}, ""},
		{Override{Prefix: "123456789012345"}, ""},
		{Override{Prefix: ""}, "/prefix"},
		{Override{Prefix: "0"}, "/prefix"},
		{Override{Prefix: "+1436"}, "/prefix"},
		{Override{Prefix: "1 436"}, "/prefix"},
		{Override{Prefix: "١٤٣٦"}, "/prefix"},
		{Override{Prefix: "1234567890123456"}, "/prefix"},
		{Override{Prefix: "911"}, "/prefix"},
		{Override{Prefix: "112"}, "/prefix"},
		{Override{Prefix: "44999"}, "/prefix"},
		{Override{Prefix: "1436", Country: text("XX")}, "/country"},
		{Override{Prefix: "1436", Country: text("")}, "/country"},
		{Override{Prefix: "1436", NumberType: text("cheap")}, "/number_type"},
		{Override{Prefix: "1436", MinDigits: digits(12), MaxDigits: digits(11)}, "/max_digits"},
		{Override{Prefix: "143612345678", MaxDigits: digits(8)}, "/max_digits"},
		{Override{Prefix: "1436", ValidFrom: moment(t, "2026-01-01"), ValidUntil: moment(t, "2026-01-01")}, "/valid_until"},
	} {
		errs := c.o.Validate()
		switch {
		case c.pointer == "" && len(errs) != 0:
			t.Errorf("%+v: %v", c.o, errs)
		case c.pointer != "" && (len(errs) != 1 || errs[0].Pointer != c.pointer):
			t.Errorf("%+v: %v, want one error at %s", c.o, errs, c.pointer)
		case c.pointer == "":
			if _, err := c.o.Compile(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestMoment(t *testing.T) {
	for text, want := range map[string]string{
		`"2026-12-31"`: `"2026-12-31T00:00:00Z"`, `"2026-12-31T01:00:00+01:00"`: `"2026-12-31T00:00:00Z"`,
		`"2026-12-31T00:00:00.5Z"`: `"2026-12-31T00:00:00.5Z"`,
	} {
		var m Moment
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(m); err != nil || string(got) != want {
			t.Errorf("%s: %s (%v), want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "2026-13-01", "2026-02-30", "20260101", "1767225600"} {
		if m, err := ParseMoment(text); err == nil {
			t.Errorf("%q is %v", text, m)
		}
	}
}
