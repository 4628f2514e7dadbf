package hostile

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// TestRoutesAtBothEdges: a call goes to the gateways of its route in the order of the route, over
// SIP and for other switches alike; its record and its decision name the route; emergency calls
// go to the gateways of the account.
func TestRoutesAtBothEdges(t *testing.T) {
	s := serve(t)
	busy, carrier := startCarrier(t, phone.Behaviour{Status: 503, NoRing: true}), startCarrier(t, phone.Answer)
	usual := s.gateway(carrier.Addr(), object{"name": "usual"})
	failing := s.gateway(busy.Addr(), object{"name": "failing", "priority": 5})
	backup := s.gateway(carrier.Addr(), object{"name": "backup", "priority": 9})
	s.deck("1,0.60,1,1")
	p := s.under(t, 200, "", ruled{})
	route := s.made("/tollgate/v1/routes", object{"name": "new york", "match": object{"prefixes": []string{"+1212"}},
		"gateways": []object{{"gateway_id": failing}, {"gateway_id": backup}}}, nil)
	asked := 0
	routes := func(to string) (gateways []any) {
		asked++
		got := s.Must(http.MethodPost, "/tollgate/v1/admissions", object{
			"source_ip": p.source, "from": p.from, "to": to, "call_id": fmt.Sprint("routes-", asked)})
		for _, r := range got["routes"].([]any) {
			gateways = append(gateways, r.(object)["gateway_id"])
		}
		return gateways
	}
	for to, want := range map[string][]any{
		"+12125550123": {failing, backup},
		"+13125550123": {usual, failing, backup},
		"911":          {usual, failing, backup},
	} {
		if got := routes(to); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("to %s over HTTP: gateways %v, want %v", to, got, want)
		}
	}
	for to, want := range map[string][]any{"+12125550123": {failing, backup}, "+13125550123": {usual}, "911": {usual}} {
		if o := s.place(p.source, phone.Options{From: p.from, To: to}); o.Status != http.StatusOK {
			t.Errorf("to %s over SIP: %d %s", to, o.Status, o.Phrase)
		}
		var tried []any
		var record object
		process.Eventually(t, "the call's record", 10*time.Second, func() bool {
			for _, r := range s.records() {
				if r["to"] == to {
					record = r
				}
			}
			return record != nil
		})
		for _, attempt := range record["attempts"].([]any) {
			tried = append(tried, attempt.(object)["gateway_id"])
		}
		if fmt.Sprint(tried) != fmt.Sprint(want) || (record["route_id"] == route) != (to == "+12125550123") {
			t.Errorf("to %s over SIP: gateways %v by route %v, want %v", to, tried, record["route_id"], want)
		}
	}
	decided := s.Must(http.MethodPost, "/tollgate/v1/decisions/explain", object{
		"connection_id": s.records()[0]["connection_id"], "from": p.from, "to": "+12125550123"})
	found := false
	for _, step := range decided["rules"].([]any) {
		found = found || step.(object)["seen"] == fmt.Sprintf("route %v: gateways %v, %v", route, failing, backup)
	}
	if !found {
		t.Errorf("explained by %v", decided["rules"])
	}
}
