package record

import (
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
)

// Fields are the fields of call records. A new one comes last: journals of before it have
// the columns before it. Telnyx publishes no schema of its sip-trunking records; the names
// are those of the dimensions and metrics of its usage reports, and of its other record
// types where it has one.
var Fields = []Field{
	integer(Field{}, "account_id", column.ID, func(c *Call) *id.ID { return &c.AccountID }),
	Field{
		Name: "id", Note: "of the attempt", Filter: Exact,
		Also: []string{"telnyx_session_id", "call_session_id", "call_leg_id", "decision_id"},
	}.stored(column.Key("id", func(c *Call) *uuid.UUID { return &c.ID }), shown(func(c *Call) uuid.UUID { return c.ID })),
	{Name: "record_type", Enum: []string{"sip-trunking"}, Shown: constant("sip-trunking")},
	{Name: "direction", Note: "`outbound`; usage report dimension", Enum: []string{"outbound"},
		Shown: constant("outbound")},
	words(Field{Name: "from", Note: "as presented", Doc: "The caller id as presented.", Filter: Parts},
		"from_number", func(c *Call) *string { return &c.From }),
	words(Field{Name: "to", Note: "as dialled", Doc: "The number as dialled.", Filter: Parts},
		"to_number", func(c *Call) *string { return &c.To }),
	integer(Field{
		Name: "cli", Note: "E.164 after localisation and `ani_override`",
		Doc:    "The caller after localisation and ani_override; null when it is no valid number.",
		Filter: Parts, Shown: number(func(c *Call) e164.Number { return c.Caller }),
	}, "caller", column.Number, func(c *Call) *e164.Number { return &c.Caller }),
	integer(Field{
		Name: "cld", Note: "E.164 after localisation",
		Doc:    "The called number after localisation; null when it is no valid number.",
		Filter: Parts, Shown: number(func(c *Call) e164.Number { return c.Callee }),
	}, "callee", column.Number, func(c *Call) *e164.Number { return &c.Callee }),

	instant(Field{
		Name: "started_at", Filter: Times, Sortable: true,
		Shown: shown(func(c *Call) time.Time { return time.UnixMicro(c.StartedMicros) }),
	}, "started_at", func(c *Call) *int64 { return &c.StartedMicros }),
	{Name: "ringing_at", Ours: true, Shown: moment(func(c *Call) int64 { return c.RingingMicros })},
	instant(Field{Name: "answered_at", Filter: Times, Sortable: true},
		"answered_at", func(c *Call) *int64 { return &c.AnsweredMicros }),
	instant(Field{Name: "finished_at", Filter: Times, Sortable: true},
		"ended_at", func(c *Call) *int64 { return &c.EndedMicros }),
	{
		Name: "pdd_ms", Ours: true, Note: "Telnyx's batch reports have `pdd`",
		Doc: "Post-dial delay: from the call's start to ringing.", Shown: shown((*Call).postDialDelayMs),
	},
	integer(Field{
		Name: "call_sec", Note: "usage report metric", Doc: "Seconds from answer to end, a part counting whole.",
		Filter: Seconds, Shown: shown(func(c *Call) int64 { return (c.DurationMicros + 999_999) / 1_000_000 }),
	}, "duration", column.Int, func(c *Call) *int64 { return &c.DurationMicros }),
	integer(Field{Name: "billed_sec", Note: "usage report metric", Filter: Sizes, Sortable: true},
		"billed_secs", column.Int, func(c *Call) *int64 { return &c.BilledSecs }),

	{Name: "rate", Note: "a text, USD a minute", Shown: shown(func(c *Call) money.Amount { return c.Rate.PerMinute })},
	{Name: "rate_measured_in", Enum: []string{"minutes"}, Shown: constant("minutes")},
	{
		Name: "rate_prefix", Ours: true, Doc: "The prefix of the rate deck that priced the call.",
		Shown: shown(func(c *Call) string { return c.RatePrefix }),
	},
	{Name: "connect_fee", Ours: true, Shown: shown(func(c *Call) money.Amount { return c.Rate.ConnectFee })},
	integer(Field{Name: "cost", Note: "a text, USD; the sum of `slices`", Filter: Sizes, Sortable: true},
		"cost", column.Amount, func(c *Call) *money.Amount { return &c.Cost }),
	{Name: "currency", Enum: []string{"USD"}, Shown: constant("USD")},
	{Name: "slices", Ours: true, Doc: "The cost by the UTC day to which it is booked.", Shown: shown((*Call).costSlices)},

	integer(Field{Name: "outbound_profile_id", Note: "usage report dimension", Filter: Exact},
		"profile_id", column.ID, func(c *Call) *id.ID { return &c.ProfileID }),
	integer(Field{Name: "connection_id", Note: "usage report dimension", Filter: Exact},
		"connection_id", column.ID, func(c *Call) *id.ID { return &c.ConnectionID }),
	Field{
		Name: "billing_group_id", Note: "usage report dimension", Filter: Exact,
	}.stored(column.OptionalKey("billing_group_id", func(c *Call) **uuid.UUID { return &c.BillingGroup }),
		shown(func(c *Call) *uuid.UUID { return c.BillingGroup })),
	integer(Field{Name: "gateway_id", Ours: true, Note: "the carrier's trunk", Filter: Exact},
		"gateway_id", column.ID, func(c *Call) *id.ID { return &c.GatewayID }),
	words(Field{Name: "sip_call_id", Filter: Exact}, "sip_call_id", func(c *Call) *string { return &c.SIPCallID }),
	{
		Name: "telnyx_session_id", Note: "the call's id: each call is a session of its own",
		Doc: "The call's id: a call is a session of its own.", Shown: shown(func(c *Call) uuid.UUID { return c.ID }),
	},

	named(Field{
		Name: "country_code", Note: "usage report dimension, alpha-2",
		Doc: "ISO 3166-1 alpha-2; null for ranges that belong to no country.", Filter: Country, Also: []string{"country_iso"},
	}, "country", func(c *Call) string { return c.Country.Alpha2() },
		func(c *Call, code string) { c.Country, _ = e164.CountryByAlpha2(code) }),
	{
		Name: "country_iso", Note: "the same", Doc: "The same as country_code.",
		Shown: word(func(c *Call) string { return c.Country.Alpha2() }),
	},
	{
		Name: "number_range", Ours: true, Note: "`+881` and the like, when there is no country",
		Doc:   "The range, such as +881, of a number that belongs to no country.",
		Shown: word(func(c *Call) string { return c.Range }),
	},
	named(Field{
		Name: "tn_type", Note: "usage report dimension", Doc: "The type of the called number.", Enum: numberTypes(),
		Filter: Exact, Shown: shown(func(c *Call) string { return c.NumberType.String() }),
	}, "number_type", func(c *Call) string { return c.NumberType.String() },
		func(c *Call, name string) { c.NumberType, _ = e164.ParseNumberType(name) }),
	named(Field{
		Name: "source_country_code", Filter: Country,
		Note: "usage report dimension; of the caller's number, alpha-2; null when it has no country or is not valid",
		Doc:  "The country of the caller's number, ISO 3166-1 alpha-2; null when it belongs to none or is no valid number.",
	}, "source_country", (*Call).sourceCountry,
		func(c *Call, code string) { c.SourceCountry, _ = e164.CountryByAlpha2(code) }),
	named(Field{
		Name: "source_tn_type", Filter: Exact, Enum: numberTypes(),
		Note: "usage report dimension; of the caller's number; null when it is not valid",
		Doc:  "The type of the caller's number; null when it is no valid number.",
	}, "source_number_type", (*Call).sourceType,
		func(c *Call, name string) { c.SourceType, c.HasSource = e164.ParseNumberType(name) }),

	integer(Field{
		Name: "outcome", Ours: true, Enum: []string{"refused", "failed", "cancelled", "answered", "lost"},
		Filter: Exact, Also: []string{"status"}, Shown: shown(func(c *Call) string { return c.Outcome.String() }),
	}, "outcome", column.Outcome, func(c *Call) *Outcome { return &c.Outcome }),
	{Name: "decision", Ours: true, Enum: []string{"allowed", "refused"}, Shown: shown((*Call).decisionWord)},
	{
		Name: "decision_id", Ours: true, Note: "see `/tollgate/v1/decisions/{id}`",
		Shown: shown(func(c *Call) uuid.UUID { return c.ID }),
	},
	words(Field{
		Name: "reason", Ours: true, Note: "why it was refused, or which limit ended it; one of a fixed list",
		Doc: "Why it was refused, or which limit ended it while it ran, as a word; null when it was allowed and " +
			"ended in another way.",
		Filter: Exact, Shown: word(func(c *Call) string { return c.Reason }),
	}, "reason", func(c *Call) *string { return &c.Reason }),
	{
		Name: "attempted", Note: "1", Doc: "Always 1: every attempt has a record.",
		Shown: oneIf(func(*Call) bool { return true }),
	},
	{
		Name: "connected", Doc: "1 when the call was answered, else 0.",
		Shown: oneIf(func(c *Call) bool { return c.AnsweredMicros != 0 }),
	},
	{
		Name: "completed", Doc: "1 when the call was answered and its end is known, else 0.",
		Shown: oneIf(func(c *Call) bool { return c.Outcome == OutcomeAnswered }),
	},
	{
		Name: "hangup_cause", Note: "a name of Q.850 as FreeSWITCH writes it, see below",
		Doc: "Why it ended, named as in Q.850 and FreeSWITCH: NORMAL_CLEARING, USER_BUSY, " +
			"ALLOTTED_TIMEOUT and so on. Other names that a switch gives are kept, in capitals.",
		Shown: shown((*Call).HangupWord),
	},
	{
		Name:  "hangup_details",
		Note:  "`recv_bye`, `send_bye`, `recv_cancel` or `send_refuse`; null when that is not known",
		Doc:   "How the caller's leg ended: recv_bye, send_bye, recv_cancel or send_refuse; null when that is not known.",
		Shown: word((*Call).HangupDetails),
	},
	{
		Name:  "sip_invite_failure_status",
		Note:  "the final SIP status of a call that was not answered, as a text",
		Doc:   "The final SIP status of a call that was not answered.",
		Shown: word((*Call).failureStatus),
	},
	integer(Field{
		Name: "hangup_code", Note: "the final SIP status, as a text; Telnyx's is the number of Q.850",
		Doc: "The final SIP status sent to the caller.", Filter: Exact, Shown: word((*Call).status),
	}, "sip_status", column.Int, func(c *Call) *int32 { return &c.SIPStatus }),
	{Name: "hangup_phrase", Ours: true, Shown: shown(func(c *Call) string { return c.SIPPhrase })},
	{
		Name: "hangup_source", Note: "as in call.hangup, and `tollgate`",
		Enum:  []string{"unknown", "caller", "callee", "tollgate"},
		Shown: shown(func(c *Call) string { return c.HangupSource.String() }),
	},
	{
		Name: "short_duration_call", Note: "usage report dimension; answered and at most 6 seconds",
		Doc: "Answered, and up for at most 6 seconds.",
		Shown: shown(func(c *Call) bool {
			return c.Outcome == OutcomeAnswered && c.DurationMicros <= ShortMicros
		}),
	},
	flag(Field{Name: "emergency", Ours: true, Filter: Exact}, "emergency", func(c *Call) *bool { return &c.Emergency }),
	{
		Name: "granted_sec", Ours: true, Doc: "How long the call was allowed to last.",
		Shown: shown(func(c *Call) int64 { return c.GrantedSecs }),
	},
	{
		Name: "overrun_sec", Ours: true, Doc: "Seconds beyond the grants; reported, never charged.",
		Shown: shown(func(c *Call) int64 { return c.OverrunSecs }),
	},
	integer(Field{Name: "overrun_cost", Ours: true},
		"overrun_cost", column.Amount, func(c *Call) *money.Amount { return &c.OverrunCost }),
	{
		Name: "shaken_stir", Note: "null: see `attestation`", Doc: "Always null: see attestation.",
		Shown: word(func(*Call) string { return "" }),
	},
	{
		Name: "mos",
		Note: "as `call_quality_stats.inbound.mos` of call.hangup: null when the media did not go through the server's " +
			"own relay, or nothing came from the caller",
		Doc: "The mean opinion score of what came from the caller, as call.hangup has it; null when the media did not " +
			"go through the server's own relay, or nothing came.",
		Shown: word((*Call).mos),
	},
	{
		Name: "attempts", Ours: true, Note: "the gateways that were tried, at most 16",
		Doc: "The gateways that were tried, in their order, at most 16. status is that of the final response, and null " +
			"where there was none; reason is its phrase, or no_response, no_ringing, ring_timeout, no_media, cancelled, " +
			"hung_up, stopping or lease_lost; ms is how long it took.",
		Shown: shown((*Call).GatewayAttempts),
	},
	named(Field{
		Name: "attestation", Ours: true, Enum: []string{"A", "B", "C"}, Filter: Exact,
		Note: "STIR/SHAKEN; null when the call shows no number",
		Doc: "How well the caller is known, and so what the call is signed with if its gateway signs: A, the " +
			"customer may use the number; B, only the customer is known; C, only where the call came in. null when the " +
			"call shows no number.",
	}, "attestation", func(c *Call) string { return c.Attestation.String() },
		func(c *Call, letter string) { c.Attestation = ParseAttestation(letter) }),
	integer(Field{
		Name: "route_id", Ours: true, Filter: Exact, Note: "the route that chose the gateways or refused the call",
		Doc: "The route that chose the gateways, or refused the call; null for none.",
	}, "route_id", column.ID, func(c *Call) *id.ID { return &c.RouteID }),
}

