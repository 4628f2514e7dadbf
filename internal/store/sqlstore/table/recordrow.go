package table

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
)

// recordColumns are the columns of call_records in the order of recordValues.
const RecordColumns = `account_id, id, profile_id, connection_id, gateway_id, billing_group_id,
	started_at, answered_at, ended_at, outcome, reason, sip_status, country, number_type, emergency,
	from_number, to_number, caller, callee, sip_call_id, duration, billed_secs, cost, overrun_cost, body,
	source_country, source_number_type`

const NumRecordColumns = 27

// recordValues appends one row's values.
func RecordValues(args []any, r *record.Call) []any {
	country := ""
	if r.Country != 0 {
		country = r.Country.Alpha2()
	}
	sourceCountry, sourceType := "", ""
	if r.HasSource {
		sourceCountry, sourceType = r.SourceCountry.Alpha2(), r.SourceType.String()
	}
	return append(args,
		int64(r.AccountID), r.ID[:], int64(r.ProfileID), int64(r.ConnectionID), int64(r.GatewayID), UuidOrNull(r.BillingGroup),
		r.StartedMicros, r.AnsweredMicros, r.EndedMicros, int64(r.Outcome), r.Reason, int64(r.SIPStatus),
		country, r.NumberType.String(), r.Emergency,
		r.From, r.To, int64(r.Caller), int64(r.Callee), r.SIPCallID,
		r.DurationMicros, r.BilledSecs, int64(r.Cost), int64(r.OverrunCost), appendRecord(nil, r),
		sourceCountry, sourceType)
}

// uuidOrNull is the column value of an optional id.
func UuidOrNull(u *uuid.UUID) any {
	if u == nil {
		return nil
	}
	return u[:]
}

// appendRecord encodes what no column has.
func appendRecord(dst []byte, r *record.Call) []byte {
	e := Encoder{Out: dst}
	e.Int(recordForm)
	e.Int(r.RingingMicros)
	e.Text(r.Range)
	e.Text(r.SIPPhrase)
	e.Text(r.HangupCause)
	e.Int(int64(r.HangupSource))
	e.Int(r.GrantedSecs)
	e.Rate(r.Rate)
	e.Text(r.RatePrefix)
	e.Int(r.OverrunSecs)
	e.bytes(r.Decision)
	e.Text(r.HungUpBy)
	e.Bool(r.Quality != nil)
	if r.Quality != nil {
		e.reception(&r.Quality.Caller)
		e.reception(&r.Quality.Callee)
	}
	return e.Out
}

func (e *Encoder) reception(r *record.Reception) {
	for _, n := range []uint64{r.Packets, r.Lost, r.JitterPackets} {
		e.Int(int64(n))
	}
	e.Int(int64(r.Jitter))
	e.Int(int64(r.MaxJitter))
}

func (d *decoder) reception() record.Reception {
	return record.Reception{
		Packets: uint64(d.Int()), Lost: uint64(d.Int()), JitterPackets: uint64(d.Int()),
		Jitter: time.Duration(d.Int()), MaxJitter: time.Duration(d.Int()),
	}
}

// scanRecord reads a row of recordColumns, without the slices.
func ScanRecord(scan func(...any) error) (*record.Call, error) {
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
	r.RingingMicros, r.Range, r.SIPPhrase, r.HangupCause = d.Int(), d.Text(), d.Text(), d.Text()
	r.HangupSource = record.Side(d.Int())
	r.GrantedSecs, r.Rate, r.RatePrefix = d.Int(), d.Rate(), d.Text()
	r.OverrunSecs, r.Decision = d.Int(), d.bytes()
	if form >= 2 {
		r.HungUpBy = d.Text()
	}
	if form >= 3 && d.Bool() {
		r.Quality = &record.Quality{Caller: d.reception(), Callee: d.reception()}
	}
	return r, d.Finish("call record")
}

// addSlices reads the slices of records, all of which are of one account.
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

// ofCalls gives the placeholders of some calls, for a statement whose first
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
