package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
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

// startRegistrar starts Kamailio as a carrier that wants a registration and digest,
// in front of another server, and returns what stops it.
func startRegistrar(t *testing.T, listen, carrier, password string) (stop func()) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "registrar.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	config := filepath.Join(folder, "kamailio.cfg")
	filled := strings.NewReplacer("sip:CARRIER", "sip:"+carrier, "=LISTEN", "=udp:"+listen, "\"PASSWORD\"",
		"\""+password+"\"").Replace(string(text))
	if err := os.WriteFile(config, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	command := exec.Command("kamailio", "-DD", "-E", "-f", config, "-Y", folder, "-m", "64")
	command.Stdout, command.Stderr = &out, &out
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatalf("Kamailio is needed (Debian package kamailio; \"make test\" installs it): %v", err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("log of Kamailio:\n%s", out.Bytes())
		}
	}
	t.Cleanup(stop)
	return stop
}

// health is that of the first gateway.
func (s *server) health() object {
	s.T.Helper()
	_, answer := s.Call(http.MethodGet, "/tollgate/v1/gateways", nil)
	data, _ := answer["data"].([]any)
	if len(data) == 0 {
		s.T.Fatalf("no gateway: %v", answer)
	}
	health, _ := data[0].(object)["health"].(object)
	return health
}

// TestARegistrarOfKamailio: Tollgate registers with a carrier, answers its
// challenges, calls through it, and sees when it is away and back.
func TestARegistrarOfKamailio(t *testing.T) {
	listen := fmt.Sprintf("%s:%d", carrierIP, process.FreePort(t, carrierIP))
	carrier := startCarrier(t)
	stop := startRegistrar(t, listen, carrier, "s3cret-pass")
	s := serve(t, t.TempDir())
	s.setUp(nil, listen)
	_, answer := s.Call(http.MethodGet, "/tollgate/v1/gateways", nil)
	gateway := answer["data"].([]any)[0].(object)["id"]
	path := fmt.Sprintf("/tollgate/v1/gateways/%v", gateway)
	s.Must(http.MethodPatch, path, object{
		"user_name": "trunk", "password": "s3cret-pass", "from_domain": "carrier.test", "register": true,
		"options_interval_secs": 1,
	})
	process.Eventually(t, "registration", 10*time.Second, func() bool {
		h := s.health()
		return h != nil && h["state"] == "up" && h["register_status"] == 200.0 && h["registered_until"] != nil &&
			h["options_at"] != nil
	})
	s.pbx("pbx.xml", "+12125550123", 5, 5, 300*time.Millisecond).wait(t)
	s.settled()
	if records := s.records(); count(records, "outcome")["answered"] != 5 {
		t.Fatalf("records: %v", records)
	}

	stop()
	process.Eventually(t, "the gateway down", 30*time.Second, func() bool { return s.health()["state"] == "down" })
	began := time.Now()
	refused := s.pbx("pbx.xml", "+12125550123", 1, 1, 0)
	if err := <-refused.done; err == nil {
		t.Error("a call was let through to a carrier that is away")
	}
	process.Eventually(t, "the record of the refusal", 10*time.Second, func() bool { return len(s.records()) == 6 })
	for _, r := range s.records() {
		if r["outcome"] != "answered" && r["hangup_cause"] != "GATEWAY_DOWN" {
			t.Errorf("record %v", r)
		}
	}
	t.Logf("refused within %v", time.Since(began))

	startRegistrar(t, listen, carrier, "s3cret-pass")
	process.Eventually(t, "the gateway up", 30*time.Second, func() bool { return s.health()["state"] == "up" })
	// Wrong credentials take it out.
	s.Must(http.MethodPatch, path, object{"password": "wrong-pass"})
	process.Eventually(t, "the registration refused", 20*time.Second, func() bool {
		h := s.health()
		return h["state"] == "unregistered" && h["register_status"] == 401.0
	})
}

