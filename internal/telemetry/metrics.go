package telemetry

import (
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/api"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/webhook"
)

// The most values of the labels whose values come from use. Gateways are few in
// one server; a graph with more than this many lines cannot be read.
const (
	maxGateways = 100
	maxCauses   = 40
	maxEvents   = 20
)

// scrapeLimit bounds one scrape, which asks the database and the shards.
const scrapeLimit = 10 * time.Second

// delayBuckets are those of the post-dial delay, in seconds: from a callee on the
// same switch to what makes callers hang up.
var delayBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2, 3, 4, 6, 8, 12, 20, 30}

// Metrics holds what one server measures. The parts of the server report by its methods,
// which are safe for concurrent use and do not block.
type Metrics struct {
	registry *prometheus.Registry
	gateways *bounded
	causes   *bounded
	events   *bounded
	media    media

	calls         *prometheus.CounterVec
	refusals      *prometheus.CounterVec
	durations     *prometheus.CounterVec
	delays        *prometheus.HistogramVec
	grants        *prometheus.CounterVec
	groupSizes    prometheus.Histogram
	groupTimes    prometheus.Histogram
	groupFailures prometheus.Counter
	groupWaiting  prometheus.Gauge
	attempts      *prometheus.CounterVec
	attemptTimes  prometheus.Histogram
	rejected      *prometheus.CounterVec
	logins        *prometheus.CounterVec
	unregistered  prometheus.Counter
}

// New makes the metrics of a server. version is what it says it is.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), media: newMedia(),
		gateways: newBounded(maxGateways), causes: newBounded(maxCauses), events: newBounded(maxEvents),
		calls: counters("tollgate_calls_total",
			"Calls that have ended, each once, by outcome, hangup cause and the gateway that was tried last.",
			"outcome", "cause", "gateway"),
		refusals: counters("tollgate_refusals_total", "Attempts refused by a rule, by reason.", "reason"),
		durations: counters("tollgate_call_seconds_total",
			"Duration of ended calls from answer to end in seconds, by gateway.", "gateway"),
		delays: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tollgate_post_dial_delay_seconds",
			Help:    "From the caller's INVITE to the first ringing, progress or answer, by gateway.",
			Buckets: delayBuckets,
		}, []string{"gateway"}),
		grants: counters("tollgate_grants_total",
			"What the ledger answered: first (a call was admitted), extended (a running call got more time) or exhausted "+
				"(it did not).", "kind"),
		groupSizes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tollgate_store_group_size", Help: "Commands and writes in one transaction of the store.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		groupTimes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tollgate_store_commit_seconds",
			Help:    "Duration of one transaction of the store, including its durable commit.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
		groupFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tollgate_store_failures_total", Help: "Transactions of the store that failed.",
		}),
		groupWaiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "tollgate_store_queue", Help: "Commands waiting for the store when its last transaction ended.",
		}),
		attempts: counters("tollgate_webhook_attempts_total",
			"Attempts to deliver a webhook, by the resulting state of the delivery.", "state"),
		attemptTimes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tollgate_webhook_attempt_seconds", Help: "Duration of one attempt to deliver a webhook.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 13),
		}),
		logins: counters("tollgate_api_auth_failures_total", "API requests rejected before they were handled, by cause.",
			"reason"),
		unregistered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tollgate_sip_registration_failures_total",
			Help: "Attempts to write registrations to the database, or to read those of other nodes, that failed.",
		}),
		rejected: counters("tollgate_admission_events_rejected_total",
			"Call events from outside switches that were rejected, by cause.", "why"),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tollgate_build_info", Help: "Always 1; the version is in the label.",
		ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.calls, m.refusals, m.durations, m.delays, m.grants, m.groupSizes, m.groupTimes,
		m.groupFailures,
		m.groupWaiting, m.attempts, m.attemptTimes, m.rejected, m.logins, m.unregistered, build,
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(liveHeap)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.preset()
	return m
}

// liveHeap is what the last collection of garbage left: the memory that is in use, where
// others count garbage too. Its name is go_gc_heap_live_bytes.
var liveHeap = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/gc/heap/live:bytes$`)}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// preset makes what is known beforehand start at 0, so that its first increase is
// one that a rate sees.
func (m *Metrics) preset() {
	for _, reason := range admission.Reasons() {
		if reason != admission.ReasonNone {
			m.refusals.WithLabelValues(reason.String())
		}
	}
	for _, why := range api.LoginFailures() {
		m.logins.WithLabelValues(why)
	}
	for _, kind := range []string{"first", "extended", "exhausted"} {
		m.grants.WithLabelValues(kind)
	}
	for _, state := range []webhook.State{webhook.Delivered, webhook.Pending, webhook.Dead} {
		m.attempts.WithLabelValues(string(state))
	}
}

// Handler serves the metrics in the text format of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, Timeout: scrapeLimit, MaxRequestsInFlight: 4, Registry: m.registry,
	})
}

// Group takes what a transaction of the store did.
func (m *Metrics) Group(g ledger.Group) {
	m.groupSizes.Observe(float64(g.Size))
	m.groupTimes.Observe(g.Took.Seconds())
	m.groupWaiting.Set(float64(g.Waiting))
	if g.Failed {
		m.groupFailures.Inc()
		return
	}
	m.grants.WithLabelValues("first").Add(float64(g.Reserved))
	m.grants.WithLabelValues("extended").Add(float64(g.Extended))
	m.grants.WithLabelValues("exhausted").Add(float64(g.Exhausted))
	for _, r := range g.Records {
		m.record(r)
	}
}

func (m *Metrics) record(r *record.Call) {
	gateway := m.gateway(r.GatewayID)
	m.calls.WithLabelValues(r.Outcome.String(), m.causes.value(r.HangupCause), gateway).Inc()
	if r.Outcome == record.OutcomeRefused {
		m.refusals.WithLabelValues(r.Reason).Inc() // from a closed set
	}
	if r.DurationMicros > 0 {
		m.durations.WithLabelValues(gateway).Add(float64(r.DurationMicros) / 1e6)
	}
}

// gateway is the label of a gateway: its id, or "" where none was tried.
func (m *Metrics) gateway(key id.ID) string {
	if key == 0 {
		return ""
	}
	return m.gateways.value(key.String())
}

// Rang takes a post-dial delay.
func (m *Metrics) Rang(gateway id.ID, delay time.Duration) {
	m.delays.WithLabelValues(m.gateway(gateway)).Observe(delay.Seconds())
}

// Attempt takes an attempt to deliver a webhook.
func (m *Metrics) Attempt(a webhook.Attempt) {
	m.attempts.WithLabelValues(string(a.State)).Inc()
	m.attemptTimes.Observe(float64(a.DurationMs) / 1000)
}

// RegistrationsFailed counts a time that registrations were not written or not read.
func (m *Metrics) RegistrationsFailed() { m.unregistered.Inc() }

// LoginFailed counts a request that the API did not let in.
func (m *Metrics) LoginFailed(why string) { m.logins.WithLabelValues(why).Inc() }

// EventRejected counts an event of an outside switch that was not taken. why is a
// value of the API, such as an error code.
func (m *Metrics) EventRejected(why string) { m.rejected.WithLabelValues(m.events.value(why)).Inc() }
