package sipgw

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/record"
)

// TestSpirals: a request that comes back by a proxy is a new call where it is for another
// number, and a loop where it is for the same one, however that is written.
func TestSpirals(t *testing.T) {
	for dialled, loops := range map[string]bool{
		"+13105550100": false, "+12125550123": true, "12125550123": true, "911": false,
	} {
		t.Run(dialled, func(t *testing.T) {
			w := newWorld(t, wish{carriers: 2})
			w.pbx.invite("+12125550123", "")
			invite := w.carriers[0].await("INVITE")
			d := newDialog(w.pbx, dialled)
			back := w.pbx.text("INVITE", "sip:"+dialled+"@gate.test", d, "Via: "+invite.Get("via")+"\r\n", offer)
			w.pbx.send(back)
			if loops {
				w.pbx.await("482 INVITE")
				return
			}
			onward := w.carriers[0].await("INVITE")
			if onward.CallID == invite.CallID {
				onward = w.carriers[0].await("INVITE")
			}
			if !strings.Contains(onward.URI, strings.TrimPrefix(dialled, "+")) {
				t.Errorf("the spiral is sent to %s", onward.URI)
			}
		})
	}
}

// TestExpires: an INVITE that has not been answered in its time is cancelled, whatever
// gateway it is at; one that has been answered goes on.
func TestExpires(t *testing.T) {
	w := newWorld(t, wish{carriers: 2})
	w.pbx.invite("+12125550123", "Expires: 1\r\n")
	first := w.carriers[0].await("INVITE")
	w.carriers[0].reply(first, 503, "far", "", "")
	w.carriers[0].await("ACK")
	invite := w.carriers[1].await("INVITE")
	w.carriers[1].reply(invite, 180, "far", "", "")
	cancel := w.carriers[1].await("CANCEL")
	w.carriers[1].reply(cancel, 200, "far", "", "")
	w.carriers[1].reply(invite, 487, "far", "", "")
	w.pbx.await("487 INVITE")
	r := w.record()
	if r.Outcome != record.OutcomeCancelled || len(r.Attempts) != 2 || r.Attempts[1].Reason != "cancelled" {
		t.Errorf("record %+v", r)
	}
	w.settled()
	for _, extra := range []string{"Expires: 0\r\n", "Expires: soon\r\n", "Expires: 4294967295\r\n"} {
		w.pbx.invite("+12125550123", extra)
		w.busyAt(w.carriers[0])
	}
	pbx, _ := w.talk("Expires: 1\r\n")
	s := make(chan bool)
	w.srv.shardOf(pbx.callID).post(func() {
		pending := false
		for call := range w.srv.shardOf(pbx.callID).calls {
			pending = pending || call.expires != nil
		}
		s <- pending
	})
	if <-s {
		t.Error("the time of an answered call's INVITE still runs")
	}
	w.hangUp(pbx)
}

// TestPreferences: what RFC 3841 has crosses to the carrier, and nothing else.
func TestPreferences(t *testing.T) {
	w := newWorld(t, wish{})
	w.pbx.invite("+12125550123", "Accept-Contact: *;audio;require, <sip:evil@203.0.113.9>\r\nj: *;mobility=mobile\r\n"+
		"Request-Disposition: no-fork, explode\r\nJoin: x;from-tag=a;to-tag=b\r\n")
	invite := w.carriers[0].await("INVITE")
	for field, want := range map[string]string{
		"accept-contact": "*;audio;require", "reject-contact": "*;mobility=mobile",
		"request-disposition": "no-fork", "join": "",
	} {
		if got := strings.Join(invite.All(field), "|"); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
}

func FuzzPreference(f *testing.F) {
	for _, seed := range []string{"*", "*;audio", "* ;a=b", "<sip:a@b>", "*x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		rest, found := strings.CutPrefix(value, "*")
		if isPreference(value) && (!found || rest != "" && !strings.ContainsAny(rest[:1], " \t;")) {
			t.Errorf("%q passes for a preference", value)
		}
	})
}
