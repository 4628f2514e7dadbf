package connection

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/sip"
)

// Anchorsites are the values of anchorsite_override. Source: Telnyx v2.
func Anchorsites() []string {
	return []string{
		"Latency", "Chicago, IL", "Ashburn, VA", "San Jose, CA", "Sydney, Australia", "Amsterdam, Netherlands",
		"London, UK", "Toronto, Canada", "Vancouver, Canada", "Frankfurt, Germany",
	}
}

// Codecs are the values that inbound.codecs may hold. Source: Telnyx v2.
func Codecs() []string {
	return []string{"G722", "G711U", "G711A", "G729", "OPUS", "H.264", "AMR-WB"}
}

// Codec returns Telnyx's name of a codec, which may be given in any case or as in a
// session description (RFC 3551). It returns other texts unchanged.
func Codec(name string) string {
	switch strings.ToUpper(name) {
	case "PCMU":
		return "G711U"
	case "PCMA":
		return "G711A"
	case "H264":
		return "H.264"
	}
	for _, known := range Codecs() {
		if strings.EqualFold(name, known) {
			return known
		}
	}
	return name
}

// Validate returns all problems of the connection that the tags of its fields do not
// express.
func (c *IPConnection) Validate() []field.Error {
	errs := append(c.validate(&c.Outbound.Outbound, c.Outbound.TechPrefix), c.Inbound.validate()...)
	errs = append(errs, c.Outbound.validate()...)
	errs = append(errs, c.noTexmlProblem("IP")...)
	token := c.Outbound.IPAuthenticationToken
	if c.Outbound.IPAuthenticationMethod == "token" && (token == nil || *token == "") {
		errs = append(errs, field.Error{Pointer: "/outbound/ip_authentication_token", Code: field.Missing,
			Detail: "ip_authentication_method is token, which needs a token. Give the text that callers " +
				"send in the X-Telnyx-Token header."})
	}
	errs = append(errs, tokenProblem(token)...)
	if c.EncryptedMedia != nil && c.TransportProtocol == "TLS" {
		errs = append(errs, field.Error{Pointer: "/encrypted_media", Code: field.Malformed,
			Detail: "encrypted_media cannot be set when transport_protocol is TLS. Use null."})
	}
	return errs
}

// Validate returns all problems of the connection that the tags of its fields do not
// express.
func (c *CredentialConnection) Validate() []field.Error {
	errs := append(c.validate(&c.Outbound, ""), c.Inbound.validate()...)
	errs = append(errs, c.Outbound.validate()...)
	errs = append(errs, c.DigestSettings.problems(c.UserName, c.Password)...)
	if c.WebhookAPIVersion == texml && (c.Outbound.CallParkingEnabled == nil || !*c.Outbound.CallParkingEnabled) {
		errs = append(errs, field.Error{Pointer: "/webhook_api_version", Code: field.Malformed,
			Detail: "webhook_api_version is texml, which needs outbound.call_parking_enabled true. Give 1 or 2, or park calls."})
	}
	return errs
}

// texml is a webhook_api_version that only credential connections accept.
const texml = "texml"

// SettleWebhooks replaces texml by the version whose form webhooks have.
func (c *CredentialConnection) SettleWebhooks() {
	if c.WebhookAPIVersion == texml {
		c.WebhookAPIVersion = "2"
	}
}

// noTexmlProblem refuses texml for the kinds of connection that do not have it.
func (b *Base) noTexmlProblem(kind string) []field.Error {
	if b.WebhookAPIVersion != texml {
		return nil
	}
	return []field.Error{{Pointer: "/webhook_api_version", Code: field.NotListed,
		Detail: "webhook_api_version is texml, which " + kind + " connections do not have. Give one of 1, 2."}}
}

func tokenProblem(token *string) []field.Error {
	if token == nil || !strings.ContainsFunc(*token, notVisible) {
		return nil
	}
	return []field.Error{{Pointer: "/outbound/ip_authentication_token", Code: field.Malformed,
		Detail: "A token is sent in a SIP header. Use visible ASCII characters without spaces."}}
}

func algorithmProblems(algorithms []string) []field.Error {
	if len(algorithms) == 0 {
		return []field.Error{{Pointer: "/digest_algorithms", Code: field.Missing,
			Detail: "Without an algorithm no phone could authenticate. Give MD5, SHA-256 or both."}}
	}
	var errs []field.Error
	for i, algorithm := range algorithms {
		if !slices.Contains(KnownAlgorithms(), algorithm) || slices.Contains(algorithms[:i], algorithm) {
			errs = append(errs, field.Error{Pointer: "/digest_algorithms/" + strconv.Itoa(i), Code: field.NotListed,
				Detail: fmt.Sprintf("%.20q is not a supported algorithm, or is listed twice. Supported are %s.",
					algorithm, strings.Join(KnownAlgorithms(), ", "))})
		}
	}
	return errs
}

