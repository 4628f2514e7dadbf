package admission

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// Calls of other switches. Another switch keeps its own signalling and media and
// asks only for admission. It names a call by an id of its own, from which the id
// of the lease follows, and tells the course of the call by Reports. They may
// come more than once, late, and in any order.

// ids that are made from a name are UUIDs of version 8 (RFC 9562 section 5.8), so
// that none is ever that of a call or of a process of Tollgate itself.
const nameVersion = 8

// SwitchCallID is the id of a call of another switch.
func SwitchCallID(account id.ID, callID string) uuid.UUID { return nameID("call", account, callID) }

// SwitchOwner is the owner of the leases of a switch, by the name that it gives
// itself; "" is a name too.
func SwitchOwner(account id.ID, name string) uuid.UUID { return nameID("switch", account, name) }

// IsSwitchID reports whether an id was made by SwitchCallID or SwitchOwner.
func IsSwitchID(u uuid.UUID) bool { return u.Version() == nameVersion && u.Variant() == uuid.RFC4122 }

func nameID(kind string, account id.ID, name string) uuid.UUID {
	text := make([]byte, 0, 128)
	text = append(text, kind...)
	text = binary.BigEndian.AppendUint64(text, uint64(account))
	sum := sha256.Sum256(append(text, name...))
	return asName(uuid.UUID(sum[:16]))
}

func asName(made uuid.UUID) uuid.UUID {
	made[6] = made[6]&0x0f | nameVersion<<4
	made[8] = made[8]&0x3f | 0x80
	return made
}

// Stage is the event that a Report reports.
type Stage uint8

// The stages of a call of another switch.
const (
	StageAnswered Stage = iota + 1 // the callee took the call
	StageRunning                   // it rings or runs still, and asks for a longer grant
	StageEnded
)

// Report is an event of a call that a switch reports. It is refused whole, by Err
// of its Result, or carried out.
type Report struct {
	ID      uuid.UUID
	Account id.ID // whose switch it is; calls of others are unknown to it
	Stage   Stage
	// Attempt, if not nil, is the call's Reserve: a call that is not known yet is
	// decided first. So an event may come before the question that it follows.
	Attempt *Reserve
	// OnlyKnown means that the Attempt is only compared: its id does not follow from it.
	OnlyKnown bool
	// AtMicros is when the call was answered or ended by the switch's clock; 0 means now.
	AtMicros int64
	// Elapsed is the time since the answer by the switch's clock; negative when it
	// was not told.
	Elapsed time.Duration
	// Answered reports whether a call that has ended had been answered; nil when
	// that was not told, and then Elapsed and earlier reports decide.
	Answered *bool
	Gateway  id.ID  // the route that took the call, 0 when it was not told
	Ending   Ending // of StageEnded: its SIP status, cause and source
}

func (Report) command() {}

// ExpireSwitch ends the calls of a switch that were admitted before a moment: it
// was started again, and none of them is up any more.
type ExpireSwitch struct {
	Owner        uuid.UUID
	BeforeMicros int64
}

func (ExpireSwitch) command() {}

const (
	// ReportTolerance is how far a switch's clock may be off.
	ReportTolerance = time.Minute
	// lengthTolerance is how much before its limit of length a call is cut by a switch
	// that does not say why.
	lengthTolerance = time.Second
	// causeTimeLimit is the hangup cause of calls that are ended by a limit.
	causeTimeLimit = "time_limit"
	// MaxReportAge bounds how late the first report of a call may come that was not
	// asked for before: an emergency call that went ahead without an answer.
	MaxReportAge = 24 * time.Hour
)

// Errors of Apply for the calls of other switches.
var (
	// ErrOtherContent: an id was used before for another call, or an event was reported
	// before with other values.
	ErrOtherContent = errors.New("it was told before with other values")
	// ErrClock: a time or a duration that cannot be, by the server's clock.
	ErrClock = errors.New("it cannot have been then or so long")
)

func (s *State) report(p *policy.Snapshot, c *Report) Result {
	if r := s.ended[c.ID]; r != nil {
		return reportEnded(r, c)
	}
	l := s.leases[c.ID]
	if l != nil && l.Account != c.Account || l == nil && (c.Attempt == nil || c.OnlyKnown) {
		return Result{Err: ErrUnknownCall}
	}
	if err := s.plausible(l, c); err != nil {
		return Result{Err: err}
	}
	var result Result
	if l == nil {
		if result = s.reserve(p, c.Attempt); result.Err != nil || !result.Decision.Allow {
			return result
		}
		l = s.leases[c.ID]
	}
	switch c.Stage {
	case StageAnswered:
		s.takeAnswer(p, l, cmpOr(c.AtMicros, s.now), c.Gateway)
	case StageRunning:
		before := l.GrantedSecs
		s.keepRunning(p, l, c)
		result.Extended = l.GrantedSecs > before
	case StageEnded:
		result.Record = s.takeEnd(p, l, c)
		return result
	}
	result = l.grant(result)
	result.DueMicros = l.DueMicros()
	result.Answered = l.AnsweredMicros != 0
	return l.endNow(result)
}

