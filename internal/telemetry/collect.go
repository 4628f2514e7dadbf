package telemetry

import (
	"context"

	"github.com/tollgate/tollgate/internal/sip/transport"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/internal/sipgw"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// Sources are the parts of a server that are asked at each scrape.
type Sources struct {
	SIPStats func() sipgw.Stats
	SIPLoad  func() sipgw.Load
	Totals   func(context.Context) (sqlstore.Totals, error)
}

// Watch has the sources asked at each scrape. Call it once.
func (m *Metrics) Watch(s Sources) { m.registry.MustRegister(&collector{s}) }

// WatchHEP has the messages to a capture server counted. Call it once.
func (m *Metrics) WatchHEP(sent, lost func() uint64) {
	for result, count := range map[string]func() uint64{"sent": sent, "lost": lost} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tollgate_hep_messages_total", Help: "SIP messages for the capture server, by result.",
			ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(count()) }))
	}
}

// collector reads the sources. What the database does not answer in time is left
// out of that scrape, and an error is reported in its place.
type collector struct{ Sources }

var (
	descSIPMessages = prometheus.NewDesc("tollgate_sip_messages_total", "SIP messages, by direction.",
		[]string{"direction"}, nil)
	descSIPDropped = prometheus.NewDesc("tollgate_sip_dropped_total",
		"SIP messages dropped, by cause: filtered (from an unknown source, before the parser), "+
			"unparsable, invalid, overload, source_rate and source_calls (of a source above its limits), strangers (not "+
			"answered, above the budgets for sources that have not proved who they are and for refusals), panic.",
		[]string{"why"}, nil)
	descSIPSendErrors = prometheus.NewDesc("tollgate_sip_send_errors_total", "SIP messages that could not be sent.", nil,
		nil)
	descSIPAttempts = prometheus.NewDesc("tollgate_sip_attempts_total", "New SIP calls submitted to the ledger.",
		nil, nil)
	descSIPAnswered = prometheus.NewDesc("tollgate_sip_answered_total", "SIP calls that were answered.", nil, nil)
	descSIPForks    = prometheus.NewDesc("tollgate_sip_unwanted_answers_total",
		"Late carrier answers, which were hung up on.", nil, nil)
	descMediaErrors = prometheus.NewDesc("tollgate_media_errors_total",
		"Session descriptions that could not be anchored.", nil, nil)
	descSIPLedger = prometheus.NewDesc("tollgate_sip_ledger_errors_total",
		"Reservations of SIP calls that the store did not confirm.", nil, nil)
	descSIPAuth = prometheus.NewDesc("tollgate_sip_auth_total",
		"Digest authentication, by result: challenged; unanswered: calls that did not come back with credentials; failed, "+
			"replayed; strayed: failed because the right one came from an address that is not allowed; held: not checked "+
			"after too many wrong ones; banned counts the sources that failed too often.",
		[]string{"result"}, nil)
	descSIPRegisters = prometheus.NewDesc("tollgate_sip_registers_total",
		"REGISTER requests that were carried out.", nil, nil)
	descSIPBindings = prometheus.NewDesc("tollgate_sip_registered_contacts",
		"Contacts of telephones that are registered, with whichever node.", nil, nil)
	descSIPUnsaved = prometheus.NewDesc("tollgate_sip_registrations_unsaved",
		"Contacts of telephones that wait for being written to the database.", nil, nil)
	descSIPCalls = prometheus.NewDesc("tollgate_sip_live_calls",
		"Calls on the SIP server of this process.", nil, nil)
	descSIPQueue   = prometheus.NewDesc("tollgate_sip_queue", "SIP messages waiting to be handled.", nil, nil)
	descSIPStreams = prometheus.NewDesc("tollgate_sip_connections",
		"Open TCP and TLS connections of the SIP gateway, by class: strangers, known (sources that have proved who "+
			"they are), outbound.", []string{"class"}, nil)
	descSIPRefusedStreams = prometheus.NewDesc("tollgate_sip_connections_refused_total",
		"TCP and TLS connections refused or not opened because their class or source was at its limit.",
		[]string{"class"}, nil)
	descSIPEvictedStreams = prometheus.NewDesc("tollgate_sip_connections_evicted_total",
		"TCP and TLS connections closed to make room for others, the longest idle first.", nil, nil)
	descLeases = prometheus.NewDesc("tollgate_live_leases",
		"Live calls, each holding a channel and money, over SIP and from outside switches, on all nodes.", nil, nil)
	descEmergencies = prometheus.NewDesc("tollgate_emergency_calls_total",
		"Emergency calls admitted, over SIP and from outside switches, on all nodes.", nil, nil)
	descEmergencyLive = prometheus.NewDesc("tollgate_emergency_calls_live",
		"Emergency calls that are ringing or answered, on all nodes.", nil, nil)
	descPending = prometheus.NewDesc("tollgate_webhook_queue",
		"Webhook deliveries that are pending, on all nodes.", nil, nil)
	descRefused = prometheus.NewDesc("tollgate_webhook_refused_total",
		"Webhook deliveries dropped because the account's queue was full, on all nodes.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descSIPMessages, descSIPDropped, descSIPSendErrors, descSIPAttempts,
		descSIPAnswered, descSIPForks, descMediaErrors,
		descSIPLedger, descSIPAuth, descSIPRegisters, descSIPBindings, descSIPUnsaved,
		descSIPCalls, descSIPQueue, descSIPStreams, descSIPRefusedStreams, descSIPEvictedStreams,
		descLeases, descEmergencies, descEmergencyLive,
		descPending, descRefused} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n) }

	stats := c.SIPStats()
	count(descSIPMessages, stats.Received, "in")
	count(descSIPMessages, stats.Sent, "out")
	count(descSIPDropped, stats.Filtered, "filtered")
	count(descSIPDropped, stats.ParseErrors, "unparsable")
	count(descSIPDropped, stats.Invalid-min(stats.Invalid, stats.ParseErrors), "invalid") // which has the unparsable in it
	count(descSIPDropped, stats.Shed, "overload")
	count(descSIPDropped, stats.Paced, "source_rate")
	count(descSIPDropped, stats.Crowded, "source_calls")
	count(descSIPDropped, stats.Unanswered, "strangers")
	count(descSIPDropped, stats.Panics, "panic")
	count(descSIPSendErrors, stats.SendErrors)
	count(descSIPAttempts, stats.Attempts)
	count(descSIPAnswered, stats.Answered)
	count(descSIPForks, stats.Forks)
	count(descMediaErrors, stats.MediaErrors)
	count(descSIPLedger, stats.LedgerErrors)
	count(descSIPAuth, stats.Challenges, "challenged")
	count(descSIPAuth, stats.AuthFailures, "failed")
	count(descSIPAuth, stats.AuthStrays, "strayed") // which are among the failed
	count(descSIPAuth, stats.AuthReplays, "replayed")
	count(descSIPAuth, stats.AuthUnanswered, "unanswered")
	count(descSIPAuth, stats.GuessesHeld, "held")
	count(descSIPAuth, stats.Bans, "banned")
	count(descSIPRegisters, stats.Registrations)
	gauge(descSIPBindings, float64(stats.Registered))
	gauge(descSIPUnsaved, float64(stats.Unsaved))
	load := c.SIPLoad()
	gauge(descSIPCalls, float64(load.Calls))
	gauge(descSIPQueue, float64(load.Queued))
	for class, name := range transport.ClassNames() {
		out <- prometheus.MustNewConstMetric(descSIPStreams, prometheus.GaugeValue, float64(load.ByClass[class]), name)
		count(descSIPRefusedStreams, stats.RefusedConnections[class], name)
	}
	count(descSIPEvictedStreams, stats.EvictedConnections)

	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	totals, err := c.Totals(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(descLeases, err)
		return
	}
	gauge(descLeases, float64(totals.Leases))
	count(descEmergencies, uint64(totals.Emergencies))
	gauge(descEmergencyLive, float64(totals.EmergenciesLive))
	gauge(descPending, float64(totals.WebhooksPending))
	out <- prometheus.MustNewConstMetric(descRefused, prometheus.CounterValue, float64(totals.WebhooksRefused))
}
