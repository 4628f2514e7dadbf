package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

func TestMetricsCountWhatHappened(t *testing.T) {
	s := serve(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0")
	s.setUp(object{"concurrent_call_limit": 40}, startCarrier(t))
	_, list := s.Call(http.MethodGet, "/tollgate/v1/gateways", nil)
	gateway := list["data"].([]any)[0].(object)["id"].(string)
	const answered, refused, up = 20, 5, 3
	s.pbx("pbx.xml", "+12125550123", answered, 50, 300*time.Millisecond).wait(t)
	<-s.pbx("pbx.xml", "+18765550123", refused, 50, 0).done // Jamaica is not on the whitelist
	s.pbx("pbx-held.xml", "+12125550124", up, 50, 0)
	process.Eventually(t, "calls up", 10*time.Second, func() bool { return s.liveCalls("answered_at") == up })

	stranger, err := net.Dial("udp", s.SIP) // no connection names 127.0.0.1
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	fmt.Fprint(stranger, "OPTIONS sip:x@y SIP/2.0\r\n\r\n")
	process.Eventually(t, "the stranger counted", 5*time.Second,
		func() bool { return s.Scrape()[`tollgate_sip_dropped_total{why="filtered"}`] == 1 })

	series := s.Scrape()
	for name, want := range map[string]float64{
		`tollgate_calls_total{cause="normal_clearing",gateway="` + gateway + `",outcome="answered"}`: answered,
		`tollgate_calls_total{cause="call_rejected",gateway="",outcome="refused"}`:                   refused,
		`tollgate_refusals_total{reason="destination_not_whitelisted"}`:                              refused,
		`tollgate_refusals_total{reason="daily_spend_limit"}`:                                        0,
		`tollgate_grants_total{kind="first"}`:                                                        answered + up,
		`tollgate_post_dial_delay_seconds_count{gateway="` + gateway + `"}`:                          answered + up,
		`tollgate_sip_live_calls`:                                                                    up,
		`tollgate_live_leases`:                                                                       up,
		`tollgate_sip_attempts_total`:                                                                answered + refused + up,
		`tollgate_sip_answered_total`:                                                                answered + up,
		`tollgate_store_failures_total`:                                                              0,
		`tollgate_webhook_queue`:                                                                     0,
	} {
		if got, there := series[name]; !there || got != want {
			t.Errorf("%s is %v (there: %v), want %v", name, got, there, want)
		}
	}
	// 300 ms each, by the wall clock of another process.
	spoken := series[`tollgate_call_seconds_total{gateway="`+gateway+`"}`]
	if spoken < 0.3*answered*0.9 || spoken > 0.3*answered*4 {
		t.Errorf("%v seconds of calls, want about %v", spoken, 0.3*answered)
	}
	if series["tollgate_store_commit_seconds_count"] == 0 || series[`tollgate_store_group_size_sum`] < 2*answered {
		t.Errorf("%v transactions of %v commands", series["tollgate_store_commit_seconds_count"],
			series["tollgate_store_group_size_sum"])
	}
	for name := range series {
		if strings.Contains(name, "12125550") || strings.Contains(name, "18765550") {
			t.Errorf("%s names a number", name)
		}
	}
}

func TestMetricsAreNowhereUnlessAsked(t *testing.T) {
	s := serve(t, t.TempDir())
	if s.Metrics != "" {
		t.Fatalf("metrics on %s", s.Metrics)
	}
	response, err := http.Get(s.API + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("GET /metrics of the API: status %d, want 404", response.StatusCode)
	}
}
