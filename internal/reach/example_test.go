package reach_test

import (
	"fmt"
	"net/netip"

	"github.com/tollgate/tollgate/internal/reach"
)

// Where the server may be made to send: never to link-local or metadata addresses, and to
// private ones only where the operator allows it.
func ExampleGuard_Refuses() {
	guard := reach.New(reach.Rules{Private: true})
	for _, target := range []string{"1.1.1.1:5060", "10.0.0.5:5060", "127.0.0.1:5060", "169.254.169.254:80"} {
		_, allowed := guard.Refuses(netip.MustParseAddrPort(target))
		fmt.Println(target, allowed)
	}
	// Output:
	// 1.1.1.1:5060 true
	// 10.0.0.5:5060 true
	// 127.0.0.1:5060 false
	// 169.254.169.254:80 false
}
