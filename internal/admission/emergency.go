package admission

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

// Emergency calls hold no channel and no money, and no limit ends them. They are
// metered all the same: what they have cost is posted on days of their own, which
// no limit counts.

// EmergencyFacts is what is known of an emergency call beside the rest.
type EmergencyFacts struct {
	Number string // to dial
	Prefix string // calling code and number, by which a deck prices it; "" for none
	// Live and Max are the emergency calls of the connection, and how many the operator
	// of the server allows at once, or policy.NoLimit.
	Live, Max int32
}

// EmergencyKey names the emergency calls of a connection on one day.
type EmergencyKey struct {
	Account, Connection id.ID
	Day                 record.Day
}

// EmergencyDay is what is counted of the emergency calls of a connection on a day.
type EmergencyDay struct {
	Started    int64 // calls that were let through
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

func gatherEmergency(f *Facts, c *policy.Connection, number string) {
	f.Urgent.Number = number
	f.Urgent.Max = c.EmergencyLimit
	if code := c.Home.CallingCode(); code != 0 {
		f.Urgent.Prefix = strconv.Itoa(code) + number
	}
}

// rateOf is the price that a deck has for the emergency number itself: by the
// calling code of the country and the number, such as 1911. The price of the country
// around it is no price of an emergency call.
func (u *EmergencyFacts) rateOf(deck *rating.Deck) (rating.Rate, bool) {
	if u.Prefix == "" {
		return rating.Rate{}, false
	}
	// The deck looks up whole numbers. One that begins with the prefix, and goes on as
	// no longer prefix of the deck does, finds the prefix if it is there.
	for more := byte('0'); more <= '9'; more++ {
		padded := make([]byte, 0, e164.MaxDigits)
		padded = append(padded, '+')
		padded = append(padded, u.Prefix...)
		for len(padded) < 1+e164.MaxDigits {
			padded = append(padded, more)
		}
		n, err := e164.Parse(string(padded))
		if err != nil {
			return rating.Rate{}, false
		}
		if rate, digits, ok := deck.Lookup(n); ok && digits == len(u.Prefix) {
			return rate, true
		}
	}
	return rating.Rate{}, false
}

// judgeEmergency refuses a call above the number of emergency calls at once that the
// operator has set for the connection, if any, and never otherwise.
func judgeEmergency(f *Facts) Reason {
	return refuseIf(f.Urgent.Max != policy.NoLimit && f.Urgent.Live >= f.Urgent.Max, ReasonEmergencyLimit)
}

func emergencyText(f *Facts) (seen, allowed string) {
	if !f.Emergency {
		return "not an emergency number", "emergency numbers are always allowed"
	}
	seen = fmt.Sprintf("emergency number %s, dialled as %q, %d emergency calls of the connection live",
		f.Urgent.Number, f.To, f.Urgent.Live)
	if f.Urgent.Max == policy.NoLimit {
		return seen, "emergency numbers are always allowed"
	}
	return seen, fmt.Sprintf("below %d emergency calls at once, as emergency_call_limit of the connection says",
		f.Urgent.Max)
}

// LiveEmergencies counts the emergency calls of a connection that are live.
func (s *State) LiveEmergencies(connection id.ID) int32 {
	return s.urgent[connection] + s.absentUrgent[connection]
}

// startEmergency counts an emergency call that is let through, and reports it.
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
	event.Kind, event.Day, event.Count, event.Threshold = EventEmergencyAlert, key.Day, s.started[key],
		int64(c.EmergencyAlert)
	s.events = append(s.events, event)
}

// unusual says whether a count is to be reported: at the threshold, and at each doubling.
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

func (w *writer) emergency(u *EmergencyFacts) {
	w.text(u.Number)
	w.text(u.Prefix)
	w.int(int64(u.Live))
	w.int(int64(u.Max))
}

func (r *reader) emergency(u *EmergencyFacts) {
	u.Number, u.Prefix = r.text(), r.text()
	u.Live, u.Max = int32(r.int()), int32(r.int())
}
