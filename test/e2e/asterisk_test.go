package e2e

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/asterisk"
	"github.com/tollgate/tollgate/test/process"
)

// asteriskIP is where Asterisk listens.
const asteriskIP = "127.0.0.7"

// asteriskHz is the tone that Asterisk plays to the carrier.
const asteriskHz = 400

// asteriskDialplan answers with a tone and keeps what it hears. The call ends by itself.
const asteriskDialplan = `
[tests]
exten => tone,1,Answer()
 same => n,MixMonitor(%FOLDER%/mixed.wav,r(%FOLDER%/heard-${CHANNEL(linkedid)}.wav))
 same => n,Playtones(400)
 same => n,Wait(3)
 same => n,Hangup()
`

// asteriskTrunk is a trunk as the administrator of a PBX writes it. TOLLGATE, SECURE and the other words in capitals
// are replaced.
type asteriskTrunk struct {
	name, pjsip string
	registers   bool
	encrypted   bool // by SRTP; the carrier has none
}

// asteriskTrunks are the forms that FreePBX makes, and one over TLS.
var asteriskTrunks = []asteriskTrunk{
	{name: "credentials", registers: true, pjsip: `
[udp]
type=transport
protocol=udp
bind=LISTEN
[credentials]
type=registration
transport=udp
outbound_auth=credentials
retry_interval=15
fatal_retry_interval=0
forbidden_retry_interval=10
max_retries=10000
max_random_initial_delay=0
expiration=3600
auth_rejection_permanent=no
line=yes
endpoint=credentials
contact_user=alice1
server_uri=sip:TOLLGATE
client_uri=sip:alice1@TOLLGATE
[credentials]
type=auth
auth_type=userpass
username=alice1
password=a-long-password
[credentials]
type=aor
contact=sip:alice1@TOLLGATE
qualify_frequency=1
qualify_timeout=3
[credentials]
type=endpoint
transport=udp
context=from-pstn
disallow=all
allow=ulaw,alaw,gsm,g722
aors=credentials
send_connected_line=no
outbound_auth=credentials
rtp_symmetric=yes
direct_media=no
dtmf_mode=auto
trust_id_outbound=yes
send_pai=no
from_user=alice1
from_domain=127.0.0.1
`},
	{name: "address", pjsip: `
[udp]
type=transport
protocol=udp
bind=LISTEN
[address]
type=aor
contact=sip:TOLLGATE
qualify_frequency=1
qualify_timeout=3
[address]
type=endpoint
transport=udp
context=from-pstn
disallow=all
allow=ulaw,alaw,g722
aors=address
rtp_symmetric=yes
direct_media=no
t38_udptl=yes
t38_udptl_ec=redundancy
dtmf_mode=rfc4733
send_pai=yes
trust_id_outbound=yes
[address]
type=identify
endpoint=address
match=127.0.0.1
`},
	{name: "tls", encrypted: true, pjsip: `
[tls]
type=transport
protocol=tls
bind=LISTEN
ca_list_file=ROOTS
verify_server=yes
method=tlsv1_2
[tls]
type=aor
contact=sip:SECURE\;transport=tls
qualify_frequency=1
[tls]
type=endpoint
transport=tls
context=from-pstn
disallow=all
allow=ulaw,alaw,g722
aors=tls
direct_media=no
media_encryption=sdes
send_pai=yes
`},
}

// TestAsteriskTrunks has a call over each trunk: Asterisk sees the trunk as reachable before its first call, registers
// where it does so, and both sides hear each other.
func TestAsteriskTrunks(t *testing.T) {
	for _, trunk := range asteriskTrunks {
		t.Run(trunk.name, func(t *testing.T) {
			t.Parallel()
			testAsteriskTrunk(t, trunk)
		})
	}
}

