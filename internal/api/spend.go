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

// spendReleaseView says that nothing is held back any more.
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

// releasedView says how much was released.
type releasedView struct {
	RecordType string `json:"record_type" readOnly:"true" enum:"spend_releases"`
	Released   int32  `json:"released" doc:"How many profiles and billing groups were held."`
}

func (s *server) spendOperations() []operation {
	const profiles, groups, account = "/tollgate/v1/outbound_voice_profiles/{id}", "/tollgate/v1/billing_groups/{id}", "/tollgate/v1/account"
	usage, release := schemaOf[sharedUsageView](), schemaOf[spendReleaseView]()
	const summary = "Release the spending that a reached limit or a restored copy holds back. Without a hold nothing happens."
	const holds = "/tollgate/v1/spend_holds"
	return []operation{
		{method: http.MethodGet, path: holds, id: "list_spend_hold", tag: "Account", scope: ScopeRead,
			summary: "List what is held back: a hold counts while its scope has a daily limit.", params: pageParams(20, maxPageSize),
			status: http.StatusOK, answer: schemaOf[heldView](), shape: list, handle: s.listHolds},
		{method: http.MethodPost, path: holds + "/release", id: "release_spend_holds", noun: "spend_releases", tag: "Account", scope: ScopeWrite, effect: configures,
			summary: "Release every profile and billing group at once, as after a copy was restored. The account's own hold stays.",
			status:  http.StatusOK, answer: schemaOf[releasedView](), handle: s.releaseAll},
		{method: http.MethodGet, path: groups + "/usage", id: "get_billing_group_usage", noun: "shared_usage", tag: "Billing groups", scope: ScopeRead,
			summary: "What the calls of the billing group have spent and hold today.", status: http.StatusOK, answer: usage, handle: s.groupUsage},
		{method: http.MethodGet, path: account + "/usage", id: "get_account_usage", noun: "shared_usage", tag: "Account", scope: ScopeRead,
			summary: "What all calls of the account have spent and hold today.", status: http.StatusOK, answer: usage, handle: s.accountUsage},
		{method: http.MethodPost, path: profiles + "/release", id: "release_outbound_voice_profile", noun: "spend_release", tag: "Outbound voice profiles",
			scope: ScopeWrite, effect: configures, summary: summary, status: http.StatusOK, answer: release, handle: s.releaseProfile},
		{method: http.MethodPost, path: groups + "/release", id: "release_billing_group", noun: "spend_release", tag: "Billing groups",
			scope: ScopeWrite, effect: configures, summary: summary, status: http.StatusOK, answer: release, handle: s.releaseGroup},
		{method: http.MethodPost, path: "/tollgate/v1/accounts/{id}/release", id: "release_tenant", noun: "spend_release", tag: "Accounts",
			scope: ScopeAdmin, effect: configures, summary: summary, status: http.StatusOK, answer: release, handle: s.releaseAccount},
	}
}

func (s *server) groupUsage(ctx context.Context, in *request) (*response, error) {
	key, err := parseGroupID(in.id)
	if err != nil {
		return nil, invalidPathID()
	}
	g, err := store.Of[store.BillingGroup, uuid.UUID](s.Resources).Get(ctx, in.account, key)
	if err != nil {
		return nil, err
	}
	return s.sharedUsage(ctx, in.account, admission.Scope{Group: key}, &g.SpendLimit, sharedUsageView{ID: key.String(), RecordType: "billing_group_usage"})
}

func (s *server) accountUsage(ctx context.Context, in *request) (*response, error) {
	a, err := s.Accounts.Account(ctx, in.account)
	if err != nil {
		return nil, err
	}
	return s.sharedUsage(ctx, in.account, admission.Scope{Account: a.ID}, &a.SpendLimit, sharedUsageView{ID: a.ID.String(), RecordType: "account_usage"})
}

