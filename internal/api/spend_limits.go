package api

import (
	"context"
	"net/http"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/spendlimit"
	"github.com/tollgate/tollgate/internal/store"
)

// spendLimitView is a spend limit as it is answered.
type spendLimitView struct {
	spendlimit.Limit
	RecordType string `json:"record_type" readOnly:"true" enum:"spend_limit"`
}

// limitUsageView is what counts now for a spend limit.
type limitUsageView struct {
	ID         string       `json:"id" readOnly:"true"`
	RecordType string       `json:"record_type" readOnly:"true" enum:"spend_limit_usage"`
	From       time.Time    `json:"from" doc:"Since when money counts."`
	To         time.Time    `json:"to" doc:"When the period ends or, of rolling_24h, the hour that runs."`
	Posted     money.Amount `json:"posted" doc:"What calls have cost."`
	Held       money.Amount `json:"held" doc:"What live calls hold for what they may still use."`
	Overrun    money.Amount `json:"overrun" doc:"What calls lasted beyond their grants would have cost."`
	Amount     money.Amount `json:"amount"`
	Remaining  money.Amount `json:"remaining" doc:"What new grants may still cost by this limit."`
}

func (s *server) spendLimitOperations() []rest.Operation {
	const path = "/tollgate/v1/spend_limits"
	r := &rest.Resource[spendlimit.Limit, spendLimitView, id.ID]{
		Path: path, Name: "spend_limit", Tag: "Spend limits",
		Answers: schemaOf[spendLimitView](), Closed: true, Watched: true,
		Collection: store.Of[spendlimit.Limit](s.Resources), Required: []string{"name", "scope_type", "amount"},
		View: rest.ViewEach(func(l spendlimit.Limit) spendLimitView {
			return spendLimitView{Limit: l, RecordType: "spend_limit"}
		}), Filters: []rest.Parameter{rest.EqualFilter("filter[scope_type]", "scope_type", &rest.Schema{Kind: "string"})},
		Sorts: []string{"created_at", "name"}, Standard: "created_at",
	}
	return append(r.MustOperations(), rest.Operation{
		Method: http.MethodGet, Path: path + "/{id}/usage", ID: "get_spend_limit_usage", Noun: "limit_usage",
		Tag: "Spend limits", Scope: ScopeRead, Summary: "What counts now for the spend limit, and what is left of it.",
		Status: http.StatusOK, Answer: schemaOf[limitUsageView](), Handle: s.limitUsage,
	})
}

func (s *server) limitUsage(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	l, err := store.Of[spendlimit.Limit](s.Resources).Get(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	limit, err := policy.CompileLimit(&l)
	if err != nil {
		return nil, err
	}
	use, err := s.Spending.SpendUnder(ctx, limit)
	if err != nil {
		return nil, err
	}
	from, _, to := limit.Window(s.Clock().UnixMicro())
	return &rest.Response{Data: limitUsageView{
		ID: l.ID.String(), RecordType: "spend_limit_usage",
		From: time.UnixMicro(from).UTC(), To: time.UnixMicro(to).UTC(),
		Posted: use.Posted, Held: use.Held, Overrun: use.Overrun, Amount: l.Amount,
		Remaining: max(0, l.Amount-money.Add(use.Posted, use.Held)),
	}}, nil
}
