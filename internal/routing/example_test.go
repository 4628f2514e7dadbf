package routing_test

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/routing"
)

// Lower priorities are tried first; the seed makes the draw within one repeatable.
func ExampleOrder() {
	first, second, off := routing.NewGateway(), routing.NewGateway(), routing.NewGateway()
	first.Name, second.Name, second.Priority, off.Name, off.Enabled = "first", "second", 1, "off", false
	for _, gateway := range routing.Order([]*routing.Gateway{&off, &second, &first}, 42) {
		fmt.Println(gateway.Name)
	}
	// Output:
	// first
	// second
}
