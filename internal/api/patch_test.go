package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// patchable draws valid values of the fields that TestPatchIsMergePatch changes.
// A field with members of its own is an object of such draws.
func patchable() map[string]any {
	text := func(values ...string) *rapid.Generator[any] {
		return rapid.Map(rapid.SampledFrom(values), func(s string) any { return s })
	}
	list := func(values ...string) *rapid.Generator[any] {
		return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(values), 0, 4), func(drawn []string) any {
			items := []any{}
			for _, s := range drawn {
				items = append(items, s)
			}
			return items
		})
	}
	number := rapid.Map(rapid.IntRange(0, 1000), func(n int) any { return float64(n) })
	flag := rapid.Map(rapid.Bool(), func(b bool) any { return b })
	return map[string]any{
		"name": text("abc", "büro", "a name with spaces"), "concurrent_call_limit": number, "enabled": flag,
		"tags": list("a", "b", ""), "whitelisted_destinations": list("US", "DE", "+881"), "max_destination_rate": number,
		"daily_spend_limit": text("0.00", "12.50", "100.00"), "spend_limit_action": text("block_new_calls", "end_calls"),
		"blocked_number_types": list("premium_rate", "satellite"), "call_recording": map[string]any{
			"call_recording_type":                 text("all", "none"),
			"call_recording_caller_phone_numbers": list("+19705555098", "+442079460000"),
			"call_recording_channels":             text("single", "dual"), "call_recording_format": text("wav", "mp3"),
		}, "calling_window": map[string]any{
			"start_time": text("08:00:00", "09:30:00"), "end_time": text("20:00:00", "06:00:00.5"), "calls_per_cld": number,
			"time_zone": text("America/New_York", "UTC"),
		},
	}
}

// drawPatch draws a merge patch: some fields, each a value, null or an object.
func drawPatch(t *rapid.T, fields map[string]any, path string) map[string]any {
	patch := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch rapid.IntRange(0, 5).Draw(t, path+name) {
		case 0:
			if path+name != "name" { // required: null is refused
				patch[name] = nil
			}
		case 1, 2:
			if below, ok := fields[name].(map[string]any); ok {
				patch[name] = drawPatch(t, below, path+name+".")
				continue
			}
			patch[name] = fields[name].(*rapid.Generator[any]).Draw(t, path+name)
		}
	}
	return patch
}

// applyModel is what a patch means, said another way than the code does: a field
// that is named takes the value, null takes the default, objects go by member.
func applyModel(state, patch, defaults map[string]any) {
	for name, value := range patch {
		members, object := value.(map[string]any)
		switch {
		case value == nil:
			state[name] = defaults[name]
		case !object:
			state[name] = value
		default:
			old, _ := state[name].(map[string]any)
			below, _ := defaults[name].(map[string]any)
			next := maps.Clone(old)
			if next == nil { // the window is null by default, and all its members then
				next = map[string]any{"start_time": nil, "end_time": nil, "calls_per_cld": nil, "time_zone": nil}
			}
			applyModel(next, members, below)
			state[name] = next
		}
	}
}

func TestPatchIsMergePatch(t *testing.T) {
	h := newHarness(t)
	defaults := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"abc"}`).want(http.StatusOK)
	fields := patchable()
	rapid.Check(t, func(rt *rapid.T) {
		made := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"abc"}`).want(http.StatusOK)
		one := fmt.Sprint("/v2/outbound_voice_profiles/", made["id"])
		model := maps.Clone(made)
		for range rapid.IntRange(1, 4).Draw(rt, "patches") {
			patch := drawPatch(rt, fields, "")
			text, err := json.Marshal(patch)
			if err != nil {
				rt.Fatal(err)
			}
			applyModel(model, patch, defaults)
			got := h.do("PATCH", one, string(text)).want(http.StatusOK)
			if diff := cmp.Diff(model, got); diff != "" {
				rt.Fatalf("after %s (-model +got):\n%s", text, diff)
			}
		}
		h.do("DELETE", one, "").want(http.StatusOK)
	})
}

// A refused change leaves nothing behind.
func TestRefusedPatchChangesNothing(t *testing.T) {
	h := newHarness(t)
	made := h.do("POST", "/v2/outbound_voice_profiles",
		`{"name":"abc","daily_spend_limit":"5.00","daily_spend_limit_enabled":true}`).want(http.StatusOK)
	one := fmt.Sprint("/v2/outbound_voice_profiles/", made["id"])
	for patch, want := range map[string]string{
		`{"name":null}`:                              "10004 /name",
		`{"daily_spend_limit":null}`:                 "10004 /daily_spend_limit",
		`{"enabled":false,"traffic_type":"fax"}`:     "10032 /traffic_type",
		`{"enabled":false,"calling_window":[]}`:      "10026 /calling_window",
		`{"tags":["a"],"rate_deck_id":"1234567890"}`: "10017 /rate_deck_id",
	} {
		h.do("PATCH", one, patch).wantError(http.StatusUnprocessableEntity, want)
	}
	if diff := cmp.Diff(made, h.do("GET", one, "").want(http.StatusOK)); diff != "" {
		t.Errorf("refused changes changed it (-before +after):\n%s", diff)
	}
}

// The window is one object: naming a member keeps the others.
func TestPatchOfWindow(t *testing.T) {
	h := newHarness(t)
	made := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"abc"}`).want(http.StatusOK)
	one := fmt.Sprint("/v2/outbound_voice_profiles/", made["id"])
	for _, step := range []struct {
		patch string
		want  any
	}{
		{`{"calling_window":{"start_time":"08:00"}}`,
			map[string]any{"start_time": "08:00:00", "end_time": nil, "calls_per_cld": nil, "time_zone": nil}},
		{`{"calling_window":{"calls_per_cld":5}}`,
			map[string]any{"start_time": "08:00:00", "end_time": nil, "calls_per_cld": 5.0, "time_zone": nil}},
		{`{"calling_window":{"start_time":null}}`,
			map[string]any{"start_time": nil, "end_time": nil, "calls_per_cld": 5.0, "time_zone": nil}},
		{`{"calling_window":{}}`, map[string]any{"start_time": nil, "end_time": nil, "calls_per_cld": 5.0, "time_zone": nil}},
		{`{"calling_window":null}`, nil},
		{`{"calling_window":{}}`, map[string]any{"start_time": nil, "end_time": nil, "calls_per_cld": nil, "time_zone": nil}},
	} {
		got := h.do("PATCH", one, step.patch).want(http.StatusOK)["calling_window"]
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", step.patch, diff)
		}
	}
}
