package api

import (
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// fqdnConnectionView is an FQDN connection as it is answered.
type fqdnConnectionView struct {
	connection.FQDNConnection
	RecordType string `json:"record_type" readOnly:"true" enum:"fqdn_connection"`
}

// fqdnView is a domain name as it is answered.
type fqdnView struct {
	connection.FQDN
	RecordType string `json:"record_type" readOnly:"true" enum:"fqdn"`
}

const fqdnFilterName = "filter[fqdn]"

// fqdnFilter selects by a domain name. Telnyx says that case matters; names have none.
func fqdnFilter() rest.Parameter {
	return rest.Parameter{Name: fqdnFilterName, Schema: &rest.Schema{Kind: "string", MinLength: 1, MaxLength: 253},
		Description: "Only objects with this domain name, without regard to case.",
		Filter: func(value string) ([]collection.Filter, *rest.Problem) {
			return []collection.Filter{{Field: "fqdn", Op: collection.Equal, Value: connection.FoldName(value)}}, nil
		}}
}

func (s *server) fqdnConnectionOperations() []rest.Operation {
	r := &rest.Resource[connection.FQDNConnection, fqdnConnectionView, id.ID]{
		Path: "/v2/fqdn_connections", Name: "fqdn_connection", Tag: "Connections", Required: []string{"connection_name"},
		Answers: schemaOf[fqdnConnectionView](), Collection: store.Of[connection.FQDNConnection](s.Resources),
		Validate: func(_ id.ID, c *connection.FQDNConnection, named map[string]any) []field.Error {
			return validFQDN(c, named)
		}, Settle: s.settleFQDN, View: rest.ViewEach(func(c connection.FQDNConnection) fqdnConnectionView {
			c.Outbound.FQDNAuthenticationMethod = new(c.AuthenticationMethod())
			c.Outbound.IPAuthenticationMethod = c.Outbound.ShownIPMethod()
			return fqdnConnectionView{FQDNConnection: c, RecordType: string(connection.KindFQDN)}
		}), Secrets: secretsOfFQDN, Filters: connectionFilters(), Sorts: connectionSorts(), PageSize: rest.MaxPageSize,
	}
	return append(r.MustOperations(), s.fqdnAuthenticationOperations()...)
}

// settleFQDN is settleConnection for FQDN connections, whose two methods must agree.
func (s *server) settleFQDN(in *rest.Request, current, next *connection.FQDNConnection,
	errs []field.Error) ([]field.Error, error) {
	outbound, _ := in.Body["outbound"].(map[string]any)
	_, fqdnNamed := outbound["fqdn_authentication_method"]
	ipMethod, ipNamed := outbound["ip_authentication_method"]
	if current != nil && ipMethod == connection.MethodIP && current.Outbound.ShownIPMethod() == connection.MethodIP {
		next.Outbound.IPAuthenticationMethod = current.Outbound.IPAuthenticationMethod // it was sent back as it was shown
	}
	errs = append(errs, next.Outbound.SettleMethods(fqdnNamed, ipNamed)...)
	return settleConnection(s, settledOfFQDN)(in, current, next, errs)
}

func settledOfFQDN(c *connection.FQDNConnection) settled {
	return settled{&c.Base, &c.Outbound.Outbound, c.Outbound.TechPrefix}
}

// validFQDN is what is wrong with an FQDN connection.
func validFQDN(c *connection.FQDNConnection, named map[string]any) []field.Error {
	password := ""
	if c.Password != nil {
		password = *c.Password
	}
	return append(c.Validate(), renamedProblem(password, named)...)
}

func (s *server) fqdnOperations() []rest.Operation {
	r := &rest.Resource[connection.FQDN, fqdnView, id.ID]{
		Path: "/v2/fqdns", Name: "fqdn", Tag: "Connections", Answers: schemaOf[fqdnView](),
		Collection: store.Of[connection.FQDN](s.Resources), Required: []string{"connection_id", "dns_record_type", "fqdn"},
		View: rest.ViewEach(func(f connection.FQDN) fqdnView {
			f.Port = f.PortInUse()
			return fqdnView{FQDN: f, RecordType: "fqdn"}
		}),
		Filters: []rest.Parameter{
			rest.EqualFilter("filter[connection_id]", "connection_id", rest.IDSchema()), fqdnFilter(),
			rest.EqualFilter("filter[dns_record_type]", "dns_record_type",
				&rest.Schema{Kind: "string", Enum: []string{"a", "srv"}, Fold: strings.ToLower}),
			rest.EqualFilter("filter[port]", "port",
				&rest.Schema{Kind: "integer", Minimum: new(int64(1)), Maximum: new(int64(65535))}),
		},
		Sorts: []string{"created_at"}, PageSize: rest.MaxPageSize,
	}
	return r.MustOperations()
}
