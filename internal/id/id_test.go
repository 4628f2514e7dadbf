package id

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func TestIDsIncreaseWhateverTheClockDoes(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	source := NewSource(3, func() time.Time { return now })
	last := ID(0)
	for i := range 20_000 {
		switch i {
		case 10_000:
			now = now.Add(-time.Hour)
		case 15_000:
			now = now.Add(2 * time.Hour)
		}
		next := source.Next()
		if next <= last {
			t.Fatalf("id %d is %v, after %v", i, next, last)
		}
		if node := int64(next) >> sequenceBits & maxNode; node != 3 {
			t.Fatalf("id %v carries node %d, want 3", next, node)
		}
		last = next
	}
	if len(last.String()) != 19 {
		t.Errorf("id %v has %d digits, want the 19 of Telnyx ids", last, len(last.String()))
	}
}

func TestParse(t *testing.T) {
	if got, err := Parse("1293384261075731499"); err != nil || got != 1293384261075731499 {
		t.Errorf("Parse = %v, %v", got, err)
	}
	for _, bad := range []string{"", "0", "01", "-1", "+1", "1 ", "12a", "9999999999999999999", "12933842610757314990"} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("Parse(%q) = %v without an error", bad, got)
		}
	}
}

func TestJSON(t *testing.T) {
	var v struct {
		A ID `json:"a"`
		B ID `json:"b"`
		C ID `json:"c"`
	}
	if err := json.Unmarshal([]byte(`{"a":"12","b":null,"c":""}`), &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil || string(out) != `{"a":"12","b":null,"c":null}` {
		t.Errorf("wrote %s, %v", out, err)
	}
	for _, bad := range []string{`{"a":12}`, `{"a":"x"}`, `{"a":true}`} {
		if err := json.Unmarshal([]byte(bad), &v); err == nil {
			t.Errorf("%s was read without an error", bad)
		}
	}
}