// ShortMicros is Telnyx's: a call of at most 6 seconds is a short duration call (support
// article 1130707).
const ShortMicros = 6_000_000

// numberTypes are the names of all types of numbers.
func numberTypes() (names []string) {
	for t := e164.NumberType(0); ; t++ {
		if _, known := e164.ParseNumberType(t.String()); !known {
			return names
		}
		names = append(names, t.String())
	}
}

// costSlice is a Slice in detail records.
type costSlice struct {
	Day  string       `json:"day"`
	Sec  int64        `json:"billed_sec"`
	Cost money.Amount `json:"cost"`
}

func (c *Call) costSlices() []costSlice {
	slices := make([]costSlice, len(c.Slices))
	for i, s := range c.Slices {
		slices[i] = costSlice{Day: s.Day.String(), Sec: s.Secs, Cost: s.Cost}
	}
	return slices
}

// GatewayAttempt is an Attempt in detail records.
type GatewayAttempt struct {
	Gateway id.ID  `json:"gateway_id"`
	Status  *int32 `json:"status"`
	Reason  string `json:"reason"`
	Millis  int64  `json:"ms"`
}

// GatewayAttempts are the attempts as detail records show them.
func (c *Call) GatewayAttempts() []GatewayAttempt {
	attempts := make([]GatewayAttempt, len(c.Attempts))
	for i, a := range c.Attempts {
		attempts[i] = GatewayAttempt{Gateway: a.Gateway, Status: orNull(a.Status), Reason: a.Reason, Millis: a.Millis}
	}
	return attempts
}

func (c *Call) postDialDelayMs() *int64 {
	if c.RingingMicros == 0 {
		return nil
	}
	return new((c.RingingMicros - c.StartedMicros) / 1000)
}

func (c *Call) decisionWord() string {
	if c.Outcome == OutcomeRefused {
		return "refused"
	}
	return "allowed"
}

func (c *Call) sourceCountry() string {
	if !c.HasSource {
		return ""
	}
	return c.SourceCountry.Alpha2()
}

func (c *Call) sourceType() string {
	if !c.HasSource {
		return ""
	}
	return c.SourceType.String()
}

func (c *Call) status() string {
	if c.SIPStatus == 0 {
		return ""
	}
	return strconv.Itoa(int(c.SIPStatus))
}

func (c *Call) failureStatus() string {
	if c.AnsweredMicros != 0 {
		return ""
	}
	return c.status()
}

func (c *Call) mos() string {
	if c.Quality == nil {
		return ""
	}
	return c.Quality.Caller.MOSText()
}
