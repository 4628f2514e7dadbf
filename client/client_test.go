package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/client"
	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/webhook"
)

func value[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// resource is a kind of object that has the five usual operations.
type resource[T, P, Q any] interface {
	Create(context.Context, P, ...client.CallOption) (T, error)
	Get(context.Context, string, ...client.CallOption) (T, error)
	Update(context.Context, string, P, ...client.CallOption) (T, error)
	Delete(context.Context, string, ...client.CallOption) (T, error)
	All(context.Context, Q, ...client.CallOption) iter.Seq2[T, error]
}

// lifeOf makes, reads, changes, lists and deletes an object of a kind.
func lifeOf[T, P, Q any](t *testing.T, r resource[T, P, Q], create, change P,
	idOf func(T) string, changed func(T) bool) {
	t.Helper()
	ctx := t.Context()
	made := value(r.Create(ctx, create))(t)
	got := value(r.Get(ctx, idOf(made)))(t)
	if diff := cmp.Diff(made, got); diff != "" {
		t.Errorf("%T: read differs from created:\n%s", made, diff)
	}
	if next := value(r.Update(ctx, idOf(made), change))(t); !changed(next) || idOf(next) != idOf(made) {
		t.Errorf("%T changed to %+v", made, next)
	}
	var every Q
	listed := value(client.Collect(r.All(ctx, every)))(t)
	if !slices.ContainsFunc(listed, func(o T) bool { return idOf(o) == idOf(made) }) {
		t.Errorf("%T is not in its list", made)
	}
	if gone := value(r.Delete(ctx, idOf(made)))(t); idOf(gone) != idOf(made) {
		t.Errorf("deleted %+v", gone)
	}
	if _, err := r.Get(ctx, idOf(made)); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("%T after its end: %v", made, err)
	}
}

func TestResources(t *testing.T) {
	c, _ := newClient(t)
	ctx := t.Context()
	lifeOf(t, c.Profiles(), client.ProfileParams{Name: client.Set("office"),
		MaxDestinationRate: client.Set(client.Number("0.0125")), DailySpendLimit: client.Set(client.Decimal("100.00")),
		CallRecording: client.Set(client.CallRecordingParams{CallRecordingType: client.Set(client.CallRecordingTypeAll)}),
		Enabled:       client.Set(false)},
		client.ProfileParams{DailySpendLimit: client.Null[client.Decimal](), Enabled: client.Null[bool]()},
		func(p client.Profile) string { return p.ID },
		func(p client.Profile) bool {
			return p.DailySpendLimit == nil && p.Enabled && p.Name == "office" && *p.MaxDestinationRate == "0.0125" &&
				p.CallRecording.CallRecordingType == client.CallRecordingTypeAll
		})
	lifeOf(t, c.BillingGroups(), client.BillingGroupParams{Name: client.Set("first")},
		client.BillingGroupParams{Name: client.Set("second")},
		func(g client.BillingGroup) string { return g.ID }, func(g client.BillingGroup) bool { return g.Name == "second" })
	lifeOf(t, c.IPConnections(), client.IPConnectionParams{Tags: client.Set([]string{"a"})},
		client.IPConnectionParams{Outbound: client.Set(client.IPOutboundParams{TechPrefix: client.Set("1234")})},
		func(o client.IPConnection) string { return o.ID },
		func(o client.IPConnection) bool { return o.Outbound.TechPrefix == "1234" && o.Tags[0] == "a" })
	lifeOf(t, c.CredentialConnections(), client.CredentialConnectionParams{ConnectionName: client.Set("phones"),
		UserName: client.Set("user1"), Password: client.Set("12345678")},
		client.CredentialConnectionParams{Active: client.Set(false)},
		func(o client.CredentialConnection) string { return o.ID },
		func(o client.CredentialConnection) bool { return !o.Active })
	lifeOf(t, c.FQDNConnections(), client.FQDNConnectionParams{ConnectionName: client.Set("domain")},
		client.FQDNConnectionParams{ConnectionName: client.Set("other")},
		func(o client.FQDNConnection) string { return o.ID },
		func(o client.FQDNConnection) bool { return o.ConnectionName == "other" })
	lifeOf(t, c.IPs(), client.IPParams{IPAddress: client.Set("192.0.2.7")}, client.IPParams{Port: client.Set[int64](5080)},
		func(o client.IP) string { return o.ID }, func(o client.IP) bool { return o.Port == 5080 })
	owner := value(c.FQDNConnections().Create(ctx, client.FQDNConnectionParams{ConnectionName: client.Set("owner")}))(t)
	lifeOf(t, c.FQDNs(), client.FQDNParams{FQDN: client.Set("sip.example.com"),
		DNSRecordType: client.Set(client.DNSRecordTypeSrv), ConnectionID: client.Set(owner.ID)},
		client.FQDNParams{DNSRecordType: client.Set(client.DNSRecordTypeA)},
		func(o client.FQDN) string { return o.ID }, func(o client.FQDN) bool { return *o.Port == 5060 })
	lifeOf(t, c.Gateways(), client.GatewayParams{Name: client.Set("carrier"), Address: client.Set("carrier.example")},
		client.GatewayParams{Password: client.Set("secret"), UserName: client.Set("u")},
		func(o client.Gateway) string { return o.ID }, func(o client.Gateway) bool { return o.PasswordSet })
	lifeOf(t, c.NumberingPlanOverrides(),
		client.NumberingPlanOverrideParams{Prefix: client.Set("1436"), Valid: client.Set(true), Country: client.Set("US")},
		client.NumberingPlanOverrideParams{Comment: client.Set("in service")},
		func(o client.NumberingPlanOverride) string { return o.ID }, func(o client.NumberingPlanOverride) bool {
			return o.Valid && *o.Country == "US" && o.Comment == "in service"
		})
	if got := value(c.Connections().Get(ctx, owner.ID))(t); got.RecordType != "fqdn_connection" ||
		got.ConnectionName != "owner" {
		t.Errorf("as any connection: %+v", got)
	}
}

