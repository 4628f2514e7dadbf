package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// fqdnAuthentication is how the calls of an FQDN connection are recognised: fields of the
// connection under other names. Source: Telnyx v2, FqdnAuthentication.
type fqdnAuthentication struct {
	FQDNOutboundAuthentication *string `json:"fqdn_outbound_authentication" title:"FQDNAuthenticationMethod" enum:"credential-authentication,ip-authentication" doc:"outbound.fqdn_authentication_method of the connection."`
	IPAuthenticationMethod     *string `json:"ip_authentication_method" title:"IPAuthenticationHeader" enum:"token,p-charge-info" doc:"How connections behind one address are told apart: by token, or by tech prefix and P-Charge-Info. What is chosen here is shown here alone."`
	UserName                   *string `json:"user_name" minLength:"4" maxLength:"32" pattern:"^[A-Za-z0-9]+$"`
	Password                   *string `json:"password" minLength:"8" maxLength:"128"`
	TXTName                    *string `json:"txt_name" maxLength:"255"`
	TXTTTL                     *int32  `json:"txt_ttl" minimum:"0"`
	TXTValue                   *string `json:"txt_value" maxLength:"255"`
	WebhookURL                 *string `json:"webhook_url" maxLength:"2000" doc:"webhook_event_url of the connection."`
	FailoverURL                *string `json:"failover_url" maxLength:"2000" doc:"webhook_event_failover_url of the connection."`
}

// fqdnAuthenticationView is that as it is answered.
type fqdnAuthenticationView struct {
	ID                id.ID  `json:"id" readOnly:"true" doc:"The id of the connection."`
	RecordType        string `json:"record_type" readOnly:"true" enum:"fqdn_authentication"`
	ConnectionID      id.ID  `json:"connection_id" readOnly:"true"`
	MicrosoftTeamsSBC bool   `json:"microsoft_teams_sbc" readOnly:"true"`
	fqdnAuthentication
}

func authenticationOf(c *connection.FQDNConnection) fqdnAuthentication {
	return fqdnAuthentication{
		FQDNOutboundAuthentication: new(c.AuthenticationMethod()), IPAuthenticationMethod: new(c.Outbound.ChosenIPMethod()),
		UserName: c.UserName, Password: c.Password, TXTName: c.TXTName, TXTTTL: c.TXTTTL, TXTValue: c.TXTValue,
		WebhookURL: c.WebhookEventURL, FailoverURL: c.WebhookEventFailoverURL,
	}
}

// put takes over what a request named.
func (a *fqdnAuthentication) put(c *connection.FQDNConnection, named map[string]any) {
	if _, chosen := named["fqdn_outbound_authentication"]; chosen {
		c.Outbound.FQDNAuthenticationMethod = a.FQDNOutboundAuthentication
	}
	if _, chosen := named["ip_authentication_method"]; chosen {
		if a.IPAuthenticationMethod == nil {
			c.Outbound.IPAuthenticationMethod = connection.MethodIP
		} else {
			c.Outbound.ChooseIPMethod(*a.IPAuthenticationMethod)
		}
	}
	c.UserName = a.UserName
	c.Password = a.Password
	c.TXTName = a.TXTName
	c.TXTTTL = a.TXTTTL
	c.TXTValue = a.TXTValue
	c.WebhookEventURL = a.WebhookURL
	c.WebhookEventFailoverURL = a.FailoverURL
}

// authenticationNames are the pointers of the connection's fields that have other names here.
var authenticationNames = map[string]string{
	"/outbound/fqdn_authentication_method": "/fqdn_outbound_authentication",
	"/outbound/ip_authentication_method":   "/ip_authentication_method",
	"/webhook_event_url":                   "/webhook_url",
	"/webhook_event_failover_url":          "/failover_url",
}

// fqdnAuthenticationOperations look at FQDN connections through another view.
func (s *server) fqdnAuthenticationOperations() []rest.Operation {
	r := &rest.Resource[connection.FQDNConnection, fqdnAuthenticationView, id.ID]{
		Collection: store.Of[connection.FQDNConnection](s.Resources),
		Validate: func(_ id.ID, c *connection.FQDNConnection, named map[string]any) []field.Error {
			return validFQDN(c, named)
		},
		View: rest.ViewEach(func(c connection.FQDNConnection) fqdnAuthenticationView {
			return fqdnAuthenticationView{ID: c.ID, RecordType: "fqdn_authentication", ConnectionID: c.ID,
				MicrosoftTeamsSBC: c.MicrosoftTeamsSBC, fqdnAuthentication: authenticationOf(&c)}
		}),
		Secrets: func(v *fqdnAuthenticationView) []rest.SecretField {
			return []rest.SecretField{optional("password", &v.Password)}
		},
	}
	full := schemaOf[fqdnAuthenticationView]()
	full.Secret = true
	body := full.Request(false, nil, false)
	const path = "/v2/fqdn_connections/{id}/fqdn_authentication"
	return []rest.Operation{
		{Method: http.MethodGet, Path: path, ID: "get_fqdn_authentication", Noun: "fqdn_authentication", Tag: "Connections",
			Summary: "Get how the calls of an FQDN connection are recognised.", Scope: ScopeRead,
			Status: http.StatusOK, Answer: full, Effect: rest.ReadsConfig, Handle: r.Get},
		{Method: http.MethodPatch, Path: path, ID: "update_fqdn_authentication", Noun: "fqdn_authentication",
			Tag: "Connections", Summary: "Change what the request names (RFC 7396); null sets a field to its default.",
			Scope: ScopeWrite, Effect: rest.Configures, Body: body, Status: http.StatusOK, Answer: full,
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.changeAuthentication(ctx, in, r, body)
			}},
	}
}

// changeAuthentication answers PATCH /v2/fqdn_connections/{id}/fqdn_authentication.
func (s *server) changeAuthentication(ctx context.Context, in *rest.Request,
	r *rest.Resource[connection.FQDNConnection, fqdnAuthenticationView, id.ID],
	shape *rest.Schema) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	return r.Commit(ctx, in, func(ctx context.Context) (connection.FQDNConnection, error) {
		type T = connection.FQDNConnection
		return r.Collection.Update(ctx, in.Account, key, func(current T) (T, error) {
			wanted := authenticationOf(&current)
			tree, err := rest.TreeOf(&wanted)
			if err != nil {
				return current, err
			}
			body, problems := in.Checked(shape, tree, map[string]any{})
			if len(problems) > 0 {
				return current, rest.Invalid(problems)
			}
			wanted = fqdnAuthentication{}
			if err := rest.Decode(body, &wanted); err != nil {
				return current, err
			}
			next := current
			wanted.put(&next, in.Body)
			_, fqdnNamed := in.Body["fqdn_outbound_authentication"]
			errs := append(r.Problems(in, &next), next.Outbound.SettleMethods(fqdnNamed, false)...)
			errs, forbidden := settleConnection(s, settledOfFQDN)(in, &current, &next, errs)
			if len(errs) == 0 {
				return next, forbidden
			}
			for i := range errs {
				if name, other := authenticationNames[errs[i].Pointer]; other {
					errs[i].Pointer = name
				}
			}
			return current, rest.InvalidFields(slices.Clip(errs))
		})
	})
}
