package reach_test

import (
	"bufio"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/reach"
)

var classes = map[string]reach.Class{
	"public": reach.Public, "example": reach.Documentation, "private": reach.Private, "loopback": reach.Loopback,
	"never": reach.Never,
}

// TestJudge judges the first and last addresses of every range and those beside them.
func TestJudge(t *testing.T) {
	file, err := os.Open("testdata/addresses.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	n := 0
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		words := strings.Fields(scanner.Text())
		if len(words) != 2 || words[0] == "#" {
			continue
		}
		n++
		class, what := reach.Judge(netip.MustParseAddr(words[0]))
		if want, known := classes[words[1]]; class != want || !known || (what == "") != (class == reach.Public) {
			t.Errorf("%s is judged %d %q, want %s", words[0], class, what, words[1])
		}
	}
	if n < 80 {
		t.Fatalf("only %d addresses", n)
	}
	if class, _ := reach.Judge(netip.Addr{}); class != reach.Never {
		t.Error("no address is taken for one")
	}
}

func TestJudgeName(t *testing.T) {
	for name, want := range map[string]reach.Class{
		"sip.carrier.example": reach.Public, "127.0.0.1.nip.io": reach.Public, "carrier": reach.Public,
		"0x7f.example": reach.Public,
		"localhost":    reach.Loopback, "LOCALHOST.": reach.Loopback, "sip.localhost": reach.Loopback,
		"metadata.google.internal": reach.Never, "Metadata.Google.Internal.": reach.Never, "metadata": reach.Never,
		"instance-data": reach.Never,
		"2130706433":    reach.Never, "0x7f.1": reach.Never, "0177.0.0.1": reach.Never, "127.1": reach.Never,
		"0x7f000001": reach.Never, "1.2.3.256.": reach.Never,
	} {
		if class, _ := reach.JudgeName(name); class != want {
			t.Errorf("%s is judged %d, want %d", name, class, want)
		}
	}
}

// verdict is "" for a target that may be sent to.
func verdict(g *reach.Guard, at string) string {
	why, ok := g.Refuses(netip.MustParseAddrPort(at))
	switch {
	case ok:
		return ""
	case why.Allowable:
		return "ask"
	}
	return "no"
}

func TestRefuses(t *testing.T) {
	host := reach.Host{
		Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("10.0.0.5"),
			netip.MustParseAddr("2001:db8::5")},
		Listeners: []netip.AddrPort{netip.MustParseAddrPort("[::]:5060"), netip.MustParseAddrPort("127.0.0.1:8080")},
	}
	outside := reach.New(reach.Rules{Documentation: true, HighPorts: true})
	outside.Know(host)
	inside := reach.New(reach.Rules{Documentation: true, HighPorts: true, Private: true, Loopback: true})
	inside.Know(host)
	inside.Also(func(at netip.AddrPort) bool { return at == netip.MustParseAddrPort("127.0.0.1:20000") })
	for _, c := range []struct{ at, outside, inside string }{
		{"192.0.2.50:5060", "", ""}, {"8.8.8.8:53", "", ""}, {"[2001:db8::9]:5060", "", ""},
		{"10.0.0.6:5060", "ask", ""}, {"100.64.1.1:5060", "ask", ""}, {"[fd12::1]:5060", "ask", ""},
		{"10.0.0.6:22", "ask", ""},
		{"127.0.0.1:5070", "ask", ""}, {"127.9.9.9:5070", "ask", ""}, {"[::1]:5070", "ask", ""},
		{"[::ffff:127.0.0.1]:5070", "ask", ""},
		{"203.0.113.5:5070", "ask", ""}, {"[2001:db8::5]:5070", "ask", ""}, {"10.0.0.5:5070", "ask", ""},
		{"127.0.0.1:22", "no", "no"}, {"[::1]:443", "no", "no"}, {"203.0.113.5:22", "no", "no"},
		{"127.0.0.1:5060", "no", "no"}, {"127.0.0.2:5060", "no", "no"}, {"[::1]:5060", "no", "no"},
		{"203.0.113.5:5060", "no", "no"},
		{"10.0.0.5:5060", "no", "no"}, {"127.0.0.1:8080", "no", "no"}, {"[::ffff:127.0.0.1]:8080", "no", "no"},
		{"127.0.0.2:8080", "ask", ""}, {"127.0.0.1:20000", "ask", "no"}, {"127.0.0.1:20002", "ask", ""},
		{"169.254.169.254:80", "no", "no"}, {"[fe80::1]:5060", "no", "no"}, {"224.0.1.75:5060", "no", "no"},
		{"255.255.255.255:5060", "no", "no"}, {"0.0.0.0:5060", "no", "no"}, {"[::]:5060", "no", "no"},
		{"240.0.0.1:5060", "no", "no"},
		{"100.100.100.200:80", "no", "no"}, {"[64:ff9b::7f00:1]:5060", "no", "no"}, {"[2002:7f00:1::]:5060", "no", "no"},
	} {
		if got := verdict(outside, c.at); got != c.outside {
			t.Errorf("from outside %s: %q, want %q", c.at, got, c.outside)
		}
		if got := verdict(inside, c.at); got != c.inside {
			t.Errorf("allowed %s: %q, want %q", c.at, got, c.inside)
		}
	}
	if _, ok := reach.New(reach.Rules{}).Refuses(netip.MustParseAddrPort("192.0.2.1:443")); ok {
		t.Error("an address of examples is taken where none is wanted")
	}
}