func testAsteriskTrunk(t *testing.T, trunk asteriskTrunk) {
	authority := process.NewAuthority(t)
	certificate, key := authority.Issue("127.0.0.1")
	s := serve(t, t.TempDir(), "--sip-tls-listen", "127.0.0.1:0", "--sip-tls-cert", certificate, "--sip-tls-key", key)
	voice := voices(t)[0]
	carrier := startTalker(t, voice)
	s.asteriskConnections(carrier.Addr(), trunk.encrypted)
	words := strings.NewReplacer("LISTEN", fmt.Sprintf("%s:%d", asteriskIP, process.FreePort(t, asteriskIP)),
		"TOLLGATE", s.SIP, "SECURE", s.Secure, "ROOTS", authority.Roots())
	pbx := asterisk.Start(t, map[string]string{
		"pjsip.conf": words.Replace(trunk.pjsip), "extensions.conf": asteriskDialplan}, t.TempDir())

	process.Eventually(t, "the trunk is reachable", 30*time.Second, func() bool {
		return strings.Contains(pbx.CLI("pjsip show contacts"), "Avail")
	})
	if trunk.registers {
		process.Eventually(t, "the trunk is registered", 30*time.Second, func() bool {
			return strings.Contains(pbx.CLI("pjsip show registrations"), "Registered")
		})
	}
	if out := pbx.CLI("channel originate PJSIP/12125550123@" + trunk.name + " extension tone@tests"); strings.Contains(
		out, "rror") {
		t.Fatalf("originate: %s", out)
	}
	record := s.onlyRecord()
	if record["outcome"] != "answered" || record["hangup_cause"] != "NORMAL_CLEARING" || record["cld"] != "+12125550123" {
		t.Fatalf("record %v", record)
	}
	// G.722 was offered, and so the recording has the samples of it.
	audio := sides(t, fetch(t, s.recordings(1)[0]), "dual", 16000)
	for side, hz := range []float64{asteriskHz, calleeHz} {
		if heard := tenths(audio[side], 16000, hz); heard < 20 {
			t.Errorf("side %d of the recording has %.0f Hz in %d tenths of a second of a call of 3 s", side, hz, heard)
		}
	}
	if heard := tenths(s.heardBy(pbx), 8000, calleeHz); heard < 20 {
		t.Errorf("Asterisk heard the carrier in %d tenths of a second of a call of 3 s", heard)
	}
}

// asteriskConnections makes a profile that records, a carrier, and a connection for each form of trunk.
func (s *server) asteriskConnections(carrier string, encrypted bool) {
	s.T.Helper()
	profile := s.setUp(object{"call_recording": object{"call_recording_type": "all", "call_recording_format": "wav",
		"call_recording_channels": "dual"}}, carrier)
	if encrypted {
		_, answer := s.Call(http.MethodGet, "/tollgate/v1/gateways", nil)
		s.Must(http.MethodPatch, fmt.Sprintf("/tollgate/v1/gateways/%v", answer["data"].([]any)[0].(object)["id"]),
			object{"encrypted_media": "RTP"})
	}
	// A PBX without a number of its own shows its user name.
	outbound := object{"outbound_voice_profile_id": profile, "ani_override": "+13125550100", "ani_override_type": "always",
		"localization": "US"}
	s.Must(http.MethodPost, "/v2/credential_connections", object{"connection_name": "credentials", "user_name": "alice1",
		"password": "a-long-password", "outbound": outbound})
	connection := s.Must(http.MethodPost, "/v2/ip_connections", object{"connection_name": "address",
		"outbound": outbound})["id"]
	s.Must(http.MethodPost, "/v2/ips", object{"connection_id": connection, "ip_address": asteriskIP})
}

// onlyRecord waits for the record of the one call that there was.
func (s *server) onlyRecord() object {
	s.T.Helper()
	var records []object
	process.Eventually(s.T, "the record of a call", 60*time.Second, func() bool {
		records = s.records()
		return len(records) > 0
	})
	if len(records) != 1 {
		s.T.Fatalf("%d records: %v", len(records), records)
	}
	return records[0]
}

// heardBy is what Asterisk has kept of what it heard.
func (s *server) heardBy(pbx *asterisk.Server) []int16 {
	s.T.Helper()
	files, _ := filepath.Glob(filepath.Join(pbx.Folder, "heard-*.wav"))
	if len(files) != 1 {
		s.T.Fatalf("recordings of Asterisk: %v", files)
	}
	wav, err := os.ReadFile(files[0])
	if err != nil {
		s.T.Fatal(err)
	}
	return sides(s.T, wav, "single", 8000)[0]
}

