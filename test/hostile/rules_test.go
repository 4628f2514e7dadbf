package hostile

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/phone"
)

// ruled is a rule as an operator sets it, and the refusal that both edges give by it:
// the SIP gateway, and the API that other switches ask. A rule that is new gets one line in
// rules below; TestEveryRuleAtBothEdges fails until it has.
type ruled struct {
	reason admission.Reason
	// Settings on top of the usual: of the profile, the connection, its outbound, a
	// billing group that the profile is in, and the account. nil is none.
	profile, connection, outbound, group, account object
	list                                          object // a number list of the profile
	limit                                         object // a spend limit
	route                                         object // a route of the profile
	from, to                                      string // "" for the usual
	// the call is of no connection, so its emergency numbers are unknown
	unidentified bool
	urgent       bool // it refuses emergency calls, as the one rule that does
	before       int  // calls that are admitted before, and stay up
	tries        int  // how often each edge is asked until it refuses; 0 means once
}

// closedWindow is a calling window that does not contain the present time.
func closedWindow() object {
	at := func(in time.Duration) string { return time.Now().UTC().Add(in).Format("15:04") }
	return object{"start_time": at(6 * time.Hour), "end_time": at(8 * time.Hour)}
}

func rules() []ruled {
	spent := func(more object) object {
		limit := object{"daily_spend_limit": "0", "daily_spend_limit_enabled": true}
		maps.Copy(limit, more)
		return limit
	}
	return []ruled{
		{reason: admission.ReasonTokenInvalid, unidentified: true,
			outbound: object{"ip_authentication_method": "token", "ip_authentication_token": "open-sesame"}},
		{reason: admission.ReasonTechPrefixUnknown, unidentified: true, outbound: object{"tech_prefix": "4711"},
			to: "12125550123"},
		{reason: admission.ReasonConnectionDisabled, connection: object{"active": false}},
		{reason: admission.ReasonProfileMissing, outbound: object{"outbound_voice_profile_id": nil}},
		{reason: admission.ReasonProfileDisabled, profile: object{"enabled": false}},
		{reason: admission.ReasonCallerInvalid, from: "none"},
		{reason: admission.ReasonCallerNotAllowed,
			connection: object{"caller_ids": object{"numbers": []string{"+13125550199"}, "on_mismatch": "refuse"}}},
		{reason: admission.ReasonCallerListed, list: object{"matches": "caller",
			"entries": []object{{"prefix": "+13125550100", "action": "refuse"}}}},
		{reason: admission.ReasonCalleeListed, list: object{"matches": "callee",
			"entries": []object{{"prefix": "1212", "action": "refuse"}}}},
		{reason: admission.ReasonCallerUnallocated, profile: object{"unallocated_callers": "refuse"}, from: "+13121112345"},
		{reason: admission.ReasonEmergencyLimit, connection: object{"emergency_call_limit": 1}, to: "911", before: 1,
			urgent: true},
		{reason: admission.ReasonNumberInvalid, to: "+1212555"},
		{reason: admission.ReasonNotWhitelisted, to: "+442079460000"},
		{reason: admission.ReasonNumberTypeBlocked, to: "+19002345678"},
		{reason: admission.ReasonNoRate, profile: object{"whitelisted_destinations": []string{"FR"}}, to: "+33142685300"},
		{reason: admission.ReasonRateAboveMaximum, profile: object{"max_destination_rate": 0.59}},
		{reason: admission.ReasonConnectFee, profile: object{"max_connect_fee": "0.49"}, to: "+12025550123"},
		{reason: admission.ReasonCallCost, profile: object{"max_call_cost": "0.009"}},
		{reason: admission.ReasonOutsideWindow, profile: object{"calling_window": closedWindow()}},
		{reason: admission.ReasonCalleeLimit, profile: object{"calling_window": object{"calls_per_cld": 1}}, before: 1},
		{reason: admission.ReasonAccountChannels, account: object{"concurrent_call_limit": 0}},
		{reason: admission.ReasonProfileChannels, profile: object{"concurrent_call_limit": 1}, before: 1},
		{reason: admission.ReasonConnectionChannels, outbound: object{"channel_limit": 1}, before: 1},
		{reason: admission.ReasonDailySpendLimit, profile: spent(nil)},
		{reason: admission.ReasonGroupSpendLimit, group: spent(nil)},
		{reason: admission.ReasonAccountSpendLimit, account: spent(nil)},
		{reason: admission.ReasonSpendHeldBack, profile: spent(object{"after_limit": "hold_until_released"}), tries: 2},
		{reason: admission.ReasonSpendLimit, from: "+13125550138",
			limit: object{"name": "caller", "scope_type": "caller", "scope_value": "+13125550138", "amount": "0"}},
		{reason: admission.ReasonRoute, route: object{"action": "refuse"}},
		{reason: admission.ReasonCallRate, connection: object{"calls_per_second": 1}, tries: 20},
	}
}

