package sim

import (
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/record"
)

// Times of a run.
const (
	stormTime = 4 * time.Minute  // in which things go wrong and calls are made
	calmTime  = 14 * time.Minute // in which all of them must come to an end
)

// tolerated is how far a clock may be off without anybody minding.
const tolerated = 1900 * time.Millisecond

// Run runs one seed and returns what happened. The error names the first invariant
// that did not hold, or is nil.
func Run(seed uint64, defect Defect) (counts Counts, err error) { return run(seed, defect, "") }

// RunMirrored is Run with a single node, and with a real store on SQLite in a folder
// beside the simulated one, which must answer alike.
func RunMirrored(seed uint64, defect Defect, folder string) (Counts, error) {
	return run(seed, defect, folder)
}

func run(seed uint64, defect Defect, folder string) (counts Counts, err error) {
	// One run in two crosses midnight.
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	if seed%2 == 1 {
		start = time.Date(2026, 11, 24, 23, 57, 0, 0, time.UTC)
	}
	w := newWorld(seed, start)
	var c *cluster
	defer func() {
		counts = w.Counts
		if c != nil && c.mirror != nil && c.mirror.Store != nil {
			err = c.mirror.Store.Close() // only after a failure
		}
		if broken, ok := recover().(failure); ok {
			err = fmt.Errorf("seed %d: %s", seed, broken.text)
		} else if !ok && broken != (failure{}) {
			panic(broken)
		}
	}()
	c = newCluster(w, defect)
	c.shared = !w.odds(3) && folder == ""
	if folder != "" {
		c.groupSize = 1
		c.mirror = newMirror(c, folder)
	}
	names := []string{"alpha"}
	if c.shared {
		names = []string{"alpha", "beta", "gamma"}[:2+w.chance.IntN(2)]
	}
	for _, name := range names {
		n := &node{cluster: c, name: name, offset: w.between(-tolerated, tolerated)}
		c.nodes = append(c.nodes, n)
		n.start()
	}
	c.storm(start.Add(stormTime).UnixMicro())
	c.calm()
	c.disk.audit()
	if c.mirror != nil {
		c.mirror.finish(c.disk)
	}
	return w.Counts, nil
}

// storm makes calls and lets things go wrong.
func (c *cluster) storm(until int64) {
	w := c.w
	switches := []*peer{{cluster: c, name: "north"}, {cluster: c, name: "south"}}
	var dial, harm func()
	dial = func() {
		if w.now >= until {
			return
		}
		if w.odds(3) {
			switches[w.chance.IntN(len(switches))].dial()
		} else if n := c.nodes[w.chance.IntN(len(c.nodes))]; n.up && !n.paused() {
			n.dial()
		}
		pause := w.between(0, 4*time.Second)
		if left := midnight(w.now); left.Abs() < 4*time.Second {
			pause /= 20
		}
		w.after(pause, dial)
	}
	harm = func() {
		if w.now >= until {
			return
		}
		c.harm(switches)
		w.after(w.between(0, 20*time.Second), harm)
	}
	dial()
	w.after(w.between(0, 30*time.Second), harm)
	for w.step(until) {
	}
}

// midnight is how far away the nearest one is.
func midnight(now int64) time.Duration {
	since := now % record.MicrosPerDay
	return time.Duration(min(since, record.MicrosPerDay-since)) * time.Microsecond
}

// harm does one thing that goes wrong.
func (c *cluster) harm(switches []*peer) {
	w := c.w
	n := c.nodes[w.chance.IntN(len(c.nodes))]
	span := w.between(100*time.Millisecond, 8*time.Second)
	if w.odds(4) {
		span = w.between(8*time.Second, 90*time.Second)
	}
	end := w.now + span.Microseconds()
	switch w.chance.IntN(8) {
	case 0:
		if n.up {
			n.crash()
		}
	case 1:
		w.logf("%s is paused for %v", n.name, span)
		w.Counts.Pauses++
		n.pausedUntil = max(n.pausedUntil, end)
	case 2:
		w.logf("%s is cut off for %v", n.name, span)
		w.Counts.Partitions++
		n.cutUntil = max(n.cutUntil, end)
	case 3:
		w.logf("the store is away for %v", span)
		w.Counts.Partitions++
		c.downUntil = max(c.downUntil, end)
	case 4:
		c.setClock(n)
	case 5:
		switches[w.chance.IntN(len(switches))].restart()
	default:
		c.configure()
	}
}

// setClock steps the clock of a node: by what is tolerated, or by hours. A node that
// embeds its store has no other clock to compare its own with but the one that
// is never set. It finds a step forward. After one back by hours its time stands
// still until the next process: safe, and so long that no run waits for it.
func (c *cluster) setClock(n *node) {
	w := c.w
	w.Counts.ClockJumps++
	before := n.offset
	switch {
	case c.shared:
		n.offset = w.between(-tolerated, tolerated)
	default:
		n.offset += w.between(-stepLeast/2, stepLeast/2)
	}
	switch {
	case w.odds(2):
	case c.shared:
		n.offset = []time.Duration{-25 * time.Hour, -time.Hour, -3 * time.Second, 3 * time.Second, time.Hour,
			25 * time.Hour}[w.chance.IntN(6)]
	case c.mirror == nil && n.up:
		n.offset = before + []time.Duration{3 * time.Second, time.Minute, time.Hour, 25 * time.Hour}[w.chance.IntN(4)]
	}
	if by := n.offset - before; !c.shared && by >= stepLeast {
		n.step += by
	}
	w.logf("the clock of %s is off by %v", n.name, n.offset)
}

// calm heals everything and waits until all calls have ended.
func (c *cluster) calm() {
	c.faulty = false
	c.downUntil = 0
	for _, n := range c.nodes {
		n.cutUntil = 0
		if c.shared {
			n.offset = 0
		}
	}
	c.w.logf("calm")
	until := c.w.now + calmTime.Microseconds()
	for c.w.step(until) {
	}
}
