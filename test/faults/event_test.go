package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// open has no limits, for rows that are not about them.
var open = object{"concurrent_call_limit": nil, "daily_spend_limit_enabled": false}

func repeatedEvents(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	b.repeatEvents(b.configure(open, n), b.times(10_000, 200))
}

func repeatedEventsAnywhere(b *bench) {
	url, _ := b.newDatabase()
	s := b.twoNodes(url, url)
	s.nodes[0].must(http.MethodPatch, "/v2/outbound_voice_profiles/"+s.profile, open)
	b.repeatEvents(s, b.times(3000, 100))
}

// repeatEvents sends each event of a call up to five times at once. All answers to
// one event are alike.
func (b *bench) repeatEvents(s *site, calls int) {
	begin, end := b.emergencies(s.nodes...)
	begin()
	work := make(chan string, calls)
	for i := range calls {
		work <- fmt.Sprint("repeated-", i)
	}
	close(work)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for call := range work {
				path := "/tollgate/v1/admissions/" + call
				s.several("/tollgate/v1/admissions", s.attempt(call, "+12125550123"), "decision_id", "decision")
				s.several(path+"/answer", object{}, "id", "status")
				s.several(path+"/renew", object{"duration_secs": 25}, "id", "grant_secs")
				s.several(path+"/end", object{"duration_secs": 28}, "id", "outcome", "cost", "billed_secs")
			}
		})
	}
	group.Wait()
	end()
	s.conclude(nil, nil)
	charged := 0
	for _, r := range s.nodes[0].records() {
		if r["cost"] == "0.28" {
			charged++
		}
	}
	if charged != calls {
		b.Errorf("I4, I7: %d of %d calls are charged once for 28 s", charged, calls)
	}
	b.did("each of 4 events 1 to 5 times at once", fmt.Sprintf("%d calls over HTTP", calls))
}

// several sends a request some times at once, and holds that the answers agree.
func (s *site) several(path string, body object, fields ...string) {
	var mu sync.Mutex
	var group sync.WaitGroup
	seen := map[string]int{}
	for range 1 + rand.IntN(5) {
		group.Go(func() {
			status, answer, err := s.nodes[rand.IntN(len(s.nodes))].call(http.MethodPost, path, body)
			data, _ := answer["data"].(object)
			text := fmt.Sprint(status, err)
			for _, f := range fields {
				text += fmt.Sprint(" ", f, "=", data[f])
			}
			if status != http.StatusOK {
				text += fmt.Sprint(answer)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[text]++
		})
	}
	group.Wait()
	if len(seen) != 1 {
		s.b.Errorf("I7: %s is answered in several ways: %v", path, seen)
	}
	for text := range seen {
		if text[:3] != "200" {
			s.b.Errorf("%s: %s", path, text)
		}
	}
}

// everyOrder sends the events of a call in each order.
func everyOrder(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	s := b.configure(open, n)
	begin, end := b.emergencies(n)
	begin()
	orders := permutations(5)
	for i, order := range orders {
		call := fmt.Sprint("order-", i)
		attempt, path := s.attempt(call, "+12125550123"), "/tollgate/v1/admissions/"+call
		events := []struct {
			path string
			body object
		}{
			{"/tollgate/v1/admissions", attempt},
			{path + "/answer", object{"admission": attempt}},
			{path + "/renew", object{"duration_secs": 10, "admission": attempt}},
			{path + "/renew", object{"duration_secs": 20, "admission": attempt}},
			{path + "/end", object{"duration_secs": 25, "admission": attempt}},
		}
		for _, e := range order {
			if status, answer, err := n.call(http.MethodPost, events[e].path, events[e].body); err != nil ||
				status != http.StatusOK {
				b.Errorf("order %v: %s: %d, %v, %v", order, events[e].path, status, answer, err)
			}
		}
	}
	end()
	s.conclude(nil, nil)
	alike := 0
	for _, r := range n.records() {
		if r["cost"] == "0.25" && r["outcome"] == "answered" {
			alike++
		}
	}
	if alike != len(orders) {
		b.Errorf("I4, I6: after %d of %d orders the call has one record, of 25 s", alike, len(orders))
	}
	b.did(fmt.Sprintf("all %d orders of admission, answer, two renewals and end", len(orders)),
		fmt.Sprintf("%d calls over HTTP", len(orders)))
}

// permutations are all orders of the numbers below n.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{{}}
	}
	for _, p := range permutations(n - 1) {
		for at := range n {
			order := append(append(append([]int{}, p[:at]...), n-1), p[at:]...)
			all = append(all, order)
		}
	}
	return all
}

