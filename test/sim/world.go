// Package sim is a deterministic simulation of Tollgate under failure: nodes, the
// store that they share or that one of them embeds, the network between, the
// phones and carriers of their calls, and switches that ask over HTTP. Time is
// virtual and everything that happens is drawn from one seed, so that a run that
// breaks an invariant is run again by its seed.
//
// What is under test is real: admission.State, admission.Decide and call.Call, and
// with an engine of package sqlstore the store too. What surrounds them is simulated:
// it delays, drops, repeats and reorders messages, fails commits before and after
// they persist, crashes, pauses and restarts nodes, and sets their clocks wrong.
// The budgets are small, so that limits are reached all the time.
package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"
)

// event is something that will happen.
type event struct {
	at  int64 // microseconds of true time
	seq int   // those of one instant happen in the order of their planning
	do  func()
}

type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push implements heap.Interface.
func (a *agenda) Push(x any) { *a = append(*a, x.(event)) }

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = event{}
	*a = (*a)[:len(*a)-1]
	return last
}

// traceLines is how much of what happened a failure shows.
const traceLines = 40

// world is true time, chance, and what is yet to happen.
type world struct {
	seed   uint64
	chance *rand.Rand
	now    int64 // Unix microseconds
	agenda agenda
	seq    int
	trace  []string
	Counts Counts
}

// Counts is what happened in a run.
type Counts struct {
	Steps, Calls, Emergencies, Admitted, Refused, Renewals, Settled, Lost     int
	FailedBefore, FailedAfter, Crashes, Pauses, Partitions, ClockJumps        int
	Dropped, Repeated, Reordered, SwitchRestarts, ConfigChanges, LimitReached int
}

// failure is the first invariant that a run broke.
type failure struct{ text string }

func newWorld(seed uint64, start time.Time) *world {
	return &world{seed: seed, chance: rand.New(rand.NewPCG(seed, 0x746f6c6c67617465)), now: start.UnixMicro()}
}

// after plans an event.
func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.agenda, event{at: w.now + max(0, d.Microseconds()), seq: w.seq, do: do})
}

// step lets the next event happen that is due by a time, and reports whether there was one.
func (w *world) step(until int64) bool {
	if len(w.agenda) == 0 || w.agenda[0].at > until {
		w.now = max(w.now, until)
		return false
	}
	next := heap.Pop(&w.agenda).(event)
	w.now = next.at
	w.Counts.Steps++
	next.do()
	return true
}

func (w *world) time() time.Time { return time.UnixMicro(w.now).UTC() }

// between draws a duration.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.chance.Int64N(int64(most-least)+1))
}

// odds is true once in n times.
func (w *world) odds(n int) bool { return w.chance.IntN(n) == 0 }

func (w *world) id() (u uuid.UUID) {
	for i := 0; i < len(u); i += 8 {
		n := w.chance.Uint64()
		for j := range 8 {
			u[i+j] = byte(n >> (8 * j))
		}
	}
	return u
}

// logf notes what happened, for the trace of a failure.
func (w *world) logf(format string, args ...any) {
	if len(w.trace) >= 4*traceLines {
		w.trace = append(w.trace[:0], w.trace[len(w.trace)-traceLines:]...)
	}
	w.trace = append(w.trace, w.time().Format("15:04:05.000000 ")+fmt.Sprintf(format, args...))
}

// failf ends the run: an invariant does not hold.
func (w *world) failf(invariant, format string, args ...any) {
	trace := w.trace[max(0, len(w.trace)-traceLines):]
	panic(failure{fmt.Sprintf("%s at %s: %s\nbefore that:\n%s", invariant, w.time().Format("2006-01-02 15:04:05.000000"),
		fmt.Sprintf(format, args...), strings.Join(trace, "\n"))})
}

func short(u uuid.UUID) string { return u.String()[:8] }
