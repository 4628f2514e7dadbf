package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/internal/httpd"
)

var (
	descHTTPConnections = prometheus.NewDesc("tollgate_http_connections",
		"Open HTTP connections, by listener (api, metrics) and by who has them: known (a key was shown, or a "+
			"trusted proxy), strangers.",
		[]string{"listener", "who"}, nil)
	descHTTPRefused = prometheus.NewDesc("tollgate_http_refused_total",
		"HTTP connections that were closed and requests that were not taken, by listener and by the budget that was full.",
		[]string{"listener", "budget"}, nil)
)

// WatchHTTP has the connections of a listener counted. Call it once for each.
func (m *Metrics) WatchHTTP(listener string, stats func() httpd.Stats) {
	m.registry.MustRegister(&httpCollector{listener, stats})
}

type httpCollector struct {
	listener string
	stats    func() httpd.Stats
}

// Describe implements prometheus.Collector. It describes nothing, since a collector
// for each listener gives the same metrics with another label.
func (c *httpCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *httpCollector) Collect(out chan<- prometheus.Metric) {
	stats := c.stats()
	for who, n := range map[string]int{"known": stats.Known, "strangers": stats.Strangers} {
		out <- prometheus.MustNewConstMetric(descHTTPConnections, prometheus.GaugeValue, float64(n), c.listener, who)
	}
	for _, budget := range httpd.Budgets() {
		out <- prometheus.MustNewConstMetric(descHTTPRefused, prometheus.CounterValue, float64(stats.Refused[budget]),
			c.listener, budget)
	}
}