// Walking through a list gives what one large page gives, whatever the page size.
func TestPages(t *testing.T) {
	c, _ := newClient(t)
	ctx := t.Context()
	for i := range 23 {
		value(c.Profiles().Create(ctx, client.ProfileParams{Name: client.Set(fmt.Sprintf("profile %02d", i%12))}))(t)
	}
	q := client.ProfilesQuery{NameContains: "PROFILE 0", Sort: []string{"-name"}, Size: 250}
	whole := value(c.Profiles().Page(ctx, q))(t)
	if whole.Meta.TotalResults != 20 || whole.Meta.TotalPages != 1 || len(whole.Data) != 20 {
		t.Fatalf("meta %+v of %d", whole.Meta, len(whole.Data))
	}
	for size := 1; size <= 21; size++ {
		q.Size = size
		if diff := cmp.Diff(whole.Data, value(client.Collect(c.Profiles().All(ctx, q)))(t)); diff != "" {
			t.Errorf("pages of %d:\n%s", size, diff)
		}
	}
	q.Size, q.Page = 7, 3
	if diff := cmp.Diff(whole.Data[14:], value(client.Collect(c.Profiles().All(ctx, q)))(t)); diff != "" {
		t.Errorf("from the third page on:\n%s", diff)
	}
	seen := 0
	for _, err := range c.Profiles().All(ctx, client.ProfilesQuery{Size: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 3 {
			break
		}
	}
	_, err := client.Collect(c.Profiles().All(ctx, client.ProfilesQuery{Sort: []string{"color"}}))
	if !errors.Is(err, client.ErrInvalid) {
		t.Errorf("sorted by what is no field: %v", err)
	}
}

func TestErrors(t *testing.T) {
	c, s := newClient(t)
	ctx := t.Context()
	_, err := c.Profiles().Create(ctx,
		client.ProfileParams{Name: client.Set("ab"), WhitelistedDestinations: client.Set([]string{"US", "usa"})})
	answered := &client.Error{}
	if !errors.As(err, &answered) || !errors.Is(err, client.ErrInvalid) || answered.Status != 422 ||
		len(answered.Problems) != 2 || answered.RequestID == "" {
		t.Fatalf("error %v", err)
	}
	if p := answered.At("/name"); p == nil || p.Code != "10025" || p.Detail == "" || p.Title == "" {
		t.Errorf("problem %+v", p)
	}
	if answered.At("/tags") != nil || answered.At("/whitelisted_destinations/1") == nil {
		t.Errorf("problems %+v", answered.Problems)
	}
	if text := err.Error(); !strings.Contains(text, "10025 /name: ") ||
		!strings.Contains(text, "POST /v2/outbound_voice_profiles") || strings.Contains(text, s.key) {
		t.Errorf("text %q", text)
	}
	_, err = c.Profiles().Page(ctx, client.ProfilesQuery{Sort: []string{"color"}})
	if !errors.As(err, &answered) || answered.Problems[0].Parameter != "sort" || answered.Problems[0].Pointer != "" {
		t.Errorf("order: %v", err)
	}
	stranger := value(client.New(s.address, "KEY0000000000000000000000000000"))(t)
	if _, err := stranger.Balance(ctx); !errors.Is(err, client.ErrUnauthenticated) || errors.Is(err, client.ErrNotFound) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := c.Profiles().Get(ctx, "../ips"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("an id that is none: %v", err)
	}
	_, err = c.Profiles().Create(ctx, client.ProfileParams{MaxDestinationRate: client.Set(client.Number("1,5"))})
	if err == nil || errors.As(err, new(*client.Error)) {
		t.Errorf("a number that is none was sent: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Balance(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	for _, address := range []string{
		"", "tollgate.example.com", "ftp://tollgate.example.com", "http://", "http://u:p@host", "http://host?x=1",
		"http://host\x7f",
	} {
		if _, err := client.New(address, "key"); err == nil {
			t.Errorf("%q was taken for an address", address)
		}
	}
	if _, err := client.New("http://host", ""); err == nil {
		t.Error("no key was taken for one")
	}
}

// From a rate deck to the record of a call.
func TestCalls(t *testing.T) {
	c, s := newClient(t)
	ctx := t.Context()
	decks := c.RateDecks()
	deck := value(decks.Create(ctx, client.RateDecksCreateQuery{Name: "prices"},
		strings.NewReader("prefix,rate,first increment,increment\n1,0.60,1,1\n44,0.0125,60,60\n")))(t)
	if active := value(decks.Activate(ctx, deck.ID))(t); !active.Active || active.Rows != 2 {
		t.Errorf("deck %+v", active)
	}
	if rows := value(client.Collect(decks.Rows(ctx, deck.ID, client.RateDecksRowsQuery{Size: 1})))(t); len(rows) != 2 ||
		rows[1].Prefix != "44" || rows[1].Rate != "0.0125" {
		t.Errorf("rows %+v", rows)
	}
	var exported strings.Builder
	if err := decks.Export(ctx, deck.ID, &exported); err != nil ||
		!strings.Contains(exported.String(), "\n44,0.0125,0.00,") {
		t.Errorf("exported %q: %v", exported.String(), err)
	}
	profile := value(c.Profiles().Create(ctx,
		client.ProfileParams{Name: client.Set("office"), Tags: client.Set([]string{"HQ"}),
			DailySpendLimit: client.Set(client.Decimal("5.00")), DailySpendLimitEnabled: client.Set(true)}))(t)
	pbx := value(c.IPConnections().Create(ctx,
		client.IPConnectionParams{Outbound: client.Set(client.IPOutboundParams{
			OutboundVoiceProfileID: client.Set(profile.ID),
		})}))(t)

	forecast := value(c.Decisions().Explain(ctx,
		client.ExplainDecisionParams{ConnectionID: client.Set(pbx.ID),
			From: client.Set("+13125550100"), To: client.Set("+13125550199")}))(t)
	if !forecast.Allowed || *forecast.Rate != "0.60" || *forecast.BudgetSec != 500 || len(forecast.Rules) == 0 {
		t.Errorf("forecast %+v", forecast)
	}
	reserve := func(to string) admission.Decision {
		t.Helper()
		result, err := s.store.Do(ctx,
			admission.Reserve{Owner: uuid.New(), Call: admission.Call{ID: uuid.New(), Connection: value(id.Parse(pbx.ID))(t),
				Identity: policy.IdentityKnown, From: "+13125550100", To: to, SIPCallID: uuid.NewString()}})
		if err != nil || result.Err != nil {
			t.Fatal(err, result.Err)
		}
		return result.Decision
	}
	refused, live := reserve("+442079460123"), reserve("+13125550199")
	if d := value(c.Decisions().Get(ctx, refused.ID.String()))(t); d.Allowed || *d.Code != "D13" || d.Fix == nil {
		t.Errorf("decision %+v", d)
	}
	if calls := value(client.Collect(c.Calls().All(ctx, client.CallsQuery{})))(t); len(calls) != 1 ||
		calls[0].ID != live.ID.String() || calls[0].AnsweredAt != nil {
		t.Errorf("calls %+v", calls)
	}
	calls := value(client.Collect(
		c.Connections().ActiveCalls(ctx, pbx.ID, client.ConnectionsActiveCallsQuery{Size: 1})))(t)
	if len(calls) != 1 || calls[0].CallLegID != live.ID.String() {
		t.Errorf("active calls %+v", calls)
	}
	if usage := value(c.Profiles().Usage(ctx, profile.ID))(t); usage.LiveCalls != 1 ||
		*usage.DailySpendLimit != "5.00" || usage.Held == "0.00" {
		t.Errorf("usage %+v", usage)
	}
	held := value(client.Collect(c.SpendHolds().All(ctx, client.SpendHoldsQuery{})))(t)
	if usage := value(c.Account().Usage(ctx))(t); len(held) != 0 || usage.DailySpendLimitEnabled ||
		usage.Posted != nil || usage.SpendHold != nil {
		t.Errorf("usage of the account %+v, held %+v", usage, held)
	}
	if r := value(c.Profiles().Release(ctx, profile.ID))(t); r.ScopeID != profile.ID {
		t.Errorf("released %+v", r)
	}
	if r := value(c.SpendHolds().ReleaseAll(ctx))(t); r.Released != 0 {
		t.Errorf("released %+v", r)
	}
	would := value(c.Calls().EndAll(ctx, client.EndCallsParams{CountryCode: client.Set("US")}, client.DryRun(nil)))(t)
	if would.HungUp != 1 {
		t.Errorf("would hang up %+v", would)
	}
	if h := value(c.Calls().EndAll(ctx, client.EndCallsParams{ConnectionID: client.Set(pbx.ID)}))(t); h.HungUp != 1 ||
		h.CallIDs[0] != live.ID.String() {
		t.Errorf("hung up %+v", h)
	}
	if h := value(c.Calls().End(ctx, live.ID.String(), client.EndCallParams{}))(t); h.Status != "ending" ||
		h.EndedAt != nil {
		t.Errorf("hung up %+v", h)
	}
	r := value(c.Calls().Hangup(ctx, live.ID.String(), client.HangupCallParams{CommandID: client.Set("one")}))(t)
	if r.Result != "ok" {
		t.Errorf("command %+v", r)
	}
	records := value(client.Collect(c.DetailRecords().All(ctx, client.DetailRecordsQuery{Outcome: "refused"})))(t)
	if len(records) != 1 || records[0].ID != refused.ID.String() || *records[0].CountryCode != "GB" ||
		time.Since(records[0].StartedAt) > time.Hour {
		t.Errorf("records %+v", records)
	}
	if one := value(c.DetailRecords().Get(ctx, refused.ID.String()))(t); cmp.Diff(records[0], one) != "" {
		t.Errorf("record %+v", one)
	}
	report := client.UsageReportsQuery{
		Dimensions: []string{"country_code"}, Metrics: []string{"attempted", "cost"}, Sort: []string{"-attempted"},
		StartDate: time.Now().Add(-time.Hour).Format(time.RFC3339), EndDate: time.Now().Add(time.Hour).Format(time.RFC3339),
	}
	rows := value(client.Collect(c.UsageReports().All(ctx, report)))(t)
	if len(rows) != 1 || *rows[0].CountryCode != "GB" || *rows[0].Attempted != 1 ||
		*rows[0].Cost != "0.00" || rows[0].Date != "" {
		t.Errorf("report %+v", rows)
	}
	var csv strings.Builder
	if err := c.UsageReports().CSV(ctx, report, &csv); err != nil ||
		csv.String() != "country_code,attempted,cost\nGB,1,0.00\n" {
		t.Errorf("report %q: %v", csv.String(), err)
	}
	if options := value(c.UsageReports().Options(ctx, client.UsageReportsOptionsQuery{}))(t); len(options) != 1 ||
		options[0].Product != "sip-trunking" {
		t.Errorf("options %+v", options)
	}
	if events := value(client.Collect(c.CallEvents().All(ctx, client.CallEventsQuery{Size: 2})))(t); len(events) != 3 ||
		events[0].Name != "call.initiated" {
		t.Errorf("events %+v", events)
	}
	if tags := value(c.UserTags(ctx, client.UserTagsQuery{StartsWith: "h"}))(t); len(tags.OutboundProfileTags) != 1 ||
		tags.OutboundProfileTags[0] != "HQ" {
		t.Errorf("tags %+v", tags)
	}
	if who := value(c.Whoami(ctx))(t); who.OrganizationID == "" || who.AccountID == "" ||
		who.APIKeyID == "" || who.UserID != nil || len(who.Scopes) == 0 {
		t.Errorf("who am I: %+v", who)
	}
	counts := value(c.Connections().Count(ctx))(t)
	all := value(client.Collect(c.IPConnections().All(ctx, client.IPConnectionsQuery{})))(t)
	if counts.Counts.IPConnections != int64(len(all)) {
		t.Errorf("counts %+v", counts)
	}
	if engines := value(c.NoiseSuppressionEngines(ctx))(t); len(engines) != 0 {
		t.Errorf("engines %+v", engines)
	}
	if balance := value(c.Balance(ctx))(t); balance.Balance != "0.00" || balance.Pending == "0.00" {
		t.Errorf("balance %+v", balance)
	}
	if recordings := value(client.Collect(c.Recordings().All(ctx, client.RecordingsQuery{})))(t); len(recordings) != 0 {
		t.Errorf("recordings %+v", recordings)
	}
	if _, err := c.Recordings().Delete(ctx, uuid.NewString()); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("delete a recording: %v", err)
	}
	ids := client.DeleteRecordingsParams{IDs: client.Set([]string{uuid.NewString()})}
	if _, err := c.Recordings().DeleteAll(ctx, ids); err != nil {
		t.Errorf("delete recordings: %v", err)
	}
	if _, err := decks.Delete(ctx, deck.ID); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("delete the deck in use: %v", err)
	}
}

