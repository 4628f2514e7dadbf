package app

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/internal/routing"
)

// TestACallWithAnchoredMedia places a call from a phone to a carrier through a
// whole server that anchors every call.
func TestACallWithAnchoredMedia(t *testing.T) {
	config := testConfig(t.TempDir())
	config.MediaAnchor, config.MediaPorts = true, "22000-22999"
	a := start(t, config)
	c := connect(t, a, "")
	carrier := phone.NewCarrier(phone.CarrierOptions{Default: phone.Answer})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Stop)
	g := routing.NewGateway()
	g.Name, g.Address = "carrier", carrier.Addr()
	if _, err := a.store.Gateways().Create(t.Context(), c.AccountID, g); err != nil {
		t.Fatal(err)
	}
	ip := connection.IP{
		ConnectionID: c.ID, IPAddress: connection.SingleAddress(netip.MustParseAddr("127.0.0.1")), Port: 5060,
	}
	if _, err := a.store.IPs().Create(t.Context(), c.AccountID, ip); err != nil {
		t.Fatal(err)
	}
	o, err := phone.Place(t.Context(), phone.Options{
		Server: a.SIPAddr(), From: "+13125550100", To: "+12125550123", HangUpAfter: 400 * time.Millisecond,
	})
	if err != nil || o.Status != 200 {
		t.Fatalf("the call: %d %s, %v", o.Status, o.Phrase, err)
	}
	limited, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	// The packets are counted after the end.
	if err := carrier.Await(limited, func(calls []phone.CarrierCall) bool {
		return !calls[0].Ended.IsZero() && calls[0].AudioReceived > 0
	}); err != nil {
		t.Fatal(err)
	}
	far := carrier.Calls()[0]
	if o.AudioReceived < 5 || far.AudioReceived < 5 {
		t.Errorf("heard: caller %d packets, callee %d", o.AudioReceived, far.AudioReceived)
	}
	if !strings.Contains(far.Invite, "m=audio 22") {
		t.Errorf("the carrier was not offered a port of the relay:\n%s", far.Invite)
	}
}

func TestMediaSettingsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // "" when it is good
	}{
		"default":            {func(*Config) {}, ""},
		"none":               {func(c *Config) { c.Media = "none" }, ""},
		"rtpengine":          {func(c *Config) { c.Media = "rtpengine=127.0.0.1:2223,[::1]:2223" }, ""},
		"rtpengine nowhere":  {func(c *Config) { c.Media = "rtpengine=" }, "media:"},
		"rtpengine by name":  {func(c *Config) { c.Media = "rtpengine=media.example.com:2223" }, "media:"},
		"unknown":            {func(c *Config) { c.Media = "magic" }, "media:"},
		"anchored by none":   {func(c *Config) { c.Media, c.MediaAnchor = "none", true }, "media_anchor"},
		"no range":           {func(c *Config) { c.MediaPorts = "20000" }, "media_ports"},
		"range upside down":  {func(c *Config) { c.MediaPorts = "30000-20000" }, "media_ports"},
		"privileged":         {func(c *Config) { c.MediaPorts = "100-20000" }, "media_ports"},
		"too high":           {func(c *Config) { c.MediaPorts = "20000-70000" }, "media_ports"},
		"a name":             {func(c *Config) { c.MediaAddresses = []string{"media.example.com"} }, "media_address"},
		"unspecified":        {func(c *Config) { c.MediaAddresses = []string{"0.0.0.0"} }, "media_address"},
		"two of one family":  {func(c *Config) { c.MediaAddresses = []string{"127.0.0.1", "127.0.0.2"} }, "media_address"},
		"two families":       {func(c *Config) { c.MediaAddresses = []string{"127.0.0.1", "::1"} }, ""},
		"translated":         {func(c *Config) { c.MediaAddresses = []string{"10.0.0.5/203.0.113.5"} }, ""},
		"advertised oddly":   {func(c *Config) { c.SIPAdvertise = []string{"0.0.0.0"} }, "sip_advertise"},
		"translated oddly":   {func(c *Config) { c.MediaAddresses = []string{"10.0.0.5/2001:db8::1"} }, "media_address"},
		"everywhere":         {func(c *Config) { c.SIPAddr = "0.0.0.0:5060" }, ""},
		"anchored where":     {func(c *Config) { c.SIPAddr, c.MediaAnchor = "0.0.0.0:5060", true }, "media_address"},
		"silence of nothing": {func(c *Config) { c.MediaTimeout = 0 }, "media_timeout"},
	} {
		config := testConfig(t.TempDir())
		c.change(&config)
		err := config.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want one that names %q", name, err, c.want)
		}
	}
}
