package table

import (
	"context"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// UUIDOrNull is the column value of an optional id.
func UUIDOrNull(u *uuid.UUID) any {
	if u == nil {
		return nil
	}
	return u[:]
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
	return Slices.Each(ctx, q, func(row *SliceRow) {
		r := byID[row.Call]
		r.Slices = append(r.Slices, row.Slice)
	}, "WHERE account_id = $1 AND call_id IN ("+places+") ORDER BY call_id, day, quarter", args...)
}

// OfCalls gives the placeholders of some calls, for a statement whose first
// argument is their account, and the arguments.
func OfCalls(account id.ID, calls []uuid.UUID) (places string, args []any) {
	args = append(make([]any, 0, 1+len(calls)), int64(account))
	for i := range calls {
		args = append(args, calls[i][:])
	}
	return Places(2, len(calls)), args
}
