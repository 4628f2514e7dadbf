package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/sipgw"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
)

// scrape returns the text that Prometheus would get.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	return answer.Body.String()
}

func TestLabelsStayBounded(t *testing.T) {
	m := New("test")
	var records []*record.Call
	const n = 10 * maxGateways
	for i := range n {
		m.Rang(id.ID(i+1), time.Second)
		m.EventRejected(fmt.Sprint("why", i))
		records = append(records, &record.Call{GatewayID: id.ID(i + 1), HangupCause: fmt.Sprint("cause", i),
			Outcome: record.OutcomeFailed})
	}
	m.Group(ledger.Group{Size: n, Records: records})
	text := scrape(t, m)
	for family, most := range map[string]int{
		"tollgate_post_dial_delay_seconds_count": maxGateways + 1, "tollgate_admission_events_rejected_total": maxEvents + 1,
		"tollgate_calls_total": maxGateways + 1,
	} {
		if got := strings.Count(text, "\n"+family+"{"); got != most {
			t.Errorf("%s has %d series, want %d", family, got, most)
		}
	}
	// What is cut off is still counted.
	want := fmt.Sprintf("tollgate_admission_events_rejected_total{why=\"other\"} %d", n-maxEvents)
	if !strings.Contains(text, want) {
		t.Errorf("no %s", want)
	}
}

func TestAScrapeSurvivesADatabaseThatDoesNotAnswer(t *testing.T) {
	m := New("test")
	m.Watch(Sources{
		SIPStats: func() sipgw.Stats { return sipgw.Stats{Filtered: 7, Invalid: 3, ParseErrors: 2} },
		SIPLoad:  func() sipgw.Load { return sipgw.Load{Calls: 4} },
		Totals:   func(context.Context) (sqlstore.Totals, error) { return sqlstore.Totals{}, errors.New("down") },
	})
	text := scrape(t, m)
	for _, line := range []string{
		`tollgate_sip_dropped_total{why="filtered"} 7`, `tollgate_sip_dropped_total{why="invalid"} 1`,
		`tollgate_sip_dropped_total{why="unparsable"} 2`, "tollgate_sip_live_calls 4",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	if strings.Contains(text, "tollgate_live_leases") {
		t.Error("a count that is not known is shown")
	}
	if !strings.Contains(text, "promhttp_metric_handler_errors_total") {
		t.Error("the failed part is not counted")
	}
}

func TestAFailedGroupCountsNothingElse(t *testing.T) {
	m := New("test")
	m.Group(ledger.Group{Size: 3, Failed: true})
	text := scrape(t, m)
	if !strings.Contains(text, "tollgate_store_failures_total 1\n") ||
		!strings.Contains(text, `tollgate_grants_total{kind="first"} 0`) {
		t.Error("a failed transaction is not counted as one, or as more")
	}
}
