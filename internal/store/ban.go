package store

import (
	"context"
	"net/netip"
	"time"
)

// MaxBans bounds the list of banned sources.
const MaxBans = 10_000

// Ban is a source that the SIP gateway does not listen to.
type Ban struct {
	Prefix    netip.Prefix // masked; a single address has all of its bits
	Reason    string
	Automatic bool // by the gateway itself
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
}

// InForce reports whether the ban holds at a time.
func (b *Ban) InForce(now time.Time) bool { return b.ExpiresAt.IsZero() || now.Before(b.ExpiresAt) }

// Bans keeps the banned sources of the server. They belong to no account. Those
// that have expired are not shown, and are deleted in time.
type Bans interface {
	// PutBan adds a ban or replaces that of the same prefix, except that an automatic
	// one never replaces one by hand. It fails with ErrTooMany.
	PutBan(ctx context.Context, b Ban) (Ban, error)
	// DeleteBan returns the ban that it deleted, or ErrNotFound.
	DeleteBan(ctx context.Context, prefix netip.Prefix) (Ban, error)
	// ListBans returns all bans in force, the newest first.
	ListBans(ctx context.Context) ([]Ban, error)
}
