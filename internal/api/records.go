package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// recordView is a call detail record as it is answered. Telnyx publishes no
// schema of its sip-trunking records; the names are those of the dimensions and
// metrics of its usage reports and of its other record types where it has one.
type recordView struct {
	// of the attempt
	ID         uuid.UUID `json:"id"`
	RecordType string    `json:"record_type" enum:"sip-trunking"`
	// `outbound`; usage report dimension
	Direction string `json:"direction" enum:"outbound"`

	// as presented
	From string `json:"from" doc:"The caller id as presented."`
	// as dialled
	To string `json:"to" doc:"The number as dialled."`
	// E.164 after localisation and `ani_override`
	CLI *e164.Number `json:"cli" doc:"The caller after localisation and ani_override; null when it is no valid number."`
	// E.164 after localisation
	CLD *e164.Number `json:"cld" doc:"The called number after localisation; null when it is no valid number."`

	StartedAt  time.Time  `json:"started_at"`
	RingingAt  *time.Time `json:"ringing_at" mark:"ours"`
	AnsweredAt *time.Time `json:"answered_at"`
	FinishedAt *time.Time `json:"finished_at"`
	// Telnyx's batch reports have `pdd`
	PDDMs *int64 `json:"pdd_ms" mark:"ours" doc:"Post-dial delay: from the call's start to ringing."`
	// usage report metric
	CallSec int64 `json:"call_sec" doc:"Seconds from answer to end, a part counting whole."`
	// usage report metric
	BilledSec int64 `json:"billed_sec"`

	// a text, USD a minute
	Rate           money.Amount `json:"rate"`
	RateMeasuredIn string       `json:"rate_measured_in" enum:"minutes"`
	RatePrefix     string       `json:"rate_prefix" mark:"ours" doc:"The prefix of the rate deck that priced the call."`
	ConnectFee     money.Amount `json:"connect_fee" mark:"ours"`
	// a text, USD; the sum of `slices`
	Cost     money.Amount `json:"cost"`
	Currency string       `json:"currency" enum:"USD"`
	Slices   []sliceView  `json:"slices" mark:"ours" doc:"The cost by the UTC day to which it is booked."`

	// usage report dimension
	OutboundProfileID id.ID `json:"outbound_profile_id"`
	// usage report dimension
	ConnectionID id.ID `json:"connection_id"`
	// usage report dimension
	BillingGroupID *uuid.UUID `json:"billing_group_id"`
	// the carrier's trunk
	GatewayID      id.ID   `json:"gateway_id" mark:"ours"`
	SIPCallID      string  `json:"sip_call_id"`
	ConnectionName *string `json:"connection_name" doc:"The name that the connection has now; null when it is deleted."`
	// the call's id: each call is a session of its own
	SessionID uuid.UUID `json:"telnyx_session_id" doc:"The call's id: a call is a session of its own."`

	// usage report dimension, alpha-2
	CountryCode *string `json:"country_code" doc:"ISO 3166-1 alpha-2; null for ranges that belong to no country."`
	// the same
	CountryISO *string `json:"country_iso" doc:"The same as country_code."`
	// `+881` and the like, when there is no country
	NumberRange *string `json:"number_range" mark:"ours" doc:"The range, such as +881, of a number that belongs to no country."`
	// usage report dimension
	TNType string `json:"tn_type" doc:"The type of the called number."`

	// usage report dimension; of the caller's number, alpha-2; null when it has no country or is not valid, and in
	// records of before this field
	SourceCountryCode *string `json:"source_country_code" doc:"The country of the caller's number, ISO 3166-1 alpha-2; null when it belongs to none or is no valid number."`
	// usage report dimension; of the caller's number; null when it is not valid, and in records of before this
	// field
	SourceTNType *string `json:"source_tn_type" doc:"The type of the caller's number; null when it is no valid number."`

	Outcome  string `json:"outcome" mark:"ours" enum:"refused,failed,cancelled,answered,lost"`
	Decision string `json:"decision" mark:"ours" enum:"allowed,refused"`
	// see `/tollgate/v1/decisions/{id}`
	DecisionID uuid.UUID `json:"decision_id" mark:"ours"`
	// why it was refused, a word of a closed list
	Reason *string `json:"reason" mark:"ours" doc:"Why it was refused, as a word; null when it was allowed."`
	// the code of Tollgate's refusal (`D13`, `TM1`, `TG3`, …); null when Tollgate did not refuse the call, where
	// Telnyx has `D00`
	ErrorCode *string `json:"telnyx_error_code" doc:"The code of a refusal of Tollgate's own, as the SIP reason phrase ends with it: D13, TM1, TG3 and so on; null when Tollgate did not refuse the call."`
	// 1
	Attempted int `json:"attempted" doc:"Always 1: every attempt has a record."`
	Connected int `json:"connected" doc:"1 when the call was answered, else 0."`
	Completed int `json:"completed" doc:"1 when the call was answered and its end is known, else 0."`
	// a word of Q.850 as FreeSWITCH writes it, see below
	HangupCause string `json:"hangup_cause" doc:"Why it ended, in the words of Q.850 as FreeSWITCH writes them: NORMAL_CLEARING, USER_BUSY, ALLOTTED_TIMEOUT and so on. A word of a switch's own is kept, in capitals."`
	// `recv_bye`, `send_bye`, `recv_cancel` or `send_refuse`; null when that is not known
	HangupDetails *string `json:"hangup_details" doc:"How the caller's leg ended: recv_bye, send_bye, recv_cancel or send_refuse; null when that is not known."`
	// the final SIP status of a call that was not answered, as a text
	FailureStatus *string `json:"sip_invite_failure_status" doc:"The final SIP status of a call that was not answered."`
	// the final SIP status, as a text; Telnyx's is the number of Q.850
	HangupCode   *string `json:"hangup_code" doc:"The final SIP status sent to the caller."`
	HangupPhrase string  `json:"hangup_phrase" mark:"ours"`
	// as in call.hangup, and `tollgate`
	HangupSource string `json:"hangup_source" enum:"unknown,caller,callee,tollgate"`
	// usage report dimension; answered and at most 6 seconds
	ShortDuration bool         `json:"short_duration_call" doc:"Answered, and up for at most 6 seconds."`
	EmergencyCall bool         `json:"emergency" mark:"ours"`
	GrantedSec    int64        `json:"granted_sec" mark:"ours" doc:"How long the call was allowed to last."`
	OverrunSec    int64        `json:"overrun_sec" mark:"ours" doc:"Seconds beyond the grants; reported, never charged."`
	OverrunCost   money.Amount `json:"overrun_cost" mark:"ours"`
	// null: Tollgate signs no calls
	ShakenStir *string `json:"shaken_stir" doc:"Always null: Tollgate signs no calls."`
	// as `call_quality_stats.inbound.mos` of call.hangup: null when the media did not go through the server's own
	// relay, or nothing came from the caller
	MOS *string `json:"mos" doc:"The mean opinion score of what came from the caller, as call.hangup has it; null when the media did not go through the server's own relay, or nothing came."`
	// of its recordings in `/v2/recordings`, the oldest first; empty until some seconds after the end, and without
	// deleted ones. The other way, `/v2/recordings` has `filter[call_leg_id]`
	RecordingIDs []uuid.UUID `json:"recording_ids" mark:"ours" doc:"The call's recordings, as /v2/recordings has them: none until some seconds after its end, and none that are deleted."`
}

