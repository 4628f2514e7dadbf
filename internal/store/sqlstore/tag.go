package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// saveTags notes the tags of a profile, and how those are written that are new to
// the account.
func saveTags(ctx context.Context, tx *database.Tx, p *profile.Profile) error {
	if err := dropTags(ctx, tx, p); err != nil {
		return err
	}
	for _, tag := range p.Tags {
		fold := listing.Fold(tag)
		err := tx.Exec(ctx, "INSERT INTO tags (account_id, fold, tag) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
			int64(p.AccountID), fold, tag)
		if err != nil {
			return err
		}
		err = tx.Exec(ctx,
			"INSERT INTO profile_tags (account_id, profile_id, fold) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
			int64(p.AccountID), int64(p.ID), fold)
		if err != nil {
			return err
		}
	}
	return nil
}

func dropTags(ctx context.Context, tx *database.Tx, p *profile.Profile) error {
	return tx.Exec(ctx, "DELETE FROM profile_tags WHERE account_id = $1 AND profile_id = $2", int64(p.AccountID),
		int64(p.ID))
}

// Tags implements store.Reports.
func (s *Store) Tags(ctx context.Context, account id.ID, start string) ([]string, error) {
	if len(start) > listing.MaxTextBytes {
		return nil, fmt.Errorf("list tags: %w: a text of over %d bytes", collection.ErrBadValue, listing.MaxTextBytes)
	}
	tags := []string{}
	err := s.db.List(ctx, account, func(rows *sql.Rows) error {
		var tag string
		err := rows.Scan(&tag)
		tags = append(tags, tag)
		return err
	}, `SELECT t.tag FROM tags AS t
		WHERE t.account_id = $1 AND t.fold LIKE $2 ESCAPE '\'
		AND EXISTS (SELECT 1 FROM profile_tags AS p WHERE p.account_id = t.account_id AND p.fold = t.fold)
		ORDER BY t.fold`, int64(account), listing.EscapeLike(listing.Fold(start))+"%")
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", table.Unavailable(err))
	}
	return tags, nil
}
