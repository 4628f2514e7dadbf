package api

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// callEventView is a moment in the life of a call. Source: Telnyx v2, CallEvent.
type callEventView struct {
	RecordType     string            `json:"record_type" enum:"call_event"`
	CallLegID      uuid.UUID         `json:"call_leg_id" doc:"The id of the call."`
	CallSessionID  uuid.UUID         `json:"call_session_id" doc:"The id of the call."`
	EventTimestamp string            `json:"event_timestamp" doc:"RFC 3339 with microseconds."`
	Name           string            `json:"name" enum:"call.initiated,call.answered,call.hangup,call.cost"`
	Type           string            `json:"type" enum:"command,webhook" doc:"Always webhook: there are no commands."`
	Metadata       callEventMetadata `json:"metadata"`
}

// callEventMetadata has the members of the payloads of Telnyx's events of these names.
type callEventMetadata struct {
	ConnectionID           id.ID         `json:"connection_id"`
	OutboundVoiceProfileID id.ID         `json:"outbound_voice_profile_id"`
	BillingGroupID         *uuid.UUID    `json:"billing_group_id"`
	From                   string        `json:"from"`
	To                     string        `json:"to"`
	StartTime              time.Time     `json:"start_time"`
	HangupCause            string        `json:"hangup_cause,omitzero" doc:"Of call.hangup."`
	HangupSource           string        `json:"hangup_source,omitzero" doc:"Of call.hangup."`
	SIPHangupCause         string        `json:"sip_hangup_cause,omitzero" doc:"Of call.hangup: the final SIP status."`
	TotalCost              *money.Amount `json:"total_cost,omitzero" doc:"Of call.cost, USD."`
	BilledDurationSecs     *int64        `json:"billed_duration_secs,omitzero" doc:"Of call.cost."`
}

// eventLayout is RFC 3339 with microseconds, as Telnyx writes the times of events.
const eventLayout = "2006-01-02T15:04:05.000000Z"

const (
	eventPageSize = 20
	// eventHistory is how far the list goes back when no call is named. Source:
	// Telnyx v2, /call_events.
	eventHistory = 24 * time.Hour
)

// callEvent is an event of a call that is up or has ended.
type callEvent struct {
	kind store.EventKind
	at   int64 // Unix microseconds
	call uuid.UUID
	view callEventView
}

func (e *callEvent) compare(other *callEvent) int {
	return cmp.Or(cmp.Compare(e.at, other.at), slices.Compare(e.call[:], other.call[:]), cmp.Compare(e.kind, other.kind))
}

func eventName(kind store.EventKind) string {
	return [...]string{"", "call.initiated", "call.answered", "call.hangup", "call.cost"}[kind]
}

func (s *server) callEventOperations() []operation {
	return []operation{{method: http.MethodGet, path: "/v2/call_events", id: "list_call_event", tag: "Calls", scope: ScopeRead, params: callEventParams(),
		summary: "List events of calls by their time, the oldest first: of the last 24 hours, or all of a call that a filter names.",
		status:  http.StatusOK, answer: schemaOf[callEventView](), list: true, handle: s.listCallEvents}}
}

func callEventParams() []parameter {
	dialled := &schema{kind: "string", minLength: 1, maxLength: 128}
	plain := func(name string, s *schema, description string) parameter {
		return parameter{name: "filter[" + name + "]", schema: s, description: description}
	}
	params := append(pageParams(eventPageSize, maxPageSize),
		equalFilter("filter[leg_id]", "id", uuidSchema()),
		equalFilter("filter[application_session_id]", "id", uuidSchema()),
		equalFilter("filter[connection_id]", "connection_id", idSchema()),
		equalFilter("filter[outbound.outbound_voice_profile_id]", "profile_id", idSchema()),
		equalFilter("filter[from]", "from", dialled),
		equalFilter("filter[to]", "to", dialled),
		plain("name", &schema{kind: "string", enum: []string{"call.initiated", "call.answered", "call.hangup", "call.cost"}}, "Only events of this name."),
		plain("type", &schema{kind: "string", enum: []string{"command", "webhook"}}, "Only events of this type; all are webhook."),
		plain("status", &schema{kind: "string", enum: []string{"init", "in_progress", "completed"}}, "Only events of calls that ring, are up, or have ended."))
	for _, bound := range []string{"eq", "gt", "gte", "lt", "lte"} {
		params = append(params, plain("occurred_at]["+bound, &schema{kind: "string", format: "date-time", parse: parseTime}, "Only events by their time."))
	}
	return params
}

