package deliver_test

import (
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/webhook/deliver"
	"github.com/tollgate/tollgate/internal/webhook/webhooktest"
)

func ok(http.ResponseWriter, *http.Request) {}

func unavailable(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
	io.WriteString(w, "back soon")
}

// hang answers nothing until the client goes away.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// TestRealServer goes over TCP and TLS to a server of this machine.
func TestRealServer(t *testing.T) {
	type received struct {
		header http.Header
		body   []byte
	}
	got := make(chan received, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- received{r.Header, body}
	}))
	defer server.Close()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	memory := webhooktest.NewMemory()
	w := &world{T: t, memory: memory, outbox: &faultyOutbox{Outbox: memory}, signer: newSigner(t),
		client: deliver.NewClient(deliver.ClientSettings{AllowPrivate: true, RootCAs: pool})}
	attempts := make(chan webhook.Attempt, 1)
	deliverer, stop := w.run(func(s *deliver.Settings) { s.Observe = func(a webhook.Attempt) { attempts <- a } })
	defer stop()
	w.endpoint(1, func(e *webhook.Endpoint) { e.URL = server.URL + "/hook" })
	w.publish()
	deliverer.Notify()
	r := <-got
	if err := webhooktest.VerifyLikeTelnyx(w.signer.PublicKey(), r.header, r.body, time.Now()); err != nil {
		t.Error(err)
	}
	event := newEvent(1)
	want, err := event.Body(1, server.URL+"/hook")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(r.body)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if a := <-attempts; a.State != webhook.Delivered || a.StatusCode != http.StatusOK || a.Error != "" {
		t.Errorf("the attempt is %+v", a)
	}
}

func TestRetries(t *testing.T) {
	inWorld(t, func(w *world) {
		var n atomic.Int32
		w.serve(1, func(rw http.ResponseWriter, r *http.Request) {
			if n.Add(1) < 4 {
				unavailable(rw, r)
			}
		})
		w.endpoint(1, nil)
		key := w.publish()[0]
		_, stop := w.run(nil)
		w.pass(24 * time.Hour)
		stop()
		event := newEvent(1).ID.String()
		to := "http://1.example/hook"
		want := []request{
			{"1.example", 0, event, 1, to}, {"1.example", 5 * time.Second, event, 2, to},
			{"1.example", 20 * time.Second, event, 3, to}, {"1.example", 65 * time.Second, event, 4, to},
		}
		if diff := cmp.Diff(want, w.got()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		entry := w.entry(key)
		if entry.State != webhook.Delivered || len(entry.Attempts) != 4 {
			t.Fatalf("entry is %+v", entry)
		}
		if a := entry.Attempts[0]; a.StatusCode != http.StatusServiceUnavailable || a.Response != "back soon" || a.Error != "The server answered 503." || a.URL != to {
			t.Errorf("the first attempt is %+v", a)
		}
	})
}

func TestFailover(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(1, unavailable)
		var n atomic.Int32
		w.serve(2, func(rw http.ResponseWriter, r *http.Request) {
			if n.Add(1) < 2 {
				unavailable(rw, r)
			}
		})
		w.endpoint(1, func(e *webhook.Endpoint) { e.FailoverURL = "http://2.example/spare" })
		key := w.publish()[0]
		_, stop := w.run(nil)
		w.pass(time.Hour)
		stop()
		var got []string
		for _, r := range w.got() {
			got = append(got, fmt.Sprint(r.At.Round(time.Second), " ", r.Attempt, " ", r.Delivered))
		}
		want := []string{"0s 1 http://1.example/hook", "0s 2 http://2.example/spare", "5s 3 http://1.example/hook", "5s 4 http://2.example/spare"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		if entry := w.entry(key); entry.State != webhook.Delivered {
			t.Errorf("entry is %+v", entry)
		}
	})
}

func TestDeadAfterADay(t *testing.T) {
	inWorld(t, func(w *world) {
		w.endpoint(1, nil) // no server
		w.endpoint(2, func(e *webhook.Endpoint) { e.URL = "http://nowhere.example/" })
		w.endpoint(3, func(e *webhook.Endpoint) { e.URL = "http://169.254.169.254/" })
		keys := w.publish()
		_, stop := w.run(nil)
		w.pass(23 * time.Hour)
		stop()
		for _, key := range keys {
			entry := w.entry(key)
			if last := entry.Attempts[len(entry.Attempts)-1]; entry.State != webhook.Dead || len(entry.Attempts) != 13 || last.StatusCode != 0 || last.Error == "" {
				t.Errorf("%s after %d attempts, the last %+v; want dead after 13", entry.State, len(entry.Attempts), last)
			}
		}
	})
}

func TestDeadProcess(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(1, ok)
		w.endpoint(1, nil)
		key := w.publish()[0]
		limits := webhook.ClaimLimits{Lease: deliver.Lease, Total: 10, PerEndpoint: 10}
		if claimed, _, err := w.memory.Claim(t.Context(), time.Now(), limits); err != nil || len(claimed) != 1 {
			t.Fatalf("the process that dies claimed %v, %v", claimed, err)
		}
		_, stop := w.run(nil)
		w.pass(time.Hour)
		stop()
		if got := w.got(); len(got) != 1 || got[0].At != deliver.Lease || w.entry(key).State != webhook.Delivered {
			t.Errorf("requests %+v, want one at the end of the lease", got)
		}
	})
}

