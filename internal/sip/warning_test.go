package sip

import "testing"

// TestAWarningHasNoHost: the text goes on byte for byte, and no part of the host does.
func TestAWarningHasNoHost(t *testing.T) {
	for value, want := range map[string]string{
		`399 sbc1.carrier.example "Over quota"`:   `399 tollgate "Over quota"`,
		`304  10.0.0.5:5060   "a \"b\" 399 x"`:    `304 tollgate "a \"b\" 399 x"`,
		`370 [2001:db8::1]:5060 "bandwidth, low"`: `370 tollgate "bandwidth, low"`,
		`399 "x" "y"`: "", `399 <sip:a@b> "x"`: "", `39 a "x"`: "",
	} {
		m := Message{Fields: []Field{{Name: "warning", Value: value}}}
		got := NewCarried("Warning", 4, 512, IsWarning).Writing(UnnamedWarning).Lines(&m)
		if want != "" {
			want = "Warning: " + want + "\r\n"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func FuzzUnnamedWarning(f *testing.F) {
	f.Add(`399 sbc.example "text"`)
	f.Fuzz(func(t *testing.T, value string) {
		if IsWarning(value) && !IsWarning(UnnamedWarning(value)) {
			t.Errorf("%q becomes %q", value, UnnamedWarning(value))
		}
	})
}