func TestWebhookDeliveries(t *testing.T) {
	c, _ := newClient(t)
	ctx := t.Context()
	endpoint := value(c.WebhookEndpoints().Create(ctx,
		client.WebhookEndpointParams{URL: client.Set("https://hooks.example.com/")}))(t)
	value(c.BillingGroups().Create(ctx, client.BillingGroupParams{Name: client.Set("group")}))(t)
	listed := value(c.WebhookDeliveries().Page(ctx, client.WebhookDeliveriesQuery{EndpointID: endpoint.ID,
		EventType: "configuration.changed", State: "pending", Sort: []string{"-created_at"}}))(t)
	if len(listed.Data) == 0 || *listed.Data[0].EndpointID != endpoint.ID {
		t.Fatalf("listed %+v", listed)
	}
	one := value(c.WebhookDeliveries().Get(ctx, listed.Data[0].ID))(t)
	if !strings.Contains(string(one.Payload), "billing_group") || len(one.Attempts) != 0 {
		t.Errorf("read %+v", one)
	}
	again := value(c.WebhookDeliveries().Replay(ctx, one.ID))(t)
	if again.ID == one.ID || again.EventID != one.EventID || again.State != "pending" {
		t.Errorf("replayed as %+v", again)
	}
}

func TestAttemptedWebhooks(t *testing.T) {
	c, s := newClient(t)
	ctx := t.Context()
	value(c.WebhookEndpoints().Create(ctx, client.WebhookEndpointParams{URL: client.Set("https://hooks.example.com/")}))(t)
	value(c.BillingGroups().Create(ctx, client.BillingGroupParams{Name: client.Set("group")}))(t)
	attempted := value(c.AttemptedWebhooks().Page(ctx, client.AttemptedWebhooksQuery{}))(t)
	if len(attempted.Data) != 0 {
		t.Fatalf("before any attempt: %+v", attempted.Data)
	}
	box, now := s.store.Webhooks(), time.Now()
	limits := webhook.ClaimLimits{Lease: time.Minute, Total: 10, PerEndpoint: 10}
	claimed, _, err := box.Claim(ctx, now, limits)
	if err != nil || len(claimed) == 0 {
		t.Fatalf("claimed %d: %v", len(claimed), err)
	}
	for _, d := range claimed {
		attempt := webhook.Attempt{DeliveryID: d.ID, Claim: d.Claim, Number: 1, URL: d.Endpoint.URL, StartedAt: now,
			DurationMs: 12, StatusCode: 410, Response: "gone", Error: "The server answered 410.", State: webhook.Dead}
		if err := box.Report(ctx, attempt); err != nil {
			t.Fatal(err)
		}
	}
	failed := client.AttemptedWebhooksQuery{Status: "failed"}
	attempted = value(c.AttemptedWebhooks().Page(ctx, failed))(t)
	if len(attempted.Data) != len(claimed) {
		t.Fatalf("%d of %d are listed", len(attempted.Data), len(claimed))
	}
	one := value(c.AttemptedWebhooks().Get(ctx, attempted.Data[0].ID))(t)
	if one.Status != "failed" || one.Webhook.EventType != "configuration.changed" || len(one.Attempts) != 1 {
		t.Fatalf("read %+v", one)
	}
	exchange := one.Attempts[0]
	if exchange.HTTP.Request.URL != "https://hooks.example.com/" || exchange.HTTP.Response.Status != 410 ||
		exchange.HTTP.Response.Body != "gone" || len(exchange.Errors) != 1 {
		t.Errorf("the attempt is %+v", exchange)
	}
}
