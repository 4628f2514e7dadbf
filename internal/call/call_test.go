package call

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// attemptOf makes a call over two gateways, of which the second is for emergencies too.
func attemptOf(t interface{ Fatal(...any) }, emergency bool) *Call {
	c := connection.NewIPConnection()
	c.ID, c.AccountID = 7, 1
	first, second := routing.NewGateway(), routing.NewGateway()
	first.ID, first.AccountID = 11, 1
	second.ID = 12
	second.AccountID = 1
	second.Priority = 1
	second.FailoverStatuses = []int32{404}
	snapshot, err := policy.NewLive().Snapshot().With(
		policy.PutAccount(&policy.Account{ID: 1, Active: true}), policy.PutIPConn(&c),
		policy.PutGateway(&second), policy.PutGateway(&first),
	)
	if err != nil {
		t.Fatal(err)
	}
	dialled := "+12125550123"
	if emergency {
		dialled = "112"
	}
	return New(snapshot, admission.Call{ID: uuid.UUID{15: 1}, Connection: 7, To: dialled}, uuid.UUID{15: 2})
}

var errStore = errors.New("away")

// event reads the event of a line.
func event(words []string) Event {
	number := 0
	if len(words) > 1 {
		number, _ = strconv.Atoi(words[1])
	}
	side := func() record.Side {
		return map[string]record.Side{"caller": record.SideCaller, "callee": record.SideCallee}[words[1]]
	}
	allowed := admission.Decision{Allow: true}
	switch words[0] {
	case "begin":
		return Begin{}
	case "allowed":
		return &LedgerDone{Result: admission.Result{Decision: allowed, GrantedSecs: int64(number)}}
	case "denied":
		return &LedgerDone{Result: admission.Result{Decision: admission.Decision{Reason: admission.ReasonNotWhitelisted}}}
	case "granted", "extended":
		return &LedgerDone{Result: admission.Result{GrantedSecs: int64(number), Extended: words[0] == "extended"}}
	case "failed":
		return &LedgerDone{Err: errStore}
	case "busy":
		return &LedgerDone{Err: errStore, Nothing: true}
	case "unknown":
		return &LedgerDone{Result: admission.Result{Err: admission.ErrUnknownCall}}
	case "ended":
		return &LedgerDone{Result: admission.Result{Record: &record.Call{}}}
	case "rang":
		return Rang{Gateway: number, Early: len(words) > 2}
	case "answered":
		return Answered{Gateway: number}
	case "refused":
		status, _ := strconv.Atoi(words[2])
		return Refused{Gateway: number, Status: status, Phrase: "Why"}
	case "skipped":
		why := map[string]admission.Reason{"down": admission.ReasonGatewaysDown, "limit": admission.ReasonGatewayLimit}
		return Skipped{number, why[words[2]]}
	case "unreachable":
		return Unreachable{Gateway: number, Trying: len(words) > 2}
	case "ring-timeout":
		return RingTimeout{number}
	case "cancelled":
		return Cancelled{}
	case "hangup":
		if len(words) > 2 {
			return HungUp{By: side(), Cause: words[2]}
		}
		return HungUp{By: side(), Cause: CauseNormal}
	case "hang-up":
		return HangUp{}
	case "marked":
		return &LedgerDone{Result: admission.Result{GrantedSecs: int64(number), HungUp: true}}
	case "stopping":
		return Stopping{}
	case "due":
		return Due{}
	}
	panic("unknown event " + words[0])
}

// text writes an action as the stories do; timers are "".
func text(a Action) string {
	switch a := a.(type) {
	case Command:
		switch c := a.Command.(type) {
		case admission.Reserve:
			return "reserve"
		case admission.Answer:
			return "answer"
		case admission.Renew:
			return fmt.Sprintf("renew(%gs)", c.Elapsed.Seconds())
		case admission.Settle:
			return fmt.Sprintf("settle(%gs %s %v)", c.Ending.Elapsed.Seconds(), c.Ending.Cause, c.Ending.Source)
		case admission.Release:
			return fmt.Sprintf("release(%s)", c.Ending.Cause)
		}
	case Try:
		if a.Force {
			return fmt.Sprintf("force %d", a.N)
		}
		return fmt.Sprintf("try %d", a.N)
	case CancelGateway:
		return fmt.Sprintf("cancel %d", a.N)
	case Accept:
		return "accept"
	case Refuse:
		return fmt.Sprintf("refuse %d", a.Status)
	case EndBoth:
		side := "-"
		if a.Except != record.SideUnknown {
			side = a.Except.String()
		}
		return fmt.Sprintf("end-both(%s %s)", side, a.Cause)
	case Over:
		return "over"
	case SetTimer:
		return ""
	}
	return fmt.Sprintf("%T", a)
}