// eventFilter is what a request asks for.
type eventFilter struct {
	query  store.EventQuery
	live   bool // calls that have not ended are among it
	ended  bool
	leg    string
	fields *query
}

func (s *server) eventFilter(q *query) eventFilter {
	f := eventFilter{fields: q, live: true, ended: true, query: store.EventQuery{Filters: q.filters, FromMicros: math.MinInt64, ToMicros: math.MaxInt64}}
	f.leg = q.text("filter[leg_id]", q.text("filter[application_session_id]", ""))
	if f.leg == "" {
		f.query.FromMicros = s.Clock().Add(-eventHistory).UnixMicro()
	}
	for bound, shift := range map[string][2]int64{"eq": {0, 1}, "gt": {1, 0}, "gte": {0, 0}, "lt": {0, 0}, "lte": {0, 1}} {
		t, err := time.Parse(time.RFC3339, q.text("filter[occurred_at]["+bound+"]", ""))
		if err != nil {
			continue // not given
		}
		at := t.UnixMicro()
		if bound[0] != 'l' {
			f.query.FromMicros = max(f.query.FromMicros, at+shift[0])
		}
		if bound[0] != 'g' {
			f.query.ToMicros = min(f.query.ToMicros, at+shift[1])
		}
	}
	for kind := store.EventInitiated; kind <= store.EventCost; kind++ {
		if eventName(kind) == q.text("filter[name]", "") {
			f.query.Kinds = []store.EventKind{kind}
		}
	}
	switch q.text("filter[status]", "") {
	case "init", "in_progress":
		f.ended = false
	case "completed":
		f.live = false
	}
	if q.text("filter[type]", "") == "command" {
		f.live, f.ended = false, false
	}
	return f
}

// wants says whether an event of a live call is asked for.
func (f *eventFilter) wants(e *callEvent) bool {
	m := &e.view.Metadata
	for name, value := range map[string]string{
		"leg_id": e.call.String(), "application_session_id": e.call.String(), "connection_id": m.ConnectionID.String(),
		"outbound.outbound_voice_profile_id": m.OutboundVoiceProfileID.String(), "from": m.From, "to": m.To,
	} {
		asked := f.fields.text("filter["+name+"]", value)
		if parsed, err := uuid.Parse(asked); err == nil && name != "from" && name != "to" {
			asked = parsed.String() // in lower case
		}
		if asked != value {
			return false
		}
	}
	return e.at >= f.query.FromMicros && e.at < f.query.ToMicros && (len(f.query.Kinds) == 0 || slices.Contains(f.query.Kinds, e.kind))
}

func (s *server) listCallEvents(ctx context.Context, in *request) (*response, error) {
	q := in.query.storeQuery("", eventPageSize)
	f := s.eventFilter(&in.query)
	// Calls that end between the two reads are in the second too; their events are
	// left out of the first.
	live, err := s.liveEvents(ctx, in.account, &f)
	if err != nil {
		return nil, err
	}
	skip := (q.Number - 1) * q.Size
	ended, total, first, err := s.endedEvents(ctx, in.account, &f, skip, q.Size, len(live))
	if err != nil {
		return nil, err
	}
	gone := map[uuid.UUID]bool{}
	for i := range ended {
		gone[ended[i].call] = true
	}
	live = slices.DeleteFunc(live, func(e callEvent) bool { return gone[e.call] })
	total += len(live)
	views := []callEventView{}
	for _, e := range mergeEvents(live, ended, first, skip, q.Size) {
		views = append(views, e.view)
	}
	return &response{data: views, meta: metaOf(q, total)}, nil
}

