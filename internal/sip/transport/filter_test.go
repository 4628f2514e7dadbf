package transport

import (
	"net/netip"
	"testing"
	"time"
)

// noSources is a configuration that names no source.
func noSources() Sources { return nowhereKnown{} }

type nowhereKnown struct{}

func (nowhereKnown) Known(netip.Addr) bool   { return false }
func (nowhereKnown) Carrier(netip.Addr) bool { return false }
func (nowhereKnown) HasUsers() bool          { return false }
func (nowhereKnown) HasStreams() bool        { return false }

func TestBans(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	limits := Limits{}
	limits.SetDefaults()
	f := NewFilter(noSources, func() time.Time { return now }, limits)
	f.Learn(netip.MustParseAddr("192.0.2.7")) // a ban by hand goes before everything
	f.SetBans([]Ban{
		{Prefix: netip.MustParsePrefix("192.0.2.0/24")},
		{Prefix: netip.MustParsePrefix("203.0.113.5/32"), Until: now.Add(time.Minute)},
		{Prefix: netip.MustParsePrefix("2001:db8::/32")},
	})
	for address, want := range map[string]bool{
		"192.0.2.7": true, "192.0.3.7": false, "203.0.113.5": true, "203.0.113.6": false, "2001:db8:7::1": true,
		"2001:db9::1": false,
	} {
		source := netip.MustParseAddr(address)
		_, message := f.Admits(source, []byte("OPTIONS "))
		_, connects := f.admitsConnection(source)
		if got := f.Banned(source); got != want || got && (message || connects) {
			t.Errorf("%s: banned %v, want %v", address, got, want)
		}
	}
	now = now.Add(time.Minute)
	if f.Banned(netip.MustParseAddr("203.0.113.5")) {
		t.Error("a ban does not expire")
	}
}

func TestBucketsAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	limits := Limits{UnknownSources: 100, LearnedSources: 100}
	limits.SetDefaults()
	f := NewFilter(noSources, func() time.Time { return now }, limits)
	source := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	take := func(a netip.Addr) bool {
		return f.strangers.Take(a, now, limits.UnknownPerSecond, limits.UnknownBurst, 0)
	}
	for i := range 10_000 {
		if !take(source(i)) {
			t.Fatalf("source %d has no token", i)
		}
		f.Learn(source(i))
	}
	if n := f.strangers.size(); n > 201 {
		t.Errorf("%d buckets kept", n)
	}
	if len(f.learned) > 100 || !f.Knows(source(9999)) {
		t.Errorf("%d sources learned, the last is known: %v", len(f.learned), f.Knows(source(9999)))
	}
	now = now.Add(learnedFor)
	if f.Knows(source(9999)) {
		t.Error("a source is known for ever")
	}
	for range int(limits.UnknownBurst) {
		take(source(0))
	}
	if take(source(0)) {
		t.Error("the bucket has no bottom")
	}
	now = now.Add(time.Second)
	if !take(source(0)) {
		t.Error("the bucket does not fill")
	}
}

func TestSourceCredit(t *testing.T) {
	b := Buckets[netip.Addr]{Most: 10}
	source, now := netip.MustParseAddr("192.0.2.1"), time.Unix(1_800_000_000, 0)
	taken := func(floor float64) (n int) {
		for b.Take(source, now, 3, 3, floor) {
			n++
		}
		return n
	}
	if fresh, running, after := taken(0), taken(-3), taken(0); fresh != 3 || running != 3 || after != 0 {
		t.Errorf("%d new requests, %d of running calls and %d more are taken", fresh, running, after)
	}
	now = now.Add(time.Second)
	if n := taken(0); n != 0 {
		t.Errorf("%d new requests are taken while the credit is being paid back", n)
	}
	now = now.Add(time.Hour)
	if n := taken(0); n != 3 {
		t.Errorf("after an hour %d are taken", n)
	}
}
