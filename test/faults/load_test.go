package faults

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
)

// site is what the nodes of a row are configured with: a profile with limits that
// are reached, the connection of a PBX, a carrier, and a price of a cent a second.
type site struct {
	b       *bench
	carrier *phone.Carrier
	profile string
	nodes   []*node
}

// The limits of a site, unless a row wants others. A switch whose calls go on while
// phones wait on a busy machine makes a hundred thousand of them within the limit.
const (
	siteChannels = 40
	siteLimit    = "10000.00"
)

// configure starts a carrier and sets the first node up.
func (b *bench) configure(settings object, nodes ...*node) *site {
	b.Helper()
	s := &site{b: b, nodes: nodes}
	s.carrier = phone.NewCarrier(phone.CarrierOptions{
		Addr: carrierIP + ":0", NoAudio: true, T1: 100 * time.Millisecond,
		Default: phone.Behaviour{Status: 200, RingFor: 20 * time.Millisecond},
	})
	b.check(s.carrier.Start(context.Background()))
	b.Cleanup(s.carrier.Stop)
	n := nodes[0]
	profile := object{
		"name": "office", "whitelisted_destinations": []string{"US"}, "concurrent_call_limit": siteChannels,
		"daily_spend_limit": siteLimit, "daily_spend_limit_enabled": true, "spend_limit_action": "end_calls",
	}
	maps.Copy(profile, settings)
	s.profile = n.must(http.MethodPost, "/v2/outbound_voice_profiles", profile)["id"].(string)
	connection := n.must(http.MethodPost, "/v2/ip_connections", object{
		"connection_name": "pbx", "outbound": object{"outbound_voice_profile_id": s.profile},
	})["id"]
	n.must(http.MethodPost, "/v2/ips", object{"connection_id": connection, "ip_address": pbxIP})
	n.must(http.MethodPost, "/tollgate/v1/gateways", object{"name": "carrier", "address": s.carrier.Addr()})
	deck := n.must(http.MethodPost, "/tollgate/v1/rate_decks?name=default",
		"prefix,rate,first_increment,increment\n1,0.60,1,1\n")["id"]
	n.must(http.MethodPost, fmt.Sprintf("/tollgate/v1/rate_decks/%v/activate", deck), nil)
	return s
}

// load is phones that call without end.
type load struct {
	site *site
	stop context.CancelFunc
	work sync.WaitGroup

	placed, answered, refused, unanswered atomic.Int64

	mu     sync.Mutex // guards heard
	heard  map[string]bool
	reason map[string]int
}

// startCalls has phones call by way of the nodes. A phone whose node does not answer
// tries the next call; hold is how long its calls last at most.
func (s *site) startCalls(phones int, hold time.Duration) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{site: s, stop: stop, heard: map[string]bool{}, reason: map[string]int{}}
	for i := range phones {
		n := s.nodes[i%len(s.nodes)]
		l.work.Go(func() {
			for ctx.Err() == nil {
				l.call(ctx, n, hold)
			}
		})
	}
	s.b.Cleanup(l.end)
	return l
}

