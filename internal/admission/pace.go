package admission

import (
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
)

// How many calls a connection may begin in a second (calls_per_second). Each server
// counts for itself, and forgets when it ends. Every attempt that is decided counts,
// even one that another rule refuses; those above the rate do not count, so a caller
// that continues to try gets as many calls as the rate allows. A repeated question is
// answered without being decided, and emergency calls neither count nor are counted.

// Paces count the calls that connections begin. They belong to a server and not to
// one State: a store that builds its State anew gives it the same Paces. They are safe
// for concurrent use. The zero value has counted nothing.
type Paces struct {
	mu sync.Mutex // guards both below
	// In two generations: when the young one is full the old one is dropped.
	young, old map[id.ID]bucket
}

// maxPaces bounds the connections of one generation.
const maxPaces = 1 << 16

// bucket is a token bucket.
type bucket struct {
	tokens   float64
	atMicros int64
}

// now is the bucket at a later time. It holds as many tokens as calls may begin in a
// second, and fills up within one.
func (b bucket) now(perSecond int32, nowMicros int64) bucket {
	passed := float64(max(0, nowMicros-b.atMicros)) / float64(time.Second.Microseconds())
	return bucket{min(float64(perSecond), b.tokens+passed*float64(perSecond)), max(b.atMicros, nowMicros)}
}

func (p *Paces) find(connection id.ID, perSecond int32, nowMicros int64) bucket {
	b, known := p.young[connection]
	if !known {
		if b, known = p.old[connection]; !known {
			b = bucket{tokens: float64(perSecond), atMicros: nowMicros}
		}
	}
	return b.now(perSecond, nowMicros)
}

func (p *Paces) put(connection id.ID, b bucket) {
	if _, known := p.young[connection]; !known && (p.young == nil || len(p.young) >= maxPaces) {
		p.young, p.old = make(map[id.ID]bucket), p.young
	}
	p.young[connection] = b
}

// Begun is how many calls of a connection were begun in the past second, at most
// perSecond.
func (p *Paces) Begun(connection id.ID, perSecond int32, nowMicros int64) int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return perSecond - int32(p.find(connection, perSecond, nowMicros).tokens)
}

// begin counts a call.
func (p *Paces) begin(connection id.ID, perSecond int32, nowMicros int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.find(connection, perSecond, nowMicros)
	b.tokens = max(0, b.tokens-1)
	p.put(connection, b)
}

// Undo takes off the calls that an undone transaction began, since it is going to be
// repeated.
func (p *Paces) Undo(begun []id.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, connection := range begun {
		if b, known := p.young[connection]; known {
			b.tokens++
			p.young[connection] = b
		}
	}
}

// CountPaces has the State count the calls that connections begin together with
// whatever else uses the same Paces.
func (s *State) CountPaces(p *Paces) { s.paces = p }

// Begun implements Usage.
func (s *State) Begun(connection id.ID, perSecond int32) int32 {
	return s.paces.Begun(connection, perSecond, s.now)
}

// countPace counts a call that was decided.
func (s *State) countPace(f *Facts) {
	if f.Emergency || f.Pace.Max == policy.NoLimit || f.Connection == 0 || f.Pace.Begun >= f.Pace.Max {
		return
	}
	s.paces.begin(f.Connection, f.Pace.Max, s.now)
	s.begun = append(s.begun, f.Connection)
}
