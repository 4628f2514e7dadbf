package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// emptyPath is a route of the benchmarks: authentication, rate limit, request id,
// log line and envelope as everywhere, and no work behind them.
const emptyPath = "/tollgate/v1/empty"

// benchAPI is the API over a durable store, with the empty route.
func benchAPI(b *testing.B) *harness {
	b.Helper()
	live := policy.NewLive()
	s, err := sqlstore.Open(b.Context(), sqlstore.Config{
		Path: filepath.Join(b.TempDir(), "tollgate.db"), Live: live, Clock: time.Now,
		IDs: id.NewSource(1, time.Now), Owner: uuid.New(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	first, _, err := s.EnsureFirst(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	h := &harness{t: b, store: s, live: live, first: first}
	h.key = h.newKey(first.ID, ScopeRead, ScopeWrite, ScopeCarrier)
	h.api = newServer(Config{Stores: storesOf(s), Live: live, Version: "bench",
		RateLimit: rest.RateLimit{PerSecond: 1e9, Burst: 1e9}})
	empty := &rest.Operation{Method: http.MethodGet, Path: emptyPath, ID: "get_empty", Scope: ScopeRead,
		Status: http.StatusOK, Handle: func(context.Context, *rest.Request) (*rest.Response, error) {
			return &rest.Response{Data: struct{}{}}, nil
		}}
	h.api.engine.Mux.HandleFunc(emptyPath,
		func(w http.ResponseWriter, r *http.Request) { h.api.engine.Serve(empty, w, r) })
	server := httptest.NewServer(h.api.engine)
	b.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// benchWindow is how long each load of BenchmarkProfiles runs.
const benchWindow = time.Second

// load runs request from so many clients for a time and returns requests a second.
func load(b *testing.B, clients int, request func(client, n int) error) float64 {
	b.Helper()
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var work sync.WaitGroup
	started := time.Now()
	for client := range clients {
		work.Go(func() {
			for n := 0; time.Since(started) < benchWindow && failed.Load() == nil; n++ {
				if err := request(client, n); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				done.Add(1)
			}
		})
	}
	work.Wait()
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
	return float64(done.Load()) / time.Since(started).Seconds()
}

// visit makes one request and reads the whole answer.
func (h *harness) visit(client *http.Client, method, path, body string) error {
	r, err := http.NewRequestWithContext(context.Background(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+h.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: status %d: %s", method, path, answer.StatusCode, text)
	}
	return err
}

// BenchmarkProfiles reports creates, gets and lists of profiles a second over
// HTTP, as ratios: creates to the bare store's rate of the same durable creates,
// gets and lists to an empty handler behind the same middleware.
func BenchmarkProfiles(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			h := benchAPI(b)
			transport := &http.Transport{MaxIdleConnsPerHost: clients}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			p := profile.New()
			p.Name = "bench"
			made, err := h.store.Profiles().Create(b.Context(), h.first.ID, p)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				bare := load(b, clients, func(int, int) error {
					_, err := h.store.Profiles().Create(b.Context(), h.first.ID, p)
					return err
				})
				create := load(b, clients, func(int, int) error {
					return h.visit(client, http.MethodPost, "/v2/outbound_voice_profiles", `{"name":"bench"}`)
				})
				empty := load(b, clients, func(int, int) error { return h.visit(client, http.MethodGet, emptyPath, "") })
				get := load(b, clients, func(int, int) error {
					return h.visit(client, http.MethodGet, "/v2/outbound_voice_profiles/"+made.ID.String(), "")
				})
				list := load(b, clients, func(int, int) error {
					return h.visit(client, http.MethodGet, "/v2/outbound_voice_profiles?page%5Bsize%5D=20", "")
				})
				b.ReportMetric(create, "creates/s")
				b.ReportMetric(create/bare, "create-to-store")
				b.ReportMetric(empty, "empty/s")
				b.ReportMetric(get/empty, "get-to-empty")
				b.ReportMetric(list/empty, "list-to-empty")
			}
		})
	}
}

// BenchmarkRecords lists call records by filters among a million, and reports the
// 99th percentile of the first and of the thousandth page as multiples of that of
// the empty handler. What a filter takes the first time that it is used, when its
// records have to be counted, is reported in milliseconds.
func BenchmarkRecords(b *testing.B) {
	const records = 1_000_000
	h := benchAPI(b)
	profiles := h.fillRecords(b, records)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	const of = "/v2/detail_records?filter%5Brecord_type%5D=sip-trunking"
	const page1000 = "&page%5Bnumber%5D=1000"
	for b.Loop() {
		empty := h.percentile(b, client, emptyPath)
		for name, filter := range map[string]string{
			"all": "", "profile": "&filter%5Boutbound_profile_id%5D=" + profiles[0].String(),
			"country": "&filter%5Bcountry_code%5D=GB&filter%5Bstatus%5D=refused", "number": "&filter%5Bcld%5D=%2B442000000077",
			"none": "&filter%5Bstatus%5D=answered",
		} {
			started := time.Now()
			if err := h.visit(client, http.MethodGet, of+filter, ""); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(time.Since(started).Milliseconds()), name+"-cold-ms")
			b.ReportMetric(float64(h.percentile(b, client, of+filter))/float64(empty), name+"-first-p99-to-empty")
			b.ReportMetric(float64(h.percentile(b, client, of+filter+page1000))/float64(empty), name+"-page1000-p99-to-empty")
		}
	}
}

// percentile is the 99th percentile of the time of one request after another.
func (h *harness) percentile(b *testing.B, client *http.Client, path string) time.Duration {
	b.Helper()
	took := make([]time.Duration, 300)
	for i := range took {
		started := time.Now()
		if err := h.visit(client, http.MethodGet, path, ""); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(started)
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// fillRecords makes refused attempts of several profiles, each a record.
func (h *harness) fillRecords(b *testing.B, n int) []id.ID {
	b.Helper()
	var profiles, connections []id.ID
	for i := range 10 {
		p := profile.New()
		p.Name = fmt.Sprintf("profile %d", i)
		made, err := h.store.Profiles().Create(b.Context(), h.first.ID, p)
		if err != nil {
			b.Fatal(err)
		}
		c := connection.NewIPConnection()
		c.Outbound.OutboundVoiceProfileID = made.ID
		c.Outbound.TechPrefix = fmt.Sprintf("%04d", i)
		connected, err := h.store.IPConnections().Create(b.Context(), h.first.ID, c)
		if err != nil {
			b.Fatal(err)
		}
		profiles, connections = append(profiles, made.ID), append(connections, connected.ID)
	}
	var waiting sync.WaitGroup
	free := make(chan struct{}, sqlstore.DefaultQueueLength/2)
	for i := range n {
		free <- struct{}{}
		waiting.Add(1)
		h.store.Submit(admission.Reserve{Call: admission.Call{
			ID: uuid.Must(uuid.NewV7()), Connection: connections[i%len(connections)], Identity: policy.IdentityKnown,
			Source: netip.MustParseAddr("192.0.2.1"), From: "+13125550100", To: fmt.Sprintf("+4420%08d", i),
			SIPCallID: fmt.Sprint(i),
		}}, func(_ admission.Result, err error) {
			if err != nil {
				b.Error(err)
			}
			<-free
			waiting.Done()
		})
	}
	waiting.Wait()
	return profiles
}
