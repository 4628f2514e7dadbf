package api

import (
	"context"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// emergencyDayView is what is counted of the emergency calls of a connection on a day.
type emergencyDayView struct {
	RecordType   string       `json:"record_type" enum:"emergency_day"`
	ConnectionID id.ID        `json:"connection_id"`
	Date         string       `json:"date" doc:"The UTC day."`
	Calls        int64        `json:"calls" doc:"Emergency calls that were let through on the day."`
	LiveCalls    int64        `json:"live_calls" doc:"Those of them that have not ended."`
	BilledSec    int64        `json:"billed_sec" doc:"Seconds of the day that emergency calls were billed for."`
	Cost         money.Amount `json:"cost" doc:"What is posted on the day for emergency calls. No limit counts it."`
}

func (s *server) emergencyOperations() []operation {
	day := &schema{kind: "string", format: "date", parse: parseWith(parseDay)}
	return []operation{{method: http.MethodGet, path: "/tollgate/v1/emergency_days", id: "list_emergency_day",
		tag: "Calls", scope: ScopeRead,
		summary: "List the emergency calls of connections by UTC day, the latest first.",
		params: slices.Concat(pageParams(maxPageSize, maxPageSize), []parameter{
			{name: "filter[connection_id]", schema: idSchema(), description: "Only those of this connection."},
			{name: "filter[date][gte]", schema: day, description: "Only days from this one on."},
			{name: "filter[date][lte]", schema: day, description: "Only days up to this one."},
		}),
		status: http.StatusOK, answer: schemaOf[emergencyDayView](), shape: list, handle: s.listEmergencyDays}}
}

func parseDay(text string) (record.Day, error) {
	t, err := time.Parse(time.DateOnly, text)
	return record.DayOf(t.UnixMicro()), err
}

func (s *server) listEmergencyDays(ctx context.Context, in *request) (*response, error) {
	q := in.query.storeQuery("", maxPageSize)
	ask := store.EmergencyQuery{From: 0, To: math.MaxInt32, Number: q.Number, Size: q.Size}
	ask.Connection, _ = id.Parse(in.query.text("filter[connection_id]", "")) // 0 when not given
	if day, err := parseDay(in.query.text("filter[date][gte]", "")); err == nil {
		ask.From = day
	}
	if day, err := parseDay(in.query.text("filter[date][lte]", "")); err == nil {
		ask.To = day
	}
	page, err := s.Reports.EmergencyDays(ctx, in.account, ask)
	if err != nil {
		return nil, err
	}
	views := make([]emergencyDayView, len(page.Items))
	for i := range page.Items {
		d := &page.Items[i]
		views[i] = emergencyDayView{RecordType: "emergency_day", ConnectionID: d.Connection,
			Calls: d.Started, LiveCalls: d.Started - d.Ended, BilledSec: d.BilledSecs, Cost: d.Posted,
			Date: d.Day.String()}
	}
	return &response{data: views, meta: metaOf(q, page.Total)}, nil
}
