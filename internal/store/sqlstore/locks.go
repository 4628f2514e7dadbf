package sqlstore

import (
	"bytes"
	"context"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
)

// An admin may lock what limits an account and what its calls cost. A write by any
// other key that would change something locked fails, in its own transaction, so that
// neither another way to the same field nor a write that was on its way gets past a
// lock. Writes of the server itself have no origin and are admitted.

// permit fails with a store.LockedError when any of these fields is locked.
func permit(ctx context.Context, tx *database.Tx, account id.ID, touched ...store.LockedField) error {
	origin := collection.OriginOf(ctx)
	if len(touched) == 0 || origin == nil || origin.Admin {
		return nil
	}
	a, err := readAccount(ctx, tx, account)
	if err != nil {
		return err
	}
	var refused store.LockedError
	for _, f := range touched {
		if slices.Contains(a.LockedFields, f.Lock) {
			refused.Fields = append(refused.Fields, f)
		}
	}
	if len(refused.Fields) == 0 {
		return nil
	}
	return &refused
}

// whole is the lock of a kind of resource as a whole.
func whole(lock string) store.LockedField { return store.LockedField{Lock: lock, Pointer: "/"} }

// touchedOfAccount are the lockable fields that differ.
func touchedOfAccount(before, after *store.Account) []store.LockedField {
	if before == nil || after == nil {
		return nil // only an admin makes and deletes accounts
	}
	touched := touchedOfLimit(store.LockSpendLimit, &before.SpendLimit, &after.SpendLimit)
	for _, f := range []struct {
		lock         string
		before, then any
	}{
		{store.LockChannelLimit, before.ConcurrentCallLimit, after.ConcurrentCallLimit},
		{store.LockDefaultDeck, before.DefaultRateDeckID, after.DefaultRateDeckID},
		{store.LockRecordRetention, before.RecordRetentionDays, after.RecordRetentionDays},
		{store.LockRecordingRetention, before.RecordingRetentionDays, after.RecordingRetentionDays},
	} {
		if !reflect.DeepEqual(f.before, f.then) {
			touched = append(touched, store.LockedField{Lock: f.lock, Pointer: "/" + f.lock})
		}
	}
	if !slices.Equal(before.EmergencyNumbers, after.EmergencyNumbers) {
		touched = append(touched, store.LockedField{Lock: store.LockEmergencyNumbers,
			Pointer: "/" + store.LockEmergencyNumbers})
	}
	return touched
}

// touchedOfLimit are the fields of a daily limit that differ.
func touchedOfLimit(lock string, before, after *profile.SpendLimit) (touched []store.LockedField) {
	for _, f := range []struct {
		pointer string
		same    bool
	}{
		{"/daily_spend_limit", reflect.DeepEqual(before.DailySpendLimit, after.DailySpendLimit)},
		{"/daily_spend_limit_enabled", before.DailySpendLimitEnabled == after.DailySpendLimitEnabled},
		{"/spend_limit_action", before.SpendLimitAction == after.SpendLimitAction},
		{"/after_limit", before.AfterLimit == after.AfterLimit},
	} {
		if !f.same {
			touched = append(touched, store.LockedField{Lock: lock, Pointer: f.pointer})
		}
	}
	return touched
}

// touchedOfProfile are the lockable fields of a profile that differ. One that does
// not exist has no deck and no group.
func touchedOfProfile(before, after *profile.Profile) (touched []store.LockedField) {
	deck := func(p *profile.Profile) id.ID {
		if p == nil {
			return 0
		}
		return p.RateDeckID
	}
	group := func(p *profile.Profile) []byte {
		if p == nil || p.BillingGroupID == nil || *p.BillingGroupID == uuid.Nil {
			return nil
		}
		return p.BillingGroupID[:]
	}
	at := func(pointer string) string {
		if after == nil {
			return "/"
		}
		return pointer
	}
	if deck(before) != deck(after) {
		touched = append(touched, store.LockedField{Lock: store.LockProfileDecks, Pointer: at("/rate_deck_id")})
	}
	// To be put into a group only adds a limit.
	if group(before) != nil && !bytes.Equal(group(before), group(after)) {
		touched = append(touched, store.LockedField{Lock: store.LockGroups, Pointer: at("/billing_group_id")})
	}
	return touched
}

// touchedOfGroup describes what a write does to the limit of a billing group. A new group
// takes no limit away.
func touchedOfGroup(before, after *store.BillingGroup) []store.LockedField {
	switch {
	case before == nil:
		return nil
	case after == nil:
		return []store.LockedField{whole(store.LockGroups)}
	}
	return touchedOfLimit(store.LockGroups, &before.SpendLimit, &after.SpendLimit)
}

func touchedOfGateway(_, _ *routing.Gateway) []store.LockedField {
	return []store.LockedField{whole(store.LockGateways)}
}