// mergeEvents is the page of two sorted lists together. The second begins with
// its element number first, of which everything in the page comes at or after.
func mergeEvents(live, ended []callEvent, first, skip, size int) []callEvent {
	place := first
	if first > 0 && len(ended) > 0 {
		before := 0
		for before < len(live) && live[before].compare(&ended[0]) < 0 {
			before++
		}
		place, live = first+before, live[before:]
	}
	merged := slices.Concat(live, ended)
	slices.SortFunc(merged, func(a, b callEvent) int { return a.compare(&b) })
	from := min(max(0, skip-place), len(merged))
	return merged[from:min(from+size, len(merged))]
}

// endedEvents reads those events of ended calls that can be in the page, whatever
// the events of live calls are that stand between them. first is the number of
// the first one read.
func (s *server) endedEvents(ctx context.Context, account id.ID, f *eventFilter, skip, size, live int) (events []callEvent, total, first int, err error) {
	if !f.ended {
		return nil, 0, 0, nil
	}
	f.query.Skip, f.query.Size = max(0, skip-live), size+live
	page, err := s.Store.CallEvents(ctx, account, f.query)
	if err == nil && len(page.Items) == 0 && f.query.Skip > 0 && page.Total > 0 {
		// The place of what comes after the last one is known by the last one.
		f.query.Skip = page.Total - 1
		page, err = s.Store.CallEvents(ctx, account, f.query)
	}
	if page.Total == 0 {
		return nil, 0, 0, err
	}
	for _, e := range page.Items {
		events = append(events, viewEvent(&e))
	}
	return events, page.Total, f.query.Skip, err
}

func viewEvent(e *store.CallEvent) callEvent {
	c := e.Call
	event := callEvent{kind: e.Kind, at: e.AtMicros, call: c.ID, view: callEventView{Metadata: callEventMetadata{
		ConnectionID: c.ConnectionID, OutboundVoiceProfileID: c.ProfileID, BillingGroupID: c.BillingGroup,
		From: c.From, To: c.To, StartTime: time.UnixMicro(c.StartedMicros)}}}
	m := &event.view.Metadata
	switch e.Kind {
	case store.EventHangup:
		m.HangupCause, m.HangupSource = c.HangupCause, hangupSource(c.HangupSource)
		if c.SIPStatus != 0 {
			m.SIPHangupCause = strconv.Itoa(int(c.SIPStatus))
		}
	case store.EventCost:
		m.TotalCost, m.BilledDurationSecs = new(c.Cost), new(c.BilledSecs)
	}
	return event.complete()
}

// hangupSource is in Telnyx's words, which have none for the server itself.
func hangupSource(s record.Side) string {
	if s == record.SideTollgate {
		s = record.SideUnknown
	}
	return s.String()
}

func (e callEvent) complete() callEvent {
	e.view.RecordType, e.view.Type, e.view.Name = "call_event", "webhook", eventName(e.kind)
	e.view.CallLegID, e.view.CallSessionID = e.call, e.call
	e.view.EventTimestamp = time.UnixMicro(e.at).UTC().Format(eventLayout)
	return e
}

// liveEvents are the events of calls that have not ended, sorted.
func (s *server) liveEvents(ctx context.Context, account id.ID, f *eventFilter) ([]callEvent, error) {
	if !f.live {
		return nil, nil
	}
	calls, err := s.Store.LiveCalls(ctx, account)
	if err != nil {
		return nil, err
	}
	status := f.fields.text("filter[status]", "")
	var events []callEvent
	for i := range calls {
		l := &calls[i].Lease
		if answered := l.AnsweredMicros != 0; status == "init" && answered || status == "in_progress" && !answered {
			continue
		}
		shown := viewCall(&calls[i])
		metadata := callEventMetadata{ConnectionID: l.Connection, OutboundVoiceProfileID: l.Profile, BillingGroupID: l.BillingGroup,
			From: shown.From, To: shown.To, StartTime: shown.StartedAt}
		for kind, at := range map[store.EventKind]int64{store.EventInitiated: l.ReservedMicros, store.EventAnswered: l.AnsweredMicros} {
			e := callEvent{kind: kind, at: at, call: l.ID, view: callEventView{Metadata: metadata}}.complete()
			if at != 0 && f.wants(&e) {
				events = append(events, e)
			}
		}
	}
	slices.SortFunc(events, func(a, b callEvent) int { return a.compare(&b) })
	return events, nil
}
