package sipgw

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/record"
)

// hangUp has the one live call hung up, as the API does, and tells the gateway.
func (w *world) apiHangUp() {
	w.t.Helper()
	w.markHungUp()
	w.srv.HangUp([]uuid.UUID{w.srv.Live()[0].ID, uuid.New()})
}

// markHungUp marks the one live call in the ledger, and tells no one.
func (w *world) markHungUp() {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if live := w.srv.Live(); len(live) == 1 {
			r, err := w.ledger.Do(w.t.Context(), admission.HangUp{ID: live[0].ID, Account: worldAccount, By: "the test"})
			if err == nil && r.HungUp {
				return
			}
		}
		w.pbx.quiet() // the lease is not there yet
	}
	w.t.Fatal("there is no call to hang up")
}

// wantHungUp looks at the record of a call that the API ended.
func (w *world) wantHungUp(outcome record.Outcome) {
	w.t.Helper()
	r := w.record()
	if r.Outcome != outcome || r.HangupCause != call.CauseNormal || r.HangupSource != record.SideTollgate ||
		r.HungUpBy != "the test" {
		w.t.Errorf("record %+v", r)
	}
	w.settled()
}

// Both sides get a BYE, also while a description is being negotiated anew.
func TestHungUpWhileUp(t *testing.T) {
	for _, inReinvite := range []bool{false, true} {
		t.Run(fmt.Sprintf("in a re-INVITE %v", inReinvite), func(t *testing.T) {
			w := newWorld(t, wish{})
			pbx, _ := w.talk("")
			if inReinvite {
				w.pbx.request(pbx, "INVITE", "", answerSDP)
				w.carriers[0].want("INVITE")
			}
			w.apiHangUp()
			near, far := w.pbx.await("BYE"), w.carriers[0].await("BYE")
			contains(t, near, "reason", "cause=16")
			contains(t, far, "reason", "cause=16")
			w.apiAgain()
			w.pbx.reply(near, 200, "", "", "")
			w.carriers[0].reply(far, 200, "", "", "")
			if r := w.record(); r.HungUpBy != "the test" || r.Outcome != record.OutcomeAnswered || r.OverrunSecs != 0 {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// apiAgain tells the gateway once more of a call that is ending.
func (w *world) apiAgain() {
	for _, live := range w.srv.Live() {
		w.srv.HangUp([]uuid.UUID{live.ID})
	}
}

// A call that rings, or plays early media, is cancelled with the dialog that it has.
func TestHungUpWhileItRings(t *testing.T) {
	for _, status := range []int{180, 183} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := newWorld(t, wish{})
			pbx := w.pbx.invite("+12125550123", "")
			invite := w.carriers[0].want("INVITE")
			body := ""
			if status == 183 {
				body = answerSDP
			}
			w.carriers[0].reply(invite, status, "far", "", body)
			w.pbx.want(fmt.Sprint(status, " INVITE"))
			w.apiHangUp()
			refusal := w.pbx.want("603 INVITE")
			contains(t, refusal, "x-tollgate-reason", "hung_up")
			w.pbx.request(pbx, "ACK", "", "")
			w.carriers[0].reply(w.carriers[0].want("CANCEL"), 200, "far", "", "")
			w.carriers[0].reply(invite, 487, "far", "", "")
			w.carriers[0].want("ACK")
			w.wantHungUp(record.OutcomeFailed)
		})
	}
}

// No CANCEL may go out before the gateway has said anything; what answers anyway is
// hung up on.
func TestHungUpBeforeAnyResponse(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.apiHangUp()
	w.pbx.want("603 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].await("ACK")
	w.carriers[0].reply(w.carriers[0].await("BYE"), 200, "", "", "")
	w.wantHungUp(record.OutcomeFailed)
}

// The hunt ends: the next gateway gets nothing, whatever the one that was tried answers.
func TestHungUpWhileHunting(t *testing.T) {
	w := newWorld(t, wish{carriers: 2})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 100, "", "", "")
	w.apiHangUp()
	w.pbx.want("603 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].reply(w.carriers[0].want("CANCEL"), 200, "far", "", "")
	w.carriers[0].reply(invite, 503, "far", "", "")
	w.carriers[0].want("ACK")
	w.carriers[1].quiet()
	w.wantHungUp(record.OutcomeFailed)
}

// The answer that crosses the CANCEL is acknowledged and hung up on.
func TestTheAnswerCrossesTheHangUp(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 183, "far", "", answerSDP)
	w.pbx.want("183 INVITE")
	w.apiHangUp()
	w.pbx.want("603 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].reply(w.carriers[0].want("CANCEL"), 200, "far", "", "")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].want("ACK")
	w.carriers[0].reply(w.carriers[0].want("BYE"), 200, "", "", "")
	w.pbx.quiet()
	w.wantHungUp(record.OutcomeFailed)
}

// A mark that the server was not told of is found when the callee answers.
func TestTheAnswerFindsTheMark(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 180, "far", "", "")
	w.pbx.want("180 INVITE")
	w.markHungUp()
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].await("ACK")
	pbx.join(w.pbx.await("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	w.pbx.reply(w.pbx.await("BYE"), 200, "", "", "")
	w.carriers[0].reply(w.carriers[0].await("BYE"), 200, "", "", "")
	w.wantHungUp(record.OutcomeAnswered)
}

// The caller's BYE and the news of the hang-up come at once, from several sides.
func TestTheCallerHangsUpWithTheAPI(t *testing.T) {
	w := newWorld(t, wish{})
	pbx, _ := w.talk("")
	w.markHungUp()
	live := w.srv.Live()
	var telling sync.WaitGroup
	for range 4 {
		telling.Go(func() { w.srv.HangUp([]uuid.UUID{live[0].ID}) })
	}
	w.pbx.request(pbx, "BYE", "", "")
	telling.Wait()
	w.pbx.await("200 BYE")
	w.carriers[0].reply(w.carriers[0].await("BYE"), 200, "", "", "")
	r := w.record()
	if api := r.HungUpBy != ""; api != (r.HangupSource == record.SideTollgate) ||
		!api && r.HangupSource != record.SideCaller {
		t.Errorf("record %+v", r)
	}
	w.settled()
}
