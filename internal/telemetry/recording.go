package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/internal/recording"
)

var (
	descRecordingLive    = prometheus.NewDesc("tollgate_recordings_live", "Calls being recorded.", nil, nil)
	descRecordingWaiting = prometheus.NewDesc("tollgate_recordings_waiting",
		"Ended calls whose recording is not finished.", nil, nil)
	descRecordings = prometheus.NewDesc("tollgate_recordings_total",
		"Recordings by outcome: kept, failed (and retried) or abandoned (no more of the call could be written).",
		[]string{"result"}, nil)
	descRecordingPackets = prometheus.NewDesc("tollgate_recording_packets_total",
		"RTP packets of recorded calls that have ended, by side and by outcome: played, late, duplicate, "+
			"undecodable, dropped (the recorder was behind).",
		[]string{"side", "result"}, nil)
)

// WatchRecordings has the recorder asked at each scrape. Call it once.
func (m *Metrics) WatchRecordings(stats func() recording.Stats) {
	m.registry.MustRegister(recordingCollector(stats))
}

type recordingCollector func() recording.Stats

// Describe implements prometheus.Collector.
func (recordingCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRecordingLive, descRecordingWaiting, descRecordings, descRecordingPackets} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c recordingCollector) Collect(out chan<- prometheus.Metric) {
	s := c()
	out <- prometheus.MustNewConstMetric(descRecordingLive, prometheus.GaugeValue, float64(s.Live))
	out <- prometheus.MustNewConstMetric(descRecordingWaiting, prometheus.GaugeValue, float64(s.Waiting))
	count := func(d *prometheus.Desc, n float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, n, labels...)
	}
	count(descRecordings, float64(s.Kept), "kept")
	count(descRecordings, float64(s.Failures), "failed")
	count(descRecordings, float64(s.Abandoned), "abandoned")
	for i, side := range []string{"caller", "callee"} {
		p := &s.Packets[i]
		count(descRecordingPackets, float64(p.Played), side, "played")
		count(descRecordingPackets, float64(p.Late), side, "late")
		count(descRecordingPackets, float64(p.Duplicate), side, "duplicate")
		count(descRecordingPackets, float64(p.Undecodable), side, "undecodable")
		count(descRecordingPackets, float64(p.Dropped), side, "dropped")
	}
}
