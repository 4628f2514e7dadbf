// Package deliver sends the events of an outbox to customers' endpoints: it claims
// deliveries, signs and makes the requests, calls only addresses that may be called,
// and reports every attempt.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/webhook"
)

// Defaults and limits of a Deliverer.
const (
	DefaultConcurrency = 64
	// DefaultPerEndpoint lets an endpoint that answers in 100 ms take 40 events a second.
	DefaultPerEndpoint = 4
	// lease is the longest attempt, the longest report after it, and a margin for
	// the clocks of several processes.
	lease = 2 * time.Minute
	// longestSleep bounds how late a delivery is whose Notify got lost, for example
	// because another process published the event and died.
	longestSleep = 30 * time.Second
	// shortestSleep keeps a wrong clock from becoming a busy loop.
	shortestSleep = 10 * time.Millisecond
	// stopGrace is how long requests that are under way at the end may take.
	stopGrace = 5 * time.Second
	// reportTimeout bounds the tries to report one attempt.
	reportTimeout = 10 * time.Second
	// claimPause and longestClaimPause are the pauses after claims that failed.
	claimPause        = time.Second
	longestClaimPause = 30 * time.Second
)

// Settings is what a Deliverer works with. Fields without a default are required.
type Settings struct {
	Outbox   webhook.Outbox
	Signer   *webhook.Signer
	Client   *Client
	Logger   *slog.Logger
	Now      func() time.Time
	Random   func() float64   // in [0, 1), for jitter; called concurrently
	Schedule webhook.Schedule // default: DefaultSchedule

	Concurrency int                   // requests at once; default: DefaultConcurrency
	PerEndpoint int                   // requests to one endpoint at once, over all processes; default: DefaultPerEndpoint
	Observe     func(webhook.Attempt) // told of every attempt, for metrics; called concurrently; default: none
}

// Deliverer sends what is in an outbox. Several, in one or more processes, may
// work on the same outbox.
type Deliverer struct {
	settings Settings
	notify   chan struct{}
}

// New makes a deliverer, which does nothing until Run.
func New(settings Settings) *Deliverer {
	if settings.Schedule == (webhook.Schedule{}) {
		settings.Schedule = webhook.DefaultSchedule()
	}
	if settings.Concurrency == 0 {
		settings.Concurrency = DefaultConcurrency
	}
	if settings.PerEndpoint == 0 {
		settings.PerEndpoint = DefaultPerEndpoint
	}
	if settings.Observe == nil {
		settings.Observe = func(webhook.Attempt) {}
	}
	return &Deliverer{settings: settings, notify: make(chan struct{}, 1)}
}

// Notify means that something was published or replayed, or that an endpoint was
// enabled. It never blocks and may be called at any time.
func (d *Deliverer) Notify() {
	select {
	case d.notify <- struct{}{}:
	default: // a wake-up waits already
	}
}

// Run delivers until ctx ends, then lets requests under way finish for some
// seconds, gives back the deliveries of the others, and returns when none of its
// goroutines is left. Call it once.
func (d *Deliverer) Run(ctx context.Context) {
	requests, stopRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRequests()
	var working sync.WaitGroup
	done := make(chan struct{}, d.settings.Concurrency)
	timer := time.NewTimer(0)
	defer timer.Stop()
	free := d.settings.Concurrency
	var pause time.Duration // after claims that failed, else 0

	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-d.notify:
		case <-timer.C:
		case <-done:
			free++
		}
		for len(done) > 0 {
			<-done
			free++
		}
		if free == 0 {
			timer.Reset(longestSleep) // an attempt ends before that
			continue
		}
		claimed, sleep, err := d.claim(ctx, free)
		if err != nil {
			pause = min(max(2*pause, claimPause), longestClaimPause)
			free += d.rest(ctx, done, pause)
			timer.Reset(0)
			continue
		}
		pause = 0
		for i := range claimed {
			free--
			working.Go(func() {
				d.deliver(requests, &claimed[i])
				done <- struct{}{}
			})
		}
		timer.Reset(sleep)
	}
	d.stop(&working, stopRequests)
}

// claim takes up to free deliveries and says how long to sleep if nothing happens.
func (d *Deliverer) claim(ctx context.Context, free int) ([]webhook.Delivery, time.Duration, error) {
	now := d.settings.Now()
	claimed, next, err := d.settings.Outbox.Claim(ctx, now, webhook.ClaimLimits{
		Lease: lease, Total: free, PerEndpoint: d.settings.PerEndpoint,
	})
	if err != nil {
		if ctx.Err() == nil {
			d.settings.Logger.Error("webhook deliveries cannot be claimed", "error", err)
		}
		return nil, 0, err
	}
	if next.IsZero() {
		return claimed, longestSleep, nil
	}
	return claimed, min(max(next.Sub(now), shortestSleep), longestSleep), nil
}

