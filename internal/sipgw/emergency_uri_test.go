package sipgw

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/connection"
)

// TestEmergencyByOtherURIs: a phone may ask for help without a SIP URI.
func TestEmergencyByOtherURIs(t *testing.T) {
	for uri, want := range map[string]string{
		"urn:service:sos":                     "911",
		"URN:service:SOS.police":              "911",
		"tel:112;phone-context=+1":            "112",
		"tel:9-1-1":                           "911",
		"sip:112;phone-context=+49@gw.test":   "112",
		"sip:%39%31%31@gw.test;user=phone":    "911",
		"sips:911@gw.test":                    "911",
		"sip:+1911@gw.test":                   "911",
		"sip:9911;npdi;rn=+12025550100@gw.te": "911",
	} {
		t.Run(uri, func(t *testing.T) {
			w := newWorld(t, wish{pbx: func(c *connection.IPConnection) {
				c.Outbound.Localization, c.Active = new("US"), false // which stops no emergency call
			}})
			pbx := newDialog(w.pbx, "+12125550123")
			w.pbx.send(w.pbx.text("INVITE", uri, pbx, "", offer))
			invite := w.carriers[0].await("INVITE")
			if !strings.HasPrefix(invite.URI, "sip:"+want+"@") {
				t.Errorf("the carrier is asked for %s, want %s", invite.URI, want)
			}
			w.carriers[0].reply(invite, 486, "far", "", "")
			w.pbx.await("486 INVITE")
			if r := w.record(); !r.Emergency {
				t.Errorf("recorded as %+v", r)
			}
		})
	}
	// What is no emergency is refused as before.
	for uri, status := range map[string]string{"urn:service:counseling": "416 INVITE", "mailto:x@y": "416 INVITE"} {
		w := newWorld(t, wish{})
		w.pbx.send(w.pbx.text("INVITE", uri, newDialog(w.pbx, "x"), "", offer))
		w.pbx.await(status)
	}
}
