package sipgw

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip"
)

func TestStopEndsAndSettlesCalls(t *testing.T) {
	w := newWorld(t, wish{})
	w.talk("")
	ringing := w.pbx.invite("+12125550124", "")
	w.carriers[0].reply(w.carriers[0].want("INVITE"), 180, "far", "", "")
	w.pbx.want("180 INVITE")
	stopped, now := make(chan error, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { close(now); stopped <- w.srv.Stop(ctx) }()
	<-now
	for !w.srv.stopping.Load() {
		w.carriers[0].quiet()
	}
	refused := w.pbx.invite("+12125550125", "")
	contains(t, w.pbx.want("503 INVITE"), "x-tollgate-reason", admission.ReasonStopping.String())
	w.pbx.request(refused, "ACK", "", "")
	if r := w.record(); r.Reason != admission.ReasonStopping.String() {
		t.Errorf("record %+v", r)
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with calls up: %v", err)
	default:
	}
	cancel() // patience is over
	for range 2 {
		switch m := w.pbx.next(); label(m) {
		case "BYE":
			w.pbx.reply(m, 200, "", "", "")
		case "503 INVITE":
			w.pbx.request(ringing, "ACK", "", "")
		default:
			t.Errorf("got %s", label(m))
		}
		switch m := w.carriers[0].next(); label(m) {
		case "BYE", "CANCEL":
			w.carriers[0].reply(m, 200, "", "", "")
		default:
			t.Errorf("carrier got %s", label(m))
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	for range 2 {
		if r := w.record(); r.HangupCause != call.CauseStopping {
			t.Errorf("record %+v", r)
		}
	}
	w.settled()
	w.restart()
}

// restart puts a fresh gateway in the place of one that the test has stopped.
func (w *world) restart() {
	w.t.Helper()
	w.srv = New(Config{Addr: "127.0.0.1:0", Live: w.live, Ledger: w.ledger, Timers: w.srv.config.Timers})
	if err := w.srv.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestStopSaysWhatIsNotSettled(t *testing.T) {
	w := newWorld(t, wish{config: func(c *Config) { c.Timers.EndLimit = 200 * time.Millisecond }})
	w.talk("")
	w.ledger.set(collection.ErrUnavailable, false)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.srv.Stop(ended); err == nil || !strings.Contains(err.Error(), "1") {
		t.Errorf("stopped with %v", err)
	}
	w.restart()
}

// TestTearDown: another process hangs up on both sides by the notes of one that died.
func TestTearDown(t *testing.T) {
	w := newWorld(t, wish{})
	pbx, far := w.talk("")
	var notes [][]byte
	for len(notes) == 0 { // until the ledger has the answer
		w.carriers[0].quiet()
		w.ledger.mu.Lock()
		w.ledger.state.Leases(func(l *admission.Lease) bool {
			if l.AnsweredMicros != 0 {
				notes = append(notes, l.Teardown)
			}
			return true
		})
		w.ledger.mu.Unlock()
	}
	other := New(Config{Addr: "127.0.0.1:0", Live: policy.NewLive(), Ledger: w.ledger})
	if err := other.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := other.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for cut := range notes[0] {
		readTeardown(notes[0][:cut]) // a note cut short does no harm
	}
	other.TearDown(append(notes, nil, []byte("\x07nonsense"), notes[0][:len(notes[0])/2]))
	near, bye := w.pbx.want("BYE"), w.carriers[0].want("BYE")
	if near.CallID != pbx.callID || near.ToTag != sip.TagOf(pbx.local) || near.FromTag != sip.TagOf(pbx.remote) {
		t.Errorf("BYE to the caller: %v", near.Fields)
	}
	if bye.CallID != far.callID || bye.ToTag != "far" || bye.CSeq < teardownSeq {
		t.Errorf("BYE to the carrier: %v", bye.Fields)
	}
	for range 2 { // it is repeated until it is answered
		w.pbx.want("BYE")
	}
	w.hangUp(pbx)
	w.record()
	w.settled()
}

func TestTheAddressIsInUse(t *testing.T) {
	w := newWorld(t, wish{})
	second := New(Config{Addr: w.srv.Addr(), Live: w.live, Ledger: w.ledger})
	if err := second.Start(t.Context()); err == nil || !strings.Contains(err.Error(), w.srv.Addr()) {
		t.Errorf("started with %v", err)
	}
}

// TestAPanicCostsOneMessage: what makes the engine panic is counted, and calls go on.
func TestAPanicCostsOneMessage(t *testing.T) {
	w := newWorld(t, wish{})
	pbx, _ := w.talk("")
	for _, sh := range w.srv.shards {
		sh.post(func() { panic("out of a test") })
	}
	w.hangUp(pbx)
	w.record()
	w.settled()
	if n := w.srv.Stats().Panics; n != uint64(len(w.srv.shards)) {
		t.Errorf("%d panics counted", n)
	}
	w.srv.count.panics.Store(0)
}

// TestOverload: a shard that cannot keep up tells new calls so, and takes the rest.
func TestOverload(t *testing.T) {
	w := newWorld(t, wish{config: func(c *Config) { c.Shards, c.Limits.Queue = 1, 8 }})
	pbx, _ := w.talk("")
	w.pbx.quiet()
	busy, free := make(chan struct{}), make(chan struct{})
	w.srv.shards[0].post(func() { close(busy); <-free })
	<-busy
	for range 6 { // four wait, two are told to go
		w.pbx.invite("no-number", "")
	}
	for range 2 {
		m := w.pbx.want("503 INVITE")
		contains(t, m, "x-tollgate-reason", "overloaded")
		contains(t, m, "retry-after", "5")
	}
	w.pbx.invite("112", "")
	w.pbx.request(pbx, "BYE", "", "")
	close(free)
	for called, ended := false, false; !called || !ended; { // in either order
		switch m := w.carriers[0].next(); {
		case m.Method == "BYE":
			ended = true
			w.carriers[0].reply(m, 200, "", "", "")
		case !strings.HasPrefix(m.URI, "sip:112@"):
			t.Fatalf("%s %s, want the emergency call", label(m), m.URI)
		default:
			called = true
		}
	}
	w.pbx.await("200 BYE")
	if n := w.srv.Stats().Shed; n != 2 {
		t.Errorf("%d shed", n)
	}
}

// TestTooManyCalls: the bound on calls refuses with the same answer.
func TestTooManyCalls(t *testing.T) {
	w := newWorld(t, wish{config: func(c *Config) { c.Shards, c.Limits.CallsPerShard = 1, 1 }})
	pbx, _ := w.talk("")
	second := w.pbx.invite("+12125550124", "")
	contains(t, w.pbx.want("503 INVITE"), "x-tollgate-reason", "overloaded")
	w.pbx.request(second, "ACK", "", "")
	w.hangUp(pbx)
	w.record()
	w.settled()
}
