package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

// tlsProxy is a Kamailio between UDP and TLS.
type tlsProxy struct{ udp, tls string }

// startTLSProxy starts Kamailio at an address. It shows a certificate of one
// authority, and wants one of the other from whom it calls.
func startTLSProxy(t *testing.T, address string, shows, trusts *process.Authority, tlsPort int, next string) tlsProxy {
	t.Helper()
	program, err := exec.LookPath("kamailio")
	if err != nil {
		t.Fatalf("Kamailio with TLS is needed (Debian packages kamailio and kamailio-tls-modules; \"make deps\" installs "+
			"them): %v", err)
	}
	p := tlsProxy{udp: fmt.Sprintf("%s:%d", address, process.FreePort(t, address)),
		tls: fmt.Sprintf("%s:%d", address, tlsPort)}
	folder := t.TempDir()
	certificate, key := shows.Issue(address)
	settings := filepath.Join(folder, "tls.cfg")
	text := fmt.Sprintf("[server:default]\nmethod = TLSv1.2+\ncertificate = %[1]s\nprivate_key = %[2]s\n"+
		"[client:default]\nmethod = TLSv1.2+\nverify_certificate = yes\nrequire_certificate = yes\nca_list = %[3]s\n",
		certificate, key, trusts.Roots())
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile(filepath.Join("testdata", "tls-proxy.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(folder, "kamailio.cfg")
	filled := strings.NewReplacer("udp:UDP_LISTEN", "udp:"+p.udp, "tls:TLS_LISTEN", "tls:"+p.tls, "\"TLS_CONFIG\"",
		"\""+settings+"\"", "sip:NEXT", "sip:"+next, "=ADDRESS", "="+address).Replace(string(template))
	if err := os.WriteFile(config, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	var out process.Log
	command := exec.Command(program, "-DD", "-E", "-f", config, "-Y", folder, "-P", filepath.Join(folder, "pid"), "-m",
		"64", "-M", "8")
	command.Stdout, command.Stderr = &out, &out
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("log of the Kamailio at %s:\n%s", address, &out)
		}
	})
	process.Eventually(t, "Kamailio listens for TLS", 20*time.Second, func() bool {
		conn, err := net.Dial("tcp", p.tls)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return p
}

// TestTLSWithKamailio has whole calls between programs that are not ours and speak
// TLS with OpenSSL: SIPp, by UDP to a Kamailio, by TLS to Tollgate, by TLS to another
// Kamailio, by UDP to SIPp. Both Kamailios and Tollgate verify whom they connect to.
func TestTLSWithKamailio(t *testing.T) {
	const edgeIP, farIP, strangeIP = "127.0.0.4", "127.0.0.5", "127.0.0.6"
	ours, theirs := process.NewAuthority(t), process.NewAuthority(t)
	certificate, key := ours.Issue("127.0.0.1")
	secure := fmt.Sprintf("127.0.0.1:%d", process.FreePort(t, "127.0.0.1"))
	s := serve(t, t.TempDir(), "--sip-tls-listen", secure, "--sip-tls-cert", certificate, "--sip-tls-key", key,
		"--sip-tls-ca", theirs.Roots(), "--max-call", "3s")
	carrier := startCarrier(t)
	far := startTLSProxy(t, farIP, theirs, ours, process.FreePort(t, farIP), carrier)
	strange := startTLSProxy(t, strangeIP, ours, ours, process.FreePort(t, strangeIP), carrier)
	edge := startTLSProxy(t, edgeIP, theirs, ours, process.FreePort(t, edgeIP), secure+";transport=tls")

	profile := s.setUp(nil, far.tls)
	_, answer := s.Call(http.MethodGet, "/tollgate/v1/gateways", nil)
	gateway := fmt.Sprintf("/tollgate/v1/gateways/%v", answer["data"].([]any)[0].(object)["id"])
	s.Must(http.MethodPatch, gateway, object{"transport": "tls"})
	connection := s.Must(http.MethodPost, "/v2/ip_connections", object{
		"connection_name": "edge", "transport_protocol": "TLS", "outbound": object{"outbound_voice_profile_id": profile},
	})["id"]
	s.Must(http.MethodPost, "/v2/ips", object{"connection_id": connection, "ip_address": edgeIP})
	through := func(scenario, number string, calls int, hold time.Duration) *sipp {
		return startSIPp(t, "-sf", scenario, "-i", pbxIP, "-p", fmt.Sprint(process.FreePort(t, pbxIP)), "-s", number, "-m",
			fmt.Sprint(calls), "-l", fmt.Sprint(calls),
			"-r", "20", "-d", fmt.Sprint(hold.Milliseconds()), "-timeout", "60s", "-timeout_error", edge.udp)
	}
	through("pbx.xml", "+12125550123", 20, 500*time.Millisecond).wait(t) // the PBX hangs up
	through("pbx-held.xml", "+12125550124", 5, 0).wait(t)                // Tollgate hangs up, by TLS on both sides
	s.settled()
	records := s.records()
	if causes := count(records, "hangup_cause"); len(records) != 25 || count(records, "outcome")["answered"] != 25 ||
		causes["NORMAL_CLEARING"] != 20 || causes["ALLOTTED_TIMEOUT"] != 5 {
		t.Errorf("%d records: %v", len(records), causes)
	}
	s.wantSpend(profile)

	// A carrier with a certificate of someone else gets no call.
	s.Must(http.MethodPatch, gateway, object{"address": strange.tls})
	if err := <-through("pbx.xml", "+12125550125", 1, 0).done; err == nil {
		t.Error("a call went to a carrier with an untrusted certificate")
	}
	process.Eventually(t, "the record of the call that failed", 20*time.Second,
		func() bool { return len(s.records()) == 26 })
	if got := count(s.records(), "outcome"); got["failed"] != 1 {
		t.Errorf("records %v", got)
	}
}
