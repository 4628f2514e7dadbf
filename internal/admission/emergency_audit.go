package admission

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tollgate/tollgate/internal/record"
)

// The audit of emergency calls: they are outside all limits, but not uncounted.

type auditedEmergencies struct {
	found        bool // there is a row
	row, counted EmergencyDay
}

func (a *Auditor) emergencies(key EmergencyKey) *auditedEmergencies {
	day := a.urgent[key]
	if day == nil {
		day = &auditedEmergencies{}
		a.urgent[key] = day
	}
	return day
}

func (a *Auditor) emergencyLease(row string, l *Lease) {
	if len(l.Held) > 0 || len(l.Posted) > 0 {
		a.Broken(Limit, row, "is an emergency call and holds money")
	}
	a.emergencies(EmergencyKey{l.Account, l.Connection, record.DayOf(l.ReservedMicros)}).counted.Started++
}

func (a *Auditor) emergencyRecord(r *record.Call) {
	if r.OverrunCost != 0 {
		a.Broken(Limit, RecordRow(r.AccountID, r.ID), "is an emergency call and has an overrun")
	}
	if r.Outcome == record.OutcomeRefused {
		return
	}
	key := EmergencyKey{r.AccountID, r.ConnectionID, record.DayOf(r.StartedMicros)}
	a.emergencies(key).counted.Add(EmergencyDay{Started: 1, Ended: 1})
	for _, s := range r.Slices {
		key.Day = s.Day
		a.emergencies(key).counted.Add(EmergencyDay{BilledSecs: s.Secs, Posted: s.Cost})
	}
}

// EmergencyDay takes in what is counted of the emergency calls of a connection on a day.
func (a *Auditor) EmergencyDay(key EmergencyKey, day EmergencyDay) {
	a.audit.Emergencies.Add(day)
	audited := a.emergencies(key)
	audited.found = true
	audited.row.Add(day)
}

// finishEmergencies compares the days with the calls. Of days whose records may have
// been deleted there may be more than of the calls that are left.
func (a *Auditor) finishEmergencies() {
	keys := make([]EmergencyKey, 0, len(a.urgent))
	for key := range a.urgent {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y EmergencyKey) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Connection, y.Connection), cmp.Compare(x.Day, y.Day))
	})
	for _, key := range keys {
		day := a.urgent[key]
		row, calls := &day.row, &day.counted
		if key.Day < a.swept[key.Account] && row.Started >= calls.Started && row.Ended >= calls.Ended &&
			row.BilledSecs >= calls.BilledSecs && row.Posted >= calls.Posted {
			continue
		}
		if !day.found || *row != *calls {
			a.Broken(Conservation, EmergencyRow(key),
				"has %d calls, %d ended, %d s and %s posted, its calls are %d, %d ended, of %d s and %s",
				row.Started, row.Ended, row.BilledSecs, row.Posted, calls.Started, calls.Ended, calls.BilledSecs, calls.Posted)
		}
	}
}

// EmergencyRow names what is counted of the emergency calls of a connection on a day.
func EmergencyRow(key EmergencyKey) string {
	day := key.Day.String()
	return fmt.Sprintf("emergency calls of day %s of connection %s of account %s", day, key.Connection, key.Account)
}
