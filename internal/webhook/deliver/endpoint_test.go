package deliver_test

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/webhook/deliver"
)

// TestEndpointValidate tells what is wrong with an endpoint from what the settings of
// this server forbid.
func TestEndpointValidate(t *testing.T) {
	client := deliver.NewClient(deliver.ClientSettings{})
	for _, test := range []struct {
		name          string
		change        func(*webhook.Endpoint)
		own, settings string // pointers and codes
	}{
		{"good", func(*webhook.Endpoint) {}, "", ""},
		{"all set", func(e *webhook.Endpoint) {
			e.FailoverURL = "https://spare.example.com:8443/x"
			e.Events = []string{webhook.CallRefused, webhook.ConfigurationChanged}
		}, "", ""},
		{"no url", func(e *webhook.Endpoint) { e.URL = "" }, "/url 10004", ""},
		{"not a url", func(e *webhook.Endpoint) { e.URL = "hooks.example.com" }, "/url 10015", ""},
		{"bad failover", func(e *webhook.Endpoint) { e.FailoverURL = "https://u:p@example.com" }, "/failover_url 10015", ""},
		{"unknown event", func(e *webhook.Endpoint) { e.Events = []string{"call.ended", "call.*"} }, "/events/1 10032", ""},
		{"plain http", func(e *webhook.Endpoint) { e.URL = "http://example.com/" }, "", "/url 10015"},
		{"private", func(e *webhook.Endpoint) {
			e.URL, e.FailoverURL = "https://10.0.0.1/", "https://[::1]/"
		}, "", "/url 10015, /failover_url 10015"},
	} {
		endpoint := webhook.NewEndpoint()
		endpoint.URL = "https://hooks.example.com/a"
		test.change(&endpoint)
		if got := pointers(endpoint.Validate()); got != test.own {
			t.Errorf("%s: Endpoint.Validate says %q, want %q", test.name, got, test.own)
		}
		if got := pointers(client.Validate(&endpoint)); got != test.settings {
			t.Errorf("%s: Client.Validate says %q, want %q", test.name, got, test.settings)
		}
	}
}

func pointers(errs []field.Error) string {
	var out []string
	for _, e := range errs {
		out = append(out, e.Pointer+" "+string(e.Code))
	}
	return strings.Join(out, ", ")
}