// ofOneEdge are the reasons that are no rule about a call but the state of an edge, or
// that the other edge cannot have. docs/decisions/0013-rules-and-edges.md says why.
var ofOneEdge = map[admission.Reason]string{
	admission.ReasonNone:              "the call is allowed",
	admission.ReasonConnectionUnknown: "an unknown source gets no answer over SIP",
	admission.ReasonAccountDisabled:   "the keys of such an account ask nothing: TestDisabledAccountAtBothEdges",
	admission.ReasonNoGateway:         "a switch may have routes of its own",
	admission.ReasonStoreUnavailable:  "nothing was decided",
	admission.ReasonOverloaded:        "nothing was decided",
	admission.ReasonStopping:          "nothing was decided",
	admission.ReasonGatewaysDown:      "another switch chooses the route itself",
	admission.ReasonGatewayLimit:      "another switch chooses the route itself",
	admission.ReasonSourceRefused: "over SIP it looks like a wrong password, and there is no call: " +
		"TestAllowedSources of internal/api is the other edge",
	admission.ReasonHungUp: "nothing refuses a call for it: it ends one that is up, and TestHangUp of " +
		"test/e2e does so at both edges",
	admission.ReasonCallLength: "nothing refuses a call for it: it ends one that is up, and tests of internal/sipgw and " +
		"internal/admission have it end calls at both edges",
	admission.ReasonCallIDUsed: "the ids of calls over SIP are the server's own",
	admission.ReasonCallEnded:  "the ids of calls over SIP are the server's own",
}

// refusal is what an edge answers.
type refusal struct {
	word, phrase string
	status       int
}

// rulePlace is where one rule is tried: a connection of its own, by an address of its own.
type rulePlace struct {
	*server
	source, from, to string
	calls            int
}

func (p *rulePlace) overSIP(to string) refusal {
	p.T.Helper()
	o := p.place(p.source, phone.Options{From: p.from, To: to})
	return refusal{o.RefusalReason, o.Phrase, o.Status}
}

func (p *rulePlace) overHTTP(to string) refusal {
	p.T.Helper()
	p.calls++
	from := p.from
	got := p.Must(http.MethodPost, "/tollgate/v1/admissions", object{
		"source_ip": p.source, "from": from, "to": to, "call_id": fmt.Sprint(p.source, "-", p.calls)})
	if got["decision"] == "allow" {
		return refusal{"", "OK", http.StatusOK}
	}
	return refusal{got["reason"].(string), got["sip_reason"].(string), int(got["sip_code"].(float64))}
}

// until asks an edge until the rule refuses, at most as often as it says.
func (rule *ruled) until(ask func(to string) refusal, to string) (r refusal) {
	for range max(1, rule.tries) {
		if r = ask(to); r.word == rule.reason.String() {
			return r
		}
	}
	return r
}

