package routing

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/connection"
)

func TestValidateGateway(t *testing.T) {
	for _, good := range []string{"carrier.example", "carrier.example:5060", "192.0.2.1", "192.0.2.1:65535", "2001:db8::1",
		"[2001:db8::1]", "[2001:db8::1]:5060", "sip_1.example.", "localhost"} {
		g := NewGateway()
		g.Name, g.Address = "g", good
		if errs := g.Validate(); len(errs) != 0 {
			t.Errorf("%q: %v", good, errs)
		}
	}
	for _, bad := range []string{"", ":5060", "carrier.example:", "carrier.example:0", "carrier.example:65536",
		"carrier.example:+5", "sip:carrier.example", "a b", "-a.example", "a-.example", "a..b",
		"fe80::1%eth0", "carrier.example/x", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 140),
		"carrier.example:5060\r\n"} {
		g := NewGateway()
		g.Name, g.Address = "g", bad
		if errs := g.Validate(); len(errs) != 1 || errs[0].Pointer != "/address" || errs[0].Detail == "" {
			t.Errorf("%q: %v", bad, errs)
		}
	}
	for name, c := range map[string]struct {
		user, password, domain *string
		want                   string
	}{
		"both": {new("u"), new("p"), nil, ""}, "none": {nil, nil, nil, ""}, "empty": {new(""), new(""), new(""), ""},
		"user": {new("u"), nil, nil, "/password"}, "password": {nil, new("p"), nil, "/user_name"},
		"quote":              {new(`u"`), new("p"), nil, "/user_name"},
		"domain":             {nil, nil, new("carrier.example"), ""},
		"domain with a port": {nil, nil, new("carrier.example:5060"), "/from_domain"},
	} {
		g := NewGateway()
		g.Address = "a"
		g.UserName = c.user
		g.Password = c.password
		g.FromDomain = c.domain
		got := ""
		for _, e := range g.Validate() {
			got += e.Pointer
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestTelWantsWholeNumbers(t *testing.T) {
	for want, set := range map[string]func(*Gateway){
		"":                     func(*Gateway) {},
		"/number_format":       func(g *Gateway) { g.NumberFormat = FormatE164 },
		"/caller_format":       func(g *Gateway) { g.CallerFormat = FormatE164 },
		"/prefix":              func(g *Gateway) { g.Prefix = "99" },
		"/strip_digits":        func(g *Gateway) { g.StripDigits = 1 },
		"/caller_prefix":       func(g *Gateway) { g.CallerPrefix = "0" },
		"/caller_strip_digits": func(g *Gateway) { g.CallerStripDigits = 1 },
	} {
		g := NewGateway()
		g.Name = "g"
		g.Address = "carrier.example"
		g.NumberURI = NumberTel
		set(&g)
		got := ""
		for _, e := range g.Validate() {
			got += e.Pointer
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestValidateCountry(t *testing.T) {
	for name, c := range map[string]struct {
		format          string
		country, prefix *string
		want            string
	}{
		"none": {FormatE164, nil, nil, ""}, "not used": {FormatE164, new("GB"), nil, ""},
		"national":   {FormatNational, new("GB"), nil, ""},
		"no country": {FormatNational, nil, nil, "/country_code"}, "empty": {FormatNational, new(""), nil, "/country_code"},
		"lower case":      {FormatNational, new("gb"), nil, "/country_code"},
		"unknown":         {FormatE164, new("XX"), nil, "/country_code"},
		"no calling code": {FormatNational, new("AQ"), nil, "/country_code"},
		"several":         {FormatNational, new("AU"), nil, "/international_prefix"},
		"one of several":  {FormatNational, new("AU"), new("0011"), ""},
	} {
		for _, caller := range []bool{false, true} {
			g := NewGateway()
			g.Address = "a"
			g.CountryCode = c.country
			g.InternationalPrefix = c.prefix
			if g.NumberFormat = c.format; caller {
				g.NumberFormat, g.CallerFormat = FormatE164, c.format
			}
			got := ""
			for _, e := range g.Validate() {
				got += e.Pointer
			}
			if got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
	}
}

func TestAddressesOfAGateway(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "", "192.0.2.0/24": "", "203.0.0.0/16": "", "2001:db8::/32": "", "2001:db8::1": "",
		"203.0.0.0/12": "too large", "192.0.2.1/24": "bits set", "224.0.0.1": "multicast", "fe80::1": "link-local",
	} {
		g := NewGateway()
		g.Address = "carrier.example"
		network, err := connection.ParseNetwork(text)
		if err != nil {
			t.Fatal(err)
		}
		g.Addresses = []connection.Network{network}
		errs := g.Validate()
		if want == "" && len(errs) > 0 || want != "" && (len(errs) != 1 || errs[0].Pointer != "/addresses/0" ||
			!strings.Contains(errs[0].Detail, want)) {
			t.Errorf("%s: %v, want %q", text, errs, want)
		}
	}
}