func (s *server) sharedUsage(ctx context.Context, account id.ID, scope admission.Scope, limit *profile.SpendLimit, view sharedUsageView) (*response, error) {
	use, err := s.Spending.Spend(ctx, account, scope)
	if err != nil {
		return nil, err
	}
	view.Day = s.Clock().UTC().Format(time.DateOnly)
	view.DailySpendLimit, view.DailySpendLimitEnabled = limit.DailySpendLimit, limit.DailySpendLimitEnabled
	view.SpendHold = viewHold(use.Hold)
	if limit.Limits() {
		view.Posted, view.Held, view.Overrun = &use.Posted, &use.Held, &use.Overrun
		view.Remaining = remaining(*limit.DailySpendLimit, &use, s.today())
	}
	return &response{data: view}, nil
}

func (s *server) today() record.Day { return record.DayOf(s.Clock().UnixMicro()) }

// remaining is what new grants may still cost.
func remaining(limit money.Amount, use *store.SpendUse, today record.Day) *money.Amount {
	if use.Hold != nil && use.Hold.On(today) {
		return new(money.Amount)
	}
	return new(max(0, limit-use.Posted-use.Held))
}

func (s *server) releaseProfile(ctx context.Context, in *request) (*response, error) {
	key, err := id.Parse(in.id)
	if err != nil {
		return nil, invalidPathID()
	}
	if _, err := store.Of[profile.Profile, id.ID](s.Resources).Get(ctx, in.account, key); err != nil {
		return nil, err
	}
	return s.release(ctx, in, in.account, admission.Scope{Profile: key})
}

func (s *server) releaseGroup(ctx context.Context, in *request) (*response, error) {
	key, err := parseGroupID(in.id)
	if err != nil {
		return nil, invalidPathID()
	}
	if _, err := store.Of[store.BillingGroup, uuid.UUID](s.Resources).Get(ctx, in.account, key); err != nil {
		return nil, err
	}
	return s.release(ctx, in, in.account, admission.Scope{Group: key})
}

func (s *server) releaseAccount(ctx context.Context, in *request) (*response, error) {
	key, err := id.Parse(in.id)
	if err != nil {
		return nil, invalidPathID()
	}
	if _, err := s.Accounts.Account(ctx, key); err != nil {
		return nil, err
	}
	return s.release(ctx, in, key, admission.Scope{Account: key})
}

func (s *server) release(ctx context.Context, in *request, account id.ID, scope admission.Scope) (*response, error) {
	return committed(ctx, in, answerRelease, func(ctx context.Context) (admission.Scope, error) {
		return scope, s.Spending.Release(ctx, account, scope)
	})
}

func answerRelease(_ context.Context, scope admission.Scope) (*response, error) {
	v := spendReleaseView{RecordType: "spend_release"}
	v.ScopeType, v.ScopeID = scopeWords(scope)
	return &response{data: v}, nil
}

func scopeWords(scope admission.Scope) (kind, key string) {
	switch {
	case scope.Profile != 0:
		return "outbound_voice_profile", scope.Profile.String()
	case scope.Group != uuid.Nil:
		return "billing_group", scope.Group.String()
	}
	return "account", scope.Account.String()
}

func (s *server) listHolds(ctx context.Context, in *request) (*response, error) {
	q := in.query.storeQuery("", 20)
	page, err := s.Spending.ListHolds(ctx, in.account, q)
	if err != nil {
		return nil, listError(err)
	}
	views := make([]heldView, len(page.Items))
	for i := range page.Items {
		hold := viewHold(&page.Items[i].Hold)
		views[i] = heldView{RecordType: "spend_hold", Cause: hold.Cause, Since: hold.Since, Until: hold.Until}
		views[i].ScopeType, views[i].ScopeID = scopeWords(page.Items[i].Scope)
	}
	return &response{data: views, meta: metaOf(q, page.Total)}, nil
}

func (s *server) releaseAll(ctx context.Context, in *request) (*response, error) {
	return committed(ctx, in, func(_ context.Context, released int) (*response, error) {
		return &response{data: releasedView{RecordType: "spend_releases", Released: int32(released)}}, nil
	}, func(ctx context.Context) (int, error) { return s.Spending.ReleaseAll(ctx, in.account) })
}
