package sip

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestNonces(t *testing.T) {
	n, now := NewNonces(), time.Unix(1_800_000_000, 0)
	source := netip.MustParseAddr("192.0.2.7")
	nonce := n.Issue(source, now)
	if n.Fresh(nonce, netip.MustParseAddr("192.0.2.8"), now) {
		t.Error("a nonce is taken from another address than the one it was given to")
	}
	if !n.Fresh(nonce, source, now) || !n.Fresh(nonce, source, now.Add(nonceLife-1)) ||
		n.Fresh(nonce, source, now.Add(nonceLife)) {
		t.Error("a nonce is not fresh for its life")
	}
	if n.Fresh(NewNonces().Issue(source, now), source, now) || n.Fresh("", source, now) ||
		n.Fresh(nonce[:len(nonce)-2]+"AA", source, now) {
		t.Error("a forged nonce is fresh")
	}
	if !n.Use(nonce, 1, now) || n.Use(nonce, 1, now) || !n.Use(nonce, 3, now) || n.Use(nonce, 2, now) {
		t.Error("a count works twice")
	}
	// What was forgotten is stale.
	for i := range maxNonces + 2 {
		n.Use(fmt.Sprint(i), 1, now.Add(time.Second))
	}
	if len(n.young)+len(n.old) > maxNonces || n.Use(nonce, 3, now) && n.Fresh(nonce, source, now) {
		t.Errorf("%d counts kept; the first nonce is fresh: %v", len(n.young)+len(n.old), n.Fresh(nonce, source, now))
	}
}
