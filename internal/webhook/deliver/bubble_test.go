package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/webhook/deliver"
	"github.com/tollgate/tollgate/internal/webhook/webhooktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const account = 1001

// newEvent is an event with a number.
func newEvent(n byte) webhook.Event {
	return webhook.Event{
		ID: uuid.UUID{0: 1, 6: 0x70, 8: 0x80, 15: n}, AccountID: account, Type: webhook.CallEnded,
		OccurredAt: time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC),
		Payload:    jsontext.Value(`{"total_cost":"0.0125","to":"+1970*****98"}`),
	}
}

func newSigner(t testing.TB) *webhook.Signer {
	t.Helper()
	signer, err := webhook.NewSigner([]byte("an example seed of 32 bytes, yes"))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// world is a bubble of time with HTTP servers on pipes, an outbox, and a deliverer
// that reaches them through the whole client. Time passes only when all wait.
type world struct {
	*testing.T
	memory *webhooktest.Memory
	outbox *faultyOutbox
	signer *webhook.Signer
	client *deliver.Client
	began  time.Time

	mu       sync.Mutex
	servers  map[string]*pipeListener // by address
	requests []request
	events   byte
}

// request is what a server got and when, since the world began.
type request struct {
	Host      string
	At        time.Duration
	EventID   string
	Attempt   int
	Delivered string
}

// inWorld runs a test in a bubble.
func inWorld(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, memory: webhooktest.NewMemory(), signer: newSigner(t), began: time.Now(), servers: map[string]*pipeListener{}}
		w.outbox = &faultyOutbox{Outbox: w.memory}
		w.client = deliver.NewClient(deliver.ClientSettings{AllowPlainHTTP: true, Resolver: w})
		w.client.SetDial(w.dial)
		test(w)
	})
}

// LookupNetIP gives the host "n.example" the public address 93.184.216.n.
func (w *world) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	var n byte
	if _, err := fmt.Sscanf(host, "%d.example", &n); err != nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{netip.AddrFrom4([4]byte{93, 184, 216, n})}, nil
}

func (w *world) dial(ctx context.Context, _, address string) (net.Conn, error) {
	w.mu.Lock()
	server := w.servers[address]
	w.mu.Unlock()
	if server == nil {
		return nil, errors.New("no listener there")
	}
	near, far := net.Pipe()
	select {
	case server.conns <- far:
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve runs a server as n.example and checks every request that it gets.
func (w *world) serve(n int, answer http.HandlerFunc) {
	listener := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	w.servers[fmt.Sprintf("93.184.216.%d:80", n)] = listener
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.note(r)
		answer(rw, r)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(listener)
	}()
	w.Cleanup(func() { server.Close(); <-ended })
}

func (w *world) note(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.Errorf("read request: %v", err)
	}
	if err := webhooktest.VerifyLikeTelnyx(w.signer.PublicKey(), r.Header, body, time.Now()); err != nil {
		w.Errorf("the request does not verify: %v", err)
	}
	var parsed struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
		Meta struct {
			Attempt     int    `json:"attempt"`
			DeliveredTo string `json:"delivered_to"`
		} `json:"meta"`
	}
	if err := json.Unmarshal(body, &parsed); err != nil || parsed.Data.ID != r.Header.Get("webhook-id") {
		w.Errorf("the body %s of %s: %v", body, r.Header.Get("webhook-id"), err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, request{r.Host, time.Since(w.began), parsed.Data.ID, parsed.Meta.Attempt, parsed.Meta.DeliveredTo})
}

// got returns the requests so far.
func (w *world) got() []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]request{}, w.requests...)
}

// endpoint makes the endpoint n of the server n.example.
func (w *world) endpoint(n int, change func(*webhook.Endpoint)) {
	e := webhook.NewEndpoint()
	e.ID, e.AccountID, e.URL = id.ID(n), account, fmt.Sprintf("http://%d.example/hook", n)
	if change != nil {
		change(&e)
	}
	w.memory.PutEndpoint(e)
}

// publish publishes an event now and returns its deliveries.
func (w *world) publish() []uuid.UUID {
	w.Helper()
	w.events++
	ids, err := w.memory.Publish(w.Context(), time.Now(), newEvent(w.events))
	if err != nil {
		w.Fatal(err)
	}
	return ids
}

func (w *world) entry(key uuid.UUID) webhook.Entry {
	w.Helper()
	entry, err := w.memory.Entry(w.Context(), account, key)
	if err != nil {
		w.Fatal(err)
	}
	return entry
}

// run starts a deliverer and returns it with what stops it and waits for it.
func (w *world) run(change func(*deliver.Settings)) (*deliver.Deliverer, func()) {
	settings := deliver.Settings{
		Outbox: w.outbox, Signer: w.signer, Client: w.client, Logger: slog.New(slog.DiscardHandler),
		Now: time.Now, Random: func() float64 { return 0.5 },
	}
	if change != nil {
		change(&settings)
	}
	deliverer := deliver.New(settings)
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		deliverer.Run(ctx)
	}()
	return deliverer, func() { cancel(); <-ended }
}

// pass lets time pass in the bubble.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// pipeListener accepts the far ends of pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// faultyOutbox is an outbox whose storage fails when told to, and which counts.
type faultyOutbox struct {
	webhook.Outbox
	claims, reports       atomic.Int64
	claimFails, endsFails func() bool // nil: never
}

var errStorage = errors.New("the storage is away")

func (o *faultyOutbox) Claim(ctx context.Context, now time.Time, limits webhook.ClaimLimits) ([]webhook.Delivery, time.Time, error) {
	o.claims.Add(1)
	if o.claimFails != nil && o.claimFails() {
		return nil, time.Time{}, errStorage
	}
	return o.Outbox.Claim(ctx, now, limits)
}

func (o *faultyOutbox) Report(ctx context.Context, a webhook.Attempt) error {
	o.reports.Add(1)
	if o.endsFails != nil && o.endsFails() {
		return errStorage
	}
	return o.Outbox.Report(ctx, a)
}

func (o *faultyOutbox) Release(ctx context.Context, key uuid.UUID, claim int64) error {
	if o.endsFails != nil && o.endsFails() {
		return errStorage
	}
	return o.Outbox.Release(ctx, key, claim)
}