type sliceView struct {
	Day  string       `json:"day"`
	Sec  int64        `json:"billed_sec"`
	Cost money.Amount `json:"cost"`
}

// shortCall is Telnyx's: a call of at most 6 seconds is a short duration call
// (support article 1130707).
const shortCall = 6 * time.Second

func viewRecord(r *record.Call, connection string) recordView {
	v := recordView{
		ID: r.ID, RecordType: "sip-trunking", Direction: "outbound", From: r.From, To: r.To, CLI: numberOrNull(r.Caller), CLD: numberOrNull(r.Callee),
		StartedAt: time.UnixMicro(r.StartedMicros), RingingAt: timeOrNull(r.RingingMicros), AnsweredAt: timeOrNull(r.AnsweredMicros), FinishedAt: timeOrNull(r.EndedMicros),
		CallSec: wholeSecs(r.DurationMicros), BilledSec: r.BilledSecs, Rate: r.Rate.PerMinute, RateMeasuredIn: "minutes", RatePrefix: r.RatePrefix,
		ConnectFee: r.Rate.ConnectFee, Cost: r.Cost, Currency: "USD", Slices: []sliceView{},
		OutboundProfileID: r.ProfileID, ConnectionID: r.ConnectionID, BillingGroupID: r.BillingGroup, GatewayID: r.GatewayID, SIPCallID: r.SIPCallID,
		ConnectionName: textOrNull(connection), SessionID: r.ID,
		CountryCode: textOrNull(r.Country.Alpha2()), CountryISO: textOrNull(r.Country.Alpha2()), NumberRange: textOrNull(r.Range), TNType: r.NumberType.String(),
		Outcome: r.Outcome.String(), Decision: "allowed", DecisionID: r.ID, Reason: textOrNull(r.Reason),
		ErrorCode: textOrNull(errorCode(r)), Attempted: 1,
		HangupCause: r.HangupWord(), HangupDetails: textOrNull(r.HangupDetails()), HangupPhrase: r.SIPPhrase, HangupSource: r.HangupSource.String(),
		ShortDuration: r.Outcome == record.OutcomeAnswered && r.DurationMicros <= shortCall.Microseconds(),
		EmergencyCall: r.Emergency, GrantedSec: r.GrantedSecs, OverrunSec: r.OverrunSecs, OverrunCost: r.OverrunCost,
		RecordingIDs: []uuid.UUID{},
	}
	if r.HasSource {
		v.SourceCountryCode, v.SourceTNType = textOrNull(r.SourceCountry.Alpha2()), new(r.SourceType.String())
	}
	if r.Outcome == record.OutcomeRefused {
		v.Decision = "refused"
	}
	if r.AnsweredMicros != 0 {
		v.Connected = 1
	}
	if r.Outcome == record.OutcomeAnswered {
		v.Completed = 1
	}
	if r.RingingMicros != 0 {
		v.PDDMs = new((r.RingingMicros - r.StartedMicros) / 1000)
	}
	if r.SIPStatus != 0 {
		v.HangupCode = new(strconv.Itoa(int(r.SIPStatus)))
		if r.AnsweredMicros == 0 {
			v.FailureStatus = v.HangupCode
		}
	}
	if r.Quality != nil {
		v.MOS = textOrNull(r.Quality.Caller.MOSText())
	}
	for _, s := range r.Slices {
		v.Slices = append(v.Slices, sliceView{Day: dayText(s.Day), Sec: s.Secs, Cost: s.Cost})
	}
	return v
}

