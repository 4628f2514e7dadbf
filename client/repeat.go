package client

import (
	"crypto/rand"
	"slices"
)

// Questions and events about calls may be repeated, and are when the server or the network
// fails for a moment: a repetition changes nothing. What makes that so is here.

// complete gives a request for admission an id, which tells its repetitions from
// other questions with the same call id.
func (p AdmissionParams) complete() any {
	if p.RequestID.IsZero() {
		p.RequestID = Set(rand.Text())
	}
	return p
}

func (p BatchAdmissionParams) complete() any {
	events := slices.Clone(p.Events.value)
	for i := range events {
		if e := &events[i]; e.Event == Set(SwitchEventKindAdmit) && e.Admission.state == fieldSet {
			e.Admission = Set(e.Admission.value.complete().(AdmissionParams))
		}
	}
	p.Events.value = events
	return p
}

// A restart without its time would, when it is repeated, end calls of after it.
func (p RestartSwitchParams) repeatable() bool { return !p.RestartedAt.IsZero() }

// A call that has ended is hung up.
func (p EndCallParams) repeatable() bool    { return true }
func (p HangupCallParams) repeatable() bool { return true }