func TestTimeout(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(1, hang)
		w.endpoint(1, func(e *webhook.Endpoint) { e.TimeoutSecs = 3 })
		key := w.publish()[0]
		_, stop := w.run(nil)
		w.pass(4 * time.Second)
		stop()
		attempts := w.entry(key).Attempts
		if len(attempts) != 1 || attempts[0].DurationMs != 3000 || attempts[0].Error != "No answer in time; the endpoint's limit is 3s." {
			t.Errorf("attempts are %+v", attempts)
		}
	})
}

// TestSlowEndpoint gives an endpoint that hangs far more events than there are
// slots. The others' events arrive as if it were not there.
func TestSlowEndpoint(t *testing.T) {
	inWorld(t, func(w *world) {
		var now, most atomic.Int32
		w.serve(1, func(rw http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			hang(rw, r)
		})
		w.serve(2, ok)
		w.endpoint(1, func(e *webhook.Endpoint) { e.TimeoutSecs = 30; e.Events = []string{webhook.CallEnded} })
		for range 50 {
			w.publish()
		}
		w.endpoint(2, nil)
		for range 50 {
			w.publish()
		}
		_, stop := w.run(func(s *deliver.Settings) { s.Concurrency, s.PerEndpoint = 4, 2 })
		w.pass(time.Second)
		fast := 0
		for _, r := range w.got() {
			if r.Host == "2.example" && r.At == 0 {
				fast++
			}
		}
		if fast != 50 || most.Load() != 2 {
			t.Errorf("%d of 50 fast events arrived at once, %d slow requests at a time; want all, and 2", fast, most.Load())
		}
		stop()
	})
}

func TestIdleDelivererSleeps(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(1, ok)
		w.endpoint(1, nil)
		deliverer, stop := w.run(nil)
		w.pass(time.Hour)
		if n := w.outbox.claims.Load(); n > int64(time.Hour/deliver.LongestSleep)+2 {
			t.Errorf("%d claims in an idle hour", n)
		}
		w.publish()
		deliverer.Notify()
		synctest.Wait()
		if got := w.got(); len(got) != 1 || got[0].At != time.Hour {
			t.Errorf("requests %+v, want one as soon as it was published", got)
		}
		w.publish() // the deliverer is not told
		w.pass(deliver.LongestSleep)
		if got := w.got(); len(got) != 2 {
			t.Errorf("%d requests, want the one that was not announced, too", len(got))
		}
		stop()
	})
}

// TestHeldUpDeliveriesAreNotPolled has due deliveries that wait only for a slot.
func TestHeldUpDeliveriesAreNotPolled(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(1, hang)
		w.endpoint(1, func(e *webhook.Endpoint) { e.TimeoutSecs = 30 })
		for range 50 {
			w.publish()
		}
		_, stop := w.run(nil)
		w.pass(29 * time.Second)
		if n := w.outbox.claims.Load(); n > 2 {
			t.Errorf("%d claims while the endpoint's slots were taken", n)
		}
		stop()
	})
}

func TestStorageAway(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(1, ok)
		w.endpoint(1, nil)
		w.publish()
		w.outbox.claimFails = func() bool { return time.Since(w.began) < 10*time.Minute }
		deliverer, stop := w.run(nil)
		for range 600 {
			deliverer.Notify()
			w.pass(time.Second)
		}
		if n := w.outbox.claims.Load(); n < 10 || n > 30 {
			t.Errorf("%d claims in ten minutes without storage", n)
		}
		w.pass(time.Minute)
		stop()
		if got := w.got(); len(got) != 1 {
			t.Errorf("%d requests after the storage came back, want 1", len(got))
		}
	})
}

func TestReportIsRepeated(t *testing.T) {
	for _, test := range []struct {
		name     string
		away     time.Duration
		requests int
	}{
		{"shortly", time.Second, 1},
		{"beyond the lease", 90 * time.Second, 2}, // at least once, not exactly once
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.serve(1, ok)
				w.endpoint(1, nil)
				key := w.publish()[0]
				w.outbox.endsFails = func() bool { return time.Since(w.began) < test.away }
				_, stop := w.run(nil)
				w.pass(time.Hour)
				stop()
				if got := w.got(); len(got) != test.requests || w.entry(key).State != webhook.Delivered || len(w.entry(key).Attempts) != 1 {
					t.Errorf("%d requests, entry %+v", len(got), w.entry(key))
				}
			})
		})
	}
}

// TestEndpointDeletedMeanwhile deletes the endpoint while its request is under way.
func TestEndpointDeletedMeanwhile(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(1, func(http.ResponseWriter, *http.Request) { w.memory.DeleteEndpoint(1) })
		w.endpoint(1, nil)
		w.publish()
		_, stop := w.run(nil)
		w.pass(time.Hour)
		stop()
		if got, reports := w.got(), w.outbox.reports.Load(); len(got) != 1 || reports != 1 {
			t.Errorf("%d requests and %d reports, want one of each", len(got), reports)
		}
	})
}

