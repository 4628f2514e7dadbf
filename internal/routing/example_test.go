package routing_test

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/routing"
)

// Lower priorities are tried first; the seed makes the draw within one repeatable.
func ExampleOrder() {
	first, second, off := routing.NewGateway(), routing.NewGateway(), routing.NewGateway()
	first.Name = "first"
	second.Name = "second"
	second.Priority = 1
	off.Name = "off"
	off.Enabled = false
	for _, gateway := range routing.Order([]*routing.Gateway{&off, &second, &first}, 42) {
		fmt.Println(gateway.Name)
	}
	// Output:
	// first
	// second
}
