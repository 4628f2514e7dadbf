package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// recordColumns are the columns of call_records in the order of recordValues.
const recordColumns = `account_id, id, profile_id, connection_id, gateway_id, billing_group_id,
	started_at, answered_at, ended_at, outcome, reason, sip_status, country, number_type, emergency,
	from_number, to_number, caller, callee, sip_call_id, duration, billed_secs, cost, overrun_cost, body,
	source_country, source_number_type`

const numRecordColumns = 27

// recordValues appends one row's values.
func recordValues(args []any, r *record.Call) []any {
	country := ""
	if r.Country != 0 {
		country = r.Country.Alpha2()
	}
	sourceCountry, sourceType := "", ""
	if r.HasSource {
		sourceCountry, sourceType = r.SourceCountry.Alpha2(), r.SourceType.String()
	}
	return append(args,
		int64(r.AccountID), r.ID[:], int64(r.ProfileID), int64(r.ConnectionID), int64(r.GatewayID), uuidOrNull(r.BillingGroup),
		r.StartedMicros, r.AnsweredMicros, r.EndedMicros, int64(r.Outcome), r.Reason, int64(r.SIPStatus),
		country, r.NumberType.String(), r.Emergency,
		r.From, r.To, int64(r.Caller), int64(r.Callee), r.SIPCallID,
		r.DurationMicros, r.BilledSecs, int64(r.Cost), int64(r.OverrunCost), appendRecord(nil, r),
		sourceCountry, sourceType)
}

// uuidOrNull is the column value of an optional id.
func uuidOrNull(u *uuid.UUID) any {
	if u == nil {
		return nil
	}
	return u[:]
}

// appendRecord encodes what no column has.
func appendRecord(dst []byte, r *record.Call) []byte {
	e := encoder{out: dst}
	e.int(recordForm)
	e.int(r.RingingMicros)
	e.text(r.Range)
	e.text(r.SIPPhrase)
	e.text(r.HangupCause)
	e.int(int64(r.HangupSource))
	e.int(r.GrantedSecs)
	e.rate(r.Rate)
	e.text(r.RatePrefix)
	e.int(r.OverrunSecs)
	e.bytes(r.Decision)
	e.text(r.HungUpBy)
	e.bool(r.Quality != nil)
	if r.Quality != nil {
		e.reception(&r.Quality.Caller)
		e.reception(&r.Quality.Callee)
	}
	return e.out
}

func (e *encoder) reception(r *record.Reception) {
	for _, n := range []uint64{r.Packets, r.Lost, r.JitterPackets} {
		e.int(int64(n))
	}
	e.int(int64(r.Jitter))
	e.int(int64(r.MaxJitter))
}

func (d *decoder) reception() record.Reception {
	return record.Reception{
		Packets: uint64(d.int()), Lost: uint64(d.int()), JitterPackets: uint64(d.int()),
		Jitter: time.Duration(d.int()), MaxJitter: time.Duration(d.int()),
	}
}

// scanRecord reads a row of recordColumns, without the slices.
func scanRecord(scan func(...any) error) (*record.Call, error) {
	r := &record.Call{}
	var group, body []byte
	var country, numberType string
	var sourceCountry, sourceType sql.NullString
	err := scan(&r.AccountID, &r.ID, &r.ProfileID, &r.ConnectionID, &r.GatewayID, &group,
		&r.StartedMicros, &r.AnsweredMicros, &r.EndedMicros, &r.Outcome, &r.Reason, &r.SIPStatus,
		&country, &numberType, &r.Emergency,
		&r.From, &r.To, &r.Caller, &r.Callee, &r.SIPCallID,
		&r.DurationMicros, &r.BilledSecs, &r.Cost, &r.OverrunCost, &body,
		&sourceCountry, &sourceType)
	if err != nil {
		return nil, err
	}
	r.Country, _ = e164.CountryByAlpha2(country)
	r.NumberType, _ = e164.ParseNumberType(numberType)
	r.SourceCountry, _ = e164.CountryByAlpha2(sourceCountry.String)
	r.SourceType, r.HasSource = e164.ParseNumberType(sourceType.String)
	if len(group) == len(uuid.UUID{}) {
		r.BillingGroup = new(uuid.UUID(group))
	}
	d, form := newDecoderUpTo(body, recordForm)
	r.RingingMicros, r.Range, r.SIPPhrase, r.HangupCause = d.int(), d.text(), d.text(), d.text()
	r.HangupSource = record.Side(d.int())
	r.GrantedSecs, r.Rate, r.RatePrefix = d.int(), d.rate(), d.text()
	r.OverrunSecs, r.Decision = d.int(), d.bytes()
	if form >= 2 {
		r.HungUpBy = d.text()
	}
	if form >= 3 && d.bool() {
		r.Quality = &record.Quality{Caller: d.reception(), Callee: d.reception()}
	}
	return r, d.finish("call record")
}

// addSlices reads the slices of records, all of which are of one account.
func addSlices(ctx context.Context, q querier, records []*record.Call) error {
	if len(records) == 0 {
		return nil
	}
	byID := make(map[uuid.UUID]*record.Call, len(records))
	calls := make([]uuid.UUID, len(records))
	for i, r := range records {
		byID[r.ID], calls[i] = r, r.ID
	}
	places, args := ofCalls(records[0].AccountID, calls)
	return query(ctx, q, func(rows *sql.Rows) error {
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

// ofCalls gives the placeholders of some calls, for a statement whose first
// argument is their account, and the arguments.
func ofCalls(account id.ID, calls []uuid.UUID) (places string, args []any) {
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
	err := s.readingLedger(ctx, account, func(tx querier) (err error) {
		r, err = readRecord(ctx, tx, account, call)
		return err
	})
	if err != nil {
		return nil, readError("call record", call.String(), err)
	}
	return r, nil
}

// readRecord reads one record, with its slices.
func readRecord(ctx context.Context, q querier, account id.ID, call uuid.UUID) (*record.Call, error) {
	r, err := scanRecord(q.QueryRowContext(ctx, `SELECT `+recordColumns+` FROM call_records
		WHERE account_id = $1 AND id = $2`, int64(account), call[:]).Scan)
	if err != nil {
		return nil, err
	}
	return r, addSlices(ctx, q, []*record.Call{r})
}

// ListRecords implements store.Calls.
func (s *Store) ListRecords(ctx context.Context, account id.ID, q store.Query) (store.Page[*record.Call], error) {
	l := listing{table: "call_records", columns: recordColumns, fields: recordFields, count: s.countRecords}
	page := store.Page[*record.Call]{Items: []*record.Call{}}
	err := s.readingLedger(ctx, account, func(tx querier) (err error) {
		page.Total, err = l.read(ctx, tx, account, q, func(rows *sql.Rows) error {
			r, err := scanRecord(rows.Scan)
			page.Items = append(page.Items, r)
			return err
		})
		if err != nil {
			return err
		}
		return addSlices(ctx, tx, page.Items)
	})
	if err != nil {
		return store.Page[*record.Call]{}, fmt.Errorf("list call records: %w", unavailable(err))
	}
	return page, nil
}
