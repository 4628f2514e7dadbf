package transport

import "sync/atomic"

// Counters count since the start of the process.
type Counters struct {
	Received, Sent, SendErrors atomic.Uint64
	Filtered                   atomic.Uint64
	HandshakeErrors            atomic.Uint64
	Unanswered                 atomic.Uint64 // requests above the budgets of strangers and of refusals
	RefusedConnections         [Classes]atomic.Uint64
	Evicted                    atomic.Uint64
}