// TestEveryRuleAtBothEdges: what one edge refuses, the other refuses alike, by the same
// word, code and status; and neither refuses an emergency call by any rule.
func TestEveryRuleAtBothEdges(t *testing.T) {
	s := serve(t)
	carrier := startCarrier(t, phone.Answer)
	s.gateway(carrier.Addr(), nil)
	deck := s.Must(http.MethodPost, "/tollgate/v1/rate_decks?name=rules",
		"prefix,rate,first_increment,increment,connect_fee\n1,0.60,1,1,0\n1202,0.60,1,1,0.5\n")["id"]
	s.Must(http.MethodPost, fmt.Sprintf("/tollgate/v1/rate_decks/%v/activate", deck), nil)
	account := s.Must(http.MethodGet, "/tollgate/v1/account", nil)["id"].(string)
	tried := map[admission.Reason]bool{}
	for i, rule := range rules() {
		tried[rule.reason] = true
		t.Run(rule.reason.String(), func(t *testing.T) {
			p := s.under(t, i, account, rule)
			for _, to := range slices.Repeat([]string{p.to}, rule.before) {
				if got := p.overHTTP(to); got.word != "" {
					t.Fatalf("before: refused by %v", got)
				}
			}
			overSIP, overHTTP := rule.until(p.overSIP, p.to), rule.until(p.overHTTP, p.to)
			if overHTTP.word != rule.reason.String() ||
				overHTTP.status != rule.reason.Status() || !strings.HasSuffix(overHTTP.phrase, " "+rule.reason.Code()) {
				t.Errorf("over HTTP %+v, want %v %s", overHTTP, rule.reason, rule.reason.Code())
			}
			if overSIP != overHTTP {
				t.Errorf("over SIP %+v, over HTTP %+v", overSIP, overHTTP)
			}
			if rule.unidentified || rule.urgent {
				return
			}
			for edge, ask := range map[string]func(string) refusal{"SIP": p.overSIP, "HTTP": p.overHTTP} {
				if got := ask("911"); got.status != 200 {
					t.Errorf("an emergency call over %s: %+v", edge, got)
				}
			}
		})
	}
	for _, reason := range admission.Reasons() {
		if !tried[reason] && ofOneEdge[reason] == "" {
			t.Errorf("%v is tried at neither edge: give it a line in rules", reason)
		}
	}
}

// under sets a rule up.
func (s *server) under(t *testing.T, n int, account string, rule ruled) *rulePlace {
	t.Helper()
	at := *s
	server := *s.Server
	server.T, at.Server = t, &server
	p := &rulePlace{server: &at, source: fmt.Sprintf("127.1.%d.1", n+1), from: rule.from, to: rule.to}
	if p.from == "" {
		p.from = "+13125550100"
	}
	if p.to == "" {
		p.to = "+12125550123"
	}
	settings := object{}
	maps.Copy(settings, rule.profile)
	if rule.group != nil {
		settings["billing_group_id"] = at.made("/v2/billing_groups", object{"name": "group"}, rule.group)
	}
	profile := at.profile(settings)
	if rule.list != nil {
		at.made("/tollgate/v1/number_lists", object{"name": "list", "outbound_voice_profile_id": profile}, rule.list)
	}
	if rule.route != nil {
		at.made("/tollgate/v1/routes", object{"name": "route",
			"match": object{"outbound_voice_profile_ids": []any{profile}}}, rule.route)
	}
	outbound := object{"outbound_voice_profile_id": profile, "localization": "US"}
	maps.Copy(outbound, rule.outbound)
	connection := object{"connection_name": "pbx", "outbound": outbound}
	id := at.made("/v2/ip_connections", connection, rule.connection)
	at.Must(http.MethodPost, "/v2/ips", object{"connection_id": id, "ip_address": p.source})
	if rule.limit != nil {
		at.Must(http.MethodPost, "/tollgate/v1/spend_limits", rule.limit)
	}
	if rule.account != nil {
		before := at.Must(http.MethodGet, "/tollgate/v1/accounts/"+account, nil)
		back := object{}
		for name := range rule.account {
			back[name] = before[name]
		}
		at.Must(http.MethodPatch, "/tollgate/v1/accounts/"+account, rule.account)
		t.Cleanup(func() { s.Must(http.MethodPatch, "/tollgate/v1/accounts/"+account, back) })
	}
	return p
}

