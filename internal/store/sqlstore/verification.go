package sqlstore

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/verification"
)

// VerifiedNumbers is one of Collections.
func (s *Store) VerifiedNumbers() collection.Of[verification.Number, id.ID] {
	return &documents[verification.Number, id.ID]{store: s, noun: verifiedNoun()}
}

func verifiedNoun() *noun[verification.Number, id.ID] {
	type T = verification.Number
	return &noun[T, id.ID]{
		name: "verified number", table: "verified_numbers", fresh: verification.NewNumber,
		touched: func(_, after *T) []store.LockedField {
			if after == nil {
				return nil // what takes a confirmation away is never locked
			}
			return []store.LockedField{{Lock: store.LockVerifiedNumbers, Pointer: "/phone_number"}}
		},
		columns: column.List[T]{
			column.Integer("phone_number", column.Int, func(n *T) *e164.Number { return &n.PhoneNumber }),
			computed("verified", column.Bool, func(n *T) any { return n.Verified() }),
		},
		indexes: []table.Index{{On: "account_id, phone_number", Unique: true}},
		kind:    policy.KindVerified, gone: byID(policy.DropVerified),
		put: func(n *T) []policy.Change {
			if !n.Verified() {
				return nil
			}
			return []policy.Change{policy.PutVerified(n)}
		},
	}
}

// VerifiedNumber implements store.Verifications.
func (s *Store) VerifiedNumber(ctx context.Context, account id.ID, number e164.Number) (verification.Number, error) {
	var found verification.Number
	err := s.db.Read(ctx, account, func(tx table.Querier) (err error) {
		found, err = verifiedByNumber(ctx, tx, account, number)
		return err
	})
	if err != nil {
		return verification.Number{}, table.ReadError("verified number", number.Masked(), err)
	}
	return found, nil
}

func verifiedByNumber(ctx context.Context, q table.Querier, account id.ID,
	number e164.Number) (verification.Number, error) {
	return verifiedNoun().scan(q.QueryRowContext(ctx, "SELECT "+docColumns+" FROM verified_numbers "+
		"WHERE account_id = $1 AND phone_number = $2", int64(account), int64(number)).Scan)
}

// BeginVerification implements store.Verifications.
func (s *Store) BeginVerification(ctx context.Context, account id.ID, number e164.Number, code string,
	call uuid.UUID) (begun verification.Number, err error) {
	n := verifiedNoun()
	err = s.db.Write(ctx, account, func(tx *database.Tx) error {
		now := s.db.Now()
		current, err := verifiedByNumber(ctx, tx, account, number)
		found := err == nil
		switch {
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		case found && current.Verified():
			return verification.ErrVerified
		}
		if err := s.countVerification(ctx, tx, account, number, now); err != nil {
			return err
		}
		next := verification.Number{PhoneNumber: number}
		if found {
			next = current
		}
		next.Begin(s.codeHash(s.config.Vault.ID(), account, number, code), call, now)
		if !found {
			begun, err = n.create(ctx, tx, s, account, next)
			return err
		}
		begun, err = n.succeed(ctx, tx, s, &current, &next)
		return err
	})
	if err != nil {
		return verification.Number{}, fmt.Errorf("begin to verify %s: %w", number.Masked(), err)
	}
	return begun, nil
}

// succeed puts the next version of an object that was read in this transaction in its
// place.
func (n *noun[T, K]) succeed(ctx context.Context, tx *database.Tx, s *Store, current, next *T) (saved T, err error) {
	h, times := collection.HeadOf[K](next)
	h.Version, times.UpdatedAt = versionOf[K](current)+1, s.db.Now()
	if saved, err = n.copy(next); err != nil {
		return saved, err
	}
	if err := n.permit(ctx, tx, h.AccountID, current, &saved); err != nil {
		return saved, err
	}
	if err := n.save(ctx, tx, &saved, false); err != nil {
		return saved, err
	}
	tx.Note(n.change("update", current, &saved), saved)
	return n.copy(&saved)
}

