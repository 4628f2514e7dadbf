package sipgw

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/routing"
)

// TestHowACarrierWantsNumbers: what the carrier reads of who calls whom, by the settings of
// its gateway. HOST is the carrier's address, OURS is ours.
func TestHowACarrierWantsNumbers(t *testing.T) {
	const shown, callee = "+12125550111", "+12125550123"
	for _, c := range []struct {
		name                string
		set                 func(*routing.Gateway)
		confirmed           bool
		headers, extra      string
		uri, to, from       string
		asserted, preferred string
	}{
		{name: "as it is by default", headers: "p-asserted-identity", confirmed: true,
			uri: "sip:+12125550123@HOST", to: "<sip:+12125550123@HOST>", from: "<sip:+12125550111@OURS>",
			asserted: "<sip:+12125550111@OURS>"},
		{name: "user=phone", set: func(g *routing.Gateway) { g.NumberURI = routing.NumberPhone }, confirmed: true,
			headers: "p-asserted-identity", uri: "sip:+12125550123@HOST;user=phone",
			to: "<sip:+12125550123@HOST;user=phone>", from: "<sip:+12125550111@OURS;user=phone>",
			asserted: "<sip:+12125550111@OURS;user=phone>"},
		{name: "tel", set: func(g *routing.Gateway) { g.NumberURI = routing.NumberTel }, confirmed: true,
			headers: "p-asserted-identity", uri: "tel:+12125550123", to: "<tel:+12125550123>", from: "<tel:+12125550111>",
			asserted: "<tel:+12125550111>"},
		{name: "the account in From, a number that is confirmed", set: trunkUser, confirmed: true,
			uri: "sip:+12125550123@HOST", to: "<sip:+12125550123@HOST>", from: "<sip:trunk1@carrier.example>",
			asserted: "<sip:+12125550111@carrier.example>"},
		{name: "and one that is not", set: trunkUser,
			uri: "sip:+12125550123@HOST", to: "<sip:+12125550123@HOST>", from: "<sip:trunk1@carrier.example>",
			preferred: "<sip:+12125550111@carrier.example>"},
		{name: "and one that the connection shows to no carrier in headers", set: trunkUser, headers: "none",
			uri: "sip:+12125550123@HOST", to: "<sip:+12125550123@HOST>", from: "<sip:trunk1@carrier.example>"},
		{name: "and a private one", set: trunkUser, extra: "Privacy: id\r\n", confirmed: true,
			uri: "sip:+12125550123@HOST", to: "<sip:+12125550123@HOST>",
			from: `"Anonymous" <sip:trunk1@carrier.example>`, asserted: "<sip:+12125550111@carrier.example>"},
		{name: "the account in From, numbers as tel", confirmed: true,
			set: func(g *routing.Gateway) { trunkUser(g); g.NumberURI = routing.NumberTel },
			uri: "tel:+12125550123", to: "<tel:+12125550123>", from: "<sip:trunk1@carrier.example>",
			asserted: "<tel:+12125550111>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, wish{gateway: c.set, pbx: func(pbx *connection.IPConnection) {
				if c.headers != "" {
					pbx.CallerIDHeaders = c.headers
				}
				pbx.Outbound.ANIOverride, pbx.Outbound.ANIOverrideType = shown, "always"
				if c.confirmed {
					confirm(pbx, shown)
				}
			}})
			invite := carried(t, w, callee, c.extra)
			places := strings.NewReplacer("HOST", w.carriers[0].address(), "OURS", "127.0.0.1")
			for _, read := range []struct{ what, got, want string }{
				{"Request-URI", invite.URI, c.uri},
				{"To", invite.To, c.to},
				{"From", strings.SplitN(invite.From, ";tag=", 2)[0], c.from},
				{"P-Asserted-Identity", invite.Get("p-asserted-identity"), c.asserted},
				{"P-Preferred-Identity", invite.Get("p-preferred-identity"), c.preferred},
			} {
				if want := places.Replace(read.want); read.got != want {
					t.Errorf("%s %q, want %q", read.what, read.got, want)
				}
			}
		})
	}
}

func trunkUser(g *routing.Gateway) {
	user, domain := "trunk1", "carrier.example"
	g.FromUser, g.FromDomain = &user, &domain
}
