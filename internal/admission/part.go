package admission

import (
	"time"

	"github.com/tollgate/tollgate/internal/id"
)

// Part is what a store that does not keep the whole ledger in memory loads for a
// group of commands, all of it as it is at one moment, and kept from others until
// the group's changes are durable.
type Part struct {
	// Leases are those of the calls that the commands name, and for Expire and
	// ExpireOwners those that are to end.
	Leases []*Lease
	// Live is how many leases each account, profile and connection has that a
	// Reserve looks at, and each profile that ends calls at its spend limit: the
	// size of the whole set, with those in Leases and without emergency calls.
	Live map[id.ID]int32
	// Spends are those of every profile that the commands touch, and of their billing
	// groups and accounts while these have a limit, from the day on
	// which the oldest of the Leases was reserved, and from today. Held is the sum
	// over all leases, loaded or not.
	Spends map[SpendKey]Spend
	// Holds are those of the same scopes.
	Holds map[Scope]SpendHold
	// Urgent is how many emergency calls each connection has from which a Reserve is one,
	// with those in Leases, and Started how many of them have started today.
	Urgent  map[id.ID]int32
	Started map[EmergencyKey]int64
	// Callees are the counts of the numbers that a Reserve calls.
	Callees map[CalleeKey]int32
}

// RestorePart makes an empty State one that answers the commands for which the
// Part was loaded as the whole ledger would. Any other command must not be
// applied to it.
func (s *State) RestorePart(p Part, now time.Time) {
	s.now = now.UnixMicro()
	for key, spend := range p.Spends {
		s.spends[key] = &spend
	}
	s.PutHolds(p.Holds)
	for scope, n := range p.Live {
		s.absent[scope] = n
	}
	for connection, n := range p.Urgent {
		s.absentUrgent[connection] = n
	}
	s.PutEmergencies(p.Started)
	for _, l := range p.Leases {
		s.insert(l)
		if l.Emergency {
			if s.absentUrgent[l.Connection] > 0 {
				s.absentUrgent[l.Connection]--
			}
			continue
		}
		for _, scope := range [...]id.ID{l.Account, l.Profile, l.Connection} {
			if s.absent[scope] > 0 {
				s.absent[scope]--
			}
		}
	}
	for key, n := range p.Callees {
		s.callees[key] = n
	}
	clear(s.dirtyLeases)
}
