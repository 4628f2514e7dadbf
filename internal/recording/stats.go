package recording

import "sync/atomic"

// Stats is what the recorder has done since its start, and what it has before it.
type Stats struct {
	Live    int // calls that are being recorded
	Waiting int // ended calls whose finished file is not made yet

	Kept      uint64 // finished recordings
	Failures  uint64 // attempts to keep one that failed, and are repeated
	Abandoned uint64 // calls whose audio could not be written any further

	Packets [2]Counts // of ended calls, by side: caller, callee
}

// tally is what Stats counts.
type tally struct {
	kept, failures, abandoned                          atomic.Uint64
	played, late, duplicate, undecodable, droppedCount [2]atomic.Int64
}

// add counts the packets of a call that has ended.
func (t *tally) add(sides *[2]side) {
	for i := range sides {
		c := &sides[i].counts
		t.played[i].Add(c.Played)
		t.late[i].Add(c.Late)
		t.duplicate[i].Add(c.Duplicate)
		t.undecodable[i].Add(c.Undecodable)
		t.droppedCount[i].Add(c.Dropped)
	}
}

// Stats is for metrics.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	s := Stats{Live: len(r.taps), Waiting: len(r.jobs) + len(r.failed)}
	r.mu.Unlock()
	s.Kept = r.tally.kept.Load()
	s.Failures = r.tally.failures.Load()
	s.Abandoned = r.tally.abandoned.Load()
	for i := range s.Packets {
		s.Packets[i] = Counts{
			Played: r.tally.played[i].Load(), Late: r.tally.late[i].Load(), Duplicate: r.tally.duplicate[i].Load(),
			Undecodable: r.tally.undecodable[i].Load(), Dropped: r.tally.droppedCount[i].Load(),
		}
	}
	return s
}
