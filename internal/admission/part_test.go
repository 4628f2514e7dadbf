package admission

import (
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// part builds from what is durable a State that knows just what one command
// needs, as a store does that has no memory of its own.
func (m *machine) part(c Command) *State {
	var p Part
	named := commandCall(c)
	oldest := record.DayOf(m.now.UnixMicro())
	p.Live = map[id.ID]int32{}
	for _, scope := range []id.ID{testAccount, testProfile, testConnection} {
		for _, l := range m.disk.leases {
			if !l.Emergency {
				p.Live[scope]++
			}
		}
	}
	p.Urgent, p.Started = map[id.ID]int32{}, m.startedToday()
	for _, l := range m.disk.leases {
		if l.Emergency {
			p.Urgent[l.Connection]++
		}
	}
	for call, l := range m.disk.leases {
		_, all := c.(ExpireOwners)
		_, due := c.(Expire)
		if call == named || all || due && l.ExpiresMicros <= m.now.UnixMicro() {
			stored := *l
			stored.Held = slices.Clone(l.Held)
			stored.Posted = slices.Clone(l.Posted)
			p.Leases = append(p.Leases, &stored)
			oldest = min(oldest, record.DayOf(l.ReservedMicros))
		}
	}
	p.Spends = maps.Clone(m.disk.spends)
	maps.DeleteFunc(p.Spends, func(key SpendKey, _ Spend) bool { return key.Day < oldest })
	p.Callees = m.disk.callees
	p.Holds = m.disk.holds
	s := NewState()
	s.RestorePart(p, m.now)
	if r := m.state.ended[named]; r != nil {
		s.Remember(r)
	}
	return s
}

func commandCall(c Command) uuid.UUID {
	switch c := c.(type) {
	case Reserve:
		return c.Call.ID
	case HangUp:
		return c.ID
	case Answer:
		return c.ID
	case Renew:
		return c.ID
	case Settle:
		return c.ID
	case Release:
		return c.ID
	}
	return uuid.Nil
}

// outcome is a result and the changes that came with it as text. It looks at the
// changes without taking them.
func outcome(r Result, s *State) string {
	line := func(c *record.Call) string {
		if c == nil {
			return "no record"
		}
		return fmt.Sprintf("%+v", *c)
	}
	lines := []string{
		fmt.Sprintf("%+v %d %v %v", r.Decision.Facts, r.GrantedSecs, r.Extended, r.Err),
		line(r.Record),
		fmt.Sprint("live ", s.LiveIn(testAccount), s.LiveIn(testProfile), s.LiveIn(testConnection), s.LiveEmergencies(testConnection)),
		fmt.Sprint("emergency calls ", s.emergencies),
	}
	for _, c := range r.Expired {
		lines = append(lines, "expired "+line(c))
	}
	for _, c := range s.records {
		lines = append(lines, "record "+line(c))
	}
	for _, call := range s.gone {
		lines = append(lines, "gone "+call.String())
	}
	for call := range s.dirtyLeases {
		if l := s.leases[call]; l != nil {
			lines = append(lines, fmt.Sprintf("lease %+v", *l))
		}
	}
	for key := range s.dirtySpends {
		lines = append(lines, fmt.Sprintf("spend %v %d %+v", key.Scope, key.Day, *s.spends[key]))
	}
	for scope := range s.dirtyHolds {
		lines = append(lines, fmt.Sprintf("hold %v %+v", scope, s.holds[scope]))
	}
	for key := range s.dirtyCallees {
		lines = append(lines, fmt.Sprintf("callee %v %d", key, s.callees[key]))
	}
	slices.Sort(lines)
	return fmt.Sprint(lines)
}
