package connection

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/field"
)

func pointers(errs []field.Error) string {
	var all []string
	for _, e := range errs {
		all = append(all, e.Pointer)
	}
	return strings.Join(all, " ")
}

func TestDefaultsAreValid(t *testing.T) {
	ip, user, name := NewIPConnection(), NewCredentialConnection(), NewFQDNConnection()
	if got := pointers(ip.Validate()) + pointers(user.Validate()) + pointers(name.Validate()); got != "" {
		t.Errorf("defaults are wrong at %s", got)
	}
}

func TestValidateIPConnection(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*IPConnection)
		want   string
	}{
		"national caller id": {func(c *IPConnection) {
			c.Outbound.Localization = new("DE")
			c.Outbound.ANIOverride = "030 23125 178"
		}, ""},
		"national caller id without home": {func(c *IPConnection) { c.Outbound.ANIOverride = "030 23125 178" },
			"/outbound/ani_override"},
		"caller id of no plan": {func(c *IPConnection) { c.Outbound.ANIOverride = "+999123456789" },
			"/outbound/ani_override"},
		"lower-case country": {func(c *IPConnection) { c.Outbound.Localization = new("de") },
			"/outbound/localization"},
		"empty country": {func(c *IPConnection) { c.Outbound.Localization = new("") }, ""},
		"token": {func(c *IPConnection) {
			c.Outbound.IPAuthenticationMethod = "token"
			c.Outbound.IPAuthenticationToken = new("abc")
		}, ""},
		"empty token": {func(c *IPConnection) {
			c.Outbound.IPAuthenticationMethod = "token"
			c.Outbound.IPAuthenticationToken = new("")
		}, "/outbound/ip_authentication_token"},
		"token that breaks a header": {func(c *IPConnection) { c.Outbound.IPAuthenticationToken = new("a\r\nb") },
			"/outbound/ip_authentication_token"},
		"site": {func(c *IPConnection) { c.AnchorsiteOverride = "Chicago, IL" }, ""},
		"unknown site": {func(c *IPConnection) { c.AnchorsiteOverride = "Chicago" },
			"/anchorsite_override"},
		"buffer upside down": {func(c *IPConnection) { c.JitterBuffer.JitterbufferMsecMin = 300 },
			"/jitter_buffer/jitterbuffer_msec_min"},
		"web address": {func(c *IPConnection) { c.WebhookEventURL = new("https://example.com/x") },
			""},
		"web address without a scheme": {func(c *IPConnection) { c.WebhookEventFailoverURL = new("example.com") },
			"/webhook_event_failover_url"},
		"codec and emergency number at once": {func(c *IPConnection) {
			c.Inbound.Codecs = []string{"x"}
			c.EmergencyNumbers = []string{"112", ""}
		}, "/emergency_numbers/1 /inbound/codecs/0"},
	} {
		connection := NewIPConnection()
		c.change(&connection)
		if got := pointers(connection.Validate()); got != c.want {
			t.Errorf("%s: wrong at %q, want %q", name, got, c.want)
		}
	}
}

func TestValidateUserName(t *testing.T) {
	for name, good := range map[string]bool{"abcd": true, "1234a": true, "12345a": false, "12345678": false, "a": true,
		"z9999999": true} {
		c := NewCredentialConnection()
		c.UserName = name
		if got := len(c.Validate()) == 0; got != good {
			t.Errorf("%s: valid %t, want %t", name, got, good)
		}
	}
}