// TestFollows holds what a peer may name of its own.
func TestFollows(t *testing.T) {
	strict, allowing := reach.New(reach.Rules{}), reach.New(reach.Rules{Private: true})
	for _, g := range []*reach.Guard{strict, allowing} {
		g.Know(reach.Host{
			Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5")},
			Listeners: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:5060")},
		})
	}
	for _, c := range []struct {
		at, by           string
		strict, allowing bool
	}{
		{"198.51.100.9:4000", "198.51.100.1", true, true},
		{"198.51.100.9:4000", "10.0.0.9", true, true},
		{"10.0.0.9:4000", "198.51.100.1", false, true},
		{"10.0.0.9:4000", "192.168.1.1", true, true},
		{"10.0.0.9:4000", "10.0.0.9", true, true},
		{"10.0.0.9:4000", "127.0.0.1", false, true},
		{"127.0.0.1:4000", "198.51.100.1", false, false},
		{"127.0.0.1:4000", "10.0.0.9", false, false},
		{"127.0.0.1:4000", "127.0.0.3", true, true},
		{"[::1]:4000", "127.0.0.3", true, true},
		{"127.0.0.1:4000", "203.0.113.5", true, true},
		{"203.0.113.5:4000", "127.0.0.1", true, true},
		{"203.0.113.5:4000", "198.51.100.1", false, false},
		{"203.0.113.5:4000", "203.0.113.5", true, true},
		{"127.0.0.1:5060", "127.0.0.1", false, false},
		{"203.0.113.5:5060", "203.0.113.5", false, false},
		{"127.0.0.1:53", "127.0.0.1", false, false},
		{"169.254.169.254:80", "169.254.169.254", false, false},
		{"224.0.0.1:4000", "198.51.100.1", false, false},
		{"[::ffff:127.0.0.1]:4000", "198.51.100.1", false, false},
	} {
		at, by := netip.MustParseAddrPort(c.at), netip.MustParseAddr(c.by)
		if got := strict.Follows(at, by); got != c.strict {
			t.Errorf("%s named by %s: %v, want %v", c.at, c.by, got, c.strict)
		}
		if got := allowing.Follows(at, by); got != c.allowing {
			t.Errorf("%s named by %s where private networks are allowed: %v, want %v", c.at, c.by, got, c.allowing)
		}
	}
}
