package media_test

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/media"
)

func TestProtectionOf(t *testing.T) {
	const (
		head = "v=0|o=- 1 1 IN IP4 192.0.2.1|s=-|c=IN IP4 192.0.2.1|t=0 0|"
		key  = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw|"
	)
	for _, c := range []struct {
		text string
		want media.Protection
	}{
		{"", media.Nothing},
		{head, media.Nothing},
		{head + "m=audio 0 RTP/AVP 0|", media.Nothing},
		{head + "m=audio 0 RTP/SAVP 0|", media.Nothing},
		{head + "m=audio 4000 RTP/AVP 0|", media.Clear},
		{head + "m=audio 4000 RTP/AVPF 0|", media.Clear},
		{head + "m=audio 4000 RTP/AVP 0|" + key, media.Clear}, // keys alone encrypt nothing
		{head + "m=audio 4000 RTP/AVP 0|a=tcap:1 RTP/SAVP|a=pcfg:1 t=1|", media.Clear},
		{head + "m=audio 4000 RTP/SAVP 0|", media.Clear},
		{head + "m=audio 4000 RTP/SAVP 0|" + key, media.Sealed},
		{head + "m=audio 4000 RTP/SAVPF 0|" + key, media.Sealed},
		{head + "m=audio 4000 rtp/savp 0|" + key, media.Sealed},
		{head + key + "m=audio 4000 RTP/SAVP 0|", media.Sealed},
		{head + "m=audio  4000/2  RTP/SAVP  0|" + key, media.Sealed},
		{head + "m=audio 4000 RTP/SAVP 0|a=crypto:1 NULL_HMAC_SHA1_80 inline:AAAA|", media.Clear},
		{head + "m=audio 4000 RTP/SAVP 0|" + key[:len(key)-1] + " UNENCRYPTED_SRTP|", media.Clear},
		{head + "m=audio 4000 UDP/TLS/RTP/SAVPF 0|", media.Clear},
		{head + "m=audio 4000 UDP/TLS/RTP/SAVPF 0|a=fingerprint:sha-256 AA|", media.Sealed},
		{head + "a=fingerprint:sha-256 AA|m=audio 4000 UDP/TLS/RTP/SAVP 0|", media.Sealed},
		{head + "m=audio 4000 RTP/SAVP 0|" + key + "m=video 4002 RTP/AVP 31|", media.Mixed},
		{head + "m=video 4002 RTP/AVP 31|m=audio 4000 RTP/SAVP 0|" + key, media.Mixed},
		{head + "m=audio 4000 RTP/SAVP 0|" + key + "m=video 4002 RTP/SAVP 31|", media.Mixed}, // no keys of its own
		{head + "m=audio 4000 RTP/SAVP 0|" + key + "m=video 0 RTP/AVP 31|", media.Sealed},
		{head + "m=audio 4000 RTP/SAVP 0|" + key + "m=video 00 RTP/AVP 31|", media.Sealed},
		{head + "m=audio 4000 RTP/SAVP 0|" + key + "m=video 0 RTP/AVP 31|a=bundle-only|", media.Mixed},
		{head + "m=audio 4000 RTP/SAVP 0|" + key + "m=image 4002 udptl t38|", media.Mixed},
		{head + "m=image 4002 udptl t38|", media.Clear},
		{head + "m=image 4002 UDP/TLS/UDPTL t38|a=fingerprint:sha-256 AA|", media.Sealed},
		{"--b|Content-Type: application/sdp||" + head + "m=audio 4000 RTP/SAVP 0|" + key +
			"--b|Content-Type: application/isup||xx|--b--|", media.Sealed},
		{"--b|Content-Type: application/sdp||" + head + "m=audio 4000 RTP/SAVP 0|" + key +
			"--b|Content-Type: application/sdp||" + head + "m=audio 1 RTP/AVP 0|", media.Mixed},
	} {
		for _, ending := range []string{"\r\n", "\n", "\r"} {
			if got := media.ProtectionOf([]byte(strings.ReplaceAll(c.text, "|", ending))); got != c.want {
				t.Errorf("%q: %d, want %d", strings.ReplaceAll(c.text, "|", ending), got, c.want)
			}
		}
	}
}