func cmpOr(told, otherwise int64) int64 {
	if told != 0 {
		return told
	}
	return otherwise
}

// plausible checks a report against the clock and the ledger's state of the call.
// l is nil when nothing is.
func (s *State) plausible(l *Lease, c *Report) error {
	earliest, longest := s.possible(l)
	if c.AtMicros != 0 && (c.AtMicros < earliest || c.AtMicros > s.now+ReportTolerance.Microseconds()) || c.Elapsed.Microseconds() > longest {
		return ErrClock
	}
	if l == nil {
		return nil
	}
	if c.Attempt != nil {
		if d, err := DecodeDecision(l.Decision); err != nil || !sameAttempt(&d.Facts, &c.Attempt.Call) {
			return errors.Join(ErrOtherContent, err)
		}
	}
	answered := l.AnsweredMicros != 0
	switch {
	case c.Stage == StageAnswered && answered && c.AtMicros > l.AnsweredMicros+ReportTolerance.Microseconds(),
		c.Stage == StageEnded && answered && c.Answered != nil && !*c.Answered:
		return ErrOtherContent
	}
	return nil
}

// possible is the earliest time that a report of a call can name, and the
// longest that the call can have lasted since its answer. The attempt may itself
// have come late, or with a later event, so the call may be older than its lease.
func (s *State) possible(l *Lease) (earliestMicros, longestMicros int64) {
	if l == nil || l.Emergency {
		return s.now - MaxReportAge.Microseconds(), MaxReportAge.Microseconds()
	}
	late := SetupTTL.Microseconds()
	earliest, longest := l.ReservedMicros-late, s.now-l.ReservedMicros+late
	if l.AnsweredMicros > l.ReservedMicros { // the answer was reported in time
		longest = s.now - l.AnsweredMicros + ReportTolerance.Microseconds()
	}
	return earliest, longest
}

func sameAttempt(f *Facts, c *Call) bool {
	return f.From == c.From && f.To == c.To && f.Connection == c.Connection
}

// reportEnded answers a report of a call that has its record: late or repeated
// ones change nothing, and those that contradict it are refused.
func reportEnded(r *record.Call, c *Report) Result {
	if r.AccountID != c.Account {
		return Result{Err: ErrUnknownCall}
	}
	if a := c.Attempt; a != nil && (r.From != a.Call.From || r.To != a.Call.To || r.ConnectionID != a.Call.Connection) {
		return Result{Err: ErrOtherContent}
	}
	answered := r.Outcome == record.OutcomeAnswered
	e := &c.Ending
	switch {
	case r.Outcome == record.OutcomeLost, r.Outcome == record.OutcomeRefused:
		// A report of the switch now comes too late to be charged, or it had been
		// told not to make the call.
	case c.Stage == StageAnswered && !answered,
		c.Stage == StageEnded && c.Answered != nil && *c.Answered != answered,
		c.Stage == StageEnded && c.Elapsed >= 0 && c.Elapsed.Microseconds() != r.DurationMicros,
		c.Stage == StageEnded && e.SIPStatus != 0 && e.SIPStatus != r.SIPStatus,
		c.Stage == StageEnded && e.Cause != "" && e.Cause != r.HangupCause:
		return Result{Err: ErrOtherContent}
	}
	return Result{Record: r}
}

// takeAnswer starts the meter, if it has not been started.
func (s *State) takeAnswer(p *policy.Snapshot, l *Lease, atMicros int64, gateway id.ID) {
	if l.AnsweredMicros == 0 {
		s.answer(p, &Answer{ID: l.ID, AtMicros: atMicros, Gateway: gateway})
	}
}

// keepRunning extends the grant so that it reaches a whole grant beyond what has
// elapsed. That depends on nothing but Elapsed, so that a repeated or late report
// extends nothing.
func (s *State) keepRunning(p *policy.Snapshot, l *Lease, c *Report) {
	elapsed := c.Elapsed
	if elapsed > 0 {
		s.takeAnswer(p, l, s.now-elapsed.Microseconds(), c.Gateway)
	}
	if l.HungUpMicros != 0 {
		return // it is to end, and its lease with it
	}
	if l.AnsweredMicros != 0 && elapsed < 0 {
		elapsed = time.Duration(s.now-l.AnsweredMicros) * time.Microsecond
	}
	if l.AnsweredMicros != 0 && !l.Emergency {
		granted, posted := l.GrantedSecs, l.PostedSecs
		elapsedSecs := int64(elapsed / time.Second)
		s.postPassed(l, elapsedSecs)
		s.extend(p, l, elapsedSecs, GrantSecs)
		if l.GrantedSecs == granted && l.PostedSecs == posted {
			return // nothing to be written
		}
	}
	s.touch(l, elapsed)
}

