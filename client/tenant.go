package client

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Account is the account that the client's key belongs to.
type Account struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// Keys and calls of an account that is not active are refused.
	Active bool `json:"active"`
	// Calls of all profiles together, ringing or up; null for no limit.
	// The most that the calls of all its profiles may cost together in a UTC day, in USD.
	DailySpendLimit        *Decimal `json:"daily_spend_limit"`
	DailySpendLimitEnabled bool     `json:"daily_spend_limit_enabled"`
	// What happens to calls in progress at the daily limit.
	SpendLimitAction string `json:"spend_limit_action"`
	// Whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls until it is released.
	AfterLimit          string `json:"after_limit"`
	ConcurrentCallLimit *int64 `json:"concurrent_call_limit"`
	// The rate deck of profiles that name none; null for none.
	DefaultRateDeckID *string `json:"default_rate_deck_id"`
	// Dialled numbers that are emergency calls besides those of the connection and its country.
	EmergencyNumbers []string `json:"emergency_numbers"`
	// What only a key with the scope admin changes, though others could.
	LockedFields []string `json:"locked_fields"`
	// Addresses, networks and domain names that it may use though they are another account's.
	SharedSources          []string  `json:"shared_sources"`
	Name                   string    `json:"name"`
	OrganizationID         string    `json:"organization_id"`
	RecordRetentionDays    *int64    `json:"record_retention_days"`
	RecordingRetentionDays *int64    `json:"recording_retention_days"`
	CreatedAt              time.Time `json:"created_at"`
	UpdatedAt              time.Time `json:"updated_at"`
}

// AccountParams is what can be set of an Account by its own keys.
type AccountParams struct {
	// The most that the calls of all its profiles may cost together in a UTC day, in USD.
	DailySpendLimit        Field[Decimal] `json:"daily_spend_limit,omitzero"`
	DailySpendLimitEnabled Field[bool]    `json:"daily_spend_limit_enabled,omitzero"`
	// What happens to calls in progress at the daily limit.
	SpendLimitAction Field[string] `json:"spend_limit_action,omitzero"`
	// Whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls until it is released.
	AfterLimit             Field[string]   `json:"after_limit,omitzero"`
	ConcurrentCallLimit    Field[int64]    `json:"concurrent_call_limit,omitzero"`
	EmergencyNumbers       Field[[]string] `json:"emergency_numbers,omitzero"`
	Name                   Field[string]   `json:"name,omitzero"`
	RecordRetentionDays    Field[int64]    `json:"record_retention_days,omitzero"`
	RecordingRetentionDays Field[int64]    `json:"recording_retention_days,omitzero"`
}

// TenantParams is what can be set of any account by a key with the scope admin.
type TenantParams struct {
	Active Field[bool] `json:"active,omitzero"`
	// The most that the calls of all its profiles may cost together in a UTC day, in USD.
	DailySpendLimit        Field[Decimal] `json:"daily_spend_limit,omitzero"`
	DailySpendLimitEnabled Field[bool]    `json:"daily_spend_limit_enabled,omitzero"`
	// What happens to calls in progress at the daily limit.
	SpendLimitAction Field[string] `json:"spend_limit_action,omitzero"`
	// Whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls until it is released.
	AfterLimit          Field[string] `json:"after_limit,omitzero"`
	ConcurrentCallLimit Field[int64]  `json:"concurrent_call_limit,omitzero"`
	// The rate deck of profiles that name none: one of the account's.
	DefaultRateDeckID Field[string]   `json:"default_rate_deck_id,omitzero"`
	EmergencyNumbers  Field[[]string] `json:"emergency_numbers,omitzero"`
	// What only a key with the scope admin changes, though others could.
	LockedFields Field[[]string] `json:"locked_fields,omitzero"`
	// Addresses, networks and domain names that it may use though they are another account's.
	SharedSources          Field[[]string] `json:"shared_sources,omitzero"`
	Name                   Field[string]   `json:"name,omitzero"`
	RecordRetentionDays    Field[int64]    `json:"record_retention_days,omitzero"`
	RecordingRetentionDays Field[int64]    `json:"recording_retention_days,omitzero"`
}

// NewTenant is an account that was just made, with its first key.
type NewTenant struct {
	ID         string    `json:"id"`
	RecordType string    `json:"record_type"`
	Active     bool      `json:"active"`
	APIKey     NewAPIKey `json:"api_key"`
	// The most that the calls of all its profiles may cost together in a UTC day, in USD.
	DailySpendLimit        *Decimal `json:"daily_spend_limit"`
	DailySpendLimitEnabled bool     `json:"daily_spend_limit_enabled"`
	// What happens to calls in progress at the daily limit.
	SpendLimitAction string `json:"spend_limit_action"`
	// Whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls until it is released.
	AfterLimit          string   `json:"after_limit"`
	ConcurrentCallLimit *int64   `json:"concurrent_call_limit"`
	DefaultRateDeckID   *string  `json:"default_rate_deck_id"`
	EmergencyNumbers    []string `json:"emergency_numbers"`
	LockedFields        []string `json:"locked_fields"`
	// Addresses, networks and domain names that it may use though they are another account's.
	SharedSources          []string  `json:"shared_sources"`
	Name                   string    `json:"name"`
	OrganizationID         string    `json:"organization_id"`
	RecordRetentionDays    *int64    `json:"record_retention_days"`
	RecordingRetentionDays *int64    `json:"recording_retention_days"`
	CreatedAt              time.Time `json:"created_at"`
	UpdatedAt              time.Time `json:"updated_at"`
}

