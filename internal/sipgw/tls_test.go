package sipgw

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/certificate"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// authority issues the certificates of a test.
type authority struct {
	t      *testing.T
	folder string
	root   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, folder: t.TempDir()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write("root.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(filepath.Join(a.folder, name), text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue makes the certificate of a name or an address.
func (a *authority) issue(name string) (der []byte, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1 + a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, a.root, key.Public(), a.key); err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// files writes a certificate of that name where the gateway reads it.
func (a *authority) files(name string) transport.TLS {
	a.t.Helper()
	der, key := a.issue(name)
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write("key.pem", "EC PRIVATE KEY", secret)
	a.write("cert.pem", "CERTIFICATE", der)
	return transport.TLS{
		Addr: "127.0.0.1:0", CertFile: filepath.Join(a.folder, "cert.pem"),
		KeyFile: filepath.Join(a.folder, "key.pem"), CAFile: filepath.Join(a.folder, "root.pem"),
	}
}

func (a *authority) server(name string) *tls.Config {
	der, key := a.issue(name)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func (a *authority) client() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(a.root)
	return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

func TestOverTLS(t *testing.T) {
	w := newWorld(t, wish{tcp: true, tls: newAuthority(t),
		pbx: func(c *connection.IPConnection) { c.TransportProtocol = "TLS" }})
	w.pbx.connect()
	carrier := w.carriers[0]
	pbx := w.pbx.invite("+12125550123", "")
	carrier.conn = <-carrier.opened
	invite := carrier.want("INVITE")
	contains(t, invite, "via", "SIP/2.0/TLS "+w.srv.SecureAddr())
	contains(t, invite, "contact", w.srv.SecureAddr()+";transport=tls")
	carrier.reply(invite, 200, "far", "", answerSDP)
	carrier.want("ACK")
	answer := w.pbx.want("200 INVITE")
	contains(t, answer, "contact", w.srv.SecureAddr()+";transport=tls")
	pbx.join(answer)
	w.pbx.request(pbx, "ACK", "", "")
	far := carrier.serverDialog(invite, "far")
	carrier.request(far, "BYE", "", "")
	carrier.want("200 BYE")
	w.pbx.reply(w.pbx.want("BYE"), 200, "", "", "")
	w.record()
	w.settled()
}

// TestConnectionWantsTLS: what a connection of transport TLS sends without it is refused.
func TestConnectionWantsTLS(t *testing.T) {
	w := newWorld(t, wish{pbx: func(c *connection.IPConnection) { c.TransportProtocol = "TLS" }})
	w.pbx.invite("+12125550123", "")
	w.pbx.want("403 INVITE")
	if r := w.record(); r.Reason != admission.ReasonConnectionUnknown.String() {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

// TestGatewayCertificate: a carrier whose certificate does not name it, or whose
// root is unknown, gets no call; the next gateway does.
func TestGatewayCertificate(t *testing.T) {
	other := "sip.carrier.example"
	for name, c := range map[string]struct {
		gateway func(*routing.Gateway)
		reached bool
	}{
		"its address":      {func(*routing.Gateway) {}, true},
		"another name":     {func(g *routing.Gateway) { g.TLSServerName = &other }, false},
		"not to be looked": {func(g *routing.Gateway) { g.TLSServerName, g.TLSSkipVerify = &other, true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{tcp: true, tls: newAuthority(t), gateway: c.gateway})
			w.pbx.connect()
			w.pbx.invite("+12125550123", "")
			if !c.reached {
				if m := w.pbx.want("504 INVITE"); m.Status != 504 {
					t.Error(m.Status)
				}
				w.record()
				w.settled()
				return
			}
			carrier := w.carriers[0]
			carrier.conn = <-carrier.opened
			carrier.reply(carrier.want("INVITE"), 486, "far", "", "")
			carrier.want("ACK")
			w.pbx.want("486 INVITE")
			w.record()
			w.settled()
		})
	}
}

// TestCertificateReload: a new certificate is used for new connections, by itself
// and at once when asked, while a call on an old connection goes on; files that
// cannot be used change nothing.
func TestCertificateReload(t *testing.T) {
	a := newAuthority(t)
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	clock := func() time.Time { return time.Unix(0, now.Load()) }
	w := newWorld(t, wish{tcp: true, tls: a, config: func(c *Config) { c.TLS.Now = clock }})
	w.pbx.connect()
	carrier := w.carriers[0]
	pbx := w.pbx.invite("+12125550123", "")
	carrier.conn = <-carrier.opened
	invite := carrier.want("INVITE")
	carrier.reply(invite, 200, "far", "", answerSDP)
	carrier.want("ACK")
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")

	serial := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", w.srv.SecureAddr(), a.client())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	a.files("127.0.0.1")
	now.Add(int64(2 * certificate.CheckInterval))
	second := serial()
	if second == first {
		t.Error("the changed certificate is not in use")
	}
	a.files("127.0.0.1")
	if err := w.srv.Reload(); err != nil {
		t.Error(err)
	}
	third := serial()
	if third == second {
		t.Error("the reloaded certificate is not in use")
	}
	if err := os.WriteFile(filepath.Join(a.folder, "cert.pem"), []byte("half a certif"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.srv.Reload(); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("reload of a broken file: %v", err)
	}
	now.Add(int64(2 * certificate.CheckInterval))
	if serial() != third {
		t.Error("a broken file has changed the certificate in use")
	}

	w.pbx.request(pbx, "BYE", "", "")
	w.pbx.want("200 BYE")
	carrier.reply(carrier.want("BYE"), 200, "", "", "")
	w.record()
	w.settled()
}

// TestSilentHandshake: a peer that opens a connection and never shakes hands, or
// speaks plain SIP to the TLS port, takes nothing but its connection.
func TestSilentHandshake(t *testing.T) {
	w := newWorld(t, wish{tcp: true, tls: newAuthority(t)})
	conn, err := net.Dial("tcp", w.srv.SecureAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("OPTIONS sip:a@b SIP/2.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	buffer := make([]byte, 512)
	for err == nil {
		_, err = conn.Read(buffer)
	}
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Error("the connection stays open")
	}
	w.pbx.connect()
	w.pbx.quiet()
}