// extend grants until a number of seconds is granted beyond what has elapsed, or as
// far as the limit allows. Near the limit it stays near.
func (s *State) extend(p *policy.Snapshot, l *Lease, elapsedSecs, aheadSecs int64) {
	for {
		room := s.roomFor(p, l)
		if l.GrantedSecs >= elapsedSecs+min(aheadSecs, room.wantedSecs) {
			return
		}
		before := l.GrantedSecs
		s.hold(p, l, GrantSecs)
		if l.GrantedSecs == before {
			return
		}
	}
}

// takeEnd ends a call. Its grants may lag behind what it used, since renewals can
// be lost or late: the charge is what it would have been had they come in time.
func (s *State) takeEnd(p *policy.Snapshot, l *Lease, c *Report) *record.Call {
	e := c.Ending
	e.EndedMicros = cmpOr(c.AtMicros, s.now)
	if e.Gateway = c.Gateway; e.Gateway == 0 {
		e.Gateway = l.Gateway
	}
	answered := l.AnsweredMicros != 0 || c.Elapsed > 0 || c.Answered != nil && *c.Answered
	if !answered {
		outcome := record.OutcomeFailed
		if e.Cancelled {
			outcome = record.OutcomeCancelled
		}
		if e.Cause == "" && e.SIPStatus >= 300 && !e.Cancelled {
			e.Cause = record.CauseOf(int(e.SIPStatus))
		}
		return s.close(l, &e, outcome)
	}
	s.takeAnswer(p, l, e.EndedMicros-max(0, c.Elapsed).Microseconds(), c.Gateway)
	if e.Elapsed = c.Elapsed; e.Elapsed < 0 {
		e.Elapsed = time.Duration(max(0, min(e.EndedMicros, s.now)-l.AnsweredMicros)) * time.Microsecond
	}
	if !l.Emergency && l.HungUpMicros == 0 {
		used := l.Rate.BillableSecs(max(e.Elapsed, 1))
		s.postPassed(l, used)
		for before := int64(-1); l.GrantedSecs < used && l.GrantedSecs != before; {
			before = l.GrantedSecs
			s.hold(p, l, GrantSecs)
		}
	}
	if e.SIPStatus == 0 {
		e.SIPStatus = 200
	}
	if e.Limit = s.endedBy(p, l, &e); e.Limit != ReasonNone && e.Cause == "" {
		e.Cause = causeTimeLimit
	}
	return s.close(l, &e, record.OutcomeAnswered)
}

// endedBy is the limit that a switch has ended a call by, ReasonNone where it ended in
// another way or before its time.
func (s *State) endedBy(p *policy.Snapshot, l *Lease, e *Ending) Reason {
	switch strings.ToLower(e.Cause) {
	case "", causeTimeLimit, "allotted_timeout":
	default:
		return ReasonNone
	}
	if l.HungUpMicros != 0 || e.Elapsed <= time.Duration(l.AllowedSecs())*time.Second-lengthTolerance {
		return ReasonNone
	}
	return s.limitOf(p, l)
}

// DueMicros is when the call must be answered or, once it is, must have ended; 0
// for an emergency call, which no limit ends.
func (l *Lease) DueMicros() int64 {
	switch {
	case l.Emergency:
		return 0
	case l.AnsweredMicros == 0:
		return l.ExpiresMicros
	}
	return l.AnsweredMicros + l.AllowedSecs()*time.Second.Microseconds()
}

// CallOf is the call that a command names, if it names one.
func CallOf(command Command) (call uuid.UUID, ok bool) {
	switch c := command.(type) {
	case Reserve:
		return c.Call.ID, true
	case Answer:
		return c.ID, true
	case Renew:
		return c.ID, true
	case Settle:
		return c.ID, true
	case Release:
		return c.ID, true
	case HangUp:
		return c.ID, true
	case Report:
		return c.ID, true
	}
	return uuid.UUID{}, false
}

// AttemptOf is the attempt that a command may have to decide, or nil.
func AttemptOf(command Command) *Reserve {
	switch c := command.(type) {
	case Reserve:
		return &c
	case Report:
		return c.Attempt
	}
	return nil
}
