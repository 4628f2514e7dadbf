package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/postgres"
	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Audit recomputes the invariants of the ledger from all of its rows, in one state
// of the database: nothing is broken, unless there is a bug or someone else wrote
// to the database.
func (s *Store) Audit(ctx context.Context) (audit admission.Audit, err error) {
	err = s.db.ReadLedger(ctx, table.EveryAccount, func(tx table.Querier) (err error) {
		audit, err = auditLedger(ctx, tx, s.dialect)
		return err
	})
	if err != nil {
		return audit, fmt.Errorf("audit: %w", table.Unavailable(err))
	}
	return audit, nil
}

// AuditFile is Audit for a database file, which a running server may have open. It
// changes nothing in the file.
func AuditFile(ctx context.Context, path string) (audit admission.Audit, err error) {
	err = sqlite.ReadFile(ctx, path, Tables(), func(tx table.Querier) (err error) {
		audit, err = auditLedger(ctx, tx, &fileDialect)
		return err
	})
	if err != nil {
		return audit, fmt.Errorf("audit: %w", err)
	}
	return audit, nil
}

// AuditServer is Audit for a PostgreSQL database whose nodes may be running. It
// changes nothing and locks nothing out.
func AuditServer(ctx context.Context, databaseURL string) (audit admission.Audit, err error) {
	err = postgres.ReadServer(ctx, databaseURL, Tables(), func(tx table.Querier) (err error) {
		audit, err = auditLedger(ctx, tx, &serverDialect)
		return err
	})
	if err != nil {
		return audit, fmt.Errorf("audit: %w", err)
	}
	return audit, nil
}

// auditLedger reads all rows of the ledger.
func auditLedger(ctx context.Context, tx table.Querier, d *dialect) (audit admission.Audit, err error) {
	a := admission.NewAuditor()
	limited, err := compiledLimits(ctx, tx)
	if err != nil {
		return audit, fmt.Errorf("read spend_limits: %w", err)
	}
	for _, l := range limited {
		a.SpendLimit(l)
	}
	journal, err := d.journal(ctx, tx)
	if err != nil {
		return audit, fmt.Errorf("read the journal: %w", err)
	}
	if err := d.auditLeases(ctx, tx, a, journal); err != nil {
		return audit, fmt.Errorf("read leases: %w", err)
	}
	if err := auditRecords(ctx, tx, a, journal.Records); err != nil {
		return audit, fmt.Errorf("read call_records: %w", err)
	}
	if err := auditStraySlices(ctx, tx, a); err != nil {
		return audit, fmt.Errorf("read call_slices: %w", err)
	}
	err = table.Spends.Each(ctx, tx, func(r *table.SpendRow) {
		if _, later := journal.Days[r.SpendKey]; !later {
			a.Day(r.SpendKey, r.Spend)
		}
	}, "")
	if err != nil {
		return audit, fmt.Errorf("read spend_days: %w", err)
	}
	for key, spend := range journal.Days {
		a.Day(key, spend)
	}
	err = table.Emergencies.Each(ctx, tx, func(r *table.EmergencyRow) {
		a.EmergencyDay(r.EmergencyKey, r.EmergencyDay)
	}, "")
	if err != nil {
		return audit, fmt.Errorf("read emergency_days: %w", err)
	}
	for key, day := range journal.Emergencies {
		a.EmergencyDay(key, day)
	}
	err = table.Query(ctx, tx, func(rows *sql.Rows) error {
		var account id.ID
		var before record.Day
		err := rows.Scan(&account, &before)
		a.Swept(account, before)
		return err
	}, "SELECT account_id, before_day FROM record_sweeps")
	if err != nil {
		return audit, fmt.Errorf("read record_sweeps: %w", err)
	}
	limits, err := readLimits(ctx, tx, d)
	if err != nil {
		return audit, fmt.Errorf("read limits: %w", err)
	}
	return a.Finish(limits.largest), nil
}

// leaseAudit shows all leases to an auditor.
type leaseAudit func(context.Context, table.Querier, *admission.Auditor, *sqlite.Journal) error

