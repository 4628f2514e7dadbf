package sipgw

import (
	"testing"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/routing"
)

// TestACancelTellsWhy: a gateway that is cancelled hears the caller's reason where the caller
// gives one, and Tollgate's where Tollgate gives up (RFC 3326).
func TestACancelTellsWhy(t *testing.T) {
	ring := func(w *world) *message {
		invite := w.carriers[0].want("INVITE")
		w.carriers[0].reply(invite, 180, "far", "", "")
		w.pbx.want("180 INVITE")
		return invite
	}
	quick := func(g *routing.Gateway) { g.NoRingingSecs = 1 }
	for name, c := range map[string]struct {
		wish wish
		end  func(w *world, d *dialog) *message // returns the INVITE that is cancelled
		want string                             // "" for no Reason
	}{
		"the caller says nothing": {wish{}, func(w *world, d *dialog) *message {
			invite := ring(w)
			w.pbx.request(d, "CANCEL", "", "")
			return invite
		}, ""},
		"answered elsewhere": {wish{}, func(w *world, d *dialog) *message {
			invite := ring(w)
			w.pbx.request(d, "CANCEL", "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n", "")
			return invite
		}, `SIP;cause=200;text="Call completed elsewhere"`},
		"hung up by the API": {wish{}, func(w *world, _ *dialog) *message {
			invite := ring(w)
			live := w.srv.Live()
			w.srv.HangUp([]uuid.UUID{live[0].ID})
			return invite
		}, "Q.850;cause=16"},
		"left for another gateway": {wish{carriers: 2, gateway: quick}, func(w *world, _ *dialog) *message {
			invite := w.carriers[0].want("INVITE")
			w.carriers[0].reply(invite, 100, "", "", "")
			w.carriers[1].reply(w.carriers[1].want("INVITE"), 486, "far", "", "")
			return invite
		}, "Q.850;cause=26"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.wish)
			d := w.pbx.invite("+12125550123", "")
			invite := c.end(w, d)
			cancel := w.carriers[0].want("CANCEL")
			if c.want == "" && cancel.Has("reason") {
				t.Errorf("Reason %q", cancel.Get("reason"))
			}
			contains(t, cancel, "reason", c.want)
			w.carriers[0].reply(cancel, 200, "", "", "")
			w.carriers[0].reply(invite, 487, "far", "", "")
			w.record()
			w.settled()
		})
	}
}
