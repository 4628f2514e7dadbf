package api

import (
	"context"
	"net/http"
	"time"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
)

// balanceView is the account's money. Tollgate is paid nothing, so there is no
// balance to run out: what is answered is what the account's calls have cost.
// Source: Telnyx v2, UserBalance.
type balanceView struct {
	RecordType      string `json:"record_type" enum:"balance"`
	Balance         string `json:"balance" doc:"Minus what calls have cost since the first day of this month, UTC."`
	CreditLimit     string `json:"credit_limit" doc:"Always 0.00: spending is limited by profiles."`
	AvailableCredit string `json:"available_credit" doc:"balance and credit_limit together, as Telnyx has it. Nothing is refused by it."`
	Pending         string `json:"pending" doc:"What calls in progress hold."`
	Currency        string `json:"currency" enum:"USD"`
}

// userTagsView lists the account's tags. Source: Telnyx v2, /user_tags.
type userTagsView struct {
	NumberTags          []string `json:"number_tags" doc:"Always empty: there are no phone numbers here."`
	OutboundProfileTags []string `json:"outbound_profile_tags" doc:"Tags of outbound voice profiles, each written as the account wrote it first."`
}

func (s *server) accountViewOperations() []rest.Operation {
	return []rest.Operation{
		{Method: http.MethodGet, Path: "/v2/balance", ID: "get_balance", Tag: "Account", Scope: ScopeRead,
			Summary: "Get what the account's calls have cost this month, and what live calls hold.", Status: http.StatusOK,
			Answer: schemaOf[balanceView](), Handle: s.balance},
		{Method: http.MethodGet, Path: "/v2/user_tags", ID: "list_user_tags", Tag: "Account", Scope: ScopeRead,
			Summary: "List the tags in use.", Status: http.StatusOK, Answer: schemaOf[userTagsView](), Handle: s.userTags,
			Params: []rest.Parameter{{Name: "filter[starts_with]",
				Description: "Only tags that start with this text, without regard to case.",
				Schema:      &rest.Schema{Kind: "string", MaxLength: 255}}}},
	}
}

func (s *server) balance(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	now := s.Clock().UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	spend, err := s.Reports.SpendSince(ctx, in.Account, record.DayOf(month.UnixMicro()))
	if err != nil {
		return nil, err
	}
	balance := (-spend.Posted).String()
	return &rest.Response{Data: balanceView{RecordType: "balance", Balance: balance, CreditLimit: money.Amount(0).String(),
		AvailableCredit: balance, Pending: spend.Held.String(), Currency: "USD"}}, nil
}

func (s *server) userTags(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	tags, err := s.Reports.Tags(ctx, in.Account, in.Query.Text("filter[starts_with]", ""))
	if err != nil {
		return nil, err
	}
	if in.Query.Nothing {
		tags = []string{}
	}
	return &rest.Response{Data: userTagsView{NumberTags: []string{}, OutboundProfileTags: tags}}, nil
}