// APIKey is a key without its secret.
type APIKey struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// From when the key is refused; null for never.
	ExpiresAt *time.Time `json:"expires_at"`
	// The first characters of the secret, to tell keys apart.
	Hint string `json:"hint"`
	// To the minute; null when the key was never used.
	LastUsedAt *time.Time `json:"last_used_at"`
	Name       string     `json:"name"`
	// Until when the secret before the last rotation is taken too.
	PreviousSecretExpiresAt *time.Time `json:"previous_secret_expires_at"`
	// What the key may do: ScopeRead and so on.
	Scopes    []string  `json:"scopes"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// What a key may do. No scope includes another.
const (
	ScopeRead    = "read"    // every GET
	ScopeWrite   = "write"   // change configuration, but for what the next ones are for
	ScopeAdmit   = "admit"   // ask for admission of calls
	ScopeCarrier = "carrier" // change rate decks and gateways
	ScopeSecrets = "secrets" // see stored secrets in full
	ScopeAdmin   = "admin"   // over all accounts of the server
)

// NewAPIKey is a key with its secret, in the one answer that shows it.
type NewAPIKey struct {
	ID                      string     `json:"id"`
	RecordType              string     `json:"record_type"`
	ExpiresAt               *time.Time `json:"expires_at"`
	Hint                    string     `json:"hint"`
	LastUsedAt              *time.Time `json:"last_used_at"`
	Name                    string     `json:"name"`
	PreviousSecretExpiresAt *time.Time `json:"previous_secret_expires_at"`
	Scopes                  []string   `json:"scopes"`
	// The key itself. It is shown this once and not stored; null in a dry run.
	Secret    *string   `json:"secret"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// APIKeyParams is what can be set of an APIKey.
type APIKeyParams struct {
	ExpiresAt Field[time.Time] `json:"expires_at,omitzero"`
	Name      Field[string]    `json:"name,omitzero"`
	Scopes    Field[[]string]  `json:"scopes,omitzero"`
}

// RotateParams is how a key gets a new secret.
type RotateParams struct {
	// How long the secret of before is taken too, in seconds. Default: a day.
	GraceSecs Field[int64] `json:"grace_secs,omitzero"`
}

// AuditEvent is one change of the account's configuration.
type AuditEvent struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// From where the request came.
	Address             *string       `json:"address"`
	AlternateResourceID *string       `json:"alternate_resource_id"`
	ChangeMadeBy        string        `json:"change_made_by"`
	ChangeType          string        `json:"change_type"`
	Changes             []AuditChange `json:"changes"`
	// SHA-256 of the event and of the hash before it.
	Hash           string  `json:"hash"`
	KeyID          *string `json:"key_id"`
	KeyName        *string `json:"key_name"`
	OrganizationID string  `json:"organization_id"`
	// The X-Tollgate-Reason of the request.
	Reason     *string `json:"reason"`
	RequestID  *string `json:"request_id"`
	ResourceID string  `json:"resource_id"`
	// The number of the event on the server, over all accounts.
	Sequence  int64     `json:"sequence"`
	UserID    *string   `json:"user_id"`
	CreatedAt time.Time `json:"created_at"`
}

// AuditChange is one field that an AuditEvent changed. The values are JSON.
type AuditChange struct {
	Field string         `json:"field"`
	From  jsontext.Value `json:"from"`
	To    jsontext.Value `json:"to"`
}

// WebhookPublicKey is what the server's webhooks are verified with.
type WebhookPublicKey struct {
	RecordType string `json:"record_type"`
	// Ed25519, base64 of 32 bytes.
	PublicKey string `json:"public_key"`
}

// WebhookEndpoint is an address that is told of events.
type WebhookEndpoint struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// Only events of this connection are sent; null means those of the whole account.
	ConnectionID *string `json:"connection_id"`
	Enabled      bool    `json:"enabled"`
	// The types of events that are sent; an empty list means all.
	Events []string `json:"events"`
	// Where an event is sent at once when sending it to the URL fails.
	FailoverURL string `json:"failover_url"`
	TimeoutSecs int64  `json:"timeout_secs"`
	// Where events are sent.
	URL       string    `json:"url"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// WebhookEndpointParams is what can be set of a WebhookEndpoint.
type WebhookEndpointParams struct {
	ConnectionID Field[string]   `json:"connection_id,omitzero"`
	Enabled      Field[bool]     `json:"enabled,omitzero"`
	Events       Field[[]string] `json:"events,omitzero"`
	FailoverURL  Field[string]   `json:"failover_url,omitzero"`
	TimeoutSecs  Field[int64]    `json:"timeout_secs,omitzero"`
	URL          Field[string]   `json:"url,omitzero"`
}
