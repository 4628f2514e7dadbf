package policy_test

import (
	"fmt"
	"net/netip"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
)

// A snapshot never changes: With makes the next one, and Publish puts it in force.
func ExampleSnapshot_BySource() {
	pbx := connection.NewIPConnection()
	pbx.ID, pbx.AccountID = 3, 1
	address := netip.MustParseAddr("192.0.2.10")
	source := connection.IP{Head: collection.Head[id.ID]{ID: 5, AccountID: 1},
		ConnectionID: 3, IPAddress: connection.SingleAddress(address)}
	live := policy.NewLive()
	next, err := live.Snapshot().With(
		policy.PutAccount(&policy.Account{ID: 1, Active: true, ChannelLimit: policy.NoLimit}),
		policy.PutIPConn(&pbx),
		policy.PutIP(&source),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	live.Publish(next)

	found, dialled, identity := live.Snapshot().BySource(address, "+12125550123", "", 0)
	fmt.Println(found.ID, dialled, identity == policy.IdentityKnown)
	found, _, _ = live.Snapshot().BySource(netip.MustParseAddr("198.51.100.1"), "+12125550123", "", 0)
	fmt.Println(found == nil)
	// Output:
	// 3 +12125550123 true
	// true
}
