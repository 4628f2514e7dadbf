package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

// Real calls, allowed, refused and lost, and requests about them leave a log that
// reports each and contains no phone numbers.
func TestTheLogNamesNoNumber(t *testing.T) {
	folder := t.TempDir()
	debug := []string{"--log-level", "debug", "--log-format", "json"}
	s := serve(t, folder, debug...)
	s.setUp(nil, startCarrier(t))
	s.pbx("pbx.xml", "+12125550123", 5, 50, 100*time.Millisecond).wait(t)
	<-s.pbx("pbx.xml", "+18765550123", 2, 50, 0).done // not on the whitelist
	<-s.pbx("pbx.xml", "0018765550199", 1, 50, 0).done
	s.settled()
	s.Call("GET", "/v2/detail_records?filter[record_type]=sip-trunking&filter[cld]=%2B12125550123", nil)
	s.Call("POST", "/tollgate/v1/decisions/explain", object{"from": "+13125550100", "to": "+12125550123"})
	pbx := s.pbx("pbx-held.xml", "+12125550124", 2, 50, 0)
	process.Eventually(t, "calls up", 10*time.Second, func() bool { return s.liveCalls("answered_at") == 2 })
	s.Kill()
	first := s.Log.String()
	s = serve(t, folder, append(debug, "--sip-addr", s.SIP)...)
	pbx.wait(t)
	process.Eventually(t, "lost calls told of", 10*time.Second,
		func() bool { return strings.Count(s.Text(), `"outcome":"lost"`) == 2 })
	all := first + s.Text()
	if got := strings.Count(all, `"msg":"call ended"`); got != 10 {
		t.Errorf("%d calls are told of, want 10", got)
	}
	if !strings.Contains(all, `"to":"+1212*******"`) {
		t.Error("no masked number")
	}
	if found := regexp.MustCompile(`.*(2125550|8765550|3125550).*`).FindAllString(all, 3); found != nil {
		t.Errorf("the log names numbers:\n%s", strings.Join(found, "\n"))
	}
	if strings.Contains(all, process.Key) {
		t.Error("the log shows the API key")
	}
}
