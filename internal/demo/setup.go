package demo

import (
	"context"
	"net/http"
	"strings"

	"github.com/tollgate/tollgate/internal/money"
)

// Prices and limits, chosen so that a budget is used up in seconds: a cent a
// second, and six cents a day.
const (
	perMinute  = 60 * money.Cent
	dailyLimit = 6 * money.Cent
)

// deckCSV is the carrier's price list. Northern Canada is dear in real ones too.
const deckCSV = csv(`prefix,rate,first increment,increment,description
1,0.60,1,1,United States and Canada
1867,1.50,1,1,Canada: Yukon and the north
1876,0.60,1,1,Jamaica
44,0.60,1,1,United Kingdom
`)

// profileBody has the fields of the example in Telnyx's documentation, and one of
// Tollgate's own: spend_limit_action.
func profileBody(billingGroup string) map[string]any {
	return map[string]any{
		"name":                      "office",
		"traffic_type":              "conversational",
		"service_plan":              "global",
		"concurrent_call_limit":     1,
		"enabled":                   true,
		"tags":                      []string{"office-profile"},
		"usage_payment_method":      "rate-deck",
		"whitelisted_destinations":  []string{"US", "CA"},
		"max_destination_rate":      1,
		"daily_spend_limit":         dailyLimit.String(),
		"daily_spend_limit_enabled": true,
		"call_recording": map[string]any{
			"call_recording_type": "none", "call_recording_caller_phone_numbers": []string{},
			"call_recording_channels": "single", "call_recording_format": "wav",
		},
		"billing_group_id":   billingGroup,
		"calling_window":     map[string]any{"calls_per_cld": 5},
		"spend_limit_action": "end_calls",
	}
}

// setUp makes everything that a call needs, over the API.
func (s *stage) setUp(ctx context.Context, p *printer) error {
	var group, deck, active, profile, connection, address, gateway created
	requests := []struct {
		path string
		body func() any // built when its request is sent, since it names what was made before
		made *created
		what string
	}{
		{"/v2/billing_groups", func() any { return map[string]any{"name": "demo"} }, &group, `billing group "demo"`},
		{"/tollgate/v1/rate_decks?name=demo", func() any { return deckCSV }, &deck,
			"from CSV: $0.60 a minute, Yukon $1.50; by the second"},
		{"/tollgate/v1/rate_decks/{id}/activate", nil, &active, "in force for every profile"},
		{"/v2/outbound_voice_profiles", func() any { return profileBody(group.ID) }, &profile,
			"US, CA; $1.00 a minute at most; 1 call; $0.06 a day"},
		{"/v2/ip_connections", func() any {
			return map[string]any{"connection_name": "phone", "outbound": map[string]any{
				"outbound_voice_profile_id": profile.ID, "localization": "US",
			}}
		}, &connection, "the phone, which dials as in the US"},
		{"/v2/ips", func() any {
			return map[string]any{"connection_id": connection.ID, "ip_address": "127.0.0.1"}
		}, &address, "known by its address"},
		{"/tollgate/v1/gateways", func() any {
			return map[string]any{"name": "carrier", "address": s.carrier.Addr()}
		}, &gateway, "the carrier"},
	}
	for _, r := range requests {
		body := any(nil)
		if r.body != nil {
			body = r.body()
		}
		path := strings.ReplaceAll(r.path, "{id}", deck.ID)
		if err := s.api.do(ctx, http.MethodPost, path, body, r.made); err != nil {
			return err
		}
		p.request(r.path, r.what)
	}
	s.profile = profile.ID
	return nil
}
