package record_test

import (
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/record"
)

// Accounting days are days in UTC.
func ExampleDayOf() {
	newYork := time.FixedZone("EST", -5*60*60)
	day := record.DayOf(time.Date(2026, 11, 24, 20, 0, 0, 0, newYork).UnixMicro())
	fmt.Println(time.UnixMicro(day.StartMicros()).UTC().Format(time.DateOnly))
	// Output: 2026-11-25
}
