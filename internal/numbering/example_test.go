package numbering_test

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/numbering"
)

// A date begins at midnight UTC.
func ExampleParseMoment() {
	moment, err := numbering.ParseMoment("2026-12-31")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := moment.MarshalText()
	fmt.Println(string(text), err)
	// Output: 2026-12-31T00:00:00Z <nil>
}