// auditFileLeases reads leases, those in the journal in the place of those in the table.
func auditFileLeases(ctx context.Context, tx table.Querier, a *admission.Auditor, journal *sqlite.Journal) error {
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		l, err := table.FileLeases.Scan(rows.Scan)
		if _, later := journal.Leases[l.Place]; later {
			return nil
		}
		return auditLease(a, &l.Lease, err)
	}, table.FileLeases.Select("ORDER BY id"))
	for _, l := range journal.Leases {
		if l != nil && err == nil {
			err = auditLease(a, l.Lease, l.Err)
		}
	}
	return err
}

// auditServerLeases reads leases, which have columns that repeat what is in their bodies.
func auditServerLeases(ctx context.Context, tx table.Querier, a *admission.Auditor, _ *sqlite.Journal) error {
	return table.Query(ctx, tx, func(rows *sql.Rows) error {
		l, agree, err := table.ScanLeaseWhole(rows.Scan)
		if err == nil && !agree {
			a.Broken(admission.Channels, admission.LeaseRow(l.Account, l.ID),
				"has columns, by which live calls are counted, that differ from its body")
		}
		return auditLease(a, l, err)
	}, "SELECT "+table.AllLeaseColumns+" FROM leases ORDER BY id")
}

// auditLease takes a lease in, which may be one that cannot be read.
func auditLease(a *admission.Auditor, l *admission.Lease, err error) error {
	switch {
	case errors.Is(err, table.ErrCorrupt):
		a.Broken(admission.Conservation, admission.LeaseRow(l.Account, l.ID), "cannot be read: %v", err)
		return nil
	case err == nil:
		a.Lease(l)
	}
	return err
}

// auditRecords reads each record with its slices, one row for each of them, and takes
// those that are in no table yet.
func auditRecords(ctx context.Context, tx table.Querier, a *admission.Auditor, more []*record.Call) error {
	var last *record.Call
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		var day, quarter, secs, cost, profile sql.NullInt64
		r, err := table.Records.Scan(func(fields ...any) error {
			return rows.Scan(append(fields, &day, &quarter, &profile, &secs, &cost)...)
		})
		if errors.Is(err, table.ErrCorrupt) {
			a.Broken(admission.OneRecord, admission.RecordRow(r.AccountID, r.ID), "cannot be read: %v", err)
			return nil
		}
		if err != nil {
			return err
		}
		slice := record.Slice{Day: record.Day(day.Int64), Quarter: record.Quarter(quarter.Int64),
			Secs: secs.Int64, Cost: amount(cost.Int64)}
		if last != nil && last.ID == r.ID && len(last.Slices) > 0 && day.Valid &&
			slice.AtMicros() > last.Slices[len(last.Slices)-1].AtMicros() {
			r = last
		} else {
			if last != nil {
				a.Record(last)
			}
			last = r
		}
		if !day.Valid {
			return nil
		}
		r.Slices = append(r.Slices, slice)
		if id.ID(profile.Int64) != r.ProfileID {
			a.Broken(admission.Conservation, admission.RecordRow(r.AccountID, r.ID),
				"has a slice that is booked to profile %d and not to its own, %s",
				profile.Int64, r.ProfileID)
		}
		return nil
	},
		`SELECT `+table.Records.Names()+`, slice_day, slice_quarter, slice_profile, slice_secs, slice_cost FROM call_records
		LEFT JOIN (SELECT account_id AS slice_account, call_id AS slice_call, day AS slice_day,
			quarter AS slice_quarter, profile_id AS slice_profile,
			secs AS slice_secs,
				cost AS slice_cost FROM call_slices) AS s ON slice_account = account_id AND slice_call = id
		ORDER BY id, slice_day, slice_quarter`)
	if last != nil {
		a.Record(last)
	}
	for _, r := range more {
		a.Record(r)
	}
	return err
}

// auditStraySlices looks for charges whose call has no record.
func auditStraySlices(ctx context.Context, tx table.Querier, a *admission.Auditor) error {
	return table.Query(ctx, tx, func(rows *sql.Rows) error {
		var account id.ID
		var call uuid.UUID
		if err := rows.Scan(&account, &call); err != nil {
			return err
		}
		a.Broken(admission.OneRecord, admission.RecordRow(account, call), "is missing, and the call was charged")
		return nil
	}, `SELECT s.account_id, s.call_id FROM call_slices AS s WHERE NOT EXISTS
		(SELECT 1 FROM call_records AS r WHERE r.id = s.call_id AND r.account_id = s.account_id) ORDER BY s.call_id`)
}
