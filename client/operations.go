package client

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func list[T any](c *Client, path string) List[T] { return List[T]{client: c, path: path} }

func resource[T, P any](c *Client, path string) Resource[T, P] {
	return Resource[T, P]{Items[T]{list[T](c, path)}}
}

// Profiles are the account's outbound voice profiles.
func (c *Client) Profiles() Resource[Profile, ProfileParams] {
	return resource[Profile, ProfileParams](c, "/v2/outbound_voice_profiles")
}

// ProfileUsage says what a profile has spent and holds today, and its calls now.
func (c *Client) ProfileUsage(ctx context.Context, profile string) (ProfileUsage, error) {
	return one[ProfileUsage](ctx, c, read("/tollgate/v1/outbound_voice_profiles/"+url.PathEscape(profile)+"/usage"))
}

// BillingGroupUsage says what the calls of a billing group have spent and hold today.
func (c *Client) BillingGroupUsage(ctx context.Context, group string) (SharedUsage, error) {
	return one[SharedUsage](ctx, c, read("/tollgate/v1/billing_groups/"+url.PathEscape(group)+"/usage"))
}

// SpendHolds are the profiles, billing groups and accounts whose calls are refused
// until they are released.
func (c *Client) SpendHolds() List[HeldScope] {
	return list[HeldScope](c, "/tollgate/v1/spend_holds")
}

// ReleaseProfile lets a profile admit calls again.
func (c *Client) ReleaseProfile(ctx context.Context, profile string) (SpendRelease, error) {
	return release[SpendRelease](ctx, c, "outbound_voice_profiles/"+url.PathEscape(profile))
}

// ReleaseBillingGroup lets a billing group admit calls again.
func (c *Client) ReleaseBillingGroup(ctx context.Context, group string) (SpendRelease, error) {
	return release[SpendRelease](ctx, c, "billing_groups/"+url.PathEscape(group))
}

// ReleaseAccount lets an account admit calls again. It takes a key with the scope admin.
func (c *Client) ReleaseAccount(ctx context.Context, account string) (SpendRelease, error) {
	return release[SpendRelease](ctx, c, "accounts/"+url.PathEscape(account))
}

// ReleaseAll releases every profile and billing group of the account.
func (c *Client) ReleaseAll(ctx context.Context) (SpendReleases, error) {
	return release[SpendReleases](ctx, c, "spend_holds")
}

func release[T any](ctx context.Context, c *Client, what string) (T, error) {
	return one[T](ctx, c, call{method: http.MethodPost, path: "/tollgate/v1/" + what + "/release"})
}

// AccountUsage says what all calls of the account have spent and hold today.
func (c *Client) AccountUsage(ctx context.Context) (SharedUsage, error) {
	return one[SharedUsage](ctx, c, read("/tollgate/v1/account/usage"))
}

// MakeLedgerReport makes a report over the billing groups.
func (c *Client) MakeLedgerReport(ctx context.Context, params LedgerReportParams) (LedgerReport, error) {
	return one[LedgerReport](ctx, c, call{method: http.MethodPost, path: "/v2/ledger_billing_group_reports", body: params})
}

// LedgerReport finds a report over the billing groups.
func (c *Client) LedgerReport(ctx context.Context, id string) (LedgerReport, error) {
	return one[LedgerReport](ctx, c, read("/v2/ledger_billing_group_reports/"+url.PathEscape(id)))
}

// BillingGroups are the account's billing groups.
func (c *Client) BillingGroups() Resource[BillingGroup, BillingGroupParams] {
	return resource[BillingGroup, BillingGroupParams](c, "/v2/billing_groups")
}

// IPConnections are connections that are known by their addresses.
func (c *Client) IPConnections() Resource[IPConnection, IPConnectionParams] {
	return resource[IPConnection, IPConnectionParams](c, "/v2/ip_connections")
}

// CredentialConnections are connections that are known by digest credentials.
func (c *Client) CredentialConnections() Resource[CredentialConnection, CredentialConnectionParams] {
	return resource[CredentialConnection, CredentialConnectionParams](c, "/v2/credential_connections")
}

// FQDNConnections are connections that have domain names.
func (c *Client) FQDNConnections() Resource[FQDNConnection, FQDNConnectionParams] {
	return resource[FQDNConnection, FQDNConnectionParams](c, "/v2/fqdn_connections")
}

// FQDNAuthentication tells how the calls of an FQDN connection are recognised.
func (c *Client) FQDNAuthentication(ctx context.Context, connection string) (FQDNAuthentication, error) {
	return one[FQDNAuthentication](ctx, c, read("/v2/fqdn_connections/"+url.PathEscape(connection)+"/fqdn_authentication"))
}

