package routing

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/sip"
)

// Validate returns all problems of the gateway that the tags of its fields do not
// express.
func (g *Gateway) Validate() []field.Error {
	var errs []field.Error
	if !validAddress(g.Address) {
		errs = append(errs, field.Error{Pointer: "/address", Code: field.Malformed,
			Detail: "Not a host. Give a name or IP address with an optional port, such as \"sip.carrier.example:5060\" or " +
				"\"[2001:db8::1]:5060\"."})
	}
	if g.FromDomain != nil && *g.FromDomain != "" && !validHost(*g.FromDomain) {
		errs = append(errs, field.Error{Pointer: "/from_domain", Code: field.Malformed,
			Detail: "Not a host. Give a name or IP address without a port, or null for the gateway's own address."})
	}
	if g.TLSServerName != nil && *g.TLSServerName != "" && !validHost(*g.TLSServerName) {
		errs = append(errs, field.Error{Pointer: "/tls_server_name", Code: field.Malformed,
			Detail: "Not a host. Give the name or IP address that the gateway's certificate carries, or null for the host of " +
				"address."})
	}
	errs = append(errs, g.addressProblems()...)
	errs = append(errs, g.countryProblems()...)
	errs = append(errs, g.telProblems()...)
	for i, status := range g.FailoverStatuses {
		if status < 400 || status > 699 {
			errs = append(errs, field.Error{Pointer: "/failover_statuses/" + strconv.Itoa(i), Code: field.OutOfRange,
				Detail: "Not a final SIP failure status. Give one from 400 to 699, such as 480."})
		}
	}
	for i, name := range g.PassHeaders {
		if !sip.MayPass(name) {
			errs = append(errs, field.Error{Pointer: "/pass_headers/" + strconv.Itoa(i), Code: field.NotListed,
				Detail: sip.NotPassed(name)})
		}
	}
	for i, d := range g.IdentityDestinations {
		before := g.IdentityDestinations[:i]
		if slices.ContainsFunc(before, func(b IdentityByPrefix) bool { return b.Prefix == d.Prefix }) {
			errs = append(errs, field.Error{Pointer: "/identity_destinations/" + strconv.Itoa(i) + "/prefix",
				Code: field.Malformed, Detail: d.Prefix + " is listed twice. Give each prefix once."})
		}
	}
	if g.Register && g.RegisterExpiresSecs < 60 {
		errs = append(errs, field.Error{Pointer: "/register_expires_secs", Code: field.OutOfRange,
			Detail: "The interval of registrations is too short. Give at least 60."})
	}
	hasUser, hasPassword := g.UserName != nil && *g.UserName != "", g.Password != nil && *g.Password != ""
	if hasUser != hasPassword {
		pointer := "/password"
		if hasPassword {
			pointer = "/user_name"
		}
		errs = append(errs, field.Error{Pointer: pointer, Code: field.Missing,
			Detail: "A carrier that challenges needs both user_name and password. Give both or neither."})
	}
	if g.Register && !hasUser {
		errs = append(errs, field.Error{Pointer: "/user_name", Code: field.Missing,
			Detail: "register is true, which needs user_name and password. Give both."})
	}
	if hasUser && strings.ContainsAny(*g.UserName, "\"\\\r\n\x00") {
		errs = append(errs, field.Error{Pointer: "/user_name", Code: field.Malformed,
			Detail: "The user name contains a quote, a backslash or a line break, which a digest header cannot carry."})
	}
	return errs
}

// The largest networks of a carrier: what is listened to is not to be half of the internet.
const (
	largestIPv4 = 16
	largestIPv6 = 32
)

func (g *Gateway) addressProblems() []field.Error {
	errs := connection.NetworkProblems("/addresses", g.Addresses)
	for i, network := range g.Addresses {
		p := network.Prefix()
		if p.IsValid() && (p.Addr().Is4() && p.Bits() < largestIPv4 || p.Addr().Is6() && p.Bits() < largestIPv6) {
			errs = append(errs, field.Error{Pointer: "/addresses/" + strconv.Itoa(i), Code: field.OutOfRange,
				Detail: fmt.Sprintf("%s is too large for one carrier. Give networks of at most /%d (IPv4) or /%d (IPv6).",
					network, largestIPv4, largestIPv6)})
		}
	}
	return errs
}

// telProblems returns what prevents numbers as tel URIs, which have to be global (RFC 3966
// section 5.1.4).
func (g *Gateway) telProblems() (errs []field.Error) {
	if g.NumberURI != NumberTel {
		return nil
	}
	for _, f := range []struct {
		pointer string
		plain   bool
		wanted  string
	}{
		{"/number_format", g.NumberFormat == FormatPlusE164, FormatPlusE164},
		{"/caller_format", g.CallerFormat == FormatPlusE164, FormatPlusE164},
		{"/prefix", g.Prefix == "", `""`},
		{"/strip_digits", g.StripDigits == 0, "0"},
		{"/caller_prefix", g.CallerPrefix == "", `""`},
		{"/caller_strip_digits", g.CallerStripDigits == 0, "0"},
	} {
		if !f.plain {
			errs = append(errs, field.Error{Pointer: f.pointer, Code: field.Malformed,
				Detail: "number_uri is tel, which writes whole numbers with their country code. Give " + f.wanted +
					", or another number_uri."})
		}
	}
	return errs
}

// countryProblems returns what prevents numbers in the national format.
func (g *Gateway) countryProblems() []field.Error {
	const pointer = "/country_code"
	if g.CountryCode == nil || *g.CountryCode == "" {
		if g.NumberFormat != FormatNational && g.CallerFormat != FormatNational {
			return nil
		}
		return []field.Error{{Pointer: pointer, Code: field.Missing,
			Detail: "The national format needs a country. Give its ISO 3166-1 alpha-2 code such as \"GB\"."}}
	}
	country, ok := e164.CountryByAlpha2(*g.CountryCode)
	if !ok {
		wanted := "Give an ISO 3166-1 alpha-2 code such as \"US\", or null."
		if meant, ok := e164.SuggestCountry(*g.CountryCode); ok {
			wanted = fmt.Sprintf("Use %q.", meant)
		}
		return []field.Error{{Pointer: pointer, Code: field.NotListed,
			Detail: fmt.Sprintf("%.40q is not a country. %s", *g.CountryCode, wanted)}}
	}
	if country.CallingCode() == 0 {
		return []field.Error{{Pointer: pointer, Code: field.NotListed,
			Detail: country.Name() + " has no calling code, so no number is national there. Give another country, or null."}}
	}
	if g.InternationalPrefix == nil && country.InternationalPrefix() == "" {
		return []field.Error{{Pointer: "/international_prefix", Code: field.Missing,
			Detail: "Callers in " + country.Name() +
				" choose among several international prefixes. Give the one that this gateway takes."}}
	}
	return nil
}

func validAddress(address string) bool {
	if ip, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		return ip.Zone() == ""
	}
	if !strings.Contains(address, ":") {
		return validHost(address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && validHost(host)
}

// validHost accepts IP addresses and domain names (RFC 1123 section 2.1).
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			return false
		}
	}
	return true
}