// TestDisabledAccountAtBothEdges: the calls of an account that is not active are refused,
// and its keys open nothing.
func TestDisabledAccountAtBothEdges(t *testing.T) {
	s := serve(t)
	tenant := s.Must(http.MethodPost, "/tollgate/v1/accounts", object{"name": "tenant"})
	key := tenant["api_key"].(object)["secret"].(string)
	status, made := s.CallAs(key, http.MethodPost, "/v2/outbound_voice_profiles", object{
		"name": "office", "whitelisted_destinations": []string{"US"}})
	if status >= 300 {
		t.Fatalf("profile: %d %v", status, made)
	}
	profile := made["data"].(object)["id"]
	_, made = s.CallAs(key, http.MethodPost, "/v2/ip_connections", object{
		"connection_name": "pbx", "outbound": object{"outbound_voice_profile_id": profile}})
	connection := made["data"].(object)["id"]
	s.CallAs(key, http.MethodPost, "/v2/ips", object{"connection_id": connection, "ip_address": pbxIP})
	s.Must(http.MethodPatch, fmt.Sprint("/tollgate/v1/accounts/", tenant["id"]), object{"active": false})
	if o := s.place(pbxIP, phone.Options{}); o.RefusalReason != "account_disabled" ||
		!strings.HasSuffix(o.Phrase, " D17") {
		t.Errorf("over SIP: %d %s", o.Status, o.Phrase)
	}
	status, made = s.CallAs(key, http.MethodPost, "/tollgate/v1/admissions", object{
		"source_ip": pbxIP, "call_id": "x", "to": "+12125550123"})
	if status != http.StatusUnauthorized && status != http.StatusForbidden {
		t.Errorf("over HTTP: %d %v", status, made)
	}
}

// TestLimitOfLengthAtBothEdges: the least of what the server, the profile and the
// connection say ends a call over SIP, and is where the grants of a switch end.
func TestLimitOfLengthAtBothEdges(t *testing.T) {
	s := serve(t, "--max-call", "2s")
	carrier := startCarrier(t, phone.Answer)
	s.gateway(carrier.Addr(), nil)
	s.deck("1,0.60,1,1")
	for i, c := range []struct {
		name                string
		profile, connection object
		want                float64
	}{
		{"server", nil, nil, 2},
		{"profile", object{"max_call_secs": 1}, object{"max_call_secs": 3600}, 1},
		{"connection", object{"max_call_secs": 3600}, object{"max_call_secs": 1}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := s.under(t, 100+i, "", ruled{profile: c.profile, connection: c.connection})
			ask := object{"source_ip": p.source, "from": p.from, "to": p.to, "call_id": c.name}
			got := p.Must(http.MethodPost, "/tollgate/v1/admissions", ask)
			if got["decision"] != "allow" || got["grant_secs"] != c.want || got["max_call_secs"] != c.want {
				t.Errorf("admitted with %v of %v s", got["grant_secs"], got["max_call_secs"])
			}
			path := fmt.Sprint("/tollgate/v1/admissions/", got["id"])
			p.Must(http.MethodPost, path+"/answer", object{})
			if got = p.Must(http.MethodPost, path+"/renew", object{}); got["grant_secs"] != c.want {
				t.Errorf("renewed to %v s", got["grant_secs"])
			}
			o := p.place(p.source, phone.Options{HangUpAfter: time.Minute})
			if o.HungUpBy != phone.SideCallee || o.Duration() > time.Duration(c.want*float64(time.Second)) {
				t.Errorf("over SIP: ended by the %s after %v", o.HungUpBy, o.Duration())
			}
		})
	}
}