// tenths are the tenths of a second in which a tone is heard, as loud as programs play it.
func tenths(audio []int16, rate int, hz float64) (heard int) {
	for ; len(audio) >= rate/10; audio = audio[rate/10:] {
		var power float64
		for _, v := range audio[:rate/10] {
			power += float64(v) * float64(v)
		}
		// A tone alone has the amplitude that its power says.
		alone := math.Sqrt(2 * power / float64(rate/10))
		if strength := amplitude(audio[:rate/10], rate, hz); strength > 500 && strength > alone*0.8 {
			heard++
		}
	}
	return heard
}

// asteriskSwitch is the PJSIP of an Asterisk that sends the calls of a PBX to carriers, and asks Tollgate before.
const asteriskSwitch = `
[udp]
type=transport
protocol=udp
bind=LISTEN
[pbx]
type=endpoint
transport=udp
context=outbound
disallow=all
allow=ulaw,alaw
direct_media=no
[pbx]
type=identify
endpoint=pbx
match=PBX
[carrier]
type=endpoint
transport=udp
context=from-carrier
disallow=all
allow=ulaw,alaw
direct_media=no
`

// asteriskManager is its manager.conf, with the user of examples/asterisk/tollgate.py.
const asteriskManager = "[general]\nenabled=yes\nbindaddr=" + asteriskIP + "\nport=PORT\n" +
	"[tollgate]\nsecret=a-manager-secret\npermit=127.0.0.0/255.0.0.0\nread=call\nwrite=call\n"

// askingAsterisk is an Asterisk with the dialplan and the script of examples/asterisk, and the program that renews
// grants beside it.
type askingAsterisk struct {
	*server
	pbx *asterisk.Server
	sip string
}

func startAskingAsterisk(t *testing.T, s *server) *askingAsterisk {
	t.Helper()
	examples, err := filepath.Abs("../../examples/asterisk")
	if err != nil {
		t.Fatal(err)
	}
	dialplan, err := os.ReadFile(filepath.Join(examples, "extensions.conf"))
	if err != nil {
		t.Fatal(err)
	}
	a := &askingAsterisk{server: s, sip: fmt.Sprintf("%s:%d", asteriskIP, process.FreePort(t, asteriskIP))}
	manager := fmt.Sprint(process.FreePort(t, asteriskIP))
	env := []string{"TOLLGATE_URL=" + s.API, "TOLLGATE_KEY=" + process.Key, "TOLLGATE_SWITCH=asterisk",
		"TOLLGATE_CONNECTION=" + s.theConnection(), "TOLLGATE_RENEW_EVERY=1",
		"AMI_ADDRESS=" + net.JoinHostPort(asteriskIP, manager), "AMI_SECRET=a-manager-secret"}
	a.pbx = asterisk.Start(t, map[string]string{
		"pjsip.conf":      strings.NewReplacer("LISTEN", a.sip, "PBX", pbxIP).Replace(asteriskSwitch),
		"manager.conf":    strings.ReplaceAll(asteriskManager, "PORT", manager),
		"extensions.conf": string(dialplan),
	}, examples, env...)
	grants := exec.CommandContext(t.Context(), filepath.Join(examples, "tollgate.py"), "grants")
	out := &process.Log{}
	grants.Env, grants.Stderr = append(os.Environ(), env...), out
	if err := grants.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = grants.Wait()
		if t.Failed() {
			t.Logf("log of tollgate.py grants:\n%s", out)
		}
	})
	return a
}

// TestAsteriskAsksAndTells has the calls of examples/asterisk: answered, refused, busy, failed over and cancelled. Each
// leaves one record, and nothing is held afterwards.
func TestAsteriskAsksAndTells(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	carrier := startSwitchCarrier(t)
	profile := s.setUp(nil, carrier.Addr())
	a := startAskingAsterisk(t, s)
	s.switchCalls(a.sip)
	s.settled()
	s.wantSpend(profile)
}

// TestAsteriskEndsCalls has one call end when the money is spent, and another one outlive its first grant, until it is
// hung up over the API.
func TestAsteriskEndsCalls(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	carrier := startSwitchCarrier(t)
	profile := s.setUp(nil, carrier.Addr())
	a := startAskingAsterisk(t, s)
	s.switchEnds(a.sip, profile)
}
