package api

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
)

// FuzzBody feeds texts to what reads the bodies of requests. Whatever comes: the
// reader is as strict as the JSON package; a body that the schema lets through
// fits its Go type (else a client would get a 500); what was read is written and
// read again alike; and every complaint names a place within the schema.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		documented, documentedGroup, `{}`, `[]`, `{"name":"abc","name":"abc"}`, `{"name":null}`, `{"daily_spend_limit":"1e5"}`, `{"max_destination_rate":-0}`,
		`{"concurrent_call_limit":10.0,"outbound":{"channel_limit":0.0}}`, `{"outbound":{"localization":""},"user_name":"a1b2","password":"12345678","connection_name":""}`,
		`{"ip_address":"::ffff:192.0.2.1","port":1}`, `{"name":"g","address":"h","weight":1000,"password":""}`, "{\"a\":\"\xff\"}", `{"a":"\u0000"}`, `{"calling_window":{"start_time":"24:00"}}`,
		`{"whitelisted_destinations":[null]}`, `{"max_destination_rate":9223372036.854775807}`, `{"daily_spend_limit":"9223372036.854775808"}`, strings.Repeat(`[`, 40),
	} {
		f.Add([]byte(seed))
	}
	profiles, gateways := fuzzTarget[profile.Profile, profileView](f, profile.New, "name"), fuzzTarget[routing.Gateway, gatewayView](f, routing.NewGateway, "name", "address")
	byUser := fuzzTarget[connection.CredentialConnection, credentialConnectionView](f, connection.NewCredentialConnection, "connection_name", "user_name", "password")
	byIP := fuzzTarget[connection.IPConnection, ipConnectionView](f, connection.NewIPConnection)
	byName, names := fuzzTarget[connection.FQDNConnection, fqdnConnectionView](f, connection.NewFQDNConnection, "connection_name"),
		fuzzTarget[connection.FQDN, fqdnView](f, func() connection.FQDN { return connection.FQDN{} }, "connection_id", "dns_record_type", "fqdn")
	addresses := fuzzTarget[connection.IP, ipView](f, func() connection.IP { return connection.IP{Port: 5060} }, "ip_address")
	f.Fuzz(func(t *testing.T, text []byte) {
		tree, err := parseTree(text)
		var std any
		stdErr := json.Unmarshal(text, &std)
		if err == nil && stdErr != nil {
			t.Fatalf("%q was read, the JSON package refuses it: %v", text, stdErr)
		}
		if err != nil {
			if stdErr == nil && !errors.Is(err, errDepth) {
				t.Fatalf("%q was refused: %v", text, err)
			}
			return
		}
		object, ok := tree.(map[string]any)
		if !ok {
			return
		}
		for _, target := range []func(*testing.T, map[string]any){profiles, gateways, byUser, byIP, addresses, byName, names} {
			target(t, object)
		}
	})
}

func fuzzTarget[T, V any](f *testing.F, fresh func() T, required ...string) func(*testing.T, map[string]any) {
	value := fresh()
	defaults, err := treeOf(&value)
	if err != nil {
		f.Fatal(err)
	}
	full := schemaOf[V]()
	shape := full.request(false, required, true)
	r := &resource[T, V, id.ID]{fresh: fresh}
	return func(t *testing.T, object map[string]any) {
		body, _ := known(shape, full, object, "")
		in := &request{body: body}
		checked, problems := in.checked(shape, nil, defaults)
		for _, p := range problems {
			if top := topField(p.pointer); p.pointer != "" && shape.property(top) == nil || p.code == "" || p.detail == "" {
				t.Fatalf("complaint about nothing: %+v", p)
			}
		}
		if len(problems) > 0 {
			return
		}
		got := r.fresh()
		if err := decode(checked, &got); err != nil {
			t.Fatalf("the schema let through what the type refuses: %v: %v", err, checked)
		}
		again, err := treeOf(&got)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		unchanged, problems := (&request{body: map[string]any{}}).checked(shape, again, defaults)
		if len(problems) > 0 {
			t.Fatalf("what was stored is refused in a change of nothing: %v", problems)
		}
		var second T
		if err := decode(unchanged, &second); err != nil {
			t.Fatal(err)
		}
		first, _ := json.Marshal(&got, encoding())
		other, _ := json.Marshal(&second, encoding())
		if string(first) != string(other) {
			t.Fatalf("a change of nothing changed it:\n%s\n%s", first, other)
		}
	}
}