// rest waits for a pause to end, whatever else happens, and returns how many
// attempts ended meanwhile.
func (d *Deliverer) rest(ctx context.Context, done <-chan struct{}, pause time.Duration) int {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	ended := 0
	for {
		select {
		case <-ctx.Done():
			return ended
		case <-timer.C:
			return ended
		case <-done:
			ended++
		}
	}
}

// stop waits for the requests under way, first patiently, then not.
func (d *Deliverer) stop(working *sync.WaitGroup, stopRequests func()) {
	grace := time.AfterFunc(stopGrace, stopRequests)
	working.Wait()
	grace.Stop()
	d.settings.Client.Close()
}

// deliver makes one attempt and reports it.
func (d *Deliverer) deliver(ctx context.Context, delivery *webhook.Delivery) {
	attempt, cause := d.attempt(ctx, delivery)
	logger := d.settings.Logger.With("delivery", delivery.ID, "event_type", delivery.Event.Type,
		"endpoint", delivery.Endpoint.ID.String(), "attempt", attempt.Number)
	if attempt.State != webhook.Delivered && ctx.Err() != nil {
		// Tollgate stopped waiting; the endpoint did not fail.
		d.settle(ctx, logger, func(ctx context.Context) error {
			return d.settings.Outbox.Release(ctx, delivery.ID, delivery.Claim)
		})
		return
	}
	d.settings.Observe(attempt)
	switch attempt.State {
	case webhook.Dead:
		logger.Info("webhook delivery given up", "reason", attempt.Error, "cause", cause)
	case webhook.Pending:
		logger.Debug("webhook attempt failed", "reason", attempt.Error, "cause", cause)
	case webhook.Delivered:
		logger.Debug("webhook delivered", "status", attempt.StatusCode)
	}
	d.settle(ctx, logger, func(ctx context.Context) error { return d.settings.Outbox.Report(ctx, attempt) })
}

// attempt sends the request and judges the answer. cause is what explains a
// failure to the operator.
func (d *Deliverer) attempt(ctx context.Context, delivery *webhook.Delivery) (attempt webhook.Attempt, cause error) {
	endpoint, started := &delivery.Endpoint, d.settings.Now()
	attempt = webhook.Attempt{
		DeliveryID: delivery.ID, Claim: delivery.Claim, Number: delivery.Attempts + 1,
		URL: endpoint.Target(delivery.Attempts), StartedAt: started,
	}
	answer, err := d.post(ctx, delivery, &attempt)
	ended := d.settings.Now()
	attempt.DurationMs = ended.Sub(started).Milliseconds()
	attempt.StatusCode, attempt.Response = answer.Status, answer.Body
	switch {
	case err != nil:
		attempt.Error = explain(err, endpoint.Timeout())
	case answer.Status >= 200 && answer.Status <= 299:
		attempt.State = webhook.Delivered
		return attempt, nil
	case answer.Status >= 300 && answer.Status <= 399:
		attempt.Error = fmt.Sprintf("The server answered %d; redirects are not followed.", answer.Status)
	default:
		attempt.Error = fmt.Sprintf("The server answered %d.", answer.Status)
	}
	attempt.State = webhook.Dead
	failover, random := endpoint.FailoverURL != "", d.settings.Random()
	if next, ok := d.settings.Schedule.Next(attempt.Number, failover, delivery.CreatedAt, ended, random); ok {
		attempt.State, attempt.NextAt = webhook.Pending, next
	}
	return attempt, err
}

func (d *Deliverer) post(ctx context.Context, delivery *webhook.Delivery, attempt *webhook.Attempt) (Answer, error) {
	body, err := delivery.Event.Body(attempt.Number, attempt.URL)
	if err != nil {
		return Answer{}, err
	}
	header := http.Header{}
	header.Set(webhook.HeaderID, delivery.Event.ID.String())
	signature := d.settings.Signer.Sign(body, attempt.StartedAt)
	header.Set(webhook.HeaderTimestamp, signature.Timestamp)
	header.Set(webhook.HeaderSignature, signature.Value)
	ctx, cancel := context.WithTimeout(ctx, delivery.Endpoint.Timeout())
	defer cancel()
	return d.settings.Client.Post(ctx, attempt.URL, header, body)
}

// settle ends a lease, trying again while it may help. When it cannot, the lease
// ends by itself and the delivery is made once more.
func (d *Deliverer) settle(ctx context.Context, logger *slog.Logger, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
	defer cancel()
	for pause := 100 * time.Millisecond; ; pause *= 2 {
		err := end(ctx)
		if err == nil {
			return
		}
		if errors.Is(err, webhook.ErrLeaseLost) {
			logger.Info("webhook attempt ended after its lease; it may be repeated", "error", err)
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			logger.Error("webhook attempt cannot be reported; it will be repeated", "error", err)
			return
		}
	}
}