// deadSwitch leaves calls behind that are never ended.
func deadSwitch(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	s := b.configure(object{"concurrent_call_limit": nil}, n)
	begin, end := b.emergencies(n)
	calls := b.times(1000, 50)
	work := make(chan string, calls)
	for i := range calls {
		work <- fmt.Sprint("left-", i)
	}
	close(work)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for call := range work {
				n.must(http.MethodPost, "/tollgate/v1/admissions", s.attempt(call, "+12125550123"))
				n.must(http.MethodPost, "/tollgate/v1/admissions/"+call+"/answer", object{})
			}
		})
	}
	group.Wait()
	dead := time.Now()
	begin()
	b.eventually("I3: the leases of the dead switch have ended", 90*time.Second, func() bool {
		for call := range n.live() {
			if len(call) > 5 && call[:5] == "left-" {
				return false
			}
		}
		return true
	})
	took := time.Since(dead)
	end()
	s.conclude(nil, nil)
	lost := 0
	for _, r := range n.records() {
		if r["outcome"] == "lost" && r["emergency"] != true {
			lost++
			if billed, _ := r["billed_sec"].(float64); billed > 60 {
				b.Errorf("I2b: a lost call is billed for %v s", billed)
			}
		}
	}
	if lost != calls {
		b.Errorf("I4: %d of %d calls have a record as lost", lost, calls)
	}
	b.did(fmt.Sprintf("%d answered calls of which nothing more is heard; all back after %.0f s", calls, took.Seconds()),
		fmt.Sprintf("%d calls over HTTP", calls))
}

// replayedRequests sends creations with one key several times, and kills the server
// between them.
func replayedRequests(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	s := b.configure(open, n)
	begin, end := b.emergencies(n)
	begin()
	keys, kills := b.times(1000, 40), 0
	for i := range keys {
		name := fmt.Sprint("group ", i)
		first := s.replay(n, name, 1+rand.IntN(5))
		if i%20 == 10 {
			kills++
			n.kill()
			n.start()
		}
		if again := s.replay(n, name, 1+rand.IntN(5)); first != again {
			b.Errorf("I7: %s was created as %s and then as %s", name, first, again)
		}
	}
	end()
	groups := 0
	for page := 1; ; page++ {
		_, answer, err := n.call(http.MethodGet, fmt.Sprintf("/v2/billing_groups?page[number]=%d&page[size]=50", page), nil)
		b.check(err)
		data, _ := answer["data"].([]any)
		if groups += len(data); len(data) == 0 {
			break
		}
	}
	if groups != keys {
		b.Errorf("I7: %d billing groups of %d keys", groups, keys)
	}
	s.conclude(nil, nil)
	b.did(fmt.Sprintf("each request 2 to 10 times, %d × SIGKILL in between", kills),
		fmt.Sprintf("%d requests with an Idempotency-Key", keys))
}

// replay sends one creation several times at once and returns the id of what it made.
func (s *site) replay(n *node, name string, times int) string {
	ids := make(chan string, times)
	var group sync.WaitGroup
	for range times {
		group.Go(func() {
			for {
				status, answer, err := n.keyed(name)
				if err == nil && status == http.StatusConflict {
					continue // the first one is under way
				}
				if err != nil || status >= 300 {
					s.b.Errorf("%s: %d, %v, %v", name, status, answer, err)
				}
				data, _ := answer["data"].(object)
				ids <- fmt.Sprint(data["id"])
				return
			}
		})
	}
	group.Wait()
	first := <-ids
	for range times - 1 {
		if other := <-ids; other != first {
			s.b.Errorf("I7: %s was created as %s and as %s", name, first, other)
		}
	}
	return first
}