func topField(pointer string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	return name
}

// FuzzQuery feeds texts to what reads queries. Whatever comes: it is answered or refused
// by the client's fault; what is passed over is named; a filter selects no more than
// the query without it would; and an array is the same in each form.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "filter[name][contains]=a", "filter[name][foo]=a&sort=-x", "dimensions[0]=date&dimensions[2]=tn_type", "dimensions[]=date&dimensions[]=", "dimensions=date,tn_type",
		"filter.name.contains=%ff", "page[number]=-1&page_size=10", "filter[started_at][gte]=2026-11-30T10:00:00 00:00", "filter[started_at][lt]=2026-02-30", "filter=%00&filter[=&=x",
		"date_range=last_0_days", "date_range=last_3_months", "a&a&a", "dimensions[a]=1&dimensions[00]=1&dimensions[0][1]=x", "number=2&page[number]=1", "%zz", "a;b", "[0]=a", "filter[name][contains][]=x",
	} {
		f.Add(seed)
	}
	list := &schema{kind: "array", maxItems: 5, items: &schema{kind: "string", enum: []string{"date", "tn_type", "cost"}}}
	params := slices.Concat(pageParams(20, maxPageSize), nameFilters("name", 0), timeFilters("started_at", "started_at"), []parameter{
		{name: "dimensions", schema: list}, {name: "date_range", schema: dateRangeSchema()}, sortListParam("", "name", "cost"),
		equalFilter("filter[outbound.outbound_voice_profile_id]", "profile_id", idSchema()), dryRunParam(),
	})
	f.Fuzz(func(t *testing.T, raw string) {
		strict, errStrict := parseQuery(params, raw, false)
		q, err := parseQuery(params, raw, true)
		for _, err := range []error{errStrict, err} {
			if failed := (*failure)(nil); err != nil && (!errors.As(err, &failed) || failed.status/100 != 4 || len(failed.problems) > maxProblems || len(failed.problems) == 0) {
				t.Fatalf("%q: %v", raw, err)
			}
		}
		if errStrict == nil && (err != nil || len(q.ignored) > 0 || len(strict.ignored) > 0 || !slices.Equal(strict.filters, q.filters)) {
			t.Fatalf("%q: %v, passed over %q: all of it is known", raw, err, q.ignored)
		}
		values, malformed := url.ParseQuery(raw)
		if err != nil || malformed != nil {
			return
		}
		filters := 0
		for name := range values {
			if p, _, known := knownParameter(params, name); known && p.filter != nil && p.name != "filter[name][contains]" {
				filters++
			} else if !known && namesFilter(name) && !q.nothing {
				t.Fatalf("%q: %q is no filter of the list, and selects", raw, name)
			} else if !known && !slices.Contains(q.ignored, name) {
				t.Fatalf("%q: %q is passed over without a word: %q", raw, name, q.ignored)
			}
		}
		if filters > 0 && len(q.filters) == 0 && !q.nothing {
			t.Fatalf("%q: none of %d filters selects", raw, filters)
		}
		items := q.words("dimensions")
		for _, form := range arrayForms("dimensions", items) {
			again, err := parseQuery(params, form, true)
			if err != nil || !slices.Equal(again.words("dimensions"), items) {
				t.Fatalf("%q: %q is %q in the form %q: %v", raw, "dimensions", again.words("dimensions"), form, err)
			}
		}
	})
}

// arrayForms are the queries that give an array, in every form.
func arrayForms(name string, items []string) []string {
	forms := make([]string, 5)
	for i, item := range items {
		forms[0] += "&" + name + "=" + item
		forms[1] += "&" + name + "[]=" + item
		forms[2] += fmt.Sprintf("&%s%%5B%d%%5D=%s", name, i, item)
		forms[3] = fmt.Sprintf("&%s[%d]=%s", name, 3*i+1, item) + forms[3]
	}
	if len(items) > 0 {
		forms[4] = name + "=" + strings.Join(items, ",")
	}
	return forms
}
