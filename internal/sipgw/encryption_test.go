package sipgw

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/media/relay"
	"github.com/tollgate/tollgate/internal/routing"
)

const (
	srtpKey    = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
	takeUpdate = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE, PRACK\r\n"
)

// sealedSDP is a description with its audio by SRTP.
func sealedSDP(sdp string) string { return strings.Replace(sdp, "RTP/AVP", "RTP/SAVP", 1) + srtpKey }

// inKind is a description with its audio as an offer has it: a relay may have taken SRTP off.
func inKind(offered *message, sdp string) string {
	if strings.Contains(string(offered.Body), "RTP/SAVP") {
		return sealedSDP(sdp)
	}
	return sdp
}

// exposing are descriptions that would have media pass unencrypted.
var exposing = map[string]string{
	"plain":           offer,
	"keys in RTP/AVP": offer + srtpKey,
	"no keys":         strings.Replace(offer, "RTP/AVP", "RTP/SAVP", 1),
	"no keys, AVPF":   strings.Replace(offer, "RTP/AVP", "RTP/SAVPF", 1),
	"no encryption": strings.Replace(sealedSDP(offer), "\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80",
		"\r\na=crypto:1 NULL_HMAC_SHA1_80", 1),
	"plain video":       sealedSDP(offer) + "m=video 4002 RTP/AVP 31\r\n",
	"plain video first": strings.Replace(sealedSDP(offer), "m=audio", "m=video 4002 RTP/AVP 31\r\nm=audio", 1),
	"a fax":             strings.Replace(offer, "m=audio 4000 RTP/AVP 8", "m=image 4000 udptl t38", 1),
}

// srtpOnly is the wish for sides that speak SRTP only.
func srtpOnly(caller, gateway bool) wish {
	var want wish
	want.pbx = func(c *connection.IPConnection) {
		if caller {
			c.EncryptedMedia = new("SRTP")
		}
	}
	want.gateway = func(g *routing.Gateway) {
		if gateway {
			g.EncryptedMedia = new(routing.MediaSRTP)
		}
	}
	return want
}

// talkSealed sets up a call whose media are encrypted on both sides.
func (w *world) talkSealed() (pbx, far *dialog) {
	w.t.Helper()
	pbx = newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", takeUpdate, sealedSDP(offer))
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", takeUpdate, inKind(invite, answerSDP))
	w.carriers[0].want("ACK")
	ok := w.pbx.want("200 INVITE")
	pbx.join(ok)
	w.pbx.request(pbx, "ACK", "", "")
	return pbx, w.carriers[0].serverDialog(invite, "far")
}

// TestEncryptionHoldsForEveryOffer: an offer without encryption is refused whenever it
// comes and whichever side makes it, and the call goes on.
func TestEncryptionHoldsForEveryOffer(t *testing.T) {
	for name, sides := range map[string][2]bool{"caller": {true, false}, "gateway": {false, true}, "both": {true, true}} {
		for _, anchor := range []bool{false, true} {
			want := srtpOnly(sides[0], sides[1])
			if anchor {
				want.config = anchored(t, func(_ *Config, r *relay.Config) {}).config
			}
			w := newWorld(t, want)
			pbx, far := w.talkSealed()
			for _, p := range []struct {
				from *party
				d    *dialog
				held bool // the side's own offers must be encrypted
			}{{w.pbx, pbx, sides[0]}, {w.carriers[0], far, sides[1]}} {
				if !p.held && anchor {
					continue // the relay encrypts towards the other side
				}
				for kind, sdp := range exposing {
					for _, method := range []string{"INVITE", "UPDATE"} {
						p.from.request(p.d, method, "", sdp)
						if m := p.from.want("488 " + method); m.Phrase != "Encrypted Media Required" {
							t.Errorf("%s, anchored %v: %s by %s: %s", name, anchor, kind, method, m.Phrase)
						}
						if method == "INVITE" {
							p.from.request(p.d, "ACK", "", "")
						}
					}
				}
			}
			// The other side has heard of none, and what is encrypted passes.
			w.pbx.request(pbx, "INVITE", "", sealedSDP(offer)+"m=video 0 RTP/AVP 31\r\n")
			re := w.carriers[0].want("INVITE")
			w.carriers[0].reply(re, 200, "", "", inKind(re, answerSDP)+"m=video 0 RTP/AVP 31\r\n")
			w.carriers[0].want("ACK")
			w.pbx.want("200 INVITE")
			w.pbx.request(pbx, "ACK", "", "")
			w.hangUp(pbx)
			w.record()
			w.settled()
		}
	}
}

