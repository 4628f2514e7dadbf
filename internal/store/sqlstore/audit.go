package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// Audit recomputes the invariants of the ledger from all of its rows, in one state
// of the database: nothing is broken, unless there is a bug or someone else wrote
// to the database.
func (s *Store) Audit(ctx context.Context) (audit admission.Audit, err error) {
	err = s.readingLedger(ctx, everyAccount, func(tx querier) (err error) {
		audit, err = auditLedger(ctx, tx, s.db.postgres != nil)
		return err
	})
	if err != nil {
		return audit, fmt.Errorf("audit: %w", unavailable(err))
	}
	return audit, nil
}

// AuditFile is Audit for a database file, which a running server may have open. It
// changes nothing in the file.
func AuditFile(ctx context.Context, path string) (audit admission.Audit, err error) {
	err = readFile(ctx, path, func(tx querier) (err error) {
		audit, err = auditLedger(ctx, tx, false)
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
	err = readServer(ctx, databaseURL, func(tx querier) (err error) {
		audit, err = auditLedger(ctx, tx, true)
		return err
	})
	if err != nil {
		return audit, fmt.Errorf("audit: %w", err)
	}
	return audit, nil
}

// readServer runs f in one read transaction on a PostgreSQL database whose nodes
// may be running, with the rows of every account.
func readServer(ctx context.Context, databaseURL string, f func(querier) error) (err error) {
	parsed, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return err // pgx leaves the password out
	}
	if parsed.ConnectTimeout == 0 {
		parsed.ConnectTimeout = connectLimit
	}
	parsed.RuntimeParams["application_name"] = "tollgate audit"
	db := &database{postgres: parsed, read: stdlib.OpenDB(*parsed)}
	defer func() { err = errors.Join(err, db.read.Close()) }()
	return db.reading(ctx, everyAccount, postgresSchema().checked(ctx, f))
}

// readFile runs f in one read transaction on a database file that a server may
// have open.
func readFile(ctx context.Context, path string, f func(querier) error) (err error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(absolute); err != nil {
		return fmt.Errorf("no database: %w", err)
	}
	source := url.URL{Scheme: "file", Path: absolute, RawQuery: url.Values{
		"mode": {"ro"}, "_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeoutMs), "query_only(ON)"},
	}.Encode()}
	pool, err := sql.Open("sqlite", source.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	tx, err := pool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(sqliteSchema().checked(ctx, f)(tx), tx.Rollback())
}

// auditLedger reads all rows of the ledger. The leases of PostgreSQL have columns
// that repeat what is in their bodies.
func auditLedger(ctx context.Context, tx querier, columns bool) (audit admission.Audit, err error) {
	a := admission.NewAuditor()
	journal, err := readJournalled(ctx, tx, columns)
	if err != nil {
		return audit, fmt.Errorf("read the journal: %w", err)
	}
	if err := auditLeases(ctx, tx, a, columns, journal); err != nil {
		return audit, fmt.Errorf("read leases: %w", err)
	}
	if err := auditRecords(ctx, tx, a, journal.records); err != nil {
		return audit, fmt.Errorf("read call_records: %w", err)
	}
	if err := auditStraySlices(ctx, tx, a); err != nil {
		return audit, fmt.Errorf("read call_slices: %w", err)
	}
	err = query(ctx, tx, func(rows *sql.Rows) error {
		var account id.ID
		var key admission.SpendKey
		var spend admission.Spend
		err := rows.Scan(&account, &key.Profile, &key.Day, &spend.Posted, &spend.Held, &spend.Overrun)
		if _, later := journal.days[key]; !later {
			a.Day(account, key, spend)
		}
		return err
	}, "SELECT account_id, profile_id, day, posted, held, overrun FROM profile_days")
	if err != nil {
		return audit, fmt.Errorf("read profile_days: %w", err)
	}
	err = query(ctx, tx, func(rows *sql.Rows) error {
		account, key, spend, err := scanScopeDay(rows.Scan)
		if _, later := journal.days[key]; !later {
			a.Day(account, key, spend)
		}
		return err
	}, "SELECT "+scopeDayColumns+" FROM scope_days")
	if err != nil {
		return audit, fmt.Errorf("read scope_days: %w", err)
	}
	for key, day := range journal.days {
		a.Day(day.account, key, day.spend)
	}
	err = query(ctx, tx, func(rows *sql.Rows) error {
		key, day, err := scanEmergencies(rows.Scan)
		a.EmergencyDay(key, day)
		return err
	}, "SELECT "+emergencyColumns+" FROM emergency_days")
	if err != nil {
		return audit, fmt.Errorf("read emergency_days: %w", err)
	}
	for key, day := range journal.emergencies {
		a.EmergencyDay(key, day)
	}
	err = query(ctx, tx, func(rows *sql.Rows) error {
		var account id.ID
		var before record.Day
		err := rows.Scan(&account, &before)
		a.Swept(account, before)
		return err
	}, "SELECT account_id, before_day FROM record_sweeps")
	if err != nil {
		return audit, fmt.Errorf("read record_sweeps: %w", err)
	}
	limits, err := readLimits(ctx, tx)
	if err != nil {
		return audit, fmt.Errorf("read limits: %w", err)
	}
	return a.Finish(limits.largest), nil
}

func auditLeases(ctx context.Context, tx querier, a *admission.Auditor, columns bool, journal *journalled) error {
	more := ", place"
	if columns {
		more = ", profile_id, connection_id, owner, emergency, expires_at"
	}
	err := query(ctx, tx, func(rows *sql.Rows) error {
		var account, profile, connection id.ID
		var call, owner uuid.UUID
		var emergency bool
		var expires, place int64
		var body []byte
		fields := []any{&account, &call, &body, &place}
		if columns {
			fields = append(fields[:3], &profile, &connection, &owner, &emergency, &expires)
		}
		if err := rows.Scan(fields...); err != nil {
			return err
		}
		if _, later := journal.leases[place]; later {
			return nil
		}
		l := auditLease(a, account, call, body)
		if l != nil && columns && (profile != l.Profile || connection != l.Connection || owner != l.Owner ||
			emergency != l.Emergency || expires != l.ExpiresMicros) {
			a.Broken(admission.Channels, admission.LeaseRow(account, call),
				"has columns, by which live calls are counted, that differ from its body")
		}
		return nil
	}, "SELECT account_id, id, body"+more+" FROM leases ORDER BY id")
	for _, l := range journal.leases {
		if l != nil {
			auditLease(a, l.account, l.call, l.body)
		}
	}
	return err
}

// auditLease returns the lease, or nil for one that cannot be read.
func auditLease(a *admission.Auditor, account id.ID, call uuid.UUID, body []byte) *admission.Lease {
	l, err := decodeLease(account, call, body)
	if err != nil {
		a.Broken(admission.Conservation, admission.LeaseRow(account, call), "cannot be read: %v", err)
		return nil
	}
	a.Lease(l)
	return l
}

// auditRecords reads each record with its slices, one row for each of them, and takes
// those that are in no table yet.
func auditRecords(ctx context.Context, tx querier, a *admission.Auditor, more []*record.Call) error {
	var last *record.Call
	err := query(ctx, tx, func(rows *sql.Rows) error {
		var day, secs, cost, profile sql.NullInt64
		r, err := scanRecord(func(fields ...any) error { return rows.Scan(append(fields, &day, &profile, &secs, &cost)...) })
		if errors.Is(err, errCorrupt) {
			a.Broken(admission.OneRecord, admission.RecordRow(r.AccountID, r.ID), "cannot be read: %v", err)
			return nil
		}
		if err != nil {
			return err
		}
		slice := record.Slice{Day: record.Day(day.Int64), Secs: secs.Int64, Cost: amount(cost.Int64)}
		if last != nil && last.ID == r.ID && len(last.Slices) > 0 && day.Valid &&
			slice.Day > last.Slices[len(last.Slices)-1].Day {
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
	}, `SELECT `+recordColumns+`, slice_day, slice_profile, slice_secs, slice_cost FROM call_records
		LEFT JOIN (SELECT account_id AS slice_account, call_id AS slice_call, day AS slice_day, profile_id AS slice_profile,
			secs AS slice_secs, cost AS slice_cost FROM call_slices) AS s ON slice_account = account_id AND slice_call = id
		ORDER BY id, slice_day`)
	if last != nil {
		a.Record(last)
	}
	for _, r := range more {
		a.Record(r)
	}
	return err
}

// auditStraySlices looks for charges whose call has no record.
func auditStraySlices(ctx context.Context, tx querier, a *admission.Auditor) error {
	return query(ctx, tx, func(rows *sql.Rows) error {
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
