package table

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
)

// Emergency calls are counted in emergency_days, to which every change is added: no
// decision depends on what was posted there, so that nothing has to be read first.

// The columns of emergency_days, and the end of an INSERT that adds to its rows.
const (
	EmergencyColumns = "account_id, connection_id, day, started, ended, billed_secs, posted"
	AddEmergencies   = ` ON CONFLICT (account_id, connection_id, day) DO UPDATE
		SET started = emergency_days.started + excluded.started, ended = emergency_days.ended + excluded.ended,
			billed_secs = emergency_days.billed_secs + excluded.billed_secs, posted = emergency_days.posted + excluded.posted`
)

// SortedEmergencies is the order in which days are written, the same on every node, so
// that two of them never wait for each other.
func SortedEmergencies(days map[admission.EmergencyKey]admission.EmergencyDay) []admission.EmergencyKey {
	return slices.SortedFunc(maps.Keys(days), func(x, y admission.EmergencyKey) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Connection, y.Connection), cmp.Compare(x.Day, y.Day))
	})
}

// AppendEmergencies appends the values of a row.
func AppendEmergencies(values []any, key admission.EmergencyKey, d admission.EmergencyDay) []any {
	return append(values, int64(key.Account), int64(key.Connection), int64(key.Day), d.Started, d.Ended, d.BilledSecs,
		int64(d.Posted))
}

// ScanEmergencies reads a row of EmergencyColumns.
func ScanEmergencies(scan func(...any) error) (key admission.EmergencyKey, d admission.EmergencyDay, err error) {
	err = scan(&key.Account, &key.Connection, &key.Day, &d.Started, &d.Ended, &d.BilledSecs, &d.Posted)
	return key, d, err
}

// LoadStarted reads how many emergency calls of each connection have started since a day.
func LoadStarted(ctx context.Context, q Querier, since record.Day) (map[admission.EmergencyKey]int64, error) {
	started := make(map[admission.EmergencyKey]int64)
	err := Query(ctx, q, func(rows *sql.Rows) error {
		key, day, err := ScanEmergencies(rows.Scan)
		started[key] = day.Started
		return err
	}, "SELECT "+EmergencyColumns+" FROM emergency_days WHERE day >= $1", int64(since))
	return started, err
}
