package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/internal/media/relay"
)

// jitterBuckets are those of the jitter of a side, in seconds: from a wire to what
// no jitter buffer evens out.
var jitterBuckets = []float64{.001, .0025, .005, .01, .02, .03, .05, .1, .2, .5}

// media is what is measured of the built-in relay.
type media struct {
	packets *prometheus.CounterVec
	lost    *prometheus.CounterVec
	jitter  *prometheus.HistogramVec
}

func newMedia() media {
	return media{
		packets: counters("tollgate_media_rtp_packets_total",
			"RTP packets received in ended anchored calls, by sending side.", "side"),
		lost: counters("tollgate_media_rtp_lost_total",
			"RTP packets lost in ended anchored calls, by sending side.", "side"),
		jitter: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tollgate_media_jitter_seconds",
			Help: "Interarrival jitter at the end of anchored calls (RFC 3550), by sending side.", Buckets: jitterBuckets,
		}, []string{"side"}),
	}
}

// Media takes how the RTP of one side of a call arrived.
func (m *Metrics) Media(q relay.Quality) {
	side := q.Side.String()
	m.media.packets.WithLabelValues(side).Add(float64(q.Packets))
	m.media.lost.WithLabelValues(side).Add(float64(q.Lost))
	m.media.jitter.WithLabelValues(side).Observe(q.Jitter.Seconds())
}

// WatchMedia has the built-in relay asked at each scrape. Call it once.
func (m *Metrics) WatchMedia(stats func() relay.Stats) {
	m.registry.MustRegister(m.media.packets, m.media.lost, m.media.jitter, mediaCollector(stats))
}

// mediaCollector reads what the relay has counted.
type mediaCollector func() relay.Stats

var (
	descMediaSessions = prometheus.NewDesc("tollgate_media_sessions",
		"Calls whose media passes through the built-in relay.", nil,
		nil)
	descMediaPorts = prometheus.NewDesc("tollgate_media_free_port_pairs",
		"Free port pairs of the built-in relay; a call takes two for each of its streams.", nil, nil)
	descMediaRelayed = prometheus.NewDesc("tollgate_media_packets_relayed_total",
		"Packets forwarded by the built-in relay.", nil, nil)
	descMediaDropped = prometheus.NewDesc("tollgate_media_packets_dropped_total",
		"Packets dropped by the built-in relay, by cause: foreign (not from the side's address), malformed, "+
			"forged (not by the key, or repeated), excess.", []string{"why"}, nil)
)

// Describe implements prometheus.Collector.
func (c mediaCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descMediaSessions, descMediaPorts, descMediaRelayed, descMediaDropped} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c mediaCollector) Collect(out chan<- prometheus.Metric) {
	s := c()
	out <- prometheus.MustNewConstMetric(descMediaSessions, prometheus.GaugeValue, float64(s.Sessions))
	out <- prometheus.MustNewConstMetric(descMediaPorts, prometheus.GaugeValue, float64(s.FreePorts))
	out <- prometheus.MustNewConstMetric(descMediaRelayed, prometheus.CounterValue, float64(s.Relayed))
	for why, n := range map[string]uint64{"foreign": s.Foreign, "malformed": s.Malformed, "forged": s.Forged,
		"excess": s.Excess} {
		out <- prometheus.MustNewConstMetric(descMediaDropped, prometheus.CounterValue, float64(n), why)
	}
}
