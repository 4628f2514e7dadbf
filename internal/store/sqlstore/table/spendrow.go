package table

import (
	"context"
	"database/sql"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// groupColumn is how tables name a scope's billing group: empty for none.
func GroupColumn(scope admission.Scope) []byte {
	if scope.Group == uuid.Nil {
		return []byte{}
	}
	return scope.Group[:]
}

// scopeOf is the scope of the columns account_id, profile_id and billing_group_id.
func scopeOf(account, profile id.ID, group []byte) admission.Scope {
	switch {
	case profile != 0:
		return admission.Scope{Profile: profile}
	case len(group) == len(uuid.UUID{}):
		return admission.Scope{Group: uuid.UUID(group)}
	}
	return admission.Scope{Account: account}
}

const ScopeDayColumns = "account_id, billing_group_id, day, posted, held, overrun, told, told_limit"

func ScanScopeDay(scan func(...any) error) (account id.ID, key admission.SpendKey, spend admission.Spend, err error) {
	var group []byte
	var day record.Day
	err = scan(&account, &group, &day, &spend.Posted, &spend.Held, &spend.Overrun, &spend.Told, &spend.ToldLimit)
	return account, scopeOf(account, 0, group).On(day), spend, err
}

const HoldColumns = "account_id, profile_id, billing_group_id, cause, since, until_day"

func ScanHold(scan func(...any) error) (scope admission.Scope, hold admission.SpendHold, err error) {
	var account, profile id.ID
	var group []byte
	err = scan(&account, &profile, &group, &hold.Cause, &hold.SinceMicros, &hold.UntilDay)
	return scopeOf(account, profile, group), hold, err
}

// loadHolds reads the holds that a condition selects.
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

func AppendSpend(values []any, day record.Day, s *admission.Spend) []any {
	return append(values, int64(day), int64(s.Posted), int64(s.Held), int64(s.Overrun), int64(s.Told), int64(s.ToldLimit))
}
