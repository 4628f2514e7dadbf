package admission

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

// listened is a connection whose calls are told of.
func listened() connection.IPConnection {
	c := attachedConnection()
	c.WebhookEventURL = new("https://pbx.example.com/hook")
	return c
}

// TestCallsAreAnnouncedOnce has the events of one call, however its commands come.
func TestCallsAreAnnouncedOnce(t *testing.T) {
	call := callTo("+12125550123")
	help := callTo("911")
	refused := callTo("+33142685300")
	ending := Ending{EndedMicros: noon.Add(70 * time.Second).UnixMicro(), Elapsed: time.Minute, SIPStatus: 200, Cause: "normal_clearing"}
	reserve := Reserve{Call: call, Owner: owner}
	answer := Answer{ID: call.ID, AtMicros: noon.Add(10 * time.Second).UnixMicro()}
	report := func(stage Stage, elapsed time.Duration) Report {
		return Report{ID: call.ID, Account: testAccount, Stage: stage, Elapsed: elapsed, Attempt: &reserve, Ending: Ending{SIPStatus: 200}}
	}
	for _, c := range []struct {
		name     string
		commands []Command
		want     []EventKind
	}{
		{"in order", []Command{reserve, answer, Settle{ID: call.ID, Ending: ending}}, []EventKind{EventInitiated, EventAnswered}},
		{"each twice", []Command{reserve, reserve, answer, answer, Settle{ID: call.ID, Ending: ending}, Settle{ID: call.ID, Ending: ending}},
			[]EventKind{EventInitiated, EventAnswered}},
		{"the answer never came", []Command{reserve, Settle{ID: call.ID, Ending: ending}}, []EventKind{EventInitiated, EventAnswered}},
		{"not answered", []Command{reserve, Release{ID: call.ID, Ending: Ending{SIPStatus: 486}}}, []EventKind{EventInitiated}},
		{"released after its answer", []Command{reserve, answer, Release{ID: call.ID, Ending: ending}}, []EventKind{EventInitiated, EventAnswered}},
		{"refused", []Command{Reserve{Call: refused, Owner: owner}}, nil},
		{"emergency", []Command{Reserve{Call: help, Owner: owner}}, []EventKind{EventInitiated, EventEmergency}},
		{"its process died", []Command{reserve, answer, ExpireOwners{}}, []EventKind{EventInitiated, EventAnswered}},
		{"of a switch, the end alone", []Command{report(StageEnded, time.Minute)}, []EventKind{EventInitiated, EventAnswered}},
		{"of a switch, the answer first", []Command{report(StageAnswered, -1), report(StageAnswered, -1), report(StageEnded, 0)},
			[]EventKind{EventInitiated, EventAnswered}},
		{"of a switch, it runs already", []Command{reserve, report(StageRunning, 5*time.Second), report(StageRunning, 6*time.Second)},
			[]EventKind{EventInitiated, EventAnswered}},
		{"of a switch, not answered", []Command{report(StageEnded, -1)}, []EventKind{EventInitiated}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, heard := range []bool{true, false} {
				connection, want := listened(), c.want
				if !heard {
					connection.WebhookEventURL = nil
					if want = nil; c.name == "emergency" {
						want = []EventKind{EventEmergency} // the alert of many looks at it too
					}
				}
				s, p := NewState(), snapshotOf(t, testAccountPolicy(), profile.New(), connection, standardDeck(t))
				if diff := cmp.Diff(want, kindsOf(t, s, p, c.commands)); diff != "" {
					t.Errorf("a listener %v: events (-want +got):\n%s", heard, diff)
				}
			}
		})
	}
}

// kindsOf carries out commands ten seconds apart, and looks at the times of the events.
func kindsOf(t *testing.T, s *State, p *policy.Snapshot, commands []Command) (kinds []EventKind) {
	t.Helper()
	for i, command := range commands {
		s.Apply(p, command, noon.Add(time.Duration(min(i, 7))*10*time.Second))
	}
	changes := s.TakeChanges()
	last := int64(0)
	for _, e := range changes.Events {
		kinds = append(kinds, e.Kind)
		if e.AtMicros < last || e.StartedMicros > e.AtMicros {
			t.Errorf("event %d is of %d, after one of %d and a start at %d", e.Kind, e.AtMicros, last, e.StartedMicros)
		}
		last = e.AtMicros
	}
	for _, r := range changes.Records {
		if r.Outcome != record.OutcomeRefused && r.EndedMicros < last {
			t.Errorf("the call ended at %d, before its event of %d", r.EndedMicros, last)
		}
	}
	return kinds
}
