// Package bans keeps the sources that no one may call from. They belong to the server and
// to no account.
package bans

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

// Bans implements store.Bans.
type Bans struct{ db *database.DB }

// New makes the bans of a database.
func New(db *database.DB) *Bans { return &Bans{db: db} }

// banDoc is a ban as the audit shows it.
type banDoc struct {
	Source    string    `json:"source"`
	Reason    string    `json:"reason"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

const banColumns = "prefix, reason, automatic, created_at, expires_at"

// PutBan implements store.Bans.
func (k *Bans) PutBan(ctx context.Context, b store.Ban) (store.Ban, error) {
	b.Prefix, b.CreatedAt = b.Prefix.Masked(), k.db.Now()
	if !b.ExpiresAt.IsZero() {
		b.ExpiresAt = time.UnixMicro(b.ExpiresAt.UnixMicro()).UTC()
	}
	err := k.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) error {
		if err := tx.Exec(ctx, "DELETE FROM bans WHERE expires_at > 0 AND expires_at <= $1",
			k.db.Now().UnixMicro()); err != nil {
			return err
		}
		before, err := readBan(ctx, tx, b.Prefix)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			var n int
			if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM bans").Scan(&n); err != nil {
				return err
			}
			if n >= store.MaxBans {
				return fmt.Errorf("%w: %d sources are banned", store.ErrTooMany, n)
			}
		case err != nil:
			return err
		case b.Automatic && !before.Automatic:
			b = before
			return nil
		}
		noteBan(ctx, tx, "create", nil, &b)
		return tx.Exec(ctx, "INSERT INTO bans ("+banColumns+`) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (prefix) DO UPDATE SET
			reason = excluded.reason, automatic = excluded.automatic, created_at = excluded.created_at, expires_at = excluded.expires_at`,
			b.Prefix.String(), b.Reason, b.Automatic, b.CreatedAt.UnixMicro(), microsOrZero(b.ExpiresAt))
	})
	if err != nil {
		return store.Ban{}, fmt.Errorf("ban %s: %w", b.Prefix, err)
	}
	return b, nil
}

// DeleteBan implements store.Bans.
func (k *Bans) DeleteBan(ctx context.Context, prefix netip.Prefix) (store.Ban, error) {
	var gone store.Ban
	err := k.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) (err error) {
		if gone, err = readBan(ctx, tx, prefix.Masked()); errors.Is(err, sql.ErrNoRows) ||
			err == nil && !gone.InForce(k.db.Now()) {
			return collection.ErrNotFound
		} else if err != nil {
			return err
		}
		noteBan(ctx, tx, "delete", &gone, nil)
		return tx.Exec(ctx, "DELETE FROM bans WHERE prefix = $1", prefix.Masked().String())
	})
	if err != nil {
		return store.Ban{}, fmt.Errorf("lift the ban of %s: %w", prefix, err)
	}
	return gone, nil
}

// ListBans implements store.Bans.
func (k *Bans) ListBans(ctx context.Context) ([]store.Ban, error) {
	bans := []store.Ban{}
	err := k.db.List(ctx, table.EveryAccount, func(rows *sql.Rows) error {
		b, err := scanBan(rows.Scan)
		bans = append(bans, b)
		return err
	}, "SELECT "+banColumns+" FROM bans WHERE expires_at = 0 OR expires_at > $1 ORDER BY created_at DESC, prefix",
		k.db.Now().UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("list bans: %w", table.Unavailable(err))
	}
	return bans, nil
}

func readBan(ctx context.Context, q table.Querier, prefix netip.Prefix) (store.Ban, error) {
	return scanBan(q.QueryRowContext(ctx, "SELECT "+banColumns+" FROM bans WHERE prefix = $1", prefix.String()).Scan)
}

func scanBan(scan func(...any) error) (b store.Ban, err error) {
	var prefix string
	var created, expires int64
	if err := scan(&prefix, &b.Reason, &b.Automatic, &created, &expires); err != nil {
		return b, err
	}
	if b.Prefix, err = netip.ParsePrefix(prefix); err != nil {
		return b, fmt.Errorf("banned prefix: %w: %w", table.ErrCorrupt, err)
	}
	b.CreatedAt = time.UnixMicro(created).UTC()
	if expires != 0 {
		b.ExpiresAt = time.UnixMicro(expires).UTC()
	}
	return b, nil
}

func microsOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// noteBan has a ban in the audit of the account whose key asked for it. Those of the
// server itself belong to no account.
func noteBan(ctx context.Context, tx *database.Tx, action string, before, after *store.Ban) {
	origin := collection.OriginOf(ctx)
	if origin == nil {
		return
	}
	c := trail.Change{Account: origin.KeyAccount, Kind: "ban", Action: action}
	object := store.Ban{}
	for _, side := range []struct {
		ban *store.Ban
		doc *any
	}{{before, &c.Before}, {after, &c.After}} {
		if b := side.ban; b != nil {
			object, c.Resource = *b, b.Prefix.String()
			*side.doc = banDoc{b.Prefix.String(), b.Reason, b.CreatedAt, b.ExpiresAt}
		}
	}
	tx.Note(c, object)
}