// timeline runs a call and gives it Due when its timer says so.
type timeline struct {
	call  *Call
	now   time.Time
	timer time.Time
	done  []string
}

func (l *timeline) handle(e Event) {
	for _, a := range l.call.Handle(e, l.now) {
		if timer, ok := a.(SetTimer); ok {
			l.timer = timer.At
		}
		if s := text(a); s != "" {
			l.done = append(l.done, s)
		}
	}
}

// until runs the timers up to a time.
func (l *timeline) until(at time.Time) {
	for !l.timer.IsZero() && !l.timer.After(at) {
		if l.timer.After(l.now) {
			l.now = l.timer
		}
		l.timer = time.Time{}
		l.handle(Due{})
	}
	l.now = at
}

func TestStories(t *testing.T) {
	data, err := os.ReadFile("testdata/stories.txt")
	if err != nil {
		t.Fatal(err)
	}
	stories := strings.Split(string(data), "\n== ")[1:]
	if len(stories) < 30 {
		t.Fatalf("%d stories", len(stories))
	}
	for _, story := range stories {
		name, rest, _ := strings.Cut(story, "\n")
		t.Run(name, func(t *testing.T) { tell(t, rest) })
	}
}

func tell(t *testing.T, story string) {
	rest, emergency := strings.CutPrefix(story, "emergency\n")
	l := &timeline{call: attemptOf(t, emergency), now: start}
	for text := range strings.Lines(rest) {
		before, after, found := strings.Cut(strings.TrimSpace(text), "->")
		if !found {
			continue
		}
		words := strings.Fields(before)
		l.done = nil
		if seconds, err := strconv.ParseFloat(words[0], 64); err == nil {
			l.until(start.Add(time.Duration(seconds * float64(time.Second))))
			words = words[1:]
		}
		if words[0] != "due" {
			l.handle(event(words))
		}
		if diff := cmp.Diff(strings.TrimSpace(after), strings.Join(l.done, " ")); diff != "" {
			t.Fatalf("after %q (-want +got):\n%s", strings.TrimSpace(before), diff)
		}
	}
}

func TestEmergencyCallsKeepToTheirRoutes(t *testing.T) {
	c := connection.NewIPConnection()
	c.ID = 7
	c.AccountID = 1
	c.EmergencyNumbers = []string{"5555"}
	account := policy.Account{ID: 1, Active: true, EmergencyNumbers: []string{"7777"}}
	changes := []policy.Change{policy.PutAccount(&account), policy.PutIPConn(&c)}
	for i, kind := range []struct{ emergency, enabled bool }{{true, true}, {false, true}, {true, false}} {
		g := routing.NewGateway()
		g.ID = id.ID(101 + i)
		g.AccountID = 1
		g.EmergencyRoute = kind.emergency
		g.Enabled = kind.enabled
		changes = append(changes, policy.PutGateway(&g))
	}
	snapshot, err := policy.NewLive().Snapshot().With(changes...)
	if err != nil {
		t.Fatal(err)
	}
	for dialled, want := range map[string]string{
		"112": "112", "+1911": "911", "5555": "5555", "7777": "7777", "+12125550123": "", "9117": "",
	} {
		c := New(snapshot, admission.Call{ID: uuid.UUID{15: 1}, Connection: 7, To: dialled}, uuid.UUID{})
		number, ok := c.Emergency()
		if number != want || ok != (want != "") {
			t.Errorf("%s: emergency %q, %v, want %q", dialled, number, ok, want)
		}
		var routes []id.ID
		for _, g := range c.gateways {
			routes = append(routes, g.ID)
		}
		slices.Sort(routes)
		wantRoutes := []id.ID{101, 102}
		if want != "" {
			wantRoutes = []id.ID{101}
		}
		if diff := cmp.Diff(wantRoutes, routes); diff != "" {
			t.Errorf("%s: gateways (-want +got):\n%s", dialled, diff)
		}
	}
	if c := New(snapshot, admission.Call{To: "112"}, uuid.UUID{}); len(c.gateways) != 0 {
		t.Error("an unknown caller has gateways")
	}
}

func TestTheEdgesRefusalIsTold(t *testing.T) {
	c := attemptOf(t, false)
	c.gateways = nil
	for stopping, want := range map[bool]admission.Reason{true: admission.ReasonStopping,
		false: admission.ReasonNoGateway} {
		c := *c
		actions := c.Handle(Begin{Stopping: stopping}, start)
		if got := actions[0].(Command).Command.(admission.Reserve).Call.EdgeRefusal; got != want {
			t.Errorf("stopping %v: edge refusal %v, want %v", stopping, got, want)
		}
	}
}
