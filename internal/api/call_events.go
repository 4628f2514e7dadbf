package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

// callEventView is a moment in the life of a call. Source: Telnyx v2, CallEvent.
type callEventView struct {
	RecordType string `json:"record_type" enum:"call_event"`
	// the call's id
	CallLegID uuid.UUID `json:"call_leg_id" doc:"The id of the call."`
	// the call's id
	CallSessionID  uuid.UUID `json:"call_session_id" doc:"The id of the call."`
	EventTimestamp string    `json:"event_timestamp" doc:"RFC 3339 with microseconds."`
	// `call.initiated`, `call.answered`, `call.hangup`, or `call.cost` after answered calls
	Name string `json:"name" enum:"call.initiated,call.answered,call.hangup,call.cost"`
	// `webhook`; there are no commands
	Type string `json:"type" enum:"command,webhook" doc:"Always webhook: there are no commands."`
	// members of Telnyx's payloads; Telnyx says no more than that it is an object
	Metadata callEventMetadata `json:"metadata"`
}

// callEventMetadata has the members of the payloads of Telnyx's events of these names.
type callEventMetadata struct {
	ConnectionID           id.ID      `json:"connection_id"`
	OutboundVoiceProfileID id.ID      `json:"outbound_voice_profile_id" mark:"ours"`
	BillingGroupID         *uuid.UUID `json:"billing_group_id"`
	From                   string     `json:"from"`
	To                     string     `json:"to"`
	StartTime              time.Time  `json:"start_time"`
	HangupCause            string     `json:"hangup_cause,omitzero" doc:"Of call.hangup, in its words."`
	// of `call.hangup`; `unknown` when Tollgate ended the call
	HangupSource string `json:"hangup_source,omitzero" doc:"Of call.hangup."`
	// of `call.hangup`
	SIPHangupCause string `json:"sip_hangup_cause,omitzero" doc:"Of call.hangup: the final SIP status."`
	// of `call.cost`, a text, USD
	TotalCost          *money.Amount `json:"total_cost,omitzero" doc:"Of call.cost, USD."`
	BilledDurationSecs *int64        `json:"billed_duration_secs,omitzero" doc:"Of call.cost."`
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

// cursor is the place of an event in the list.
func (e *callEvent) cursor() eventCursor { return eventCursor{e.at, e.call, e.kind} }

type eventCursor struct {
	micros int64
	call   uuid.UUID
	kind   store.EventKind
}

func (c eventCursor) String() string {
	raw := append(binary.BigEndian.AppendUint64(nil, uint64(c.micros)), c.call[:]...)
	return base64.RawURLEncoding.EncodeToString(append(raw, byte(c.kind)))
}

// parseEventCursor reads a cursor, as an event that stands where it does.
func parseEventCursor(text string) (callEvent, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 8+len(uuid.UUID{})+1 {
		return callEvent{}, errCursor
	}
	at, kind := int64(binary.BigEndian.Uint64(raw)), store.EventKind(raw[len(raw)-1])
	if kind < store.EventInitiated || kind > store.EventCost || at < 0 || at == math.MaxInt64 {
		return callEvent{}, errCursor
	}
	return callEvent{kind: kind, at: at, call: uuid.UUID(raw[8 : len(raw)-1])}, nil
}

func eventName(kind store.EventKind) string {
	return [...]string{"", "call.initiated", "call.answered", "call.hangup", "call.cost"}[kind]
}

func (s *server) callEventOperations() []rest.Operation {
	return []rest.Operation{{Method: http.MethodGet, Path: "/v2/call_events", ID: "list_call_event", Tag: "Calls",
		Scope: ScopeRead, Params: callEventParams(),
		Summary: "List events of calls by their time, the oldest first: " +
			"of the last 24 hours, or all of a call that a filter names.",
		Status: http.StatusOK, Answer: schemaOf[callEventView](), Shape: rest.ListOrCursors, Handle: s.listCallEvents}}
}

func callEventParams() []rest.Parameter {
	dialled := &rest.Schema{Kind: "string", MinLength: 1, MaxLength: 128}
	plain := func(name string, s *rest.Schema, description string) rest.Parameter {
		return rest.Parameter{Name: "filter[" + name + "]", Schema: s, Description: description}
	}
	words := func(of ...string) *rest.Schema { return &rest.Schema{Kind: "string", Enum: of} }
	cursors := rest.CursorParams("events", eventPageSize, rest.ParseWith(parseEventCursor))
	params := slices.Concat(rest.PageParams(eventPageSize, rest.MaxPageSize), cursors, []rest.Parameter{
		rest.EqualFilter("filter[leg_id]", "id", rest.UUIDSchema()),
		rest.EqualFilter("filter[application_session_id]", "id", rest.UUIDSchema()),
		rest.EqualFilter("filter[connection_id]", "connection_id", rest.IDSchema()),
		rest.EqualFilter("filter[outbound.outbound_voice_profile_id]", "profile_id", rest.IDSchema()),
		rest.EqualFilter("filter[from]", "from_number", dialled),
		rest.EqualFilter("filter[to]", "to_number", dialled),
		plain("name", words("call.initiated", "call.answered", "call.hangup", "call.cost"), "Only events of this name."),
		plain("type", words("command", "webhook"), "Only events of this type; all are webhook."),
		plain("status", words("init", "in_progress", "completed"), "Only events of calls that ring, are up, or have ended."),
		plain("product", words("call_control", "fax", "texml"),
			"Only events of this product. Calls here are of none of them."),
		plain("failed", &rest.Schema{Kind: "boolean"},
			"Only events that could not be made, or only others. None fails: how their "+
				"webhooks fared is in the list of deliveries."),
		plain("occurred_at", rest.MomentSchema(), "Only events of this time. "+rest.WholeDay),
	}, connectionNameFilters("application_name", "events of calls"))
	for _, bound := range rest.TimeBounds() {
		params = append(params, plain("occurred_at]["+bound, rest.MomentSchema(),
			"Only events by their time. "+rest.WholeDay))
	}
	return params
}

// eventFilter is what a request asks for.
type eventFilter struct {
	query  store.EventQuery
	live   bool // calls that have not ended are among it
	ended  bool
	leg    string
	fields *rest.Query
}

func (s *server) eventFilter(ctx context.Context, account id.ID, q *rest.Query) (eventFilter, error) {
	f := eventFilter{fields: q, live: true, ended: true,
		query: store.EventQuery{Filters: q.Filters, FromMicros: math.MinInt64, ToMicros: math.MaxInt64}}
	f.leg = q.Text("filter[leg_id]", q.Text("filter[application_session_id]", ""))
	if f.leg == "" {
		f.query.FromMicros = s.Clock().Add(-eventHistory).UnixMicro()
	}
	f.bound("filter[occurred_at]", "eq")
	for _, bound := range rest.TimeBounds() {
		f.bound("filter[occurred_at]["+bound+"]", bound)
	}
	for kind := store.EventInitiated; kind <= store.EventCost; kind++ {
		if eventName(kind) == q.Text("filter[name]", "") {
			f.query.Kinds = []store.EventKind{kind}
		}
	}
	switch q.Text("filter[status]", "") {
	case "init", "in_progress":
		f.ended = false
	case "completed":
		f.live = false
	}
	if q.Text("filter[type]", "") == "command" || q.Text("filter[product]", "") != "" ||
		q.Text("filter[failed]", "") == "true" {
		f.live = false
		f.ended = false
	}
	var err error
	f.query.Connections, err = s.connectionsNamed(ctx, account, q, "application_name")
	return f, err
}

// bound takes one bound of the events' times.
func (f *eventFilter) bound(parameter, word string) {
	m, err := rest.ParseMoment(f.fields.Text(parameter, ""))
	if err != nil {
		return // not given
	}
	from, to := m.Bounds(word)
	if from != nil {
		f.query.FromMicros = max(f.query.FromMicros, *from)
	}
	if to != nil {
		f.query.ToMicros = min(f.query.ToMicros, *to)
	}
}

// connectionNameFilters are the filters that connectionsNamed looks at.
func connectionNameFilters(name, what string) []rest.Parameter {
	return []rest.Parameter{
		{Name: "filter[" + name + "]", Schema: &rest.Schema{Kind: "string", MaxLength: 255},
			Description: "Only " + what + " by connections with this name."},
		{Name: "filter[" + name + "][contains]",
			Schema:      &rest.Schema{Kind: "string", MinLength: shortestNameSearch, MaxLength: 255},
			Description: "Only " + what + " by connections whose name contains this text, without regard to case."},
	}
}

// connectionsNamed are the connections that a filter by their name selects. Telnyx
// calls it that of an application in some lists. nil is no filter.
func (s *server) connectionsNamed(ctx context.Context, account id.ID, q *rest.Query, filter string) ([]id.ID, error) {
	named := collection.Query{Number: 1, Size: rest.MaxPageSize, Sort: []collection.Order{{Field: "created_at"}}}
	for name, op := range map[string]collection.Operator{"": collection.Equal, "[contains]": collection.Contains} {
		if text, given := q.Values["filter["+filter+"]"+name]; given {
			named.Filters = append(named.Filters, collection.Filter{Field: "connection_name", Op: op, Value: text})
		}
	}
	if len(named.Filters) == 0 {
		return nil, nil
	}
	ids := []id.ID{}
	for _, k := range s.connectionKinds(account) {
		k.query = named
		for {
			if err := k.fetch(ctx); err != nil {
				return nil, err
			}
			for i := range k.ahead {
				ids = append(ids, k.ahead[i].ID)
			}
			if len(k.ahead) < named.Size {
				break
			}
		}
	}
	return ids, nil
}

// wants reports whether an event of a live call is asked for.
func (f *eventFilter) wants(e *callEvent) bool {
	m := &e.view.Metadata
	for name, value := range map[string]string{
		"leg_id": e.call.String(), "application_session_id": e.call.String(), "connection_id": m.ConnectionID.String(),
		"outbound.outbound_voice_profile_id": m.OutboundVoiceProfileID.String(), "from": m.From, "to": m.To,
	} {
		asked := f.fields.Text("filter["+name+"]", value)
		if parsed, err := uuid.Parse(asked); err == nil && name != "from" && name != "to" {
			asked = parsed.String() // in lower case
		}
		if asked != value {
			return false
		}
	}
	if f.query.Connections != nil && !slices.Contains(f.query.Connections, m.ConnectionID) {
		return false
	}
	return e.at >= f.query.FromMicros && e.at < f.query.ToMicros &&
		(len(f.query.Kinds) == 0 || slices.Contains(f.query.Kinds, e.kind))
}

func (s *server) listCallEvents(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	if err := rest.OneCursor(&in.Query); err != nil {
		return nil, err
	}
	q := in.Query.StoreQuery("", eventPageSize)
	q.Size = in.Query.Int("page[limit]", q.Size)
	f, err := s.eventFilter(ctx, in.Account, &in.Query)
	if err != nil {
		return nil, err
	}
	// Calls that end between the two reads are in the second too; their events are
	// left out of the first.
	live, err := s.liveEvents(ctx, in.Account, &f)
	if err != nil {
		return nil, err
	}
	skip, size, err := s.eventPage(ctx, in, &f, q, live)
	if err != nil {
		return nil, err
	}
	ended, total, first, err := s.endedEvents(ctx, in.Account, &f, skip, size, len(live))
	if err != nil {
		return nil, err
	}
	gone := map[uuid.UUID]bool{}
	for i := range ended {
		gone[ended[i].call] = true
	}
	live = slices.DeleteFunc(live, func(e callEvent) bool { return gone[e.call] })
	total += len(live)
	events := mergeEvents(live, ended, first, skip, size)
	views := make([]callEventView, len(events))
	for i := range events {
		views[i] = events[i].view
	}
	if !in.Query.ByCursor() {
		return &rest.Response{Data: views, Meta: rest.MetaOf(q, total)}, nil
	}
	meta := &rest.CursorMeta{
		TotalItems: total, PageMeta: *rest.MetaOf(collection.Query{Number: skip/q.Size + 1, Size: q.Size}, total),
	}
	if len(events) > 0 && skip+len(events) < total {
		meta.NextAt(in, events[len(events)-1].cursor().String())
	}
	if len(events) > 0 && skip > 0 {
		meta.PreviousAt(in, events[0].cursor().String())
	}
	return &rest.Response{Data: views, Cursors: meta}, nil
}

// eventPage is how many events come before the page, and how many it has at most.
func (s *server) eventPage(ctx context.Context, in *rest.Request, f *eventFilter, q collection.Query,
	live []callEvent) (skip, size int, err error) {
	if c, err := parseEventCursor(in.Query.Text("page[after]", "")); err == nil {
		before, err := s.eventsBefore(ctx, in.Account, f, live, c, true)
		return before, q.Size, err
	}
	if c, err := parseEventCursor(in.Query.Text("page[before]", "")); err == nil {
		before, err := s.eventsBefore(ctx, in.Account, f, live, c, false)
		return max(0, before-q.Size), min(q.Size, before), err
	}
	return (q.Number - 1) * q.Size, q.Size, nil
}

// eventsBefore counts the events that are asked for up to a cursor, without or with the
// event of the cursor itself.
func (s *server) eventsBefore(ctx context.Context, account id.ID, f *eventFilter, live []callEvent,
	c callEvent, itself bool) (int, error) {
	n := 0
	count := func(events []callEvent) {
		for i := range events {
			if order := events[i].compare(&c); order < 0 || order == 0 && itself {
				n++
			}
		}
	}
	count(live)
	if !f.ended {
		return n, nil
	}
	earlier, same := f.query, f.query
	earlier.ToMicros = min(earlier.ToMicros, c.at)
	earlier.Skip = 0
	earlier.Size = 1
	page, err := s.Reports.CallEvents(ctx, account, earlier)
	if err != nil {
		return 0, err
	}
	n += page.Total
	same.FromMicros = max(same.FromMicros, c.at)
	same.ToMicros = min(same.ToMicros, c.at+1)
	same.Skip = 0
	same.Size = maxSameMicrosecond
	if page, err = s.Reports.CallEvents(ctx, account, same); err != nil {
		return 0, err
	}
	events := make([]callEvent, len(page.Items))
	for i := range page.Items {
		events[i] = viewEvent(&page.Items[i])
	}
	count(events)
	return n, nil
}

// maxSameMicrosecond is far above how many events of an account are in one microsecond.
const maxSameMicrosecond = 1000

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
func (s *server) endedEvents(ctx context.Context, account id.ID, f *eventFilter, skip, size,
	live int) (events []callEvent, total, first int, err error) {
	if !f.ended {
		return nil, 0, 0, nil
	}
	f.query.Skip = max(0, skip-live)
	f.query.Size = size + live
	page, err := s.Reports.CallEvents(ctx, account, f.query)
	if err == nil && len(page.Items) == 0 && f.query.Skip > 0 && page.Total > 0 {
		// The place of what comes after the last one is known by the last one.
		f.query.Skip = page.Total - 1
		page, err = s.Reports.CallEvents(ctx, account, f.query)
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
		m.HangupCause = webhook.HangupCause(c)
		m.HangupSource = webhook.HangupSource(c.HangupSource)
		if c.SIPStatus != 0 {
			m.SIPHangupCause = strconv.Itoa(int(c.SIPStatus))
		}
	case store.EventCost:
		m.TotalCost = new(c.Cost)
		m.BilledDurationSecs = new(c.BilledSecs)
	}
	return event.complete()
}

func (e callEvent) complete() callEvent {
	e.view.RecordType = "call_event"
	e.view.Type = "webhook"
	e.view.Name = eventName(e.kind)
	e.view.CallLegID = e.call
	e.view.CallSessionID = e.call
	e.view.EventTimestamp = time.UnixMicro(e.at).UTC().Format(eventLayout)
	return e
}

// liveEvents are the events of calls that have not ended, sorted.
func (s *server) liveEvents(ctx context.Context, account id.ID, f *eventFilter) ([]callEvent, error) {
	if !f.live {
		return nil, nil
	}
	calls, err := s.Calls.LiveCalls(ctx, account)
	if err != nil {
		return nil, err
	}
	status := f.fields.Text("filter[status]", "")
	var events []callEvent
	for i := range calls {
		l := &calls[i].Lease
		if answered := l.AnsweredMicros != 0; status == "init" && answered || status == "in_progress" && !answered {
			continue
		}
		shown := viewCall(&calls[i])
		metadata := callEventMetadata{ConnectionID: l.Connection, OutboundVoiceProfileID: l.Profile,
			BillingGroupID: l.BillingGroup, From: shown.From, To: shown.To, StartTime: shown.StartedAt}
		for kind, at := range map[store.EventKind]int64{
			store.EventInitiated: l.ReservedMicros, store.EventAnswered: l.AnsweredMicros,
		} {
			e := callEvent{kind: kind, at: at, call: l.ID, view: callEventView{Metadata: metadata}}.complete()
			if at != 0 && f.wants(&e) {
				events = append(events, e)
			}
		}
	}
	slices.SortFunc(events, func(a, b callEvent) int { return a.compare(&b) })
	return events, nil
}
