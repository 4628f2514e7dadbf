package api

import (
	"net/http"
	"strings"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
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
func fqdnFilter() parameter {
	return parameter{name: fqdnFilterName, schema: &schema{kind: "string", minLength: 1, maxLength: 253},
		description: "Only objects with this domain name, without regard to case.",
		filter: func(value string) ([]store.Filter, *problem) {
			return []store.Filter{{Field: "fqdn", Op: store.Equal, Value: connection.FoldName(value)}}, nil
		}}
}

func (s *server) fqdnConnectionOperations() []operation {
	r := &resource[connection.FQDNConnection, fqdnConnectionView, id.ID]{
		path: "/v2/fqdn_connections", name: "fqdn_connection", tag: "Connections", required: []string{"connection_name"}, answers: schemaOf[fqdnConnectionView](),
		collection: store.Of[connection.FQDNConnection, id.ID](s.Resources),
		parseKey:   id.Parse, fresh: connection.NewFQDNConnection, created: http.StatusCreated,
		adopt: func(next, current *connection.FQDNConnection) { adoptBase(&next.Base, &current.Base) },
		validate: func(_ id.ID, c *connection.FQDNConnection, named map[string]any) []field.Error {
			return validFQDN(c, named)
		},
		settle: s.settleFQDN,
		view: viewEach(func(c connection.FQDNConnection) fqdnConnectionView {
			c.Outbound.FQDNAuthenticationMethod = new(c.AuthenticationMethod())
			c.Outbound.IPAuthenticationMethod = c.Outbound.ShownIPMethod()
			return fqdnConnectionView{FQDNConnection: c, RecordType: string(connection.KindFQDN)}
		}),
		secrets: secretsOfFQDN,
		filters: connectionFilters(), sorts: connectionSorts(), standard: "-created_at", pageSize: maxPageSize,
	}
	return append(r.mustOperations(), s.fqdnAuthenticationOperations()...)
}

// settleFQDN is settleConnection for FQDN connections, whose two methods must agree.
func (s *server) settleFQDN(in *request, current, next *connection.FQDNConnection,
	errs []field.Error) ([]field.Error, error) {
	outbound, _ := in.body["outbound"].(map[string]any)
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

func (s *server) fqdnOperations() []operation {
	r := &resource[connection.FQDN, fqdnView, id.ID]{
		path: "/v2/fqdns", name: "fqdn", tag: "Connections", answers: schemaOf[fqdnView](),
		collection: store.Of[connection.FQDN, id.ID](s.Resources),
		parseKey:   id.Parse, required: []string{"connection_id", "dns_record_type", "fqdn"}, created: http.StatusCreated,
		fresh: func() connection.FQDN { return connection.FQDN{} },
		adopt: func(next, current *connection.FQDN) {
			next.ID, next.AccountID, next.Version = current.ID, current.AccountID, current.Version
			next.CreatedAt, next.UpdatedAt = current.CreatedAt, current.UpdatedAt
		},
		validate: func(_ id.ID, f *connection.FQDN, _ map[string]any) []field.Error { return f.Validate() },
		view: viewEach(func(f connection.FQDN) fqdnView {
			f.Port = f.PortInUse()
			return fqdnView{FQDN: f, RecordType: "fqdn"}
		}),
		filters: []parameter{
			equalFilter("filter[connection_id]", "connection_id", idSchema()), fqdnFilter(),
			equalFilter("filter[dns_record_type]", "dns_record_type", &schema{kind: "string", enum: []string{"a", "srv"},
				fold: strings.ToLower}),
			equalFilter("filter[port]", "port", &schema{kind: "integer", minimum: new(int64(1)), maximum: new(int64(65535))}),
		},
		sorts: []string{"created_at"}, standard: "-created_at", pageSize: maxPageSize,
	}
	return r.mustOperations()
}
