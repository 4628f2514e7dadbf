package admission

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
)

// The end of a call in the ledger: its charge, its record, and what comes free.

func (s *State) end(call uuid.UUID, e *Ending, answered bool) Result {
	l := s.leases[call]
	if l == nil {
		if r := s.ended[call]; r != nil {
			return Result{Record: r}
		}
		return Result{Err: ErrUnknownCall}
	}
	outcome := record.OutcomeFailed
	switch {
	case answered:
		outcome = record.OutcomeAnswered
	case l.AnsweredMicros != 0:
		// A Release that comes after an Answer does not make the call free.
		outcome = record.OutcomeAnswered
		late := *e
		late.Elapsed = time.Duration(max(0, e.EndedMicros-l.AnsweredMicros)) * time.Microsecond
		e = &late
	case e.Cancelled:
		outcome = record.OutcomeCancelled
	}
	return Result{Record: s.close(l, e, outcome)}
}

// close posts what the call used, frees the rest, and makes its one record.
func (s *State) close(l *Lease, e *Ending, outcome record.Outcome) *record.Call {
	r := leaseRecord(l, e, outcome)
	// An owner's clock may be off by hours; a call ends within the time of its lease.
	r.EndedMicros = min(max(e.EndedMicros, l.ReservedMicros, l.AnsweredMicros), s.now)
	answered := outcome == record.OutcomeAnswered || (outcome == record.OutcomeLost && l.AnsweredMicros != 0)
	if answered {
		// The owner's clock may not have seen a whole tick; an answered call is never free of charge for that.
		used := l.Rate.BillableSecs(max(e.Elapsed, 1))
		billed := max(min(used, l.GrantedSecs), l.PostedSecs)
		r.BilledSecs = billed
		r.OverrunSecs = max(0, used-l.GrantedSecs)
		if l.AnsweredMicros == 0 {
			r.AnsweredMicros = max(l.ReservedMicros, r.EndedMicros-e.Elapsed.Microseconds())
			s.announceCall(s.policy, EventAnswered, l, r.AnsweredMicros) // the answer itself never came
		}
	}
	r.GrantedSecs = max(l.AllowedSecs(), r.BilledSecs)
	if l.Emergency {
		r.OverrunSecs = 0
		s.postEmergency(l, r.AnsweredMicros, r.BilledSecs)
	}
	for len(l.Held) > 0 {
		s.post(l, r.BilledSecs)
	}
	if r.OverrunSecs > 0 {
		r.OverrunCost = l.Rate.SliceCost(l.GrantedSecs, l.GrantedSecs+r.OverrunSecs)
		s.eachSpend(l, r.EndedMicros, func(spend *Spend) { spend.Overrun = money.Add(spend.Overrun, r.OverrunCost) })
	}
	r.Slices = l.Posted
	for _, slice := range l.Posted {
		r.Cost = money.Add(r.Cost, slice.Cost)
	}
	l.noteHangUp(r, e)
	s.remove(l)
	s.records = append(s.records, r)
	return r
}

// expire ends the calls that are due. None of them has lived after lastMicros.
func (s *State) expire(cause string, lastMicros int64, due func(*Lease) bool) Result {
	var result Result
	for _, l := range s.leases {
		if !due(l) {
			continue
		}
		e := Ending{Gateway: l.Gateway, EndedMicros: lastMicros, Cause: cause, Source: record.SideUnknown}
		if l.AnsweredMicros != 0 {
			// The call may have lived as long as its grant, and no longer.
			last := lastMicros
			if l.Emergency {
				last = min(last, l.lastSign())
			}
			alive := min(max(0, last-l.AnsweredMicros), l.AllowedSecs()*time.Second.Microseconds())
			e.Elapsed = time.Duration(alive) * time.Microsecond
			e.EndedMicros = l.AnsweredMicros + alive
			result.Teardowns = append(result.Teardowns, l.Teardown)
		}
		result.Expired = append(result.Expired, s.close(l, &e, record.OutcomeLost))
	}
	s.prune()
	return result
}

// prune forgets what no decision will look at any more: windows and days that
// are over. Their rows stay in the store.
func (s *State) prune() {
	today := record.DayOf(s.now)
	for key := range s.started {
		if key.Day < today {
			delete(s.started, key)
		}
	}
	for key := range s.callees {
		if _, dirty := s.dirtyCallees[key]; !dirty && key.Window < int32(today)-2 {
			delete(s.callees, key)
		}
	}
	for key, spend := range s.spends {
		if _, dirty := s.dirtySpends[key]; !dirty && key.Day < today-2 && spend.Held == 0 {
			delete(s.spends, key)
		}
	}
}

func (s *State) missing(call uuid.UUID) Result {
	if s.ended[call] != nil {
		return Result{Err: ErrEnded}
	}
	return Result{Err: ErrUnknownCall}
}
