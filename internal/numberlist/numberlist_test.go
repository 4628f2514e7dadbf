package numberlist

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/numbering"
)

// Random lists decide as a plain search for the longest prefix does.
func TestFindIsTheLongestPrefix(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	day, _ := numbering.ParseMoment("2026-03-01")
	for range 300 {
		l := New()
		for range random.IntN(40) {
			e := Entry{Prefix: fmt.Sprint(1 + random.IntN(1000)), Action: Allow}
			if random.IntN(2) == 0 {
				e.Action = Refuse
			}
			if random.IntN(4) == 0 {
				e.ExpiresAt = &day
			}
			if !slices.ContainsFunc(l.Entries, func(o Entry) bool { return o.Prefix == e.Prefix }) {
				l.Entries = append(l.Entries, e)
			}
		}
		c, err := l.Compile()
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			number, at := fmt.Sprint(1000000+random.IntN(9000000)), day.Micros()+int64(random.IntN(3)-1)
			var want Entry
			for _, e := range l.Entries {
				live := e.ExpiresAt == nil || at < e.ExpiresAt.Micros()
				if live && strings.HasPrefix(number, e.Prefix) && len(e.Prefix) > len(want.Prefix) {
					want = e
				}
			}
			n, _ := e164.Parse("+" + number)
			prefix, allow := c.Find(n, at)
			if got := strings.TrimPrefix(prefix.String(), "+"); got != want.Prefix || allow != (want.Action == Allow) {
				t.Fatalf("%s: %q, %v; want %+v", number, got, allow, want)
			}
		}
	}
}

func TestReadCSV(t *testing.T) {
	const good = "prefix,action,comment,expires_at\n+4420,refuse,\"said, twice\",\n" +
		"442079460000,allow,,2027-01-01T00:00:00Z\n"
	entries, errs, err := ReadCSV(strings.NewReader(good))
	if err != nil || len(errs) > 0 || len(entries) != 2 {
		t.Fatal(entries, errs, err)
	}
	text, err := WriteCSV(entries)
	if err != nil || string(text) != good {
		t.Errorf("%v: written as\n%s", err, text)
	}
	for file, want := range map[string]string{
		"":                               "ErrHeader",
		"prefix\n44\n":                   "ErrHeader",
		"prefix,action,rate\n44,allow\n": "ErrHeader",
		"prefix,action\n44\n":            "fields",
		"prefix,action\n911,refuse\n":    "/2/prefix: \"911\" covers an emergency number",
		"prefix,action\n44,refuse\n33,allow\n+44,allow\n": "/4/prefix: Line 2 has the same prefix and says refuse, this " +
			"one says allow",
		"prefix,action\n44,block\n":                                   "/2/action",
		"prefix,action\n044,allow\n":                                  "/2/prefix",
		"prefix,action\n44x,allow\n":                                  "/2/prefix",
		"prefix,action,expires_at\n44,allow,tomorrow\n":               "/2/expires_at",
		"prefix,action\n" + strings.Repeat("1,allow\n", MaxEntries+1): "more than",
	} {
		entries, errs, err := ReadCSV(strings.NewReader(file))
		said := fmt.Sprint(errs, err)
		if want == "ErrHeader" {
			want = ErrHeader.Error()
		}
		if !strings.Contains(said, want) || len(entries) > 0 {
			t.Errorf("%.60q: %d entries, %.200s; want %s", file, len(entries), said, want)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("prefix,action\n44,allow\n")
	f.Fuzz(func(t *testing.T, file string) {
		entries, errs, err := ReadCSV(strings.NewReader(file))
		if err != nil || len(errs) > 0 {
			return
		}
		l := List{Entries: entries}
		if _, err := l.Compile(); err != nil {
			t.Error(err)
		}
		text, err := WriteCSV(entries)
		if err != nil {
			t.Fatal(err)
		}
		again, errs, err := ReadCSV(strings.NewReader(string(text)))
		if err != nil || len(errs) > 0 || len(again) != len(entries) {
			t.Errorf("written and read again: %d entries of %d, %v, %v", len(again), len(entries), errs, err)
		}
	})
}
