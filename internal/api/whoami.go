package api

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
)

// whoamiView says who the key of a request is. Telnyx publishes no schema of it: clients
// read organization_id, or only the status.
type whoamiView struct {
	RecordType     string     `json:"record_type" enum:"whoami"`
	OrganizationID uuid.UUID  `json:"organization_id"`
	UserID         *uuid.UUID `json:"user_id" doc:"Always null: keys belong to an account, not to a person."`
	AccountID      string     `json:"account_id" doc:"Tollgate's own."`
	AccountName    string     `json:"account_name" doc:"Tollgate's own."`
	APIKeyID       string     `json:"api_key_id" doc:"Tollgate's own."`
	APIKeyName     string     `json:"api_key_name" doc:"Tollgate's own."`
	Scopes         []string   `json:"scopes" doc:"Tollgate's own: what the key may do."`
	ExpiresAt      *time.Time `json:"expires_at" doc:"Tollgate's own: when the key ends; null for never."`
}

// connectionCountsView is how many connections an account has.
// Source: Telnyx v2, ConnectionRetrieveCountResponse.
type connectionCountsView struct {
	RecordType string           `json:"record_type" enum:"connection_count"`
	Counts     connectionCounts `json:"counts" doc:"By kind. Of those that Tollgate does not have there are 0."`
	Limits     connectionLimits `json:"limits"`
}

type connectionCounts struct {
	CallControlApplications       int `json:"call_control_applications"`
	CredentialConnections         int `json:"credential_connections"`
	ExternalConnections           int `json:"external_connections"`
	FaxConnections                int `json:"fax_connections"`
	FQDNConnections               int `json:"fqdn_connections"`
	IPConnections                 int `json:"ip_connections"`
	MicrosoftTeamsSBCConnections  int `json:"microsoft_teams_sbc_connections" doc:"Always 0: FQDN connections with microsoft_teams_sbc are counted as FQDN connections."`
	MobileVoiceConnections        int `json:"mobile_voice_connections"`
	OperatorConnectConnections    int `json:"operator_connect_connections"`
	TeXMLApplications             int `json:"texml_applications"`
	ThirdPartyProviderConnections int `json:"third_party_provider_connections"`
	UACConnections                int `json:"uac_connections"`
	ZoomSBCConnections            int `json:"zoom_sbc_connections"`
}

type connectionLimits struct {
	GlobalLimit int32 `json:"global_limit" doc:"Always 2147483647: nothing limits how many there are."`
}

// noiseSuppressionEngineView is an engine that could be chosen.
// Source: Telnyx v2, NoiseSuppressionEngineListResponse.
type noiseSuppressionEngineView struct {
	DefaultAttenuationLevel int32  `json:"default_attenuation_level"`
	Label                   string `json:"label"`
	Value                   string `json:"value"`
}

func (s *server) whoamiOperations() []operation {
	return []operation{
		{method: http.MethodGet, path: "/v2/whoami", id: "get_whoami", noun: "whoami", tag: "Account", scope: ScopeRead,
			summary: "Say who the key is.", status: http.StatusOK, answer: schemaOf[whoamiView](), handle: s.whoami},
		{method: http.MethodGet, path: "/v2/connections/count", id: "get_connection_count", noun: "connection_count",
			tag: "Connections", summary: "Count the connections of each kind.", scope: ScopeRead, status: http.StatusOK,
			answer: schemaOf[connectionCountsView](), effect: readsConfig, handle: s.countConnections},
		{method: http.MethodGet, path: "/v2/noise_suppression_engines", id: "list_noise_suppression_engines",
			noun: "noise_suppression_engine", tag: "Connections", scope: ScopeRead, shape: rows, status: http.StatusOK,
			summary: "List the engines that can suppress noise: none, since media pass as they are.",
			answer:  schemaOf[noiseSuppressionEngineView](),
			handle: func(context.Context, *request) (*response, error) {
				return &response{data: []noiseSuppressionEngineView{}}, nil
			}},
	}
}

func (s *server) whoami(ctx context.Context, in *request) (*response, error) {
	account, err := s.Accounts.Account(ctx, in.account)
	if err != nil {
		return nil, err
	}
	return &response{data: whoamiView{RecordType: "whoami", OrganizationID: account.OrganizationID, AccountID: account.ID.String(),
		AccountName: account.Name, APIKeyID: in.caller.key.String(), APIKeyName: in.caller.keyName, Scopes: append([]string{}, in.caller.scopes...),
		ExpiresAt: in.caller.until}}, nil
}

func (s *server) countConnections(ctx context.Context, in *request) (*response, error) {
	view := connectionCountsView{RecordType: "connection_count", Limits: connectionLimits{math.MaxInt32}}
	for _, kind := range []struct {
		count func() (int, error)
		into  *int
	}{
		{totalOf(ctx, store.Of[connection.IPConnection, id.ID](s.Resources), in.account), &view.Counts.IPConnections},
		{totalOf(ctx, store.Of[connection.CredentialConnection, id.ID](s.Resources), in.account),
			&view.Counts.CredentialConnections},
		{totalOf(ctx, store.Of[connection.FQDNConnection, id.ID](s.Resources), in.account), &view.Counts.FQDNConnections},
	} {
		total, err := kind.count()
		if err != nil {
			return nil, err
		}
		*kind.into = total
	}
	return &response{data: view}, nil
}

// totalOf counts the objects that an account has of one kind.
func totalOf[T any](ctx context.Context, c store.Collection[T, id.ID], account id.ID) func() (int, error) {
	return func() (int, error) {
		page, err := c.List(ctx, account, store.Query{Number: 1, Size: 1, Sort: []store.Order{{Field: "created_at"}}})
		return page.Total, err
	}
}
