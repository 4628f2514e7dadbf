package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// step is the last thing of a call that a node has answered to a switch.
type step int

const (
	nothing step = iota
	denied
	admitted
	answered
	ended
)

// switchLoad is a switch that has calls of its own and asks over HTTP. It repeats
// what was not answered, at any node, until it is.
type switchLoad struct {
	site *site
	name string
	stop atomic.Bool
	work sync.WaitGroup

	calls, refused, unavailable atomic.Int64

	mu   sync.Mutex // guards told
	told map[string]step
}

// startSwitch has so many calls at a time, of some seconds that do not pass: what a
// switch says of its calls' duration counts.
func (s *site) startSwitch(name string, atOnce int) *switchLoad {
	l := &switchLoad{site: s, name: name, told: map[string]step{}}
	for i := range atOnce {
		l.work.Go(func() {
			for n := 0; !l.stop.Load(); n++ {
				l.call(fmt.Sprintf("%s-%d-%d", name, i, n))
			}
		})
	}
	s.b.Cleanup(l.end)
	return l
}

func (l *switchLoad) end() {
	l.stop.Store(true)
	l.work.Wait()
}

func (l *switchLoad) note(call string, s step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told[call] = s
}

// attempt is the body of an admission.
func (s *site) attempt(call, number string) object {
	return object{"source_ip": pbxIP, "call_id": call, "request_id": "of " + call, "from": "+13125550100", "to": number}
}

func (l *switchLoad) call(call string) {
	l.calls.Add(1)
	answer, ok := l.insist("/tollgate/v1/admissions", l.site.attempt(call, "+12125550123"))
	if !ok {
		return
	}
	if answer["decision"] != "allow" {
		l.refused.Add(1)
		l.note(call, denied)
		return
	}
	l.note(call, admitted)
	path := "/tollgate/v1/admissions/" + call
	if _, ok := l.insist(path+"/answer", object{}); !ok {
		return
	}
	l.note(call, answered)
	if _, ok := l.insist(path+"/end", object{"duration_secs": 0}); ok {
		l.note(call, ended)
	}
}

// insist repeats a request until a node has answered it.
func (l *switchLoad) insist(path string, body object) (data object, ok bool) {
	for !l.stop.Load() {
		n := l.site.nodes[rand.IntN(len(l.site.nodes))]
		if !n.up.Load() || n.paused.Load() {
			pauseFor(5 * time.Millisecond)
			continue
		}
		status, answer, err := n.call(http.MethodPost, path, body)
		switch {
		case err == nil && status < 300:
			data, _ := answer["data"].(object)
			return data, true
		case err == nil && status >= 400 && status < 500:
			if status == http.StatusNotFound && n.changes.Load() == 0 {
				continue
			}
			l.site.b.Errorf("%s: status %d: %v", path, status, answer)
			return nil, false
		}
		l.unavailable.Add(1)
		pauseFor(5 * time.Millisecond)
	}
	return nil, false
}

func pauseFor(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// verify holds what the nodes have answered against what is kept: I5 and I7.
func (l *switchLoad) verify() {
	b, n := l.site.b, l.site.nodes[0]
	b.Helper()
	l.end()
	live := n.live() // first: a call may end between the two
	recorded := map[string]object{}
	for _, r := range n.records() {
		call := fmt.Sprint(r["sip_call_id"])
		if other := recorded[call]; other != nil && other["id"] != r["id"] && l.told[call] != nothing {
			b.Errorf("I4: call %s has two records", call)
		}
		recorded[call] = r
	}
	for call, told := range l.told {
		r, isRecorded := recorded[call], recorded[call] != nil
		_, isLive := live[call]
		switch {
		case !isRecorded && !isLive && told != nothing:
			b.Fatalf("I5: call %s was told %d, and neither is it live nor has it a record", call, told)
		case told == ended && (!isRecorded || r["outcome"] != "answered"):
			b.Fatalf("I5: the end of call %s was answered and its record is %v", call, r)
		case told == denied && (!isRecorded || r["outcome"] != "refused"):
			b.Fatalf("I7: call %s was denied and its record is %v", call, r)
		case told >= admitted && isRecorded && r["outcome"] == "refused":
			b.Fatalf("I7: call %s was admitted and its record is %v", call, r)
		}
	}
}

func (l *switchLoad) String() string {
	return fmt.Sprintf("%d calls over HTTP, %d refused, %d requests repeated", l.calls.Load(), l.refused.Load(),
		l.unavailable.Load())
}

// await returns when so many more calls have begun.
func (l *switchLoad) await(calls int64) {
	l.site.b.Helper()
	target := l.calls.Load() + calls
	l.site.b.eventually("the switch goes on", time.Minute, func() bool { return l.calls.Load() >= target })
}

// endAll ends what a switch has left open when it was stopped in the middle of it.
func (l *switchLoad) endAll() {
	l.end()
	n := l.site.nodes[0]
	for call := range n.live() {
		_, _, _ = n.call(http.MethodPost, "/tollgate/v1/admissions/"+call+"/end", object{})
	}
}

// mustNotAdmit asks a node whose store is away, which must not say yes: I13.
func (s *site) mustNotAdmit(n *node, times int) {
	s.b.Helper()
	for i := range times {
		status, answer, err := n.call(http.MethodPost, "/tollgate/v1/admissions",
			s.attempt(fmt.Sprintf("away-%d-%d", i, rand.Uint64()), "+12125550123"))
		if err == nil && status < 300 {
			s.b.Errorf("I13: a call was decided though the store is away: %v", answer)
		}
	}
}
