package connection

import (
	"strings"
	"testing"
)

func TestValidateFQDN(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]string{
		"sip.example.com": "", "SIP.Example.COM.": "", "_sips._tcp.example.com": "", "xn--bcher-kva.example": "", "1.a": "",
		long + ".example":       "",
		"a" + long + ".example": "/fqdn", "example": "/fqdn", "example.": "/fqdn", ".example.com": "/fqdn", "a..b": "/fqdn",
		"-a.example": "/fqdn", "a-.example": "/fqdn",
		"192.0.2.1": "/fqdn", "a b.example": "/fqdn", "bücher.example": "/fqdn", "a.example:5060": "/fqdn",
		"a.example..": "/fqdn", "*.example.com": "/fqdn", "": "/fqdn",
	} {
		f := FQDN{FQDN: name, ConnectionID: 7, DNSRecordType: "a"}
		if got := pointers(f.Validate()); got != want {
			t.Errorf("%q: wrong at %q, want %q", name, got, want)
		}
	}
	f := FQDN{FQDN: "Sip.Example.com.", DNSRecordType: "srv", Port: new(int32(5060))}
	if got := pointers(f.Validate()); got != "/port /connection_id" {
		t.Errorf("SRV with a port, of no connection: wrong at %q", got)
	}
	if f.Name() != "sip.example.com" || f.FQDN != "Sip.Example.com." {
		t.Errorf("compared as %q, kept as %q", f.Name(), f.FQDN)
	}
}

func TestPortInUse(t *testing.T) {
	for _, c := range []struct {
		record string
		port   *int32
		want   int32 // 0 for none
	}{{"a", nil, 5060}, {"a", new(int32(5080)), 5080}, {"srv", nil, 0}} {
		f := FQDN{DNSRecordType: c.record, Port: c.port}
		got := int32(0)
		if port := f.PortInUse(); port != nil {
			got = *port
		}
		if got != c.want {
			t.Errorf("%s record with port %v: %d, want %d", c.record, c.port, got, c.want)
		}
	}
}