func TestRedirectIsAFailure(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(1, func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "http://2.example/", http.StatusFound)
		})
		w.serve(2, ok)
		w.endpoint(1, func(e *webhook.Endpoint) { e.TimeoutSecs = 0 })
		key := w.publish()[0]
		_, stop := w.run(nil)
		w.pass(time.Second)
		stop()
		entry := w.entry(key)
		if len(w.got()) != 1 || entry.State != webhook.Pending || entry.Attempts[0].Error != "The server answered 302; redirects are not followed." {
			t.Errorf("%d requests, entry %+v", len(w.got()), entry)
		}
	})
}

func TestStop(t *testing.T) {
	inWorld(t, func(w *world) {
		w.serve(1, hang)
		w.serve(2, func(http.ResponseWriter, *http.Request) { <-time.After(4 * time.Second) })
		w.endpoint(1, func(e *webhook.Endpoint) { e.TimeoutSecs = 30 })
		w.endpoint(2, nil)
		keys := w.publish()
		_, stop := w.run(nil)
		synctest.Wait()
		before := time.Now()
		stop()
		if took := time.Since(before); took != deliver.StopGrace {
			t.Errorf("stopping took %v, want %v", took, deliver.StopGrace)
		}
		for _, key := range keys {
			entry := w.entry(key)
			if entry.EndpointID == 2 && (entry.State != webhook.Delivered || len(entry.Attempts) != 1) {
				t.Errorf("what finished in time is %+v", entry)
			}
			if entry.EndpointID == 1 && (entry.State != webhook.Pending || len(entry.Attempts) != 0) {
				t.Errorf("what did not finish is %+v", entry)
			}
		}
		claimed, _, err := w.memory.Claim(t.Context(), time.Now(), webhook.ClaimLimits{Lease: time.Minute, Total: 10, PerEndpoint: 10})
		if err != nil || len(claimed) != 1 || claimed[0].Endpoint.ID != 1 {
			t.Errorf("after the stop %d deliveries can be claimed, %v; want the unfinished one", len(claimed), err)
		}
	})
}

func TestLogHoldsNoURL(t *testing.T) {
	inWorld(t, func(w *world) {
		var text strings.Builder
		w.endpoint(1, func(e *webhook.Endpoint) { e.URL = "http://1.example/hook?token=sesame" })
		w.publish()
		_, stop := w.run(func(s *deliver.Settings) {
			s.Logger = slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		w.pass(24 * time.Hour)
		stop()
		if !strings.Contains(text.String(), "given up") || strings.Contains(text.String(), "sesame") {
			t.Errorf("the log is %s", text.String())
		}
	})
}

// TestNothingIsLost lets servers, storage and deliverers fail at random for hours.
// Whatever happens, each delivery ends delivered, which the endpoint saw, or dead
// after its whole schedule.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inWorld(t, func(w *world) { loseNothing(w, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func loseNothing(w *world, random *rand.Rand) {
	var mu sync.Mutex // guards random and accepted
	draw := func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Float64()
	}
	chance := func(p float64) bool { return draw() < p }
	accepted := map[string]bool{} // host and event
	for n := 1; n <= 4; n++ {
		w.serve(n, func(rw http.ResponseWriter, r *http.Request) {
			switch {
			case chance(0.3):
				unavailable(rw, r)
			case chance(0.1):
				hang(rw, r)
			case chance(0.1):
				panic(http.ErrAbortHandler)
			default:
				mu.Lock()
				accepted[r.Host+r.Header.Get("webhook-id")] = true
				mu.Unlock()
			}
		})
		w.endpoint(n, nil)
	}
	w.endpoint(5, nil) // has no server
	quiet := false
	w.outbox.claimFails = func() bool { return !quiet && chance(0.1) }
	w.outbox.endsFails = func() bool { return !quiet && chance(0.3) }
	var keys []uuid.UUID
	for range 20 { // two deliverers at a time, each for a while
		deliverer, stop := w.run(func(s *deliver.Settings) { s.Concurrency, s.PerEndpoint = 3, 2 })
		_, stopOther := w.run(func(s *deliver.Settings) { s.Concurrency, s.PerEndpoint = 3, 2 })
		for range 5 {
			keys = append(keys, w.publish()...)
			deliverer.Notify()
			w.pass(time.Duration(draw() * float64(time.Minute)))
		}
		stop()
		stopOther()
	}
	quiet = true
	_, stop := w.run(nil)
	w.pass(30 * time.Hour)
	stop()
	for _, key := range keys {
		entry := w.entry(key)
		switch {
		case entry.State == webhook.Delivered && accepted[fmt.Sprintf("%d.example%s", entry.EndpointID, entry.EventID)]:
		case entry.State == webhook.Dead && entry.EndpointID == 5 && len(entry.Attempts) >= 12:
		default:
			w.Errorf("delivery to %d is %s after %d attempts", entry.EndpointID, entry.State, len(entry.Attempts))
		}
	}
}
