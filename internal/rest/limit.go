package rest

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/id"
)

// RateLimit bounds the requests of one API key: a number per second, and as many at
// once as Burst. The zero value means the default, a negative PerSecond no limit.
type RateLimit struct {
	PerSecond float64
	Burst     int
}

// defaultRateLimit is far above what a person or a deployment tool sends. It is
// there so that a script that runs wild does not take the server from everybody else.
func defaultRateLimit() RateLimit { return RateLimit{PerSecond: 500, Burst: 5000} }

// maxLimited bounds the table of the limiter. Only valid keys get into it.
const maxLimited = 10_000

// Limiter is a generic cell rate algorithm for each key: it keeps one moment, at
// which the key's burst will be whole again.
type Limiter struct {
	limit RateLimit
	clock func() time.Time

	mu    sync.Mutex // guards whole
	whole map[id.ID]time.Time
}

// NewLimiter makes a limiter that has seen no request.
func NewLimiter(limit RateLimit, clock func() time.Time) *Limiter {
	standard := defaultRateLimit()
	if limit.PerSecond == 0 {
		limit.PerSecond = standard.PerSecond
	}
	if limit.Burst <= 0 {
		limit.Burst = standard.Burst
	}
	return &Limiter{limit: limit, clock: clock, whole: make(map[id.ID]time.Time)}
}

// allowance is what a key has left.
type allowance struct {
	remaining int
	reset     time.Duration // until the burst is whole again
	retry     time.Duration // until the next request is accepted; 0 when this one was
}

// take counts a request of a key.
func (l *Limiter) take(key id.ID) allowance {
	each := time.Duration(float64(time.Second) / l.limit.PerSecond)
	burst := each * time.Duration(l.limit.Burst)
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.whole[key]
	if at.Before(now) {
		at = now
	}
	next := at.Add(each)
	if wait := next.Sub(now) - burst; wait > 0 {
		return allowance{reset: at.Sub(now), retry: wait}
	}
	if _, known := l.whole[key]; !known && len(l.whole) >= maxLimited {
		l.makeRoom(now)
	}
	l.whole[key] = next
	return allowance{remaining: int((burst - next.Sub(now)) / each), reset: next.Sub(now)}
}

// makeRoom forgets the keys whose burst is whole, or else any one.
func (l *Limiter) makeRoom(now time.Time) {
	for key, at := range l.whole {
		if !at.After(now) {
			delete(l.whole, key)
		}
	}
	for key := range l.whole {
		if len(l.whole) < maxLimited {
			return
		}
		delete(l.whole, key)
	}
}

// check counts a request and refuses it when there are too many. The headers are
// those of Telnyx.
func (l *Limiter) check(header http.Header, key id.ID) error {
	if l.limit.PerSecond < 0 {
		return nil
	}
	left := l.take(key)
	header.Set("X-Ratelimit-Limit", strconv.Itoa(l.limit.Burst))
	header.Set("X-Ratelimit-Remaining", strconv.Itoa(left.remaining))
	header.Set("X-Ratelimit-Reset", wholeSeconds(left.reset))
	if left.retry == 0 {
		return nil
	}
	f := Fail(http.StatusTooManyRequests, CodeTooMany, "You have exceeded the maximum number of allowed requests.")
	f.Header = http.Header{"Retry-After": {wholeSeconds(left.retry)}}
	return f
}

// wholeSeconds rounds up, so that who waits so long is not too early.
func wholeSeconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }
