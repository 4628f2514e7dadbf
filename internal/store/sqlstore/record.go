package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// recordFields are the fields by which records can be filtered and sorted. Phone
// numbers are compared as text without their plus sign in caller and callee, and
// as presented and dialled in from and to.
var recordFields = map[string]field{
	"id":                 {column: "id", kind: kindUUID},
	"profile_id":         {column: "profile_id", kind: kindID},
	"connection_id":      {column: "connection_id", kind: kindID},
	"gateway_id":         {column: "gateway_id", kind: kindID},
	"billing_group_id":   {column: "billing_group_id", kind: kindUUID},
	"started_at":         {column: "started_at", kind: kindTime},
	"answered_at":        {column: "answered_at", kind: kindTime},
	"ended_at":           {column: "ended_at", kind: kindTime},
	"outcome":            {column: "outcome", kind: kindOutcome},
	"reason":             {column: "reason", kind: kindText},
	"sip_status":         {column: "sip_status", kind: kindInt},
	"country":            {column: "country", kind: kindText},
	"number_type":        {column: "number_type", kind: kindText},
	"source_country":     {column: "source_country", kind: kindText},
	"source_number_type": {column: "source_number_type", kind: kindText},
	"emergency":          {column: "emergency", kind: kindBool},
	"from_number":        {column: "from_number", kind: kindText},
	"to_number":          {column: "to_number", kind: kindText},
	"caller":             {column: "caller", kind: kindNumber},
	"callee":             {column: "callee", kind: kindNumber},
	"sip_call_id":        {column: "sip_call_id", kind: kindText},
	"duration":           {column: "duration", kind: kindInt},
	"billed_secs":        {column: "billed_secs", kind: kindInt},
	"cost":               {column: "cost", kind: kindAmount},
	"overrun_cost":       {column: "overrun_cost", kind: kindAmount},
}

// Record implements store.Calls.
func (s *Store) Record(ctx context.Context, account id.ID, call uuid.UUID) (*record.Call, error) {
	var r *record.Call
	err := s.engine.ReadLedger(ctx, account, func(tx table.Querier) (err error) {
		r, err = readRecord(ctx, tx, account, call)
		return err
	})
	if err != nil {
		return nil, readError("call record", call.String(), err)
	}
	return r, nil
}

// readRecord reads one record, with its slices.
func readRecord(ctx context.Context, q table.Querier, account id.ID, call uuid.UUID) (*record.Call, error) {
	r, err := table.ScanRecord(q.QueryRowContext(ctx, `SELECT `+table.RecordColumns+` FROM call_records
		WHERE account_id = $1 AND id = $2`, int64(account), call[:]).Scan)
	if err != nil {
		return nil, err
	}
	return r, table.AddSlices(ctx, q, []*record.Call{r})
}

// ListRecords implements store.Calls.
func (s *Store) ListRecords(ctx context.Context, account id.ID, q store.Query) (store.Page[*record.Call], error) {
	l := listing{table: "call_records", columns: table.RecordColumns, fields: recordFields, count: s.countRecords}
	page := store.Page[*record.Call]{Items: []*record.Call{}}
	err := s.engine.ReadLedger(ctx, account, func(tx table.Querier) (err error) {
		page.Total, err = l.read(ctx, tx, account, q, func(rows *sql.Rows) error {
			r, err := table.ScanRecord(rows.Scan)
			page.Items = append(page.Items, r)
			return err
		})
		if err != nil {
			return err
		}
		return table.AddSlices(ctx, tx, page.Items)
	})
	if err != nil {
		return store.Page[*record.Call]{}, fmt.Errorf("list call records: %w", unavailable(err))
	}
	return page, nil
}
