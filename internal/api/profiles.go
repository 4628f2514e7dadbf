package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// profileView is an outbound voice profile as it is answered.
type profileView struct {
	profile.Profile
	RecordType       string `json:"record_type" readOnly:"true" enum:"outbound_voice_profile"`
	ConnectionsCount int32  `json:"connections_count" readOnly:"true" doc:"How many connections use the profile."`
}

func (s *server) profileOperations() []rest.Operation {
	r := &rest.Resource[profile.Profile, profileView, id.ID]{
		Path: "/v2/outbound_voice_profiles", Name: "outbound_voice_profile", Tag: "Outbound voice profiles",
		Answers: schemaOf[profileView](), Collection: store.Of[profile.Profile](s.Resources),
		Required: []string{"name"}, Created: http.StatusOK, Validate: s.validateProfile,
		View: s.viewProfiles, Permit: permitDeck, Effects: s.profileEffect, Effect: schemaOf[profileEffects](),
		Filters: rest.NameFilters("name", 0),
		Sorts:   []string{"enabled", "created_at", "name", "service_plan", "traffic_type", "usage_payment_method"},
	}
	usage := rest.Operation{Method: http.MethodGet, Path: "/tollgate/v1/outbound_voice_profiles/{id}/usage",
		ID: "get_outbound_voice_profile_usage", Tag: "Outbound voice profiles",
		Summary: "What the profile has spent and holds today, and its calls now.", Scope: ScopeRead, Status: http.StatusOK,
		Answer: schemaOf[usageView](), Handle: s.profileUsage}
	return append(r.MustOperations(), usage)
}

// permitDeck keeps the choice of prices to those who may set prices.
func permitDeck(in *rest.Request, current, next *profile.Profile) error {
	was := id.ID(0)
	if current != nil {
		was = current.RateDeckID
	}
	if next.RateDeckID == was || beyond(in, []string{ScopeCarrier}) == "" {
		return nil
	}
	return rest.FailAt(http.StatusForbidden, "/rate_deck_id", rest.CodeForbidden,
		"rate_deck_id sets what calls cost, so to change it needs a key with the scope %q. %s Or leave it as it is; null "+
			"in a new profile is the account's default deck.",
		ScopeCarrier, wayToScope(ScopeCarrier))
}

func (s *server) validateProfile(account id.ID, p *profile.Profile, named map[string]any) []field.Error {
	errs := p.Validate()
	owner := s.Live.Snapshot().Account(account)
	_, asked := named["concurrent_call_limit"]
	// A limit that was set while the account's was higher does no harm.
	if asked && owner != nil && owner.ChannelLimit != policy.NoLimit &&
		p.ConcurrentCallLimit != nil && *p.ConcurrentCallLimit > owner.ChannelLimit {
		errs = append(errs, field.Error{Pointer: "/concurrent_call_limit", Code: field.OutOfRange,
			Detail: fmt.Sprintf("concurrent_call_limit is %d. Give at most %d, which is the account's own limit, or null.",
				*p.ConcurrentCallLimit, owner.ChannelLimit)})
	}
	return errs
}

func (s *server) viewProfiles(ctx context.Context, account id.ID, profiles []profile.Profile) ([]profileView, error) {
	ids := make([]id.ID, len(profiles))
	for i := range profiles {
		ids[i] = profiles[i].ID
	}
	counts, err := s.Connections.CountByProfile(ctx, account, ids)
	if err != nil {
		return nil, err
	}
	views := make([]profileView, len(profiles))
	for i, p := range profiles {
		views[i] = profileView{Profile: p, RecordType: "outbound_voice_profile", ConnectionsCount: int32(counts[p.ID])}
	}
	return views, nil
}

// usageView is what a profile uses now.
type usageView struct {
	ID                     id.ID          `json:"id" readOnly:"true"`
	RecordType             string         `json:"record_type" readOnly:"true" enum:"outbound_voice_profile_usage"`
	Day                    string         `json:"day" doc:"The UTC day that posted, held and overrun belong to."`
	Posted                 money.Amount   `json:"posted" doc:"What the day's calls have cost so far."`
	Held                   money.Amount   `json:"held" doc:"What calls in progress hold ahead."`
	Overrun                money.Amount   `json:"overrun" doc:"What calls lasted beyond their grants would have cost; reported, never charged."`
	DailySpendLimit        *money.Amount  `json:"daily_spend_limit"`
	DailySpendLimitEnabled bool           `json:"daily_spend_limit_enabled"`
	Remaining              *money.Amount  `json:"remaining" doc:"What new grants may still cost today; null without an enabled limit."`
	SpendHold              *spendHoldView `json:"spend_hold" doc:"Why calls are refused whatever remains, until it is released; null mostly."`
	LiveCalls              int32          `json:"live_calls"`
	ConcurrentCallLimit    *int32         `json:"concurrent_call_limit"`
}

func (s *server) profileUsage(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	p, err := store.Of[profile.Profile](s.Resources).Get(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	spend, err := s.Spending.Spend(ctx, in.Account, admission.ProfileScope(key))
	if err != nil {
		return nil, err
	}
	calls, err := s.Calls.LiveCalls(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	view := usageView{ID: key, RecordType: "outbound_voice_profile_usage", Day: s.Clock().UTC().Format("2006-01-02"),
		Posted: spend.Posted, Held: spend.Held, Overrun: spend.Overrun,
		DailySpendLimit: p.DailySpendLimit, DailySpendLimitEnabled: p.DailySpendLimitEnabled,
		ConcurrentCallLimit: p.ConcurrentCallLimit, SpendHold: viewHold(spend.Hold)}
	if p.DailySpendLimitEnabled && p.DailySpendLimit != nil {
		view.Remaining = remaining(*p.DailySpendLimit, &spend, s.today())
	}
	for _, call := range calls {
		if call.Lease.Profile == key && !call.Lease.Emergency {
			view.LiveCalls++
		}
	}
	return &rest.Response{Data: view}, nil
}
