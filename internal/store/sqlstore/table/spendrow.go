package table

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
)

// SpendColumns are those of spend_days.
const SpendColumns = "account_id, scope_kind, scope_id, day, posted, held, overrun, told, told_limit"

// SpendValues appends a row of spend_days.
func SpendValues(values []any, key admission.SpendKey, s *admission.Spend) []any {
	return append(values, int64(s.Account), int64(key.Kind), key.ID[:], int64(key.Day),
		int64(s.Posted), int64(s.Held), int64(s.Overrun), int64(s.Told), int64(s.ToldLimit))
}

// ScanSpend reads a row of spend_days.
func ScanSpend(scan func(...any) error) (key admission.SpendKey, s admission.Spend, err error) {
	err = scan(&s.Account, &key.Kind, (*uuid.UUID)(&key.ID), &key.Day, &s.Posted, &s.Held, &s.Overrun, &s.Told, &s.ToldLimit)
	return key, s, err
}

// HoldColumns are those of spend_holds.
const HoldColumns = "account_id, scope_kind, scope_id, cause, since, until_day"

// HoldValues appends a row of spend_holds.
func HoldValues(values []any, scope admission.Scope, hold admission.SpendHold) []any {
	return append(values, int64(hold.Account), int64(scope.Kind), scope.ID[:], int64(hold.Cause), hold.SinceMicros,
		int64(hold.UntilDay))
}

// ScanHold reads a row of spend_holds.
func ScanHold(scan func(...any) error) (scope admission.Scope, hold admission.SpendHold, err error) {
	err = scan(&hold.Account, &scope.Kind, (*uuid.UUID)(&scope.ID), &hold.Cause, &hold.SinceMicros, &hold.UntilDay)
	return scope, hold, err
}

// LoadHolds reads the holds that a condition selects.
func LoadHolds(ctx context.Context, q Querier, condition string,
	args ...any) (map[admission.Scope]admission.SpendHold, error) {
	holds := make(map[admission.Scope]admission.SpendHold)
	err := Query(ctx, q, func(rows *sql.Rows) error {
		scope, hold, err := ScanHold(rows.Scan)
		holds[scope] = hold
		return err
	}, "SELECT "+HoldColumns+" FROM spend_holds "+condition, args...)
	return holds, err
}

// Days of the past that a running ledger may still look at. A calling window in
// the westernmost time zone began at most two accounting days ago; one day more
// is for a clock that was set back.
const (
	KeptSpendDays  = 3
	KeptCalleeDays = 3
)
