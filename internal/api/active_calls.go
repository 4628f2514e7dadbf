package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// activeCallView is a call that is up or ringing. Source: Telnyx v2, ActiveCall.
type activeCallView struct {
	RecordType string `json:"record_type" enum:"call"`
	// the call's id, which `POST /v2/calls/{call_control_id}/actions/hangup` takes
	CallControlID string `json:"call_control_id" doc:"The id of the call. Of the commands there is hangup."`
	// the call's id, as in detail records
	CallLegID string `json:"call_leg_id" doc:"The id of the call."`
	// the call's id
	CallSessionID string `json:"call_session_id" doc:"The id of the call."`
	// empty
	ClientState  string `json:"client_state" doc:"Always empty: no command sets it."`
	CallDuration int64  `json:"call_duration" doc:"Seconds since the answer."`
	Emergency    bool   `json:"emergency" doc:"Tollgate's own: it is an emergency call."`
}

const activeCallsPageSize = 20

func (s *server) activeCallsOperation() rest.Operation {
	return rest.Operation{Method: http.MethodGet, Path: "/v2/connections/{id}/active_calls", ID: "list_active_call",
		Tag: "Connections", Scope: ScopeRead,
		Summary: "List the calls of a connection that are up or ringing, the newest first.",
		Params: slices.Concat(rest.PageParams(activeCallsPageSize, rest.MaxPageSize),
			rest.CursorParams("calls", activeCallsPageSize, rest.ParseWith(parseCallCursor))), Status: http.StatusOK,
		Answer: schemaOf[activeCallView](), Shape: rest.CursorList, Handle: s.listActiveCalls}
}

// callCursor is the place of a call in the list.
type callCursor struct {
	micros int64
	call   uuid.UUID
}

func cursorOf(c *store.LiveCall) callCursor { return callCursor{c.Lease.ReservedMicros, c.Lease.ID} }

// compare is the order of the list: the newest first.
func (c callCursor) compare(other callCursor) int {
	return cmp.Or(cmp.Compare(other.micros, c.micros), slices.Compare(c.call[:], other.call[:]))
}

func (c callCursor) String() string {
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, uint64(c.micros)), c.call[:]...))
}

var errCursor = errors.New("not a cursor of this list")

func parseCallCursor(text string) (callCursor, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 8+len(uuid.UUID{}) {
		return callCursor{}, errCursor
	}
	return callCursor{int64(binary.BigEndian.Uint64(raw)), uuid.UUID(raw[8:])}, nil
}

func (s *server) listActiveCalls(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	if c := s.Live.Snapshot().Connection(key); c == nil || c.Account != in.Account {
		return nil, collection.ErrNotFound
	}
	if err := rest.OneCursor(&in.Query); err != nil {
		return nil, err
	}
	calls, err := s.Calls.LiveCalls(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	calls = slices.DeleteFunc(slices.Clone(calls), func(c store.LiveCall) bool { return c.Lease.Connection != key })
	slices.SortFunc(calls, func(a, b store.LiveCall) int { return cursorOf(&a).compare(cursorOf(&b)) })
	first, end, size := activeCallsPage(&in.Query, calls)
	views := []activeCallView{}
	for i := range calls[first:end] {
		c := &calls[first+i]
		call := c.Lease.ID.String()
		view := activeCallView{RecordType: "call", CallControlID: call, CallLegID: call, CallSessionID: call,
			Emergency: c.Lease.Emergency}
		if c.Lease.AnsweredMicros != 0 {
			view.CallDuration = c.ElapsedMs / 1000
		}
		views = append(views, view)
	}
	meta := &rest.CursorMeta{
		TotalItems: len(calls), PageMeta: *rest.MetaOf(collection.Query{Number: first/size + 1, Size: size}, len(calls)),
	}
	if end < len(calls) && end > first {
		meta.NextAt(in, cursorOf(&calls[end-1]).String())
	}
	if first > 0 && end > first {
		meta.PreviousAt(in, cursorOf(&calls[first]).String())
	}
	return &rest.Response{Data: views, Cursors: meta}, nil
}

// activeCallsPage is the part of the sorted calls that a query asks for: after a
// cursor, before one, or by number.
func activeCallsPage(q *rest.Query, calls []store.LiveCall) (first, end, size int) {
	size = q.Int("page[limit]", q.Int("page[size]", activeCallsPageSize))
	search := func(name string) (int, bool, bool) {
		c, err := parseCallCursor(q.Text(name, ""))
		if err != nil {
			return 0, false, false // not given
		}
		i, found := slices.BinarySearchFunc(calls, c, func(call store.LiveCall, c callCursor) int {
			return cursorOf(&call).compare(c)
		})
		return i, found, true
	}
	if i, found, given := search("page[after]"); given {
		// The call of the cursor may have ended since.
		if found {
			i++
		}
		return i, min(i+size, len(calls)), size
	}
	if i, _, given := search("page[before]"); given {
		return max(0, i-size), i, size
	}
	first = min((q.Int("page[number]", 1)-1)*size, len(calls))
	return first, min(first+size, len(calls)), size
}
