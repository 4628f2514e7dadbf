package api

import (
	"net/http"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
)

// ipView is a source address as it is answered.
type ipView struct {
	connection.IP
	RecordType string `json:"record_type" readOnly:"true" enum:"ip"`
}

// permitNetwork keeps an account from claiming large parts of the internet, where later
// accounts may have their addresses.
func permitNetwork(in *request, current, next *connection.IP) error {
	if !next.IPAddress.Wide() || current != nil && current.IPAddress == next.IPAddress ||
		beyond(in, []string{ScopeCarrier}) == "" {
		return nil
	}
	return failAt(http.StatusForbidden, "/ip_address", codeForbidden,
		"%s is a network larger than /24 (IPv6 /48), which needs a key with the scope %q. %s Or give the addresses or the "+
			"smaller networks that you use.",
		next.IPAddress, ScopeCarrier, wayToScope(ScopeCarrier))
}

func (s *server) ipOperations() []operation {
	r := &resource[connection.IP, ipView, id.ID]{
		path: "/v2/ips", name: "ip", tag: "Connections", answers: schemaOf[ipView](),
		collection: store.Of[connection.IP, id.ID](s.Resources),
		parseKey:   id.Parse, required: []string{"ip_address"}, created: http.StatusCreated,
		fresh: func() connection.IP { return connection.IP{Port: 5060} },
		adopt: func(next, current *connection.IP) {
			next.ID, next.AccountID, next.Version = current.ID, current.AccountID, current.Version
			next.CreatedAt, next.UpdatedAt = current.CreatedAt, current.UpdatedAt
		},
		permit:   permitNetwork,
		validate: func(_ id.ID, ip *connection.IP, _ map[string]any) []field.Error { return ip.Validate() },
		view:     viewEach(func(ip connection.IP) ipView { return ipView{IP: ip, RecordType: "ip"} }),
		filters: []parameter{
			equalFilter("filter[connection_id]", "connection_id", idSchema()),
			equalFilter("filter[ip_address]", "ip_address", networkSchema()),
			equalFilter("filter[port]", "port", &schema{kind: "integer", minimum: new(int64(1)), maximum: new(int64(65535))}),
		},
		sorts: []string{"created_at"}, standard: "-created_at", pageSize: maxPageSize,
	}
	return r.mustOperations()
}