func (l *load) call(ctx context.Context, n *node, hold time.Duration) {
	if !n.up.Load() {
		pause(ctx, 10*time.Millisecond)
		return
	}
	l.placed.Add(1)
	outcome, err := dial(ctx, n, "+12125550123", 5*time.Millisecond+rand.N(hold))
	if err != nil {
		return
	}
	switch {
	case !outcome.Answered.IsZero():
		l.answered.Add(1)
		l.mu.Lock()
		l.heard[outcome.CallID] = true
		l.mu.Unlock()
	case outcome.NoResponse:
		l.unanswered.Add(1)
	default:
		l.refused.Add(1)
		l.mu.Lock()
		l.reason[outcome.RefusalReason]++
		l.mu.Unlock()
		pause(ctx, 20*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// phoneT1 is RFC 3261's T1 of the phones. On loopback it only decides how soon a
// phone gives a dead node up: after 64 of it.
const phoneT1 = 100 * time.Millisecond

// dial places one call and returns when it has ended, or when it is not answered.
func dial(ctx context.Context, n *node, number string, hold time.Duration) (phone.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return phone.Place(ctx, phone.Options{
		Server: n.sip, From: "+13125550100", To: number, LocalAddr: pbxIP + ":0", HangUpAfter: hold, NoAudio: true,
		T1: phoneT1,
	})
}

// end stops the phones.
func (l *load) end() {
	l.stop()
	l.work.Wait()
}

// await returns when so many more calls have been answered.
func (l *load) await(calls int64) {
	l.site.b.Helper()
	target := l.answered.Load() + calls
	defer func() {
		if l.answered.Load() < target {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.site.b.Errorf("%v, %d without a response; refused for %v", l, l.unanswered.Load(), l.reason)
		}
	}()
	l.site.b.eventually("calls go through", time.Minute, func() bool { return l.answered.Load() >= target })
}

func (l *load) String() string {
	return fmt.Sprintf("%d calls over SIP, %d answered, %d refused", l.placed.Load(), l.answered.Load(), l.refused.Load())
}

// probe places emergency calls one after the other at one node. What is not answered
// though the process was up and running all the time breaks invariant I12.
type probe struct {
	cancel context.CancelFunc
	work   sync.WaitGroup
	active atomic.Bool // the fault lasts: it counts

	placed, admitted atomic.Int64
	failed           []string
}

// emergencyWait is how long an emergency call may take to be answered by the carrier,
// on a busy machine.
const emergencyWait = 8 * time.Second

// emergencies starts a probe of each node. They count from begin to end, and end
// waits until one has been placed since begin.
func (b *bench) emergencies(nodes ...*node) (begin, end func()) {
	var started []*probe
	for _, n := range nodes {
		ctx, cancel := context.WithCancel(context.Background())
		p := &probe{cancel: cancel}
		started = append(started, p)
		p.work.Go(func() {
			for ctx.Err() == nil {
				p.try(ctx, n)
				pause(ctx, 100*time.Millisecond)
			}
		})
	}
	b.probes = append(b.probes, started...)
	sum := func() (n int64) {
		for _, p := range started {
			n += p.placed.Load()
		}
		return n
	}
	var before int64
	set := func(active bool) {
		for _, p := range started {
			p.active.Store(active)
		}
	}
	begin = func() {
		before = sum()
		set(true)
	}
	end = func() {
		b.Helper()
		b.eventually("I12: an emergency call during the fault", time.Minute, func() bool { return sum() > before })
		set(false)
	}
	return begin, end
}

func (p *probe) try(ctx context.Context, n *node) {
	before := n.changes.Load()
	if !n.up.Load() || n.paused.Load() {
		return
	}
	active := p.active.Load()
	ctx, cancel := context.WithTimeout(ctx, emergencyWait)
	defer cancel()
	began := time.Now()
	outcome, err := dial(ctx, n, "911", 20*time.Millisecond)
	if !active || err != nil || n.changes.Load() != before || ctx.Err() == context.Canceled {
		return // not in the fault, or the process was killed, stopped or started meanwhile
	}
	p.placed.Add(1)
	if !outcome.Answered.IsZero() {
		p.admitted.Add(1)
		return
	}
	p.failed = append(p.failed, fmt.Sprintf("an emergency call was not answered within %v: %d %s", time.Since(began),
		outcome.Status, outcome.Phrase))
}

func (p *probe) stop() {
	p.cancel()
	p.work.Wait()
}

// records returns the call records of a node that does not cost emergency calls.
func (n *node) records() []object {
	n.b.Helper()
	var all []object
	for page := 1; ; page++ {
		query := url.Values{"filter[record_type]": {"sip-trunking"}, "page[number]": {fmt.Sprint(page)}, "page[size]": {"50"}}
		status, answer, err := n.call(http.MethodGet, "/v2/detail_records?"+query.Encode(), nil)
		if err != nil || status != http.StatusOK {
			n.b.Fatalf("detail records: status %d: %v, %v", status, answer, err)
		}
		data := answer["data"].([]any)
		for _, r := range data {
			all = append(all, r.(object))
		}
		if len(data) < 50 {
			return all
		}
	}
}

// live is the calls that hold a lease, by Call-ID.
func (n *node) live() map[string]object {
	n.b.Helper()
	live := map[string]object{}
	for page := 1; ; page++ {
		status, answer, err := n.call(http.MethodGet, fmt.Sprintf("/tollgate/v1/calls?page[size]=250&page[number]=%d", page),
			nil)
		if err != nil || status != http.StatusOK {
			n.b.Fatalf("live calls: status %d: %v, %v", status, answer, err)
		}
		data := answer["data"].([]any)
		for _, c := range data {
			live[fmt.Sprint(c.(object)["sip_call_id"])] = c.(object)
		}
		if len(data) < 250 {
			return live
		}
	}
}

// settled waits until no call holds a lease: I3.
func (s *site) settled(limit time.Duration) {
	s.b.Helper()
	s.b.eventually("I3: every lease has ended", limit, func() bool { return len(s.nodes[0].live()) == 0 })
}

// verify holds what is left against what was seen: every call that a phone saw
// answered has exactly one record (I4, I5), the ledger is what its rows say (I1, I2,
// I4, I6 by tollgate audit), and nothing is held once all calls have ended (I6).
func (s *site) verify(l *load) {
	s.b.Helper()
	n := s.nodes[0]
	recorded := map[string]any{}
	for _, r := range n.records() {
		call := fmt.Sprint(r["sip_call_id"])
		if other := recorded[call]; other != nil && other != r["id"] && l != nil && l.heard[call] {
			s.b.Errorf("I4: call %s has two records", call)
		}
		recorded[call] = r["id"]
	}
	if l != nil {
		for _, call := range slices.Sorted(maps.Keys(l.heard)) {
			if recorded[call] == nil {
				s.b.Errorf("I5: call %s was answered and has no record", call)
			}
		}
	}
	usage := n.must(http.MethodGet, "/tollgate/v1/outbound_voice_profiles/"+s.profile+"/usage", nil)
	if usage["held"] != "0.00" {
		s.b.Errorf("I6: %v is held and no call is up", usage["held"])
	}
	n.audit()
}

// audit runs the program's own audit, beside the running node or without it.
func (n *node) audit() {
	n.b.Helper()
	var dir []string
	for i, f := range n.flags {
		if f == "--data-dir" {
			dir = []string{f, n.flags[i+1]}
		}
	}
	command := exec.Command(program, append([]string{"audit"}, dir...)...)
	command.Env = append(os.Environ(), n.env...)
	if out, err := command.CombinedOutput(); err != nil {
		n.b.Errorf("tollgate audit: %v\n%s", err, out)
	}
}
