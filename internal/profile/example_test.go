package profile_test

import (
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/profile"
)

// Everything that is wrong is reported at once.
func ExampleProfile_Validate() {
	p := profile.New()
	p.Name = "office"
	p.WhitelistedDestinations = []string{"US", "XX"}
	p.DailySpendLimitEnabled = true
	for _, problem := range p.Validate() {
		fmt.Println(problem.Pointer)
	}
	// Output:
	// /whitelisted_destinations/1
	// /daily_spend_limit
}

// A window that crosses midnight belongs to the day on which it began.
func ExampleWindow_Locate() {
	start, _ := profile.ParseTimeOfDay("22:00")
	end, _ := profile.ParseTimeOfDay("06:00")
	window, err := (&profile.CallingWindow{StartTime: &start, EndTime: &end}).Compile()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, hour := range []int{21, 23, 29} {
		at := time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC)
		open, instance := window.Locate(at)
		fmt.Println(at.Format("Jan 2 15:04"), open, instance)
	}
	// Output:
	// Mar 1 21:00 false 20513
	// Mar 1 23:00 true 20513
	// Mar 2 05:00 true 20513
}
