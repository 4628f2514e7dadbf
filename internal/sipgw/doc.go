// Package sipgw is the SIP gateway: a back-to-back user agent between customers'
// phone systems and carriers. It decides nothing itself; package call leads each
// call, and this package carries its actions out on the wire.
//
// Package sip reads and writes the messages, and sip/transaction repeats and absorbs them.
// No layer of transactions or dialogs of another library is used: those hand each message
// to a goroutine of its own, which loses the order of a 183 and the 200 behind it, and of
// an ACK and the BYE behind it.
//
// Every call belongs to one shard, by its Call-ID, and every shard to one goroutine.
// receive.go takes a message to its transaction. session.go is one call with its two legs
// (leg.go), attempt.go one gateway being tried, relay.go what passes between the legs,
// media.go its session descriptions, refresh.go the session timers, reliable.go the early
// dialogs, trunk.go the state of each gateway.
//
// Server is Tollgate itself; a gateway is always a carrier's (routing.Gateway).
package sipgw