// countVerification counts a call with a code to a number, or fails with a
// verification.BudgetError when it would be one too many.
func (s *Store) countVerification(ctx context.Context, tx *database.Tx, account id.ID, number e164.Number,
	now time.Time) error {
	const counts = "SELECT COALESCE(SUM(CASE WHEN started_at > $1 THEN 1 ELSE 0 END), 0), COUNT(*), " +
		"COALESCE(MIN(started_at), 0) FROM verification_calls WHERE started_at > $2"
	hour, day := now.Add(-time.Hour), now.Add(-24*time.Hour)
	return tx.AcrossAccounts(ctx, func() error {
		for _, scope := range []struct {
			budget verification.Budget
			where  string
			args   []any
		}{
			{verification.OfNumber, " AND account_id = $3 AND phone_number = $4", []any{int64(account), int64(number)}},
			{verification.OfNumberInAll, " AND phone_number = $3", []any{int64(number)}},
			{verification.OfAccount, " AND account_id = $3", []any{int64(account)}},
			{verification.OfServer, "", nil},
		} {
			var c verification.Calls
			var oldest int64
			err := tx.QueryRowContext(ctx, counts+scope.where,
				append([]any{hour.UnixMicro(), day.UnixMicro()}, scope.args...)...).Scan(&c.Hour, &c.Day, &oldest)
			if err != nil {
				return err
			}
			if scope.budget.Left(c) {
				continue
			}
			after := time.Hour
			if c.Day >= scope.budget.Day {
				after = time.UnixMicro(oldest).Sub(day)
			}
			return &verification.BudgetError{After: after}
		}
		if err := tx.Exec(ctx, "DELETE FROM verification_calls WHERE started_at <= $1", day.UnixMicro()); err != nil {
			return err
		}
		return tx.Exec(ctx,
			"INSERT INTO verification_calls (account_id, id, phone_number, started_at) VALUES ($1, $2, $3, $4)",
			int64(account), int64(s.config.IDs.Next()), int64(number), now.UnixMicro())
	})
}

// codeHash is what is kept of a code: it tells nothing about the code to who has the
// database but not the key, though there are few codes.
func (s *Store) codeHash(key string, account id.ID, number e164.Number, code string) string {
	sum, ok := s.config.Vault.MAC(key, "verification code",
		fmt.Appendf(nil, "%d %d %s", int64(account), uint64(number), code))
	if !ok {
		return ""
	}
	return key + ":" + hex.EncodeToString(sum[:])
}

// matches reports whether a code is the one that was said last. It takes as long whichever
// digits are wrong.
func (s *Store) matches(n *verification.Number, code string) bool {
	key, _, _ := strings.Cut(n.CodeHash, ":")
	given := s.codeHash(key, n.AccountID, n.PhoneNumber, code)
	return given != "" && subtle.ConstantTimeCompare([]byte(given), []byte(n.CodeHash)) == 1
}

// TryCode implements store.Verifications.
func (s *Store) TryCode(ctx context.Context, account id.ID, number e164.Number, code string) (tried verification.Number,
	outcome verification.Outcome, err error) {
	if origin := collection.OriginOf(ctx); origin != nil {
		// A try counts, on whatever terms it was made.
		plain := *origin
		plain.DryRun, plain.Idempotency, plain.Versions = false, nil, nil
		ctx = collection.WithOrigin(ctx, &plain)
	}
	err = s.db.Write(ctx, account, func(tx *database.Tx) error {
		current, err := verifiedByNumber(ctx, tx, account, number)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return collection.ErrNotFound
		case err != nil:
			return err
		}
		next := current
		outcome = next.Try(s.matches(&current, code), s.db.Now())
		if tried = next; next == current {
			return nil
		}
		tried, err = verifiedNoun().succeed(ctx, tx, s, &current, &next)
		return err
	})
	if err != nil {
		return verification.Number{}, outcome, fmt.Errorf("try a code for %s: %w", number.Masked(), err)
	}
	return tried, outcome, nil
}

// Verify implements store.Verifications.
func (s *Store) Verify(ctx context.Context, account id.ID, number e164.Number,
	code string) (verified verification.Number, err error) {
	err = s.db.Write(ctx, account, func(tx *database.Tx) error {
		current, err := verifiedByNumber(ctx, tx, account, number)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return collection.ErrNotFound
		case err != nil:
			return err
		case !collection.OriginOf(ctx).Allows(current.Version):
			return &collection.VersionError{Current: current}
		case !s.matches(&current, code):
			return collection.ErrNotFound // another code has taken its place
		}
		next := current
		next.VerifiedAt = new(s.db.Now())
		verified, err = verifiedNoun().succeed(ctx, tx, s, &current, &next)
		return err
	})
	if err != nil {
		return verification.Number{}, fmt.Errorf("verify %s: %w", number.Masked(), err)
	}
	return verified, nil
}