// UpdateFQDNAuthentication changes how the calls of an FQDN connection are recognised.
func (c *Client) UpdateFQDNAuthentication(ctx context.Context, connection string,
	params FQDNAuthenticationParams) (FQDNAuthentication, error) {
	path := "/v2/fqdn_connections/" + url.PathEscape(connection) + "/fqdn_authentication"
	return one[FQDNAuthentication](ctx, c, call{method: http.MethodPatch, path: path, body: params})
}

// Connections are connections of every kind.
func (c *Client) Connections() Items[Connection] {
	return Items[Connection]{list[Connection](c, "/v2/connections")}
}

// ActiveCalls are the calls of a connection that are up or ringing.
func (c *Client) ActiveCalls(connection string) List[ActiveCall] {
	return list[ActiveCall](c, "/v2/connections/"+url.PathEscape(connection)+"/active_calls")
}

// RegistrationStatus tells whether a telephone is registered with the user name of a
// credential connection.
func (c *Client) RegistrationStatus(ctx context.Context, connection string) (RegistrationStatus, error) {
	path := "/v2/credential_connections/" + url.PathEscape(connection) + "/actions/check_registration_status"
	return one[RegistrationStatus](ctx, c, call{method: http.MethodPost, path: path})
}

// IPs are the addresses of IP connections.
func (c *Client) IPs() Resource[IP, IPParams] { return resource[IP, IPParams](c, "/v2/ips") }

// FQDNs are the domain names of FQDN connections.
func (c *Client) FQDNs() Resource[FQDN, FQDNParams] {
	return resource[FQDN, FQDNParams](c, "/v2/fqdns")
}

// Gateways are the trunks to which calls are sent.
func (c *Client) Gateways() Resource[Gateway, GatewayParams] {
	return resource[Gateway, GatewayParams](c, "/tollgate/v1/gateways")
}

// RateDecks are the account's price lists.
func (c *Client) RateDecks() RateDecks {
	return RateDecks{Items[RateDeck]{list[RateDeck](c, "/tollgate/v1/rate_decks")}}
}

// RateDecks are price lists. Their rows never change; a new price list is a new deck.
type RateDecks struct{ Items[RateDeck] }

// Import makes a deck of CSV rows.
func (d RateDecks) Import(ctx context.Context, name string, csv io.Reader) (RateDeck, error) {
	return one[RateDeck](ctx, d.client, call{method: http.MethodPost, path: d.path, query: url.Values{"name": {name}}, csv: csv})
}

// Activate makes a deck the account's default.
func (d RateDecks) Activate(ctx context.Context, deck string) (RateDeck, error) {
	return one[RateDeck](ctx, d.client, call{method: http.MethodPost, path: d.at(deck) + "/activate"})
}

// Delete deletes a deck that nothing uses.
func (d RateDecks) Delete(ctx context.Context, deck string) (RateDeck, error) {
	return one[RateDeck](ctx, d.client, call{method: http.MethodDelete, path: d.at(deck)})
}

// Rows are the rows of a deck in prefix order.
func (d RateDecks) Rows(deck string) List[RateRow] {
	return list[RateRow](d.client, d.at(deck)+"/rows")
}

// Decision explains the decision on an attempt.
func (c *Client) Decision(ctx context.Context, id string) (Decision, error) {
	return one[Decision](ctx, c, read("/tollgate/v1/decisions/"+url.PathEscape(id)))
}

// Explain decides a call that is not made. Nothing is reserved, so it may be
// repeated like a read.
func (c *Client) Explain(ctx context.Context, params ForecastParams) (Forecast, error) {
	return one[Forecast](ctx, c, call{method: http.MethodPost, path: "/tollgate/v1/decisions/explain", body: params, safe: true})
}

// Calls are the account's calls that are up or ringing.
func (c *Client) Calls() List[Call] { return list[Call](c, "/tollgate/v1/calls") }

// Trace shows the SIP messages of a call, from the oldest, as far as the server
// still has them.
func (c *Client) Trace(call string) List[SIPMessage] {
	return list[SIPMessage](c, "/tollgate/v1/calls/"+url.PathEscape(call)+"/trace")
}

// CallEvents are events of the last 24 hours, or all of a call that a filter names.
func (c *Client) CallEvents() List[CallEvent] { return list[CallEvent](c, "/v2/call_events") }

// DetailRecords are the account's call detail records.
func (c *Client) DetailRecords() Items[DetailRecord] {
	records := list[DetailRecord](c, "/v2/detail_records")
	records.fixed = url.Values{"filter[record_type]": {"sip-trunking"}}
	return Items[DetailRecord]{records}
}

