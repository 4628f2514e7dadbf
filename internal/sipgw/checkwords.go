package sipgw

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/sip"
)

// What a check advises.
const (
	adviceSilence = "See that a firewall on the way lets SIP pass, that transport and port are those " +
		"that the carrier names, " +
		"and that the carrier knows the address of this server: many say nothing to others."
	adviceAccount = "The address of this server, or the caller id, is not known to the carrier, or the " +
		"account may not call " +
		"there. Have the carrier allow both, or set from_user and from_domain as it says."
	adviceNumber = "Give the number in the form that the carrier wants: number_format, strip_digits, " +
		"prefix and number_uri. " +
		"Or the number does not exist."
	adviceMedia   = "The carrier takes none of what was offered. Set encrypted_media as it wants: SRTP, or RTP."
	adviceCarrier = "The carrier could not do it now. Check another number, and ask the carrier with " +
		"the status and its Reason."
	adviceNone = ""
)

// finals explains the final responses to the call of a check. passed is that of a call that
// the carrier has carried as far as the callee.
var finals = map[int]struct {
	passed       bool
	says, advice string
}{
	401: {false, "asks for a password", "Set user_name and password as the carrier gave them."},
	402: {false, "asks for payment", "Pay the carrier, or have it raise the credit of the account."},
	403: {false, "refuses the call", adviceAccount},
	404: {false, "does not know the number", adviceNumber},
	405: {false, "takes no calls here", "The address is not that of the carrier's trunk. Correct it."},
	407: {false, "asks for a password", "Set user_name and password as the carrier gave them."},
	408: {false, "had no answer in time", adviceCarrier},
	410: {false, "says that the number is gone", adviceNumber},
	415: {false, "does not take the description of the media", adviceMedia},
	416: {false, "does not take this kind of address", "Set number_uri to sip or sip_user_phone."},
	420: {false, "wants an extension that this server does not have", adviceCarrier},
	428: {false, "wants the call signed", "Set identity to sign, and the certificate with shaken_cert."},
	433: {false, "takes no anonymous calls", "Show a caller id: name a connection_id whose caller_ids confirm one."},
	436: {false, "cannot check the signature", "See that x5u of the certificate can be fetched."},
	437: {false, "does not trust the certificate of the signature", "Use a certificate of an approved authority."},
	438: {false, "finds the signature wrong", "Set identity to pass or strip, or mend the certificate " +
		"and the clock."},
	480: {true, "reached the number, which does not answer now", adviceNone},
	481: {false, "knows no such call", adviceCarrier},
	484: {false, "finds the number too short", adviceNumber},
	486: {true, "reached the number, which is busy", adviceNone},
	487: {true, "ended the call after the CANCEL", adviceNone},
	488: {false, "does not take the media offered", adviceMedia},
	503: {false, "is out of service or over a limit", adviceCarrier},
	600: {true, "reached the number, which is busy", adviceNone},
	603: {true, "reached the number, which declined", "Where every number declines, the caller id may " +
		"be blocked. See Reason."},
	604: {false, "does not know the number anywhere", adviceNumber},
	606: {false, "does not take the media offered", adviceMedia},
	607: {false, "says that the callee does not want such calls", "The caller id may be blocked. Ask the carrier."},
	608: {false, "says that an analysis has blocked the call", "The caller id may be blocked. Ask the carrier."},
}

// checkVerdict is what the call of a check came to.
type checkVerdict struct {
	passed       bool
	says, advice string
}

// judge says what the carrier did with the call; m is nil where no final response came.
func (c *checker) judge(m *message) checkVerdict {
	told := c.result.Call
	switch {
	case m != nil && m.Status < 300:
		return checkVerdict{true, "The call was answered " + after(c.since()) + ", and hung up at " +
			"once." + codecText(told.Codecs), ""}
	case c.call.rang:
		return checkVerdict{true, "It rang " + after(*told.RingingMicros) + ", and the call was cancelled." +
			codecText(told.Codecs), ""}
	case m != nil && told.Credentials == "refused":
		return checkVerdict{false, "The carrier asks for a password for the realm " +
			"" + strconv.Quote(textOf(told.Realm)) +
			" and refuses ours with " + statusText(m) + ".", "Correct user_name and password. Some carriers " +
			"also want the " +
			"user name in From: set from_user."}
	case m != nil && told.Credentials == "missing":
		return checkVerdict{false, "The carrier asks for a password for the realm " +
			"" + strconv.Quote(textOf(told.Realm)) +
			", and the gateway has none.", "Set user_name and password as the carrier gave them, or have the " +
			"carrier know " +
			"this server by its address."}
	case told.TryingMicros != nil && (m == nil || m.Status == 487):
		return checkVerdict{false, "The carrier said 100 Trying " + after(*told.TryingMicros) + ", and " +
			"nothing rang within " +
			checkRinging.String() + ".", adviceCarrier}
	case m == nil:
		return checkVerdict{false, "Nothing came back to the INVITE.", adviceSilence}
	case m.Status < 400:
		return checkVerdict{false, "The carrier sends the call elsewhere with " + statusText(m) + ".",
			"Redirections are not followed. Set address to where it sends: " +
				"" + sip.Kept(m.Get("contact"), maxCheckText) + "."}
	}
	v, known := finals[m.Status]
	if !known {
		v.says, v.advice = "refuses the call", adviceCarrier
	}
	return checkVerdict{v.passed, "The carrier " + v.says + ": " + statusText(m) + "." + reasonText(m), v.advice}
}

func after(micros int64) string {
	return "after " + (time.Duration(micros) * time.Microsecond).Round(time.Millisecond).String()
}

func statusText(m *message) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", m.Status, sip.Kept(m.Phrase, maxCheckText)))
}

func reasonText(m *message) (text string) {
	for _, name := range [...]string{"Reason", "Warning"} {
		if value := m.Get(strings.ToLower(name)); value != "" {
			text += " " + name + ": " + sip.Kept(value, maxCheckText) + "."
		}
	}
	return text
}

func codecText(codecs []string) string {
	if len(codecs) == 0 {
		return ""
	}
	return " It takes " + strings.Join(codecs, ", ") + "."
}

// connectAdvice says what to change where a connection is not made.
func connectAdvice(err error, secured bool) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	switch {
	case !secured:
		return adviceSilence
	case errors.As(err, &unknown):
		return "The certificate is of an authority that is not trusted here. Add its root to sip_tls_ca, " +
			"or see that address is " +
			"that of the carrier."
	case errors.As(err, &name):
		return "The certificate is for another name. Set address to that name, or tls_server_name."
	case errors.As(err, &invalid):
		return "The certificate is not valid. See that the clock of this machine is right, and ask the carrier."
	case errors.As(err, &alert):
		return "The carrier does not take our certificate, or TLS as we speak it. Give the carrier the " +
			"certificate of sip_tls_cert, " +
			"or one of an authority that it trusts."
	}
	return adviceSilence
}

// offeredCodecs are the formats of a check's offer, by payload type.
var offeredCodecs = map[string]string{"0": "PCMU", "8": "PCMA", "9": "G722", "101": "telephone-event"}

// codecsOf are those of the formats of the first audio line of a description.
func codecsOf(body []byte) []string {
	codecs := []string{}
	for line := range strings.Lines(string(body)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] != "m=audio" {
			continue
		}
		for _, format := range fields[3:] {
			if name := offeredCodecs[format]; name != "" && len(codecs) < len(offeredCodecs) {
				codecs = append(codecs, name)
			}
		}
		break
	}
	return codecs
}
