package e2e

import (
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

const x5u = "https://certificates.example.com/shaken.pem"

// certify has openssl make a key and a certificate for it, with the code 1234.
func certify(t *testing.T, folder, name string) (cert, key string) {
	t.Helper()
	config := filepath.Join(folder, name+".cnf")
	text := "[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=v3\n[dn]\nCN=SHAKEN 1234\n" +
		"[v3]\nkeyUsage=critical,digitalSignature\n1.3.6.1.5.5.7.1.26=ASN1:SEQUENCE:list\n" +
		"[list]\ncode=EXPLICIT:0,IA5STRING:1234\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key")
	run(t, "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
	run(t, "openssl", "req", "-new", "-x509", "-key", key, "-config", config, "-days", "20", "-out", cert)
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// startVerifier starts Kamailio as a carrier that verifies signatures by a certificate.
func startVerifier(t *testing.T, cert string) (address string, log *process.Log) {
	t.Helper()
	program, err := exec.LookPath("kamailio")
	if err != nil {
		t.Fatalf("Kamailio with secsipid is needed (Debian packages kamailio and kamailio-secsipid-modules; \"make deps\" "+
			"installs them): %v", err)
	}
	template, err := os.ReadFile(filepath.Join("testdata", "verifier.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	address = fmt.Sprintf("%s:%d", kamailioIP, process.FreePort(t, kamailioIP))
	folder := t.TempDir()
	config := filepath.Join(folder, "kamailio.cfg")
	filled := strings.NewReplacer(":LISTEN", ":"+address, "CERTIFICATE\"", cert+"\"").Replace(string(template))
	if err := os.WriteFile(config, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	log = &process.Log{}
	command := exec.Command(program, "-DD", "-E", "-f", config, "-Y", folder, "-P", filepath.Join(folder, "pid"), "-m",
		"64", "-M", "8")
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("log of Kamailio:\n%s", log)
		}
	})
	process.Eventually(t, "Kamailio listens", 20*time.Second, func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return address, log
}

// TestSignaturesAreVerifiedByOthers: Kamailio's secsipid in the call, then openssl, node
// and secsipidx on the same Identity.
func TestSignaturesAreVerifiedByOthers(t *testing.T) {
	folder := t.TempDir()
	cert, key := certify(t, folder, "shaken")
	carrier, log := startVerifier(t, cert)
	s := serve(t, t.TempDir(), "--shaken-cert", cert, "--shaken-key", key, "--shaken-x5u", x5u)
	s.setUp(nil, carrier)
	gateway := s.gateway()
	ask := func(call string, identity any) string {
		t.Helper()
		s.Must(http.MethodPatch, "/tollgate/v1/gateways/"+gateway, object{"identity": "pass",
			"identity_destinations": []object{{"prefix": "+1", "identity": identity}}})
		return s.inviteBusy(call)
	}
	if phrase := ask("unsigned", "pass"); phrase != "Unsigned" {
		t.Errorf("unsigned: %s", phrase)
	}
	if phrase := ask("signed", "sign"); phrase != "Verified" {
		t.Errorf("signed: %s", phrase)
	}

	match := regexp.MustCompile(`date=(.*) GMT identity=(\S+)=`).FindStringSubmatch(log.String())
	if match == nil {
		t.Fatal("the carrier got no Identity with a Date")
	}
	identity := match[2]
	verifyWithTools(t, folder, cert, identity)

	otherCert, otherKey := certify(t, folder, "other")
	wary, _ := startVerifier(t, otherCert)
	s.Must(http.MethodPatch, "/tollgate/v1/gateways/"+gateway, object{"address": wary})
	if phrase := ask("foreign", "sign"); phrase != "Not verified" {
		t.Errorf("by another certificate: %s", phrase)
	}

	// Another certificate is taken from its files without a restart.
	replace(t, otherCert, cert)
	replace(t, otherKey, key)
	if err := s.Command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	process.Eventually(t, "the new certificate is in force", 20*time.Second, func() bool {
		return strings.Contains(s.Log.String(), "reloaded")
	})
	verifier, _ := startVerifier(t, cert)
	s.Must(http.MethodPatch, "/tollgate/v1/gateways/"+gateway, object{"address": verifier})
	if phrase := ask("renewed", "sign"); phrase != "Verified" {
		t.Errorf("with the new certificate: %s", phrase)
	}
	for _, r := range s.records() {
		if r["attestation"] != "B" {
			t.Errorf("the record of %v has attestation %v", r["sip_call_id"], r["attestation"])
		}
	}
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(string(secret), "\n"); strings.Contains(s.Log.String(), lines[1]) {
		t.Error("the log has the key")
	}
}

func replace(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// verifyWithTools verifies an Identity by programs that share no code with ours.
func verifyWithTools(t *testing.T, folder, cert, identity string) {
	t.Helper()
	write := func(name string, data []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token, _, _ := strings.Cut(identity, ";")
	at := strings.LastIndex(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	if err != nil || len(raw) != 64 {
		t.Fatalf("a signature of %d bytes: %v", len(raw), err)
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
	if err != nil {
		t.Fatal(err)
	}
	public := write("public.pem", []byte(run(t, "openssl", "x509", "-in", cert, "-pubkey", "-noout")))
	signed := write("signed", []byte(token[:at]))
	run(t, "openssl", "dgst", "-sha256", "-verify", public, "-signature", write("signature", der), signed)
	script := write("verify.js", []byte(`
const { verify, X509Certificate } = require('crypto'), fs = require('fs')
const [cert, identity] = process.argv.slice(2).map(name => fs.readFileSync(name))
const [head, body, signature] = identity.toString().split(';')[0].split('.')
const key = new X509Certificate(cert).publicKey
const ok = verify('sha256', Buffer.from(head + '.' + body), { key, dsaEncoding: 'ieee-p1363' },
  Buffer.from(signature, 'base64url'))
const claims = JSON.parse(Buffer.from(body, 'base64url'))
const ordered = JSON.stringify(claims, Object.keys(claims).sort().concat('tn'))
process.exit(ok && ordered === Buffer.from(body, 'base64url').toString() && Array.isArray(claims.dest.tn) ? 0 : 1)
`))
	whole := write("identity", []byte(identity))
	run(t, "node", script, cert, whole)
	out := run(t, "secsipidx", "-check", "-fidentity", whole, "-fpubkey", cert, "-expire", "60")
	if !strings.Contains(out, "ok") {
		t.Errorf("secsipidx: %s", out)
	}
}

// gateway is the id of the first gateway.
func (s *server) gateway() string {
	s.T.Helper()
	_, answer := s.Call(http.MethodGet, "/tollgate/v1/gateways", nil)
	return answer["data"].([]any)[0].(object)["id"].(string)
}

// inviteBusy places a call to a callee that is busy and returns the phrase.
func (s *server) inviteBusy(call string) string {
	s.T.Helper()
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(pbxIP)}}
	conn, err := dialer.DialContext(s.T.Context(), "udp", s.SIP)
	if err != nil {
		s.T.Fatal(err)
	}
	defer conn.Close()
	head := fmt.Sprintf("Via: SIP/2.0/UDP %[1]s;branch=z9hG4bK%[2]s\r\nFrom: <sip:+13125550100@%[1]s>;tag=1\r\n"+
		"To: <sip:+13125550123@%[3]s>\r\nCall-ID: %[2]s\r\nMax-Forwards: 70\r\n", conn.LocalAddr(), call, s.SIP)
	line := " sip:+13125550123@" + s.SIP + " SIP/2.0\r\n"
	_, err = fmt.Fprintf(conn, "INVITE%s%sCSeq: 1 INVITE\r\nContact: <sip:%s>\r\nContent-Length: 0\r\n\r\n", line, head,
		conn.LocalAddr())
	if err != nil {
		s.T.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	answer := make([]byte, 4096)
	for {
		n, err := conn.Read(answer)
		if err != nil {
			s.T.Fatalf("no answer to %s: %v", call, err)
		}
		status, _, _ := strings.Cut(string(answer[:n]), "\r\n")
		if strings.HasPrefix(status, "SIP/2.0 1") {
			continue
		}
		if _, err := fmt.Fprintf(conn, "ACK%s%sCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n", line, head); err != nil {
			s.T.Fatal(err)
		}
		return strings.TrimPrefix(status, "SIP/2.0 486 ")
	}
}