// TestEncryptionOfTheFirstOffer also holds where nothing can be anchored.
func TestEncryptionOfTheFirstOffer(t *testing.T) {
	for name, sides := range map[string][2]bool{"caller": {true, false}, "gateway": {false, true}} {
		w := newWorld(t, srtpOnly(sides[0], sides[1]))
		for kind, sdp := range exposing {
			d := newDialog(w.pbx, "+12125550123")
			w.pbx.request(d, "INVITE", "", sdp)
			if m := w.pbx.want("488 INVITE"); m.Phrase != "Encrypted Media Required" {
				t.Errorf("%s, %s: %s", name, kind, m.Phrase)
			}
			w.pbx.request(d, "ACK", "", "")
			w.record()
		}
		w.carriers[0].quiet()
	}
}

// TestEncryptionOfAnswers: an answer without encryption makes no call.
func TestEncryptionOfAnswers(t *testing.T) {
	w := newWorld(t, srtpOnly(true, true))
	for _, early := range []bool{false, true} {
		d := newDialog(w.pbx, "+12125550123")
		w.pbx.request(d, "INVITE", "", sealedSDP(offer))
		invite := w.carriers[0].want("INVITE")
		body := answerSDP
		if early {
			w.carriers[0].reply(invite, 183, "far", "", answerSDP)
			if m := w.pbx.want("183 INVITE"); len(m.Body) != 0 {
				t.Errorf("183 with %q", m.Body)
			}
			body = "" // the answer was that of the 183
		}
		w.carriers[0].reply(invite, 200, "far", "", body)
		w.carriers[0].want("ACK")
		if m := w.pbx.want("488 INVITE"); m.Phrase != "Encrypted Media Required" {
			t.Errorf("%s", m.Phrase)
		}
		w.pbx.request(d, "ACK", "", "")
		w.carriers[0].reply(w.carriers[0].want("BYE"), 200, "", "", "")
		if r := w.record(); r.HangupCause != call.CauseIncompatible {
			t.Errorf("record: %s", r.HangupCause)
		}
	}
	w.settled()
}

