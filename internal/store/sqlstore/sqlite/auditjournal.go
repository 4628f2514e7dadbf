package sqlite

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Journal is what the journal of a file says of the ledger beyond its tables. An
// audit must not change the file, so it reads both.
type Journal struct {
	Leases  map[int64]*JournalLease // by place; nil for one that is gone
	Records []*record.Call          // by id
	Days    map[admission.SpendKey]admission.Spend
	// emergencies are to be added to what the table has.
	Emergencies map[admission.EmergencyKey]admission.EmergencyDay
}

// JournalLease is a lease in the journal, and why it cannot be read.
type JournalLease struct {
	*admission.Lease
	Err error
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
			for row := range slices.Chunk(r.Values, statements[r.Table].columns) {
				if err := j.add(ctx, tx, records, r.Table, row); err != nil {
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
func (j *Journal) add(ctx context.Context, tx table.Querier, records map[uuid.UUID]*record.Call, number table.Number,
	row []any) error {
	scan := tx.QueryRowContext(ctx, "SELECT ?"+strings.Repeat(", ?", len(row)-1), row...).Scan
	switch number {
	case leasesGone:
		var place int64
		if err := scan(&place); err != nil {
			return err
		}
		j.Leases[place] = nil
	case table.LeaseRows:
		l, err := table.FileLeases.Scan(scan)
		if err != nil && !errors.Is(err, table.ErrCorrupt) {
			return err
		}
		j.Leases[l.Place] = &JournalLease{&l.Lease, err}
	case table.RecordRows:
		r, err := table.Records.Scan(scan)
		if err != nil {
			return err
		}
		records[r.ID] = r
	case table.SliceRows:
		s, err := table.Slices.Scan(scan)
		if err != nil {
			return err
		}
		if r := records[s.Call]; r != nil {
			r.Slices = append(r.Slices, s.Slice)
		}
	case table.SpendRows:
		s, err := table.Spends.Scan(scan)
		if err != nil {
			return err
		}
		j.Days[s.SpendKey] = s.Spend
	case table.EmergencyRows:
		more, err := table.Emergencies.Scan(scan)
		if err != nil {
			return err
		}
		day := j.Emergencies[more.EmergencyKey]
		day.Add(more.EmergencyDay)
		j.Emergencies[more.EmergencyKey] = day
	}
	return nil
}