// errorCode is the code of a refusal of Tollgate's own, or "". A call that was let
// through at first and then refused has it in the phrase that its caller was given.
func errorCode(r *record.Call) string {
	if reason, ok := admission.ParseReason(r.Reason); ok {
		return reason.Code()
	}
	if r.Outcome != record.OutcomeFailed || r.HangupSource != record.SideTollgate {
		return ""
	}
	code := r.SIPPhrase[strings.LastIndexByte(r.SIPPhrase, ' ')+1:]
	if !admission.IsCode(code) {
		return ""
	}
	return code
}

func dayText(d record.Day) string {
	return time.UnixMicro(d.StartMicros()).UTC().Format(time.DateOnly)
}

func wholeSecs(micros int64) int64 { return (micros + 999_999) / 1_000_000 }

func timeOrNull(micros int64) *time.Time {
	if micros == 0 {
		return nil
	}
	return new(time.UnixMicro(micros))
}

func numberOrNull(n e164.Number) *e164.Number {
	if n == 0 {
		return nil
	}
	return &n
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Sizes of pages of records: Telnyx's.
const (
	recordPageSize    = 20
	maxRecordPageSize = 50
)

func (s *server) recordOperations() []operation {
	view := schemaOf[recordView]()
	return []operation{
		{method: http.MethodGet, path: "/v2/detail_records", id: "list_detail_record", tag: "Detail records", scope: ScopeRead,
			summary: "List call detail records: one of every attempt.", params: s.recordParams(), status: http.StatusOK, answer: view, shape: list, handle: s.listRecords},
		s.recordOptions(),
		{method: http.MethodGet, path: "/v2/detail_records/{id}", id: "get_detail_record", tag: "Detail records", scope: ScopeRead,
			summary: "Get one call detail record. Tollgate's own.", status: http.StatusOK, answer: view, handle: s.getRecord},
	}
}

func (s *server) recordParams() []parameter {
	number := &schema{kind: "string", format: "e164", parse: parseWith(e164.Parse)}
	outcomes := &schema{kind: "string", enum: []string{"refused", "failed", "cancelled", "answered", "lost"}}
	dialled := &schema{kind: "string", minLength: 1, maxLength: 128}
	flag := &schema{kind: "boolean"}
	return slices.Concat(pageParams(recordPageSize, maxRecordPageSize), []parameter{
		{name: "filter[record_type]", required: true, description: "The kind of record.", schema: &schema{kind: "string", enum: []string{"sip-trunking"}}},
		{name: "filter[date_range]", description: dateRangeText,
			schema: dateRangeSchema(), filter: s.dateRangeFilter},
		equalFilter("filter[id]", "id", uuidSchema()),
		equalFilter("filter[outbound_profile_id]", "profile_id", idSchema()),
		equalFilter("filter[connection_id]", "connection_id", idSchema()),
		equalFilter("filter[gateway_id]", "gateway_id", idSchema()),
		equalFilter("filter[billing_group_id]", "billing_group_id", uuidSchema()),
		{name: "filter[country_code]", description: "Only calls to this country, ISO 3166-1 alpha-2.", schema: &schema{kind: "string"}, filter: countryFilter("country")},
		sourceCountryFilter(),
		equalFilter("filter[outcome]", "outcome", outcomes),
		equalFilter("filter[status]", "outcome", outcomes),
		equalFilter("filter[reason]", "reason", &schema{kind: "string", maxLength: 64}),
		equalFilter("filter[cli]", "caller", number),
		equalFilter("filter[cld]", "callee", number),
		equalFilter("filter[from]", "from", dialled),
		equalFilter("filter[to]", "to", dialled),
		equalFilter("filter[sip_call_id]", "sip_call_id", &schema{kind: "string", maxLength: 255}),
		boolFilter("filter[emergency]", "emergency", flag),
		{name: "filter[direction]", description: "Only calls of this direction. All are outbound.",
			schema: &schema{kind: "string", enum: []string{"outbound", "inbound"}}, filter: directionFilter},
		{name: "filter[country_iso]", description: "The same as filter[country_code].", schema: &schema{kind: "string"}, filter: countryFilter("country")},
		equalFilter("filter[telnyx_session_id]", "id", uuidSchema()),
		equalFilter("filter[call_session_id]", "id", uuidSchema()),
		equalFilter("filter[call_leg_id]", "id", uuidSchema()),
		equalFilter("filter[decision_id]", "id", uuidSchema()),
		countFilter("attempted", []store.Filter{}, noRecord()),
		countFilter("connected", []store.Filter{{Field: "answered_at", Op: store.Above, Value: int64(0)}},
			[]store.Filter{{Field: "answered_at", Op: store.Equal, Value: int64(0)}}),
		countFilter("completed", []store.Filter{{Field: "outcome", Op: store.Equal, Value: record.OutcomeAnswered.String()}},
			[]store.Filter{{Field: "outcome", Op: store.Not, Value: record.OutcomeAnswered.String()}}),
		equalFilter("filter[tn_type]", "number_type", tnTypeSchema()),
		equalFilter("filter[source_tn_type]", "source_number_type", tnTypeSchema()),
		equalFilter("filter[hangup_code]", "sip_status", &schema{kind: "integer", minimum: new(int64(0)), maximum: new(int64(699))}),
	}, partFilters("cli", "caller"), partFilters("cld", "callee"), partFilters("from", "from"), partFilters("to", "to"),
		sizeFilters("call_sec", secsSchema(), callSecFilter), sizeFilters("billed_sec", secsSchema(), sizeOf("billed_secs")),
		sizeFilters("cost", amountSchema(), sizeOf("cost")),
		connectionNameFilters("connection_name", "records of calls"), recordTimeFilters(), []parameter{sortListParam("-started_at", "started_at", "answered_at", "finished_at", "cost", "billed_sec")})
}

// recordField is the name by which the store knows a field of a record.
func recordField(name string) string {
	switch name {
	case "finished_at":
		return "ended_at"
	case "billed_sec":
		return "billed_secs"
	}
	return name
}

// recordTimeFilters bound the times that Telnyx's sip-trunking records have.
func recordTimeFilters() []parameter {
	var filters []parameter
	for _, name := range []string{"started_at", "answered_at", "finished_at"} {
		filters = append(filters, timeFilters(name, recordField(name))...)
	}
	return filters
}

// noRecord is a condition that no record meets.
func noRecord() []store.Filter {
	return []store.Filter{{Field: "started_at", Op: store.Below, Value: int64(0)}}
}

func directionFilter(direction string) ([]store.Filter, *problem) {
	if direction == "inbound" {
		return noRecord(), nil
	}
	return nil, nil
}

// countFilter selects by a field that is 1 or 0.
func countFilter(name string, one, none []store.Filter) parameter {
	return parameter{name: "filter[" + name + "]", description: "Only calls of which " + name + " is 1, or those of which it is 0.",
		schema: &schema{kind: "string", enum: []string{"0", "1"}},
		filter: func(value string) ([]store.Filter, *problem) {
			if value == "1" {
				return one, nil
			}
			return none, nil
		}}
}

// partFilters select by a part of a number.
func partFilters(name, storeField string) []parameter {
	filter := func(operator, what string, op store.Operator) parameter {
		return parameter{name: "filter[" + name + "][" + operator + "]", description: "Only calls whose " + name + " " + what + " this text.",
			schema: &schema{kind: "string", minLength: 1, maxLength: 128},
			filter: func(value string) ([]store.Filter, *problem) {
				// Clients that do not encode the plus sign of a number send a blank.
				if strings.HasPrefix(value, " ") {
					value = "+" + value[1:]
				}
				return []store.Filter{{Field: storeField, Op: op, Value: value}}, nil
			}}
	}
	return []parameter{
		filter("contains", "contains", store.Contains),
		filter("starts_with", "begins with", store.StartsWith),
		filter("ends_with", "ends with", store.EndsWith),
	}
}

func secsSchema() *schema { return &schema{kind: "integer", minimum: new(int64(0))} }

// sizeFilters select by how large a field is.
func sizeFilters(name string, s *schema, filter func(op store.Operator, value string) []store.Filter) []parameter {
	var filters []parameter
	for _, operator := range []struct {
		suffix, what string
		op           store.Operator
	}{
		{"", "is", store.Equal}, {"[gt]", "is above", store.Above}, {"[gte]", "is at least", store.AtLeast},
		{"[lt]", "is below", store.Below}, {"[lte]", "is at most", store.AtMost},
	} {
		filters = append(filters, parameter{name: "filter[" + name + "]" + operator.suffix, schema: s,
			description: "Only calls whose " + name + " " + operator.what + " this.",
			filter:      func(value string) ([]store.Filter, *problem) { return filter(operator.op, value), nil }})
	}
	return filters
}

func sizeOf(storeField string) func(store.Operator, string) []store.Filter {
	return func(op store.Operator, value string) []store.Filter {
		return []store.Filter{{Field: storeField, Op: op, Value: value}}
	}
}

// maxCallSec bounds what is asked of call_sec, far above what a call can last.
const maxCallSec = 1 << 40

// callSecFilter selects by the seconds of a call, of which a part counts whole.
func callSecFilter(op store.Operator, value string) []store.Filter {
	secs, err := strconv.ParseInt(value, 10, 64)
	if err != nil || secs > maxCallSec {
		secs = maxCallSec
	}
	micros := func(op store.Operator, secs int64) store.Filter {
		return store.Filter{Field: "duration_micros", Op: op, Value: secs * 1_000_000}
	}
	switch op {
	case store.Above, store.AtMost:
		return []store.Filter{micros(op, secs)}
	case store.AtLeast:
		return []store.Filter{micros(store.Above, secs-1)}
	case store.Below:
		return []store.Filter{micros(store.AtMost, secs-1)}
	}
	return []store.Filter{micros(store.Above, secs-1), micros(store.AtMost, secs)}
}

func boolFilter(name, storeField string, s *schema) parameter {
	return parameter{name: name, schema: s, description: "Only objects with this " + storeField + ".",
		filter: func(value string) ([]store.Filter, *problem) {
			return []store.Filter{{Field: storeField, Op: store.Equal, Value: value == "true"}}, nil
		}}
}

func sourceCountryFilter() parameter {
	return parameter{name: "filter[source_country_code]", description: "Only calls whose caller's number is of this country, ISO 3166-1 alpha-2.",
		schema: &schema{kind: "string"}, filter: countryFilter("source_country")}
}

func countryFilter(storeField string) func(string) ([]store.Filter, *problem) {
	return func(value string) ([]store.Filter, *problem) {
		if _, ok := e164.CountryByAlpha2(value); ok {
			return []store.Filter{{Field: storeField, Op: store.Equal, Value: value}}, nil
		}
		detail := excerpt(value) + " is not a country. Give an ISO 3166-1 alpha-2 code such as \"US\"."
		if meant, ok := e164.SuggestCountry(value); ok {
			detail = excerpt(value) + " is not a country code. Use \"" + meant + "\"."
		}
		return nil, &problem{code: field.NotListed, detail: detail}
	}
}

func (s *server) dateRangeFilter(word string) ([]store.Filter, *problem) {
	from, to, err := dateRange(word, s.Clock())
	if err != nil {
		return nil, &problem{code: field.Malformed, detail: excerpt(word) + " is no range of days."}
	}
	return []store.Filter{
		{Field: "started_at", Op: store.AtLeast, Value: from.UnixMicro()},
		{Field: "started_at", Op: store.Below, Value: to.UnixMicro()},
	}, nil
}

func (s *server) listRecords(ctx context.Context, in *request) (*response, error) {
	q := in.query.storeQuery("-started_at", recordPageSize)
	for i := range q.Sort {
		q.Sort[i].Field = recordField(q.Sort[i].Field)
	}
	named, err := s.connectionsNamed(ctx, in.account, &in.query, "connection_name")
	if err != nil {
		return nil, err
	}
	if named != nil {
		q.Filters = append(q.Filters, store.Filter{Field: "connection_id", Op: store.OneOf, Value: named})
	}
	page, err := s.Store.ListRecords(ctx, in.account, q)
	if err != nil {
		return nil, listError(err)
	}
	views, err := s.viewRecords(ctx, in.account, page.Items)
	if err != nil {
		return nil, err
	}
	return &response{data: views, meta: metaOf(q, page.Total)}, nil
}

// viewRecords shows records with their recordings, which are looked up together:
// only calls that were answered can have any.
func (s *server) viewRecords(ctx context.Context, account id.ID, records []*record.Call) ([]recordView, error) {
	var answered []uuid.UUID
	for _, r := range records {
		if r.AnsweredMicros != 0 {
			answered = append(answered, r.ID)
		}
	}
	recordings, err := s.Store.RecordingsOf(ctx, account, answered)
	if err != nil {
		return nil, err
	}
	views := make([]recordView, len(records))
	snapshot := s.Live.Snapshot()
	for i, r := range records {
		name := ""
		if c := snapshot.Connection(r.ConnectionID); c != nil && c.Account == account {
			name = c.Name
		}
		views[i] = viewRecord(r, name)
		if of := recordings[r.ID]; len(of) > 0 {
			views[i].RecordingIDs = of
		}
	}
	return views, nil
}

func (s *server) getRecord(ctx context.Context, in *request) (*response, error) {
	call, err := in.uuid()
	if err != nil {
		return nil, err
	}
	r, err := s.Store.Record(ctx, in.account, call)
	if err != nil {
		return nil, err
	}
	views, err := s.viewRecords(ctx, in.account, []*record.Call{r})
	if err != nil {
		return nil, err
	}
	return &response{data: views[0]}, nil
}
