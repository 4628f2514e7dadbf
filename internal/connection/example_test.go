package connection_test

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/connection"
)

func ExampleParseNetwork() {
	for _, text := range []string{"192.0.2.10", "192.0.2.0/24", "::ffff:192.0.2.10", "224.0.0.1"} {
		network, err := connection.ParseNetwork(text)
		fmt.Println(network, network.IsSingle(), network.Problem() == "", err)
	}
	// Output:
	// 192.0.2.10 true true <nil>
	// 192.0.2.0/24 false true <nil>
	// 192.0.2.10 true true <nil>
	// 224.0.0.1 true false <nil>
}

// A caller is checked by a hash that depends on its user name and the realm.
func ExampleHA1Of() {
	a, b := connection.HA1Of("alice1", "a-long-password"), connection.HA1Of("bob1", "a-long-password")
	fmt.Println(a == b, connection.IsHashed(connection.HashPassword("alice1", "a-long-password")))
	// Output: false true
}
