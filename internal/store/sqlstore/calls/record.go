package calls

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// recordFields are the columns by which records can be filtered and sorted: all but that
// of their account, which every list has. Phone numbers are compared as text without
// their plus sign in caller and callee, and as presented and dialled in from_number and
// to_number.
var recordFields = func() map[string]listing.Field {
	fields := make(map[string]listing.Field)
	for _, c := range record.Columns() {
		if c.Name != "account_id" {
			fields[c.Name] = listing.Field{Column: c.Name, Kind: c.Kind}
		}
	}
	return fields
}()

// Record implements store.Calls.
func (c *Calls) Record(ctx context.Context, account id.ID, call uuid.UUID) (*record.Call, error) {
	var r *record.Call
	err := c.db.ReadLedger(ctx, account, func(tx table.Querier) (err error) {
		r, err = readRecord(ctx, tx, account, call)
		return err
	})
	if err != nil {
		return nil, table.ReadError("call record", call.String(), err)
	}
	return r, nil
}

// readRecord reads one record, with its slices.
func readRecord(ctx context.Context, q table.Querier, account id.ID, call uuid.UUID) (*record.Call, error) {
	r, err := table.Records.Scan(q.QueryRowContext(ctx, `SELECT `+table.Records.Names()+` FROM call_records
		WHERE account_id = $1 AND id = $2`, int64(account), call[:]).Scan)
	if err != nil {
		return nil, err
	}
	return r, table.AddSlices(ctx, q, []*record.Call{r})
}

// ListRecords implements store.Calls.
func (c *Calls) ListRecords(ctx context.Context, account id.ID,
	q collection.Query) (collection.Page[*record.Call], error) {
	l := listing.Table{Name: "call_records", Columns: table.Records.Names(), Fields: recordFields, Count: c.CountRecords}
	page := collection.Page[*record.Call]{Items: []*record.Call{}}
	err := c.db.ReadLedger(ctx, account, func(tx table.Querier) (err error) {
		page.Total, err = l.Read(ctx, tx, account, q, func(rows *sql.Rows) error {
			r, err := table.Records.Scan(rows.Scan)
			page.Items = append(page.Items, r)
			return err
		})
		if err != nil {
			return err
		}
		return table.AddSlices(ctx, tx, page.Items)
	})
	if err != nil {
		return collection.Page[*record.Call]{}, fmt.Errorf("list call records: %w", table.Unavailable(err))
	}
	return page, nil
}
