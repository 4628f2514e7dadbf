package admission

import (
	"math"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// Emergency calls hold no channel and no money, and no limit ends them. They are
// metered anyway: what they have cost is posted on days of their own, which
// no limit counts.

// EmergencyKey names the emergency calls of a connection on one day.
type EmergencyKey struct {
	Account, Connection id.ID
	Day                 record.Day
}

// EmergencyDay is what is counted of the emergency calls of a connection on a day.
type EmergencyDay struct {
	Started    int64 // calls that were admitted
	Ended      int64 // of them, whatever day they ended on
	BilledSecs int64
	Posted     money.Amount // counts in no limit
}

// Add adds what another one has.
func (d *EmergencyDay) Add(more EmergencyDay) {
	d.Started += more.Started
	d.Ended += more.Ended
	d.BilledSecs += more.BilledSecs
	d.Posted = money.Add(d.Posted, more.Posted)
}

// LiveEmergencies counts the emergency calls of a connection that are live.
func (s *State) LiveEmergencies(connection id.ID) int32 {
	return s.urgent[connection] + s.absentUrgent[connection]
}

// startEmergency counts an emergency call that is admitted, and reports it.
func (s *State) startEmergency(p *policy.Snapshot, l *Lease) {
	l.GrantedSecs = math.MaxInt32 // no limit ends an emergency call
	key := EmergencyKey{l.Account, l.Connection, record.DayOf(s.now)}
	s.countEmergency(key, EmergencyDay{Started: 1})
	s.started[key]++
	event := Event{
		Kind: EventEmergency, AtMicros: s.now, Account: l.Account, Profile: l.Profile, Connection: l.Connection,
		Call: l.ID, SIPCallID: l.SIPCallID, Decision: l.Decision,
	}
	s.events = append(s.events, event)
	c := p.Connection(l.Connection)
	if c == nil || c.EmergencyAlert == 0 || !unusual(s.started[key], int64(c.EmergencyAlert)) {
		return
	}
	event.Kind = EventEmergencyAlert
	event.Day = key.Day
	event.Count = s.started[key]
	event.Threshold =
		int64(c.EmergencyAlert)
	s.events = append(s.events, event)
}

// unusual reports whether a count is to be reported: at the threshold, and at each doubling.
func unusual(count, threshold int64) bool {
	for threshold > 0 && threshold < count {
		threshold *= 2
	}
	return count == threshold
}

func (s *State) countEmergency(key EmergencyKey, more EmergencyDay) {
	day := s.emergencies[key]
	day.Add(more)
	s.emergencies[key] = day
}

// PutEmergencies puts in how many emergency calls have started today.
func (s *State) PutEmergencies(started map[EmergencyKey]int64) {
	for key, n := range started {
		s.started[key] = n
	}
}

// postEmergency books what an emergency call that ends has used, each part to the day
// in which it starts.
func (s *State) postEmergency(l *Lease, answeredMicros, billedSecs int64) {
	for from := int64(0); from < billedSecs; {
		day := record.DayOf(answeredMicros + from*time.Second.Microseconds())
		left := (day + 1).StartMicros() - answeredMicros
		to := l.Rate.RoundUp(max((left+time.Second.Microseconds()-1)/time.Second.Microseconds(), from+1))
		to = min(to, billedSecs)
		slice := record.Slice{Day: day, Secs: to - from, Cost: l.Rate.SliceCost(from, to)}
		l.Posted = append(l.Posted, slice)
		s.countEmergency(EmergencyKey{l.Account, l.Connection, day}, EmergencyDay{BilledSecs: slice.Secs, Posted: slice.Cost})
		from = to
	}
	l.PostedSecs = billedSecs
	s.countEmergency(EmergencyKey{l.Account, l.Connection, record.DayOf(l.ReservedMicros)}, EmergencyDay{Ended: 1})
}

// lastSign is when an emergency call was last known to live: nothing is held for it,
// so what came after is not charged.
func (l *Lease) lastSign() int64 { return l.ExpiresMicros - SetupTTL.Microseconds() }
