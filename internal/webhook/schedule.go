package webhook

import "time"

// Schedule says when a failed delivery is tried again. A round is one attempt at
// the endpoint's URL and, when that fails and there is one, one at its failover
// URL at once. The pause between rounds grows by a constant factor.
type Schedule struct {
	First     time.Duration // pause after the first round
	Factor    int           // from each pause to the next
	Longest   time.Duration // no pause is longer, before jitter
	MaxRounds int           // the delivery is dead after this many
	MaxAge    time.Duration // no attempt is planned for a delivery older than this
}

// DefaultSchedule tries for a day: after 5, 15 and 45 seconds, then 2, 7, 20 and
// 61 minutes, then every three to four hours.
func DefaultSchedule() Schedule {
	return Schedule{First: 5 * time.Second, Factor: 3, Longest: 4 * time.Hour, MaxRounds: 15, MaxAge: 24 * time.Hour}
}

// jitter spreads pauses over 1 ± jitter/2 of their length, so that the deliveries
// which one outage made fail do not all come back in the same second.
const jitter = 0.5

// Next returns when to try again after a number of failed attempts, the last
// of them ending at now; or false when the delivery is dead. random is in [0, 1).
// A delivery that could not be tried in time, because Tollgate was stopped or the
// endpoint disabled, still gets one round, since only a failure ends it.
func (s Schedule) Next(attempts int, hasFailover bool, created, now time.Time, random float64) (time.Time, bool) {
	rounds := attempts
	if hasFailover {
		if attempts%2 == 1 {
			return now, true
		}
		rounds = attempts / 2
	}
	if rounds >= s.MaxRounds {
		return time.Time{}, false
	}
	pause := min(s.First, s.Longest)
	for range rounds - 1 {
		if pause >= s.Longest/time.Duration(s.Factor) {
			pause = s.Longest
			break
		}
		pause *= time.Duration(s.Factor)
	}
	at := now.Add(time.Duration(float64(pause) * (1 + jitter*(random-0.5))))
	if at.Sub(created) > s.MaxAge {
		return time.Time{}, false
	}
	return at, true
}
