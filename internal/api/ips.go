package api

import (
	"net/http"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// ipView is a source address as it is answered.
type ipView struct {
	connection.IP
	RecordType string `json:"record_type" readOnly:"true" enum:"ip"`
}

// permitNetwork keeps an account from claiming large parts of the internet, where later
// accounts may have their addresses.
func permitNetwork(in *rest.Request, current, next *connection.IP) error {
	if !next.IPAddress.Wide() || current != nil && current.IPAddress == next.IPAddress ||
		beyond(in, []string{ScopeCarrier}) == "" {
		return nil
	}
	return rest.FailAt(http.StatusForbidden, "/ip_address", rest.CodeForbidden,
		"%s is a network larger than /24 (IPv6 /48), which needs a key with the scope %q. %s Or give the addresses or the "+
			"smaller networks that you use.",
		next.IPAddress, ScopeCarrier, wayToScope(ScopeCarrier))
}

func (s *server) ipOperations() []rest.Operation {
	r := &rest.Resource[connection.IP, ipView, id.ID]{
		Path: "/v2/ips", Name: "ip", Tag: "Connections", Answers: schemaOf[ipView](),
		Collection: store.Of[connection.IP](s.Resources), Required: []string{"ip_address"}, Permit: permitNetwork,
		View: rest.ViewEach(func(ip connection.IP) ipView { return ipView{IP: ip, RecordType: "ip"} }),
		Filters: []rest.Parameter{
			rest.EqualFilter("filter[connection_id]", "connection_id", rest.IDSchema()),
			rest.EqualFilter("filter[ip_address]", "ip_address", networkSchema()),
			rest.EqualFilter("filter[port]", "port",
				&rest.Schema{Kind: "integer", Minimum: new(int64(1)), Maximum: new(int64(65535))}),
		},
		Sorts: []string{"created_at"}, PageSize: rest.MaxPageSize,
	}
	return r.MustOperations()
}