// DetailRecordOptions say by what detail records can be filtered and sorted.
func (c *Client) DetailRecordOptions(ctx context.Context) ([]DetailRecordOptions, error) {
	return one[[]DetailRecordOptions](ctx, c, read("/v2/detail_records/options"))
}

// Report asks for a usage report.
type Report struct {
	Dimensions []string // what to group by, at least one
	Metrics    []string // what to add up, at least one
	// Start and End bound the starts of calls; End is left out. Or DateRange is a
	// word such as "this_month", "last_7_days", "last_2_weeks" or "last_3_months".
	Start, End time.Time
	DateRange  string
}

// UsageReport adds up detail records.
func (c *Client) UsageReport(r Report) List[UsageRow] {
	rows := list[UsageRow](c, "/v2/usage_reports")
	rows.fixed = url.Values{"product": {"sip-trunking"}, "dimensions": {strings.Join(r.Dimensions, ",")}, "metrics": {strings.Join(r.Metrics, ",")}}
	if r.DateRange != "" {
		rows.fixed.Set("date_range", r.DateRange)
	}
	for name, at := range map[string]time.Time{"start_date": r.Start, "end_date": r.End} {
		if !at.IsZero() {
			rows.fixed.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return rows
}

// UsageOptions says what usage reports can be made of.
func (c *Client) UsageOptions(ctx context.Context) ([]UsageOptions, error) {
	return one[[]UsageOptions](ctx, c, read("/v2/usage_reports/options"))
}

// Recordings are the recordings of calls.
func (c *Client) Recordings() Recordings {
	return Recordings{Items[Recording]{list[Recording](c, "/v2/recordings")}}
}

// Recordings are recordings of calls.
type Recordings struct{ Items[Recording] }

// Delete deletes a recording and returns it as it was.
func (r Recordings) Delete(ctx context.Context, id string) (Recording, error) {
	return one[Recording](ctx, r.client, call{method: http.MethodDelete, path: r.at(id)})
}

// DeleteAll deletes recordings. Ids of none are passed over.
func (r Recordings) DeleteAll(ctx context.Context, ids ...string) error {
	var answer struct {
		Status string `json:"status"`
	}
	body := map[string][]string{"ids": ids}
	return r.client.do(ctx, call{method: http.MethodPost, path: r.path + "/actions/delete", body: body, into: &answer})
}

// Balance is the account's money.
func (c *Client) Balance(ctx context.Context) (Balance, error) {
	return one[Balance](ctx, c, read("/v2/balance"))
}

// WhoAmI says who the client's key is.
func (c *Client) WhoAmI(ctx context.Context) (WhoAmI, error) {
	return one[WhoAmI](ctx, c, read("/v2/whoami"))
}

// ConnectionCounts counts the account's connections of each kind.
func (c *Client) ConnectionCounts(ctx context.Context) (ConnectionCounts, error) {
	return one[ConnectionCounts](ctx, c, read("/v2/connections/count"))
}

// NoiseSuppressionEngines lists the engines that can suppress noise: a Tollgate has none.
func (c *Client) NoiseSuppressionEngines(ctx context.Context) ([]NoiseSuppressionEngine, error) {
	return one[[]NoiseSuppressionEngine](ctx, c, read("/v2/noise_suppression_engines"))
}

// UserTags lists the account's tags that start with a text.
func (c *Client) UserTags(ctx context.Context, start string) (UserTags, error) {
	r := read("/v2/user_tags")
	if start != "" {
		r.query = url.Values{"filter[starts_with]": {start}}
	}
	return one[UserTags](ctx, c, r)
}

// Collect puts what an iterator gives into a slice, up to its first error.
func Collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for item, err := range items {
		if err != nil {
			return out, fmt.Errorf("after %d objects: %w", len(out), err)
		}
		out = append(out, item)
	}
	return out, nil
}

// Account is the account of the client's key.
func (c *Client) Account(ctx context.Context) (Account, error) {
	return one[Account](ctx, c, read("/tollgate/v1/account"))
}

// UpdateAccount changes what params set of the account of the client's key.
func (c *Client) UpdateAccount(ctx context.Context, params AccountParams) (Account, error) {
	return one[Account](ctx, c, call{method: http.MethodPatch, path: "/tollgate/v1/account", body: params})
}

// Tenants are the accounts of the server, for keys with the scope admin.
func (c *Client) Tenants() Tenants {
	return Tenants{Items[Account]{list[Account](c, "/tollgate/v1/accounts")}}
}

// Tenants are the accounts of the server.
type Tenants struct{ Items[Account] }

// Create makes an account and its first key.
func (t Tenants) Create(ctx context.Context, params TenantParams) (NewTenant, error) {
	return one[NewTenant](ctx, t.client, call{method: http.MethodPost, path: t.path, body: params})
}

// Update changes what params set of an account.
func (t Tenants) Update(ctx context.Context, account string, params TenantParams) (Account, error) {
	return one[Account](ctx, t.client, call{method: http.MethodPatch, path: t.at(account), body: params})
}

// Delete deletes an account that has nothing but its keys.
func (t Tenants) Delete(ctx context.Context, account string) (Account, error) {
	return one[Account](ctx, t.client, call{method: http.MethodDelete, path: t.at(account)})
}

// CreateKey makes a key of an account, for one that has lost its own.
func (t Tenants) CreateKey(ctx context.Context, account string, params APIKeyParams) (NewAPIKey, error) {
	return one[NewAPIKey](ctx, t.client, call{method: http.MethodPost, path: t.at(account) + "/api_keys", body: params})
}

// APIKeys are the account's keys.
func (c *Client) APIKeys() APIKeys {
	return APIKeys{Items[APIKey]{list[APIKey](c, "/tollgate/v1/api_keys")}}
}

// APIKeys are keys of the API. A secret is shown once, by Create and Rotate.
type APIKeys struct{ Items[APIKey] }

// Create makes a key.
func (k APIKeys) Create(ctx context.Context, params APIKeyParams) (NewAPIKey, error) {
	return one[NewAPIKey](ctx, k.client, call{method: http.MethodPost, path: k.path, body: params})
}

// Update changes what params set of a key.
func (k APIKeys) Update(ctx context.Context, key string, params APIKeyParams) (APIKey, error) {
	return one[APIKey](ctx, k.client, call{method: http.MethodPatch, path: k.at(key), body: params})
}

// Delete revokes a key, at once on the node that is asked and within 5 seconds on others.
func (k APIKeys) Delete(ctx context.Context, key string) (APIKey, error) {
	return one[APIKey](ctx, k.client, call{method: http.MethodDelete, path: k.at(key)})
}

// Rotate gives a key a new secret; the one of before is taken for a grace time.
func (k APIKeys) Rotate(ctx context.Context, key string, params RotateParams) (NewAPIKey, error) {
	return one[NewAPIKey](ctx, k.client, call{method: http.MethodPost, path: k.at(key) + "/rotate", body: params})
}

// AuditEvents are the changes of the account's configuration.
func (c *Client) AuditEvents() List[AuditEvent] { return list[AuditEvent](c, "/v2/audit_events") }

// WebhookPublicKey is what the server's webhooks are verified with.
func (c *Client) WebhookPublicKey(ctx context.Context) (WebhookPublicKey, error) {
	return one[WebhookPublicKey](ctx, c, read("/tollgate/v1/webhook_public_key"))
}

// AttemptedWebhooks are what was sent to the account's webhook endpoints in the last 7
// days, as Telnyx's webhook_deliveries show it.
func (c *Client) AttemptedWebhooks() AttemptedWebhooks {
	return AttemptedWebhooks{list[AttemptedWebhook](c, "/v2/webhook_deliveries")}
}

// AttemptedWebhooks are events that were delivered or tried.
type AttemptedWebhooks struct{ List[AttemptedWebhook] }

// Get reads one.
func (a AttemptedWebhooks) Get(ctx context.Context, id string) (AttemptedWebhook, error) {
	return one[AttemptedWebhook](ctx, a.client, read(a.at(id)))
}

// WebhookDeliveries are what was sent to the account's webhook endpoints in the last
// 7 days, or is to be sent.
func (c *Client) WebhookDeliveries() WebhookDeliveries {
	return WebhookDeliveries{list[WebhookDeliverySummary](c, "/tollgate/v1/webhook_deliveries")}
}

// WebhookDeliveries are events on their way to webhook endpoints.
type WebhookDeliveries struct{ List[WebhookDeliverySummary] }

// Get reads a delivery with its attempts.
func (d WebhookDeliveries) Get(ctx context.Context, id string) (WebhookDelivery, error) {
	return one[WebhookDelivery](ctx, d.client, read(d.at(id)))
}

// Replay sends the event of a delivery to its endpoint once more, and returns the new delivery.
func (d WebhookDeliveries) Replay(ctx context.Context, id string) (WebhookDelivery, error) {
	return one[WebhookDelivery](ctx, d.client, call{method: http.MethodPost, path: d.at(id) + "/replay"})
}

// WebhookEndpoints are addresses that are told of the account's events.
func (c *Client) WebhookEndpoints() Resource[WebhookEndpoint, WebhookEndpointParams] {
	return resource[WebhookEndpoint, WebhookEndpointParams](c, "/tollgate/v1/webhook_endpoints")
}
