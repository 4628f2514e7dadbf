package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/internal/shaken"
)

var (
	descShakenSigned = prometheus.NewDesc("tollgate_shaken_signed_total",
		"Calls that were signed (STIR/SHAKEN), by attestation.", []string{"attestation"}, nil)
	descShakenFailed = prometheus.NewDesc("tollgate_shaken_unsigned_total",
		"Calls that a gateway wants signed and that went out without a signature, by cause: no_certificate, validity "+
			"(the certificate has ended, or has not begun), not_covered (it is not for the caller's number), no_number "+
			"(no caller is shown), other.",
		[]string{"why"}, nil)
	descShakenExpiry = prometheus.NewDesc("tollgate_shaken_certificate_expiry_seconds",
		"When the certificate for signing calls ends, in Unix time.", nil, nil)
)

// WatchShaken has the signing of calls counted. Call it once.
func (m *Metrics) WatchShaken(stats func() shaken.Stats) {
	m.registry.MustRegister(shakenCollector(stats))
}

type shakenCollector func() shaken.Stats

// Describe implements prometheus.Collector.
func (shakenCollector) Describe(out chan<- *prometheus.Desc) {
	out <- descShakenSigned
	out <- descShakenFailed
	out <- descShakenExpiry
}

// Collect implements prometheus.Collector.
func (c shakenCollector) Collect(out chan<- prometheus.Metric) {
	stats := c()
	for attestation, n := range stats.Signed {
		out <- prometheus.MustNewConstMetric(descShakenSigned, prometheus.CounterValue, float64(n), attestation)
	}
	for why, n := range stats.Failed {
		out <- prometheus.MustNewConstMetric(descShakenFailed, prometheus.CounterValue, float64(n), why)
	}
	if !stats.Expiry.IsZero() {
		out <- prometheus.MustNewConstMetric(descShakenExpiry, prometheus.GaugeValue, float64(stats.Expiry.Unix()))
	}
}
