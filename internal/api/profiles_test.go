package api

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// documented is the create request of Telnyx's documentation.
const documented = `{"name":"office","traffic_type":"conversational","service_plan":"global","concurrent_call_limit":10,
"enabled":true,"tags":["office-profile"],"usage_payment_method":"rate-deck","whitelisted_destinations":["US","BR","AU"],
"max_destination_rate":10,"daily_spend_limit":"100.00","daily_spend_limit_enabled":true,
"call_recording":{"call_recording_type":"by_caller_phone_number","call_recording_caller_phone_numbers":["+19705555098"],
"call_recording_channels":"dual","call_recording_format":"mp3"},"billing_group_id":"6a09cdc3-8948-47f0-aa62-74ac943d6c58",
"calling_window":{"start_time":"08:00:00.00Z","end_time":"20:00:00.00Z","calls_per_cld":5}}`

const documentedGroup = `{"id":"6a09cdc3-8948-47f0-aa62-74ac943d6c58","name":"brought over"}`

func TestDocumentedProfileIsAcceptedUnchanged(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/v2/outbound_voice_profiles", documented).wantError(http.StatusForbidden, "10010 /billing_group_id")
	h.do("POST", "/v2/billing_groups", documentedGroup).want(http.StatusOK)
	got := h.do("POST", "/v2/outbound_voice_profiles", documented).want(http.StatusOK)
	id, _ := got["id"].(string)
	if len(id) != 19 {
		t.Errorf("id %q has not the 19 digits of a Telnyx id", id)
	}
	want := map[string]any{
		"id": id, "record_type": "outbound_voice_profile", "connections_count": 0.0, "name": "office",
		"traffic_type": "conversational", "service_plan": "global", "concurrent_call_limit": 10.0, "enabled": true,
		"tags": []any{"office-profile"}, "usage_payment_method": "rate-deck",
		"whitelisted_destinations": []any{"US", "BR", "AU"}, "max_destination_rate": 10.0, "daily_spend_limit": "100.00",
		"daily_spend_limit_enabled": true, "call_recording": map[string]any{
			"call_recording_type": "by_caller_phone_number", "call_recording_caller_phone_numbers": []any{"+19705555098"},
			"call_recording_channels": "dual", "call_recording_format": "mp3",
		}, "billing_group_id": "6a09cdc3-8948-47f0-aa62-74ac943d6c58",
		"calling_window": map[string]any{"start_time": "08:00:00",
			"end_time": "20:00:00", "calls_per_cld": 5.0, "time_zone": nil},
		"spend_limit_action": "block_new_calls", "after_limit": "resume_at_reset",
		"blocked_number_types": []any{"premium_rate"}, "rate_deck_id": nil, "max_call_secs": nil, "max_connect_fee": nil,
		"max_call_cost": nil, "unallocated_callers": "allow",
		"created_at": "2026-03-11T15:04:05.678Z", "updated_at": "2026-03-11T15:04:05.678Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("created profile (-want +got):\n%s", diff)
	}
	again := h.do("GET", "/v2/outbound_voice_profiles/"+id, "").want(http.StatusOK)
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("read profile (-want +got):\n%s", diff)
	}
}

func TestProfileDefaults(t *testing.T) {
	h := newHarness(t)
	got := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"abc"}`).want(http.StatusOK)
	want := map[string]any{
		"traffic_type": "conversational", "service_plan": "global", "enabled": true, "usage_payment_method": "rate-deck",
		"whitelisted_destinations": []any{"US", "CA"}, "max_destination_rate": nil, "daily_spend_limit": nil,
		"daily_spend_limit_enabled": false, "billing_group_id": nil, "calling_window": nil, "concurrent_call_limit": nil,
		"tags": []any{},
		"call_recording": map[string]any{"call_recording_type": "none", "call_recording_caller_phone_numbers": []any{},
			"call_recording_channels": "single", "call_recording_format": "wav"},
	}
	for name, value := range want {
		if diff := cmp.Diff(value, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
