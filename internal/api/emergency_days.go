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
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// emergencyDayView is what is counted of the emergency calls of a connection on a day.
type emergencyDayView struct {
	RecordType   string       `json:"record_type" enum:"emergency_day"`
	ConnectionID id.ID        `json:"connection_id"`
	Date         string       `json:"date" doc:"The UTC day."`
	Calls        int64        `json:"calls" doc:"Emergency calls that were admitted on the day."`
	LiveCalls    int64        `json:"live_calls" doc:"Those of them that have not ended."`
	BilledSec    int64        `json:"billed_sec" doc:"Seconds of the day that emergency calls were billed for."`
	Cost         money.Amount `json:"cost" doc:"What is posted on the day for emergency calls. No limit counts it."`
}

func (s *server) emergencyOperations() []rest.Operation {
	day := &rest.Schema{Kind: "string", Format: "date", Parse: rest.ParseWith(parseDay)}
	return []rest.Operation{{Method: http.MethodGet, Path: "/tollgate/v1/emergency_days", ID: "list_emergency_day",
		Tag: "Calls", Scope: ScopeRead,
		Summary: "List the emergency calls of connections by UTC day, the latest first.",
		Params: slices.Concat(rest.PageParams(rest.MaxPageSize, rest.MaxPageSize), []rest.Parameter{
			{Name: "filter[connection_id]", Schema: rest.IDSchema(), Description: "Only those of this connection."},
			{Name: "filter[date][gte]", Schema: day, Description: "Only days from this one on."},
			{Name: "filter[date][lte]", Schema: day, Description: "Only days up to this one."},
		}),
		Status: http.StatusOK, Answer: schemaOf[emergencyDayView](), Shape: rest.List, Handle: s.listEmergencyDays}}
}

func parseDay(text string) (record.Day, error) {
	t, err := time.Parse(time.DateOnly, text)
	return record.DayOf(t.UnixMicro()), err
}

func (s *server) listEmergencyDays(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("", rest.MaxPageSize)
	ask := store.EmergencyQuery{From: 0, To: math.MaxInt32, Number: q.Number, Size: q.Size}
	ask.Connection, _ = id.Parse(in.Query.Text("filter[connection_id]", "")) // 0 when not given
	if day, err := parseDay(in.Query.Text("filter[date][gte]", "")); err == nil {
		ask.From = day
	}
	if day, err := parseDay(in.Query.Text("filter[date][lte]", "")); err == nil {
		ask.To = day
	}
	page, err := s.Reports.EmergencyDays(ctx, in.Account, ask)
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
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}
