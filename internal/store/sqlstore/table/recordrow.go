package table

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/packed"
	"github.com/tollgate/tollgate/internal/record"
)

// recordColumns are the columns of call_records but for the body, which has what no
// column has.
var recordColumns = record.Columns()

// RecordColumns are the columns of call_records in the order of RecordValues.
var RecordColumns = recordColumns.Names() + ", body"

// RecordKinds are the kinds of RecordColumns.
var RecordKinds = append(recordColumns.Kinds(), column.Bytes)

// defineRecords puts the columns of call records into a statement that makes the table.
func defineRecords(text string, typeOf func(column.Kind) string) string {
	return strings.Replace(text, "\t-- The columns of record.Fields.\n", recordColumns.Definition(typeOf), 1)
}

// RecordValues appends one row's values.
func RecordValues(values []any, r *record.Call) []any {
	return append(recordColumns.Append(values, r), packed.Append(nil, recordForm, r, packRecord))
}

// UUIDOrNull is the column value of an optional id.
func UUIDOrNull(u *uuid.UUID) any {
	if u == nil {
		return nil
	}
	return u[:]
}

// ScanRecord reads a row of RecordColumns, without the slices.
func ScanRecord(scan func(...any) error) (*record.Call, error) {
	r := &record.Call{}
	var body []byte
	if err := scan(append(recordColumns.Into(make([]any, 0, len(RecordKinds)), r), &body)...); err != nil {
		return nil, err
	}
	return r, packed.Read(body, recordForm, "call record", r, packRecord)
}

// AddSlices reads the slices of records, all of which are of one account.
func AddSlices(ctx context.Context, q Querier, records []*record.Call) error {
	if len(records) == 0 {
		return nil
	}
	byID := make(map[uuid.UUID]*record.Call, len(records))
	calls := make([]uuid.UUID, len(records))
	for i, r := range records {
		byID[r.ID], calls[i] = r, r.ID
	}
	places, args := OfCalls(records[0].AccountID, calls)
	return Query(ctx, q, func(rows *sql.Rows) error {
		var call uuid.UUID
		var s record.Slice
		if err := rows.Scan(&call, &s.Day, &s.Secs, &s.Cost); err != nil {
			return err
		}
		r := byID[call]
		r.Slices = append(r.Slices, s)
		return nil
	}, `SELECT call_id, day, secs, cost FROM call_slices
		WHERE account_id = $1 AND call_id IN (`+places+`) ORDER BY call_id, day`, args...)
}

// OfCalls gives the placeholders of some calls, for a statement whose first
// argument is their account, and the arguments.
func OfCalls(account id.ID, calls []uuid.UUID) (places string, args []any) {
	var list strings.Builder
	args = append(make([]any, 0, 1+len(calls)), int64(account))
	for i := range calls {
		if i > 0 {
			list.WriteString(", ")
		}
		fmt.Fprintf(&list, "$%d", i+2)
		args = append(args, calls[i][:])
	}
	return list.String(), args
}
