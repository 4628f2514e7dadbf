package api

import (
	"maps"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/routing"
)

// FuzzBody feeds texts to what reads the bodies of requests. Whatever comes: the
// reader is as strict as the JSON package; a body that the schema lets through
// fits its Go type (else a client would get a 500); what was read is written and
// read again alike; and every complaint names a place within the schema.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		documented, documentedGroup, `{}`, `[]`, `{"name":"abc","name":"abc"}`, `{"name":null}`,
		`{"daily_spend_limit":"1e5"}`, `{"max_destination_rate":-0}`,
		`{"concurrent_call_limit":10.0,"outbound":{"channel_limit":0.0}}`,
		`{"outbound":{"localization":""},"user_name":"a1b2","password":"12345678","connection_name":""}`,
		`{"ip_address":"::ffff:192.0.2.1","port":1}`, `{"name":"g","address":"h","weight":1000,"password":""}`,
		"{\"a\":\"\xff\"}", `{"a":"\u0000"}`, `{"calling_window":{"start_time":"24:00"}}`,
		`{"whitelisted_destinations":[null]}`, `{"max_destination_rate":9223372036.854775807}`,
		`{"daily_spend_limit":"9223372036.854775808"}`, strings.Repeat(`[`, 40),
	} {
		f.Add([]byte(seed))
	}
	profiles, gateways := fuzzTarget[profile.Profile, profileView](f, profile.New,
		"name"), fuzzTarget[routing.Gateway, gatewayView](f, routing.NewGateway, "name", "address")
	byUser := fuzzTarget[connection.CredentialConnection, credentialConnectionView](f,
		connection.NewCredentialConnection, "connection_name", "user_name", "password")
	byIP := fuzzTarget[connection.IPConnection, ipConnectionView](f, connection.NewIPConnection)
	byName, names := fuzzTarget[connection.FQDNConnection, fqdnConnectionView](f,
		connection.NewFQDNConnection, "connection_name"),
		fuzzTarget[connection.FQDN, fqdnView](f, connection.NewFQDN,
			"connection_id", "dns_record_type", "fqdn")
	addresses := fuzzTarget[connection.IP, ipView](f,
		connection.NewIP, "ip_address")
	f.Fuzz(func(t *testing.T, text []byte) {
		if !strings.HasPrefix(strings.TrimLeft(string(text), " \t\r\n"), "{") {
			return // bodies are objects
		}
		object, err := rest.TreeOf(new(jsontext.Value(text)))
		var std any
		stdErr := json.Unmarshal(text, &std)
		if err == nil && stdErr != nil {
			t.Fatalf("%q was read, the JSON package refuses it: %v", text, stdErr)
		}
		if err != nil {
			if stdErr == nil && !strings.Contains(err.Error(), "nested deeper than") {
				t.Fatalf("%q was refused: %v", text, err)
			}
			return
		}
		for _, target := range []func(*testing.T, map[string]any){profiles,
			gateways, byUser, byIP, addresses, byName, names} {
			target(t, object)
		}
	})
}

func fuzzTarget[T, V any](f *testing.F, fresh func() T, required ...string) func(*testing.T, map[string]any) {
	value := fresh()
	defaults, err := rest.TreeOf(&value)
	if err != nil {
		f.Fatal(err)
	}
	full := schemaOf[V]()
	shape := full.Request(false, required, true)
	return func(t *testing.T, object map[string]any) {
		body := maps.Clone(object)
		maps.DeleteFunc(body, func(name string, _ any) bool { return shape.Property(name) == nil })
		in := &rest.Request{Body: body}
		checked, problems := in.Checked(shape, nil, defaults)
		for _, p := range problems {
			if top := topField(p.Pointer); p.Pointer != "" && shape.Property(top) == nil || p.Code == "" || p.Detail == "" {
				t.Fatalf("complaint about nothing: %+v", p)
			}
		}
		if len(problems) > 0 {
			return
		}
		got := fresh()
		if err := rest.Decode(checked, &got); err != nil {
			t.Fatalf("the schema let through what the type refuses: %v: %v", err, checked)
		}
		again, err := rest.TreeOf(&got)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		unchanged, problems := (&rest.Request{Body: map[string]any{}}).Checked(shape, again, defaults)
		if len(problems) > 0 {
			t.Fatalf("what was stored is refused in a change of nothing: %v", problems)
		}
		var second T
		if err := rest.Decode(unchanged, &second); err != nil {
			t.Fatal(err)
		}
		first, _ := json.Marshal(&got, json.Deterministic(true))
		other, _ := json.Marshal(&second, json.Deterministic(true))
		if string(first) != string(other) {
			t.Fatalf("a change of nothing changed it:\n%s\n%s", first, other)
		}
	}
}

func topField(pointer string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	return name
}
