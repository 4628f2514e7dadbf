package table

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
)

// Rows are rows of one table, value after value.
type Rows struct {
	Table  Number
	Values []any
}

// RowsOf appends what changes come to, but for leases, in the order in which it is to be
// written. accounts are those of the profiles.
func RowsOf(list []Rows, c *admission.Changes, accounts map[id.ID]id.ID) ([]Rows, error) {
	records, spends, holds := Records.room(len(c.Records)), Spends.room(len(c.Spends)), Holds.room(len(c.Holds))
	var cuts, callees, emergencies []any
	for _, r := range c.Records {
		records = Records.Append(records, r)
		for _, s := range r.Slices {
			cuts = Slices.Append(cuts, &SliceRow{Account: r.AccountID, Profile: r.ProfileID, Call: r.ID, Slice: s})
		}
	}
	for key, s := range c.Spends {
		spends = Spends.Append(spends, &SpendRow{key, s})
	}
	for scope, hold := range c.Holds {
		holds = Holds.Append(holds, &HoldRow{scope, hold})
	}
	for key, calls := range c.Callees {
		account, ok := accounts[key.Profile]
		if !ok {
			return nil, ErrStrayChange
		}
		callees = Callees.Append(callees, &CalleeRow{account, key, calls})
	}
	for _, key := range sortedEmergencies(c.Emergencies) {
		emergencies = Emergencies.Append(emergencies, &EmergencyRow{key, c.Emergencies[key]})
	}
	for _, rows := range [...]Rows{
		{RecordRows, records}, {SliceRows, cuts}, {SpendRows, spends}, {HoldRows, holds}, {CalleeRows, callees},
		{EmergencyRows, emergencies},
	} {
		if len(rows.Values) > 0 {
			list = append(list, rows)
		}
	}
	return list, nil
}

// sortedEmergencies is the order in which days are written, the same on every node, so
// that two of them never wait for each other.
func sortedEmergencies(days map[admission.EmergencyKey]admission.EmergencyDay) []admission.EmergencyKey {
	return slices.SortedFunc(maps.Keys(days), func(x, y admission.EmergencyKey) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Connection, y.Connection), cmp.Compare(x.Day, y.Day))
	})
}
