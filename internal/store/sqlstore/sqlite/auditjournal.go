package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Journal is what the journal of a file says of the ledger beyond its tables. An
// audit must not change the file, so it reads both.
type Journal struct {
	Leases  map[int64]*JournalLease // by place; nil for one that is gone
	Records []*record.Call          // by id
	Days    map[admission.SpendKey]admission.Spend
	// Emergencies are to be added to what the table has.
	Emergencies map[admission.EmergencyKey]admission.EmergencyDay
}

// JournalLease is a lease in the journal.
type JournalLease struct {
	Account id.ID
	Call    uuid.UUID
	Body    []byte
}

// ReadJournal reads the journal of a file.
func ReadJournal(ctx context.Context, tx table.Querier) (*Journal, error) {
	j := &Journal{Leases: make(map[int64]*JournalLease), Days: make(map[admission.SpendKey]admission.Spend),
		Emergencies: make(map[admission.EmergencyKey]admission.EmergencyDay)}
	entries, err := readEntries(ctx, tx)
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
		j.Records = append(j.Records, r)
	}
	slices.SortFunc(j.Records, func(x, y *record.Call) int { return slices.Compare(x.ID[:], y.ID[:]) })
	return j, nil
}

// add takes one row in. The database scans it as it does the rows of tables.
func (j *Journal) add(ctx context.Context, tx table.Querier, records map[uuid.UUID]*record.Call, change tableChange,
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
		j.Leases[place] = nil
	case leasesPut:
		var place int64
		l := &JournalLease{}
		if err := scan(&place, &l.Account, &l.Call, &l.Body); err != nil {
			return err
		}
		j.Leases[place] = l
	case recordsNew:
		r, err := table.ScanRecord(scan)
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
		key, s, err := table.ScanSpend(scan)
		if err != nil {
			return err
		}
		j.Days[key] = s
	case emergenciesAdd:
		key, more, err := table.ScanEmergencies(scan)
		if err != nil {
			return err
		}
		day := j.Emergencies[key]
		day.Add(more)
		j.Emergencies[key] = day
	}
	return nil
}
