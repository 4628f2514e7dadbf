package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/store"
)

// testBans: what is banned is listed until it expires or is lifted.
func testBans(t *testing.T, open Opener) {
	s := newBed(t, open)
	now, advance := s.clock.Now, s.clock.advance
	put := func(prefix string, automatic bool, life time.Duration) store.Ban {
		t.Helper()
		b := store.Ban{Prefix: netip.MustParsePrefix(prefix), Reason: "because of " + prefix, Automatic: automatic}
		if life > 0 {
			b.ExpiresAt = now().Add(life)
		}
		kept, err := s.PutBan(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	want := func(prefixes ...string) {
		t.Helper()
		list, err := s.ListBans(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range list {
			got = append(got, b.Prefix.String())
		}
		if fmt.Sprint(got) != fmt.Sprint(prefixes) {
			t.Errorf("bans %v, want %v", got, prefixes)
		}
	}
	want()
	if b := put("192.0.2.77/24", false, 0); b.Prefix.String() != "192.0.2.0/24" || b.CreatedAt.IsZero() {
		t.Errorf("made %+v", b)
	}
	advance(time.Second)
	put("2001:db8::7/128", true, time.Hour)
	want("2001:db8::7/128", "192.0.2.0/24")
	// An automatic ban does not shorten one by hand.
	if b := put("192.0.2.0/24", true, time.Minute); b.Automatic || !b.ExpiresAt.IsZero() {
		t.Errorf("the ban by hand became %+v", b)
	}
	// By hand, anything may be replaced.
	if b := put("2001:db8::7/128", false, 2*time.Hour); b.Automatic ||
		!b.ExpiresAt.Equal(now().Add(2*time.Hour).Truncate(time.Microsecond)) {
		t.Errorf("the automatic ban became %+v", b)
	}
	advance(2 * time.Hour)
	want("192.0.2.0/24")
	if _, err := s.DeleteBan(ctx, netip.MustParsePrefix("2001:db8::7/128")); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("lifting an expired ban: %v", err)
	}
	if gone, err := s.DeleteBan(ctx, netip.MustParsePrefix("192.0.2.9/24")); err != nil ||
		gone.Reason != "because of 192.0.2.77/24" {
		t.Errorf("lifted %+v, %v", gone, err)
	}
	want()
	if _, err := s.DeleteBan(ctx, netip.MustParsePrefix("192.0.2.0/24")); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("lifting no ban: %v", err)
	}
}
