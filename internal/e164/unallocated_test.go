package e164

import "testing"

func TestUnallocated(t *testing.T) {
	for number, want := range map[string]bool{
		"+13125550100":   false,
		"+18762345678":   false, // Jamaica has an area code of the plan
		"+18004112345":   false, // toll-free numbers have such exchanges
		"+13121112345":   true,  // no exchange begins with 0 or 1
		"+13120550123":   true,
		"+13129110123":   true, // 911 is a service
		"+18764112345":   true,
		"+442079460000":  false,
		"+449999999999":  false, // elsewhere a new block may be unknown
		"+4915112345678": false,
		"+88112345678":   false,
	} {
		n, err := Parse(number)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Plan{}).Unallocated(n); got != want {
			t.Errorf("%s: %v, want %v", number, got, want)
		}
	}
}

// An operator who knows of a new exchange says so by an override.
func TestUnallocatedByOverride(t *testing.T) {
	n, _ := Parse("+13129110123")
	for _, valid := range []bool{true, false} {
		plan := Plan{Overlay: NewOverlay([]Override{{Prefix: 1312911, Valid: valid}})}
		if plan.Unallocated(n) == valid {
			t.Errorf("with an override that is valid=%v: unallocated=%v", valid, !valid)
		}
	}
}
