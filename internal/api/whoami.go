package api

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
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

func (s *server) whoamiOperations() []rest.Operation {
	return []rest.Operation{
		{Method: http.MethodGet, Path: "/v2/whoami", ID: "get_whoami", Noun: "whoami", Tag: "Account", Scope: ScopeRead,
			Summary: "Say who the key is.", Status: http.StatusOK, Answer: schemaOf[whoamiView](), Handle: s.whoami},
		{Method: http.MethodGet, Path: "/v2/connections/count", ID: "get_connection_count", Noun: "connection_count",
			Tag: "Connections", Summary: "Count the connections of each kind.", Scope: ScopeRead, Status: http.StatusOK,
			Answer: schemaOf[connectionCountsView](), Effect: rest.ReadsConfig, Handle: s.countConnections},
		{Method: http.MethodGet, Path: "/v2/noise_suppression_engines", ID: "list_noise_suppression_engines",
			Noun: "noise_suppression_engine", Tag: "Connections", Scope: ScopeRead, Shape: rest.Rows, Status: http.StatusOK,
			Summary: "List the engines that can suppress noise. There are none: media pass unchanged.",
			Answer:  schemaOf[noiseSuppressionEngineView](),
			Handle: func(context.Context, *rest.Request) (*rest.Response, error) {
				return &rest.Response{Data: []noiseSuppressionEngineView{}}, nil
			}},
	}
}

func (s *server) whoami(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	account, err := s.account(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	return &rest.Response{Data: whoamiView{RecordType: "whoami", OrganizationID: account.OrganizationID,
		AccountID: account.ID.String(), AccountName: account.Name, APIKeyID: in.Caller.Key.String(),
		APIKeyName: in.Caller.KeyName, Scopes: append([]string{}, in.Caller.Scopes...), ExpiresAt: in.Caller.Until}}, nil
}

func (s *server) countConnections(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	view := connectionCountsView{RecordType: "connection_count", Limits: connectionLimits{math.MaxInt32}}
	for _, kind := range []struct {
		count func() (int, error)
		into  *int
	}{
		{totalOf(ctx, store.Of[connection.IPConnection](s.Resources), in.Account), &view.Counts.IPConnections},
		{totalOf(ctx, store.Of[connection.CredentialConnection](s.Resources), in.Account),
			&view.Counts.CredentialConnections},
		{totalOf(ctx, store.Of[connection.FQDNConnection](s.Resources), in.Account), &view.Counts.FQDNConnections},
	} {
		total, err := kind.count()
		if err != nil {
			return nil, err
		}
		*kind.into = total
	}
	return &rest.Response{Data: view}, nil
}

// totalOf counts the objects that an account has of one kind.
func totalOf[T any](ctx context.Context, c collection.Of[T, id.ID], account id.ID) func() (int, error) {
	return func() (int, error) {
		page, err := c.List(ctx, account,
			collection.Query{Number: 1, Size: 1, Sort: []collection.Order{{Field: "created_at"}}})
		return page.Total, err
	}
}
