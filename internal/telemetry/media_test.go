package telemetry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/media/relay"
	"github.com/tollgate/tollgate/internal/record"
)

func TestMediaIsMeasured(t *testing.T) {
	m := New("test")
	m.WatchMedia(func() relay.Stats {
		return relay.Stats{Sessions: 3, FreePorts: 40, Relayed: 500, Foreign: 1, Malformed: 2, Forged: 3, Excess: 4}
	})
	m.Media(relay.Quality{Side: record.SideCaller, Packets: 100, Lost: 7, Jitter: 12 * time.Millisecond})
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	text := answer.Body.String()
	for _, want := range []string{
		`tollgate_media_rtp_packets_total{side="caller"} 100`, `tollgate_media_rtp_lost_total{side="caller"} 7`,
		`tollgate_media_jitter_seconds_bucket{side="caller",le="0.01"} 0`,
		`tollgate_media_jitter_seconds_bucket{side="caller",le="0.02"} 1`,
		"tollgate_media_sessions 3", "tollgate_media_free_port_pairs 40", "tollgate_media_packets_relayed_total 500",
		`tollgate_media_packets_dropped_total{why="foreign"} 1`, `tollgate_media_packets_dropped_total{why="excess"} 4`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
