package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/verification"
)

// testVerification: a code verifies a number for the account that it was made for, is
// tried a few times within a few minutes, and what it has verified is in force at once.
func testVerification(t *testing.T, open Opener) {
	b := newBed(t, open)
	const number e164.Number = 12125550123
	verified := func(account id.ID) bool { return b.options.Live.Snapshot().Verified(account, number) }
	call := uuid.New()
	begun := value(b.BeginVerification(ctx, b.account.ID, number, "123456", call))(t)
	if begun.Verified() || begun.TriesLeft != verification.Tries || *begun.CallID != call || begun.CodeHash == "" ||
		begun.CodeExpiresAt.Sub(b.clock.Now()) != verification.CodeLife {
		t.Errorf("begun: %+v", begun)
	}
	if _, err := b.VerifiedNumber(ctx, b.other.ID, number); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("another account finds it: %v", err)
	}
	if _, _, err := b.TryCode(ctx, b.other.ID, number, "123456"); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("another account tries it: %v", err)
	}
	tried, outcome, err := b.TryCode(ctx, b.account.ID, number, "123457")
	if err != nil || outcome != verification.Wrong || tried.TriesLeft != verification.Tries-1 {
		t.Errorf("a wrong code: %v, %v, %+v", err, outcome, tried)
	}
	// A new code takes the place of the old one, and has all its tries.
	value(b.BeginVerification(ctx, b.account.ID, number, "654321", call))(t)
	if _, outcome, _ := b.TryCode(ctx, b.account.ID, number, "123456"); outcome != verification.Wrong {
		t.Errorf("the old code: %v", outcome)
	}
	if _, err := b.Verify(ctx, b.account.ID, number, "123456"); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("verified by the old code: %v", err)
	}
	dry := collection.WithOrigin(ctx, &collection.Origin{DryRun: true})
	if tried, outcome, err = b.TryCode(dry, b.account.ID, number, "000000"); err != nil || outcome != verification.Wrong ||
		tried.TriesLeft != verification.Tries-2 {
		t.Errorf("a dry run: %v, %v, %+v", err, outcome, tried)
	}
	if _, outcome, err := b.TryCode(ctx, b.account.ID, number, "654321"); err != nil || outcome != verification.Right ||
		verified(b.account.ID) {
		t.Errorf("the right code: %v, %v", err, outcome)
	}
	done := value(b.Verify(ctx, b.account.ID, number, "654321"))(t)
	if !done.Verified() || !verified(b.account.ID) || verified(b.other.ID) {
		t.Errorf("verified: %+v", done)
	}
	if _, err := b.BeginVerification(ctx, b.account.ID, number, "111111", call); !errors.Is(err,
		verification.ErrVerified) {
		t.Errorf("again: %v", err)
	}
	testVerificationAges(t, b, number)
	b.reopen(t, open)
	if !verified(b.account.ID) {
		t.Error("forgotten by a restart")
	}
	if gone := value(b.VerifiedNumbers().Delete(ctx, b.account.ID, done.ID))(t); gone.PhoneNumber != number ||
		verified(b.account.ID) {
		t.Errorf("deleted: %+v", gone)
	}
}

// testVerificationAges: codes expire, and calls are few.
func testVerificationAges(t *testing.T, b *bed, number e164.Number) {
	t.Helper()
	call, before := uuid.New(), verification.OfNumber.Hour
	value(b.BeginVerification(ctx, b.other.ID, number, "222222", call))(t)
	b.clock.advance(verification.CodeLife)
	if _, outcome, err := b.TryCode(ctx, b.other.ID, number, "222222"); err != nil || outcome != verification.Expired {
		t.Errorf("an old code: %v, %v", err, outcome)
	}
	for range before - 1 {
		if _, err := b.BeginVerification(ctx, b.other.ID, number, "333333", call); err != nil {
			t.Fatal(err)
		}
	}
	var budget *verification.BudgetError
	if _, err := b.BeginVerification(ctx, b.other.ID, number, "333333", call); !errors.As(err, &budget) ||
		budget.After <= 0 {
		t.Errorf("one too many: %v", err)
	}
	for range verification.Tries {
		if _, outcome, err := b.TryCode(ctx, b.other.ID, number, "444444"); err != nil || outcome != verification.Wrong {
			t.Errorf("a wrong code: %v, %v", err, outcome)
		}
	}
	if _, outcome, err := b.TryCode(ctx, b.other.ID, number, "333333"); err != nil || outcome != verification.Expired {
		t.Errorf("the right code after five wrong ones: %v, %v", err, outcome)
	}
	b.clock.advance(2 * time.Hour)
	if _, err := b.BeginVerification(ctx, b.other.ID, number, "555555", call); err != nil {
		t.Errorf("two hours later: %v", err)
	}
}
