package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// spendHoldView is why calls are refused whatever is left of the limit.
type spendHoldView struct {
	Cause string     `json:"cause" enum:"limit_reached,restored" doc:"limit_reached: the daily limit was reached and after_limit is hold_until_released. restored: the database was restored from a copy, and what was spent since the copy was made is unknown."`
	Since time.Time  `json:"since"`
	Until *time.Time `json:"until" doc:"When it ends by itself; null for not before it is released."`
}

func viewHold(hold *admission.SpendHold) *spendHoldView {
	if hold == nil {
		return nil
	}
	v := &spendHoldView{Cause: hold.Cause.String(), Since: time.UnixMicro(hold.SinceMicros).UTC()}
	if hold.UntilDay != 0 {
		v.Until = new(time.UnixMicro(hold.UntilDay.StartMicros()).UTC())
	}
	return v
}

// sharedUsageView is what a billing group or an account uses now. Its money is
// counted only while it has a limit.
type sharedUsageView struct {
	ID                     string         `json:"id" readOnly:"true"`
	RecordType             string         `json:"record_type" readOnly:"true" enum:"billing_group_usage,account_usage"`
	Day                    string         `json:"day" doc:"The UTC day that posted, held and overrun belong to."`
	Posted                 *money.Amount  `json:"posted" doc:"What the day's calls have cost so far; null without an enabled limit, for which alone it is counted."`
	Held                   *money.Amount  `json:"held" doc:"What calls in progress hold ahead; null without an enabled limit."`
	Overrun                *money.Amount  `json:"overrun" doc:"What calls lasted beyond their grants would have cost; reported, never charged. null without an enabled limit."`
	DailySpendLimit        *money.Amount  `json:"daily_spend_limit"`
	DailySpendLimitEnabled bool           `json:"daily_spend_limit_enabled"`
	Remaining              *money.Amount  `json:"remaining" doc:"What new grants may still cost today; null without an enabled limit."`
	SpendHold              *spendHoldView `json:"spend_hold" doc:"Why calls are refused whatever remains, until it is released; null mostly."`
}

// spendReleaseView means that nothing is held back any more.
type spendReleaseView struct {
	RecordType string `json:"record_type" readOnly:"true" enum:"spend_release"`
	ScopeType  string `json:"scope_type" enum:"outbound_voice_profile,billing_group,account"`
	ScopeID    string `json:"scope_id"`
}

// heldView is a scope whose calls are refused.
type heldView struct {
	RecordType string     `json:"record_type" readOnly:"true" enum:"spend_hold"`
	ScopeType  string     `json:"scope_type" enum:"outbound_voice_profile,billing_group,account"`
	ScopeID    string     `json:"scope_id"`
	Cause      string     `json:"cause" enum:"limit_reached,restored" doc:"As in the usage of the scope."`
	Since      time.Time  `json:"since"`
	Until      *time.Time `json:"until" doc:"When it ends by itself; null for not before it is released."`
}

// releasedView describes how much was released.
type releasedView struct {
	RecordType string `json:"record_type" readOnly:"true" enum:"spend_releases"`
	Released   int32  `json:"released" doc:"How many profiles and billing groups were held."`
}

func (s *server) spendOperations() []rest.Operation {
	const (
		profiles = "/tollgate/v1/outbound_voice_profiles/{id}"
		groups   = "/tollgate/v1/billing_groups/{id}"
		account  = "/tollgate/v1/account"
	)
	usage, release := schemaOf[sharedUsageView](), schemaOf[spendReleaseView]()
	const summary = "Release the spending that a reached limit or a restored backup holds back. " +
		"Without a hold nothing changes."
	const holds = "/tollgate/v1/spend_holds"
	return []rest.Operation{
		{Method: http.MethodGet, Path: holds, ID: "list_spend_hold", Tag: "Account", Scope: ScopeRead,
			Summary: "List what is held back: a hold counts while its scope has a daily limit.",
			Params:  rest.PageParams(20, rest.MaxPageSize), Status: http.StatusOK,
			Answer: schemaOf[heldView](), Shape: rest.List,
			Handle: s.listHolds},
		{Method: http.MethodPost, Path: holds + "/release", ID: "release_spend_holds", Noun: "spend_releases", Tag: "Account",
			Scope: ScopeWrite, Effect: rest.Configures,
			Summary: "Release every profile and billing group at once, for instance after a backup was restored. " +
				"The account's own hold stays.",
			Status: http.StatusOK, Answer: schemaOf[releasedView](), Handle: s.releaseAll},
		{Method: http.MethodGet, Path: groups + "/usage", ID: "get_billing_group_usage", Noun: "shared_usage",
			Tag: "Billing groups", Scope: ScopeRead, Summary: "What the calls of the billing group have spent and hold today.",
			Status: http.StatusOK, Answer: usage, Handle: s.groupUsage},
		{Method: http.MethodGet, Path: account + "/usage", ID: "get_account_usage", Noun: "shared_usage", Tag: "Account",
			Scope: ScopeRead, Summary: "What all calls of the account have spent and hold today.", Status: http.StatusOK,
			Answer: usage, Handle: s.accountUsage},
		{Method: http.MethodPost, Path: profiles + "/release", ID: "release_outbound_voice_profile", Noun: "spend_release",
			Tag: "Outbound voice profiles", Scope: ScopeWrite, Effect: rest.Configures, Summary: summary, Status: http.StatusOK,
			Answer: release, Handle: s.releaseProfile},
		{Method: http.MethodPost, Path: groups + "/release", ID: "release_billing_group", Noun: "spend_release",
			Tag: "Billing groups", Scope: ScopeWrite, Effect: rest.Configures, Summary: summary, Status: http.StatusOK,
			Answer: release, Handle: s.releaseGroup},
		{Method: http.MethodPost, Path: "/tollgate/v1/accounts/{id}/release", ID: "release_tenant", Noun: "spend_release",
			Tag: "Accounts", Scope: ScopeAdmin, Effect: rest.Configures, Summary: summary, Status: http.StatusOK,
			Answer: release, Handle: s.releaseAccount},
	}
}