// userNameProblem wants a letter among the first five characters (Telnyx v2,
// user_name), so that a user name is never mistaken for a phone number.
func userNameProblem(name string) []field.Error {
	if head := name[:min(5, len(name))]; head == "" || strings.ContainsFunc(head, isLetter) {
		return nil
	}
	return []field.Error{{Pointer: "/user_name", Code: field.Malformed,
		Detail: "None of the first 5 characters is a letter. Use letters and digits, with a letter among the first 5."}}
}

// Validate returns all problems of the address that the tags of its fields do not
// express.
func (ip *IP) Validate() []field.Error {
	if detail := ip.IPAddress.Problem(); detail != "" {
		return []field.Error{{Pointer: "/ip_address", Code: field.Malformed, Detail: detail}}
	}
	return nil
}

func (b *Base) validate(o *Outbound, techPrefix string) []field.Error {
	var errs []field.Error
	if !slices.Contains(Anchorsites(), b.AnchorsiteOverride) {
		errs = append(errs, field.Error{Pointer: "/anchorsite_override", Code: field.NotListed,
			Detail: fmt.Sprintf("%.64q is not a site. Known are %s.", b.AnchorsiteOverride, strings.Join(Anchorsites(), "; "))})
	}
	if b.JitterBuffer.JitterbufferMsecMin > b.JitterBuffer.JitterbufferMsecMax {
		errs = append(errs, field.Error{Pointer: "/jitter_buffer/jitterbuffer_msec_min", Code: field.OutOfRange,
			Detail: "jitterbuffer_msec_min is above jitterbuffer_msec_max. Give at most the maximum."})
	}
	errs = append(errs, urlProblem("/webhook_event_url", b.WebhookEventURL)...)
	errs = append(errs, urlProblem("/webhook_event_failover_url", b.WebhookEventFailoverURL)...)
	errs = append(errs, b.emergencyProblems(o, techPrefix)...)
	errs = append(errs, b.CallerIDs.problems(o)...)
	for i, name := range b.PassHeaders {
		if !sip.MayPass(name) {
			errs = append(errs, field.Error{Pointer: "/pass_headers/" + strconv.Itoa(i), Code: field.NotListed,
				Detail: sip.NotPassed(name)})
		}
	}
	return errs
}

func (in *Inbound) validate() []field.Error {
	var errs []field.Error
	for i, codec := range in.Codecs {
		if !slices.Contains(Codecs(), codec) {
			errs = append(errs, field.Error{Pointer: "/inbound/codecs/" + strconv.Itoa(i), Code: field.NotListed,
				Detail: fmt.Sprintf("%.20q is not a codec. Known are %s.", codec, strings.Join(Codecs(), ", "))})
		}
	}
	return errs
}

func (o *Outbound) validate() []field.Error {
	var errs []field.Error
	home := e164.Country(0)
	if o.Localization != nil && *o.Localization != "" {
		country, ok := e164.CountryByAlpha2(*o.Localization)
		if !ok {
			wanted := "Give an ISO 3166-1 alpha-2 code such as \"US\", or null."
			if meant, ok := e164.SuggestCountry(*o.Localization); ok {
				wanted = fmt.Sprintf("Use %q.", meant)
			}
			errs = append(errs, field.Error{Pointer: "/outbound/localization", Code: field.NotListed,
				Detail: fmt.Sprintf("%.40q is not a country. %s", *o.Localization, wanted)})
		}
		home = country
	}
	if o.ANIOverride != "" {
		if _, err := o.CallerOverride(home); err != nil {
			errs = append(errs, field.Error{Pointer: "/outbound/ani_override", Code: field.NotE164,
				Detail: fmt.Sprintf("%.32q is not a phone number. Give +E.164 such as \"+13125550100\", or a national "+
					"number of the localization.", o.ANIOverride)})
		}
	}
	return errs
}

var errNoNumber = errors.New("not a phone number")

// CallerOverride returns the number of ani_override. It accepts every international
// number with the code of a country, even +1234567890: each call checks it against the
// numbering plan of the moment. National numbers are those of the localization.
func (o *Outbound) CallerOverride(home e164.Country) (e164.Number, error) {
	number, err := e164.Normalise(o.ANIOverride, home)
	if err == nil && e164.Valid(number) {
		return number, nil
	}
	written, err := e164.Parse(o.ANIOverride)
	if class := e164.Classify(written); err == nil && (class.Country != 0 || class.Range != "") {
		return written, nil
	}
	return 0, errNoNumber
}

// urlProblem accepts null, "" and absolute http and https addresses.
func urlProblem(pointer string, value *string) []field.Error {
	if value == nil || *value == "" {
		return nil
	}
	parsed, err := url.Parse(*value)
	if err == nil && (parsed.Scheme == "https" || parsed.Scheme == "http") && parsed.Host != "" {
		return nil
	}
	return []field.Error{{Pointer: pointer, Code: field.Malformed,
		Detail: "Not a web address. Give one with a scheme, such as \"https://example.com/hook\"."}}
}

func isLetter(r rune) bool   { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
func isControl(r rune) bool  { return r < ' ' || r == 0x7f }
func notVisible(r rune) bool { return r <= ' ' || r >= 0x7f }
