package sqlstore

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// journalled is what the journal of a file says of the ledger beyond its tables. An
// audit must not change the file, so it reads both.
type journalled struct {
	leases  map[int64]*journalledLease // by place; nil for one that is gone
	records []*record.Call             // by id
	days    map[admission.SpendKey]journalledDay
	// emergencies are to be added to what the table has.
	emergencies map[admission.EmergencyKey]admission.EmergencyDay
}

type journalledLease struct {
	account id.ID
	call    uuid.UUID
	body    []byte
}

type journalledDay struct {
	account id.ID
	spend   admission.Spend
}

// readJournalled reads the journal of a file. With PostgreSQL there is none.
func readJournalled(ctx context.Context, tx querier, postgres bool) (*journalled, error) {
	j := &journalled{leases: make(map[int64]*journalledLease), days: make(map[admission.SpendKey]journalledDay),
		emergencies: make(map[admission.EmergencyKey]admission.EmergencyDay)}
	if postgres {
		return j, nil
	}
	entries, err := readJournal(ctx, tx)
	if err != nil {
		return nil, err
	}
	records := make(map[uuid.UUID]*record.Call)
	for _, list := range entries {
		for _, r := range list {
			for row := range slices.Chunk(r.values, statements[r.change].columns) {
				if err := j.add(ctx, tx, records, r.change, row); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, r := range records {
		j.records = append(j.records, r)
	}
	slices.SortFunc(j.records, func(x, y *record.Call) int { return slices.Compare(x.ID[:], y.ID[:]) })
	return j, nil
}

// add takes one row in. The database scans it as it does the rows of tables.
func (j *journalled) add(ctx context.Context, tx querier, records map[uuid.UUID]*record.Call, change tableChange,
	row []any) error {
	scan := tx.QueryRowContext(ctx, "SELECT ?"+strings.Repeat(", ?", len(row)-1), row...).Scan
	var account, profile id.ID
	var call uuid.UUID
	switch change {
	case leasesGone:
		var place int64
		if err := scan(&place); err != nil {
			return err
		}
		j.leases[place] = nil
	case leasesPut:
		var place int64
		l := &journalledLease{}
		if err := scan(&place, &l.account, &l.call, &l.body); err != nil {
			return err
		}
		j.leases[place] = l
	case recordsNew:
		r, err := scanRecord(scan)
		if err != nil {
			return err
		}
		records[r.ID] = r
	case slicesNew:
		var s record.Slice
		if err := scan(&account, &call, &s.Day, &profile, &s.Secs, &s.Cost); err != nil {
			return err
		}
		if r := records[call]; r != nil {
			r.Slices = append(r.Slices, s)
		}
	case daysPut:
		var day record.Day
		var s admission.Spend
		if err := scan(&account, &profile, &day, &s.Posted, &s.Held, &s.Overrun, &s.Told, &s.ToldLimit); err != nil {
			return err
		}
		j.days[admission.Scope{Profile: profile}.On(day)] = journalledDay{account, s}
	case emergenciesAdd:
		key, more, err := scanEmergencies(scan)
		if err != nil {
			return err
		}
		day := j.emergencies[key]
		day.Add(more)
		j.emergencies[key] = day
	case scopeDaysPut:
		account, key, s, err := scanScopeDay(scan)
		if err != nil {
			return err
		}
		j.days[key] = journalledDay{account, s}
	}
	return nil
}