func (s *server) groupUsage(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[uuid.UUID](in.ID)
	if err != nil {
		return nil, err
	}
	g, err := store.Of[store.BillingGroup](s.Resources).Get(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	return s.sharedUsage(ctx, in.Account, admission.GroupScope(key), &g.SpendLimit,
		sharedUsageView{ID: key.String(), RecordType: "billing_group_usage"})
}

func (s *server) accountUsage(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	a, err := s.account(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	return s.sharedUsage(ctx, in.Account, admission.AccountScope(a.ID), &a.SpendLimit,
		sharedUsageView{ID: a.ID.String(), RecordType: "account_usage"})
}

func (s *server) sharedUsage(ctx context.Context, account id.ID, scope admission.Scope, limit *profile.SpendLimit,
	view sharedUsageView) (*rest.Response, error) {
	use, err := s.Spending.Spend(ctx, account, scope)
	if err != nil {
		return nil, err
	}
	view.Day = s.Clock().UTC().Format(time.DateOnly)
	view.DailySpendLimit = limit.DailySpendLimit
	view.DailySpendLimitEnabled = limit.DailySpendLimitEnabled
	view.SpendHold = viewHold(use.Hold)
	if limit.Limits() {
		view.Posted = &use.Posted
		view.Held = &use.Held
		view.Overrun = &use.Overrun
		view.Remaining = remaining(*limit.DailySpendLimit, &use, s.today())
	}
	return &rest.Response{Data: view}, nil
}

func (s *server) today() record.Day { return record.DayOf(s.Clock().UnixMicro()) }

// remaining is what new grants may still cost.
func remaining(limit money.Amount, use *store.SpendUse, today record.Day) *money.Amount {
	if use.Hold != nil && use.Hold.On(today) {
		return new(money.Amount)
	}
	return new(max(0, limit-use.Posted-use.Held))
}

func (s *server) releaseProfile(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := store.Of[profile.Profile](s.Resources).Get(ctx, in.Account, key); err != nil {
		return nil, err
	}
	return s.release(ctx, in, in.Account, admission.ProfileScope(key))
}

func (s *server) releaseGroup(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[uuid.UUID](in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := store.Of[store.BillingGroup](s.Resources).Get(ctx, in.Account, key); err != nil {
		return nil, err
	}
	return s.release(ctx, in, in.Account, admission.GroupScope(key))
}

func (s *server) releaseAccount(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := s.account(ctx, key); err != nil {
		return nil, err
	}
	return s.release(ctx, in, key, admission.AccountScope(key))
}

func (s *server) release(ctx context.Context, in *rest.Request, account id.ID,
	scope admission.Scope) (*rest.Response, error) {
	return rest.Committed(ctx, in, answerRelease, func(ctx context.Context) (admission.Scope, error) {
		return scope, s.Spending.Release(ctx, account, scope)
	})
}

func answerRelease(_ context.Context, scope admission.Scope) (*rest.Response, error) {
	v := spendReleaseView{RecordType: "spend_release"}
	v.ScopeType, v.ScopeID = scope.Words()
	return &rest.Response{Data: v}, nil
}

func (s *server) listHolds(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("", 20)
	page, err := s.Spending.ListHolds(ctx, in.Account, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	views := make([]heldView, len(page.Items))
	for i := range page.Items {
		hold := viewHold(&page.Items[i].Hold)
		views[i] = heldView{RecordType: "spend_hold", Cause: hold.Cause, Since: hold.Since, Until: hold.Until}
		views[i].ScopeType, views[i].ScopeID = page.Items[i].Scope.Words()
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

func (s *server) releaseAll(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	return rest.Committed(ctx, in, func(_ context.Context, released int) (*rest.Response, error) {
		return &rest.Response{Data: releasedView{RecordType: "spend_releases", Released: int32(released)}}, nil
	}, func(ctx context.Context) (int, error) { return s.Spending.ReleaseAll(ctx, in.Account) })
}
