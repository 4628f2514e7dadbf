package faults

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
)

// keyed creates a billing group under an Idempotency-Key.
func (n *node) keyed(name string) (status int, answer object, err error) {
	text, err := json.Marshal(object{"name": name})
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+n.api+"/v2/billing_groups", bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", "key-of-"+strings.ReplaceAll(name, " ", "-"))
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer = object{}
	err = json.UnmarshalRead(response.Body, &answer)
	return response.StatusCode, answer, err
}

// killedMigration kills the first start of a node, in which all tables are made.
func killedMigration(b *bench) {
	kills := 0
	for i := range b.times(20, 2) {
		n := b.sqliteNode(b.TempDir())
		if i%2 == 1 {
			url, _ := b.newDatabase()
			n = b.clusterNode("first", url)
		}
		for range 5 {
			kills++
			n.startAndKill(rand.N(400 * time.Millisecond))
		}
		n.start()
		s := b.configure(nil, n)
		begin, end := b.emergencies(n)
		begin()
		b.eventually("an emergency call", time.Minute, func() bool { return s.carried("911") > 0 })
		end()
		l := s.startSwitch("pbx", 2)
		l.await(10)
		s.conclude(nil, l)
		n.kill()
	}
	b.did(fmt.Sprintf("%d × SIGKILL in the first 0.4 s of a start, 5 on each database", kills), "calls over HTTP after it")
}

// badSinks has webhooks go to a sink that hangs, fails and babbles, and at last takes
// what it is sent.
func badSinks(b *bench) {
	var mode atomic.Int64 // 0 hangs, 1 fails, 2 babbles, 3 takes
	var mu sync.Mutex
	seen := map[string]int{}
	released := make(chan struct{})
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		switch mode.Load() {
		case 0:
			select {
			case <-released:
			case <-r.Context().Done():
			}
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		default:
			var event struct {
				Data struct {
					ID string `json:"id"`
				} `json:"data"`
			}
			if err := json.Unmarshal(body, &event); err == nil {
				mu.Lock()
				seen[event.Data.ID]++
				mu.Unlock()
			}
		}
	}))
	b.Cleanup(sink.Close)
	b.Cleanup(func() { close(released) })
	n := b.sqliteNode(b.TempDir())
	n.flags = append(n.flags, "--webhook-allow-private", "--webhook-allow-http")
	n.start()
	s := b.configure(open, n)
	n.must(http.MethodPost, "/tollgate/v1/webhook_endpoints",
		object{"url": sink.URL, "events": []string{"call.ended"}, "timeout_secs": 1})
	phones, l := s.startCalls(5, 200*time.Millisecond), s.startSwitch("pbx", 5)
	begin, end := b.emergencies(n)
	begin()
	before := n.memory()
	for m := range int64(3) {
		mode.Store(m)
		l.await(200)
		phones.await(20)
		b.wait(3 * time.Second)
	}
	if grown := n.memory() - before; grown > 200<<20 {
		b.Errorf("memory grew by %d MB", grown>>20)
	}
	end()
	mode.Store(3)
	s.conclude(phones, l)
	ended := 0
	for _, r := range n.records() {
		if r["outcome"] != "refused" {
			ended++
		}
	}
	total := func(state string) int {
		_, answer, err := n.call(http.MethodGet,
			"/tollgate/v1/webhook_deliveries?filter[event_type]=call.ended&page[size]=1"+state, nil)
		b.check(err)
		meta, _ := answer["meta"].(object)
		count, _ := meta["total_results"].(float64)
		return int(count)
	}
	b.eventually("events arrive again", time.Minute, func() bool {
		return total("&filter[state]=delivered") > ended/4 || total("&filter[state]=pending") == 0
	})
	all, dead, delivered := total(""), total("&filter[state]=dead"), total("&filter[state]=delivered")
	if all != ended || dead != 0 {
		b.Errorf("of %d calls that have ended there are %d events, of which %d are given up", ended, all, dead)
	}
	mu.Lock()
	arrived := len(seen)
	mu.Unlock()
	if arrived == 0 {
		b.Error("no event arrives at the sink")
	}
	b.did("a sink that hangs, answers 500, and answers without end, 3 s each and more",
		fmt.Sprintf("%s; %s; of %d events %d have arrived since, the others wait for their next attempt, none is given up",
			phones, l, ended, delivered))
}
