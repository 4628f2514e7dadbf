package store

import (
	"context"
	"github.com/tollgate/tollgate/internal/collection"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

// Reports sums up what an account has.
type Reports interface {
	// UsageReport groups the call records of a span of time by dimensions and adds
	// up metrics. The order is total: what the query does not order is ordered by
	// the dimensions as they are named.
	UsageReport(ctx context.Context, account id.ID, q ReportQuery) (collection.Page[ReportRow], error)
	// Traffic adds up the answered calls that started in a span of time by the beginnings of the called numbers: all but
	// their last three digits, or fewer where there would be more than most of them. It is in dictionary order.
	Traffic(ctx context.Context, account id.ID, fromMicros, toMicros int64, most int) ([]rating.Traffic, error)
	// Tags lists the tags that profiles have now and that start with a text,
	// without regard to case, in alphabetical order. Each is written as the account
	// wrote it first.
	Tags(ctx context.Context, account id.ID, start string) ([]string, error)
	// CallEvents lists events of calls that have ended, and counts all that the query selects.
	CallEvents(ctx context.Context, account id.ID, q EventQuery) (collection.Page[CallEvent], error)
	// SpendSince adds up what all profiles of the account have posted since a UTC
	// day, emergency calls included, and what they hold now.
	SpendSince(ctx context.Context, account id.ID, day record.Day) (admission.Spend, error)
	// RecordsWholeSince is the day before which records of calls that had ended were
	// deleted; 0 when none were.
	RecordsWholeSince(ctx context.Context, account id.ID) (record.Day, error)
	// EmergencyDays lists the emergency calls of connections by day, the latest first.
	EmergencyDays(ctx context.Context, account id.ID, q EmergencyQuery) (collection.Page[EmergencyDay], error)
}

// EmergencyQuery asks for one page of EmergencyDays.
type EmergencyQuery struct {
	From, To     record.Day // both included
	Connection   id.ID      // 0 for all
	Number, Size int
}

// EmergencyDay is what is counted of the emergency calls of a connection on a day.
type EmergencyDay struct {
	admission.EmergencyKey
	admission.EmergencyDay
}

// ReportQuery asks for one page of a usage report.
type ReportQuery struct {
	FromMicros, ToMicros int64 // of the calls' starts; the end is left out
	// Dimensions are names out of DimensionNames, at least one, none twice.
	Dimensions []string
	// Metrics are names out of MetricNames, at least one, none twice.
	Metrics []string
	Filters []collection.Filter // on fields of records
	Sort    []collection.Order  // by dimensions and metrics of this query
	Number  int                 // page, from 1
	Size    int                 // rows a page, at least 1
}

// ReportRow is one row: a value for each dimension and for each metric, in the
// order of the query. A dimension is a string, a bool, or nil for none. A metric
// is an int64, and money.Amount where the metric is money.
type ReportRow struct {
	Dimensions []any
	Metrics    []any
}

// DimensionNames are what usage reports can be grouped by. Source: Telnyx, usage
// reports of the product sip-trunking; gateway_id and outcome are Tollgate's own.
func DimensionNames() []string {
	return []string{
		"billing_group_id", "bundle_id", "connection_id", "country_code", "currency", "date", "date_time", "direction",
		"gateway_id", "is_local_calling", "outbound_profile_id", "outcome", "short_duration_call",
		"source_country_code", "source_tn_type", "tags", "tn_type",
	}
}

// MetricNames are what usage reports add up. Source: Telnyx, usage reports of the
// product sip-trunking.
func MetricNames() []string {
	return []string{"attempted", "billed_sec", "call_sec", "completed", "connected", "cost"}
}

// EventKind is a moment in the life of a call that has ended.
type EventKind uint8

// The kinds of event, in the order in which those of one instant are listed.
const (
	EventInitiated EventKind = iota + 1
	EventAnswered
	EventHangup
	EventCost // of answered calls only
)

// CallEvent is a moment in the life of a call that has ended.
type CallEvent struct {
	Kind     EventKind
	AtMicros int64
	Call     *record.Call // without its slices
}

// EventQuery asks for a part of the events of calls that have ended, by time,
// call and kind, in this order.
type EventQuery struct {
	Filters              []collection.Filter // on fields of records
	Connections          []id.ID             // nil means all
	Kinds                []EventKind         // none means all
	FromMicros, ToMicros int64               // the end is left out
	Skip, Size           int
}