// TestDrain: after SIGTERM a call that is up goes on to its own end, new ones are
// told to go elsewhere, and the process ends with the last call.
func TestDrain(t *testing.T) {
	folder := t.TempDir()
	s := serve(t, folder, "--stop-limit", "60s")
	s.setUp(nil, startCarrier(t))
	pbx := s.pbx("pbx.xml", "+12125550124", 3, 50, 4*time.Second)
	process.Eventually(t, "3 calls up", 10*time.Second, func() bool { return s.liveCalls("answered_at") == 3 })
	began := time.Now()
	if err := s.Command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	late := s.pbx("pbx-drained.xml", "+12125550125", 1, 1, 0)
	late.wait(t) // the scenario wants 503 with Retry-After
	pbx.wait(t)
	<-s.Done
	if took := time.Since(began); took > 30*time.Second || s.Command.ProcessState.ExitCode() != 0 {
		t.Errorf("ended after %v with status %d", took, s.Command.ProcessState.ExitCode())
	}
	s = serve(t, folder)
	if got := count(s.records(), "outcome"); got["answered"] != 3 || got["refused"] != 1 {
		t.Errorf("records %v", got)
	}
	for _, r := range s.records() {
		if r["outcome"] == "answered" && r["hangup_source"] != "caller" {
			t.Errorf("record %v", r)
		}
	}
}

// TestReliableProgress: a PBX that insists on reliable provisional responses, and a
// carrier that sends them and answers after the PRACK.
func TestReliableProgress(t *testing.T) {
	port := process.FreePort(t, carrierIP)
	startSIPp(t, "-sf", "carrier-prack.xml", "-i", carrierIP, "-p", fmt.Sprint(port))
	s := serve(t, t.TempDir())
	profile := s.setUp(nil, fmt.Sprintf("%s:%d", carrierIP, port))
	s.pbx("pbx-prack.xml", "+12125550123", 20, 20, 300*time.Millisecond).wait(t)
	s.wantSpend(profile)
	if got := count(s.records(), "outcome"); got["answered"] != 20 {
		t.Errorf("records %v", got)
	}
}

// TestReloadOnHangup: certificates and settings of a config file are read again
// while a call is up; what cannot be used leaves everything in force.
func TestReloadOnHangup(t *testing.T) {
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	certificate := func() {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
		template := &x509.Certificate{
			SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.ParseIP("127.0.0.1")},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		secret, _ := x509.MarshalECPrivateKey(key)
		for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der},
			"key.pem": {Type: "EC PRIVATE KEY", Bytes: secret}} {
			if err := os.WriteFile(file(name), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	settings := func(text string) {
		t.Helper()
		if err := os.WriteFile(file("tollgate.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificate()
	settings(`{"log_level": "error"}`)
	secure := fmt.Sprintf("127.0.0.1:%d", process.FreePort(t, "127.0.0.1"))
	s := serve(t, t.TempDir(), "--config", file("tollgate.json"),
		"--sip-tls-listen", secure, "--sip-tls-cert", file("cert.pem"), "--sip-tls-key", file("key.pem"))
	serial := func() string {
		t.Helper()
		// No other source gets a connection.
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(pbxIP)}}
		// what is looked at is which one it is
		conn, err := tls.DialWithDialer(dialer, "tcp", secure, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	hangup := func(words string) {
		t.Helper()
		seen := strings.Count(s.Text(), words)
		if err := s.Command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		process.Eventually(t, words, 10*time.Second, func() bool { return strings.Count(s.Text(), words) > seen })
	}
	s.setUp(nil, startCarrier(t))
	first := serial()
	long := s.pbx("pbx.xml", "+12125550123", 1, 1, 6*time.Second)
	process.Eventually(t, "a call up", 10*time.Second, func() bool { return s.liveCalls("answered_at") == 1 })

	certificate()
	settings(`{"log_level": "info", "max_call": "1s"}`)
	hangup("reloaded on SIGHUP")
	if serial() == first {
		t.Error("the old certificate is still in use")
	}
	second := serial()
	short := s.pbx("pbx-held.xml", "+12125550124", 1, 1, 0)
	short.wait(t) // the server hangs up
	settings(`{"log_level": "info", "max_call": "never"}`)
	hangup("what was in force stays so")
	if serial() != second {
		t.Error("a config file that cannot be read has changed the certificate")
	}
	long.wait(t) // it ends by itself
	s.settled()
	if got := count(s.records(), "hangup_cause"); got["ALLOTTED_TIMEOUT"] != 1 || got["NORMAL_CLEARING"] != 1 {
		t.Errorf("records %v", got)
	}
}