// TestEncryptionOfLateOffers: the carrier's offer in its 2xx, the caller's answer in
// the ACK, and the same in a re-INVITE.
func TestEncryptionOfLateOffers(t *testing.T) {
	w := newWorld(t, srtpOnly(true, true))
	pbx := newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", "", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", "", offer)
	w.carriers[0].want("ACK")
	w.pbx.want("488 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].reply(w.carriers[0].want("BYE"), 200, "", "", "")
	w.record()

	pbx = newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", "", "")
	invite = w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", "", sealedSDP(offer))
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", answerSDP)
	if ack := w.carriers[0].want("ACK"); len(ack.Body) != 0 {
		t.Errorf("ACK with %q", ack.Body)
	}
	w.carriers[0].reply(w.carriers[0].want("BYE"), 200, "", "", "")
	w.pbx.reply(w.pbx.want("BYE"), 200, "", "", "")
	w.record()

	pbx, _ = w.talkSealed()
	w.pbx.request(pbx, "INVITE", "", "")
	w.carriers[0].reply(w.carriers[0].want("INVITE"), 200, "", "", offer)
	w.carriers[0].want("ACK")
	w.pbx.want("488 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.hangUp(pbx)
	w.record()
	w.settled()
}

// TestEncryptionBeforeTheAnswer: offers in PRACK and UPDATE while it rings.
func TestEncryptionBeforeTheAnswer(t *testing.T) {
	w := newWorld(t, srtpOnly(true, true))
	carrier := w.carriers[0]
	pbx := newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", reliably, sealedSDP(offer))
	invite := carrier.want("INVITE")
	carrier.reliable(invite, 183, "far", 1, sealedSDP(answerSDP))
	early := w.pbx.want("183 INVITE")
	pbx.join(early)
	w.pbx.request(pbx, "PRACK", rack(early), offer)
	if m := w.pbx.await("488 PRACK"); m.Phrase != "Encrypted Media Required" {
		t.Errorf("%s", m.Phrase)
	}
	w.pbx.request(pbx, "UPDATE", "", offer)
	w.pbx.want("488 UPDATE")
	far := carrier.serverDialog(invite, "far")
	carrier.request(far, "UPDATE", "", offer)
	carrier.await("488 UPDATE")
	carrier.reply(invite, 486, "far", "", "")
	w.pbx.await("486 INVITE")
	w.record()
	w.settled()
}

// TestAnEmergencyCallIsNotRefusedForItsMedia: it goes on with what there is.
func TestAnEmergencyCallIsNotRefusedForItsMedia(t *testing.T) {
	w := newWorld(t, srtpOnly(true, true))
	d := newDialog(w.pbx, "911")
	w.pbx.request(d, "INVITE", "", offer)
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].want("ACK")
	d.join(w.pbx.want("200 INVITE"))
	w.pbx.request(d, "ACK", "", "")
	w.hangUp(d)
	w.record()
	w.settled()
}

// TestAPhoneWithSRTPCallsAPlainCarrier: the relay takes SRTP off where the gateway has no wish
// of its own, and only there; without a relay the carrier gets what the caller offers.
func TestAPhoneWithSRTPCallsAPlainCarrier(t *testing.T) {
	dtls := strings.Replace(offer, "RTP/AVP", "UDP/TLS/RTP/SAVP", 1) + "a=fingerprint:sha-256 AA\r\n"
	for name, c := range map[string]struct {
		relay          bool
		wanted         *string
		offered, there string
	}{
		"keys":            {true, nil, sealedSDP(offer), "RTP/AVP"},
		"as it is set":    {true, new(routing.MediaSRTP), sealedSDP(offer), "RTP/SAVP"},
		"without a relay": {false, nil, sealedSDP(offer), "RTP/SAVP"},
		"DTLS":            {true, nil, dtls, "UDP/TLS/RTP/SAVP"},
		"plain":           {true, nil, offer, "RTP/AVP"},
	} {
		var want wish
		if c.relay {
			want.config = anchored(t, func(s *Config, _ *relay.Config) { s.AnchorAll = false }).config
		}
		want.gateway = func(g *routing.Gateway) { g.EncryptedMedia = c.wanted }
		w := newWorld(t, want)
		pbx := newDialog(w.pbx, "+12125550123")
		w.pbx.request(pbx, "INVITE", "", c.offered)
		invite := w.carriers[0].want("INVITE")
		if !strings.Contains(string(invite.Body), " "+c.there+" ") {
			t.Errorf("%s: the carrier is offered %q", name, invite.Body)
		}
		answer := strings.Replace(answerSDP, "RTP/AVP", c.there, 1)
		if c.there == "RTP/SAVP" {
			answer += srtpKey
		}
		w.carriers[0].reply(invite, 200, "far", "", answer)
		w.carriers[0].want("ACK")
		ok := w.pbx.want("200 INVITE")
		if wanted := strings.Contains(c.offered, "RTP/SAVP"); strings.Contains(string(ok.Body), "RTP/SAVP") != wanted {
			t.Errorf("%s: the caller is answered %q", name, ok.Body)
		}
		pbx.join(ok)
		w.pbx.request(pbx, "ACK", "", "")
		w.hangUp(pbx)
		w.record()
		w.settled()
	}
}
