package api

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

// profileEffects is what a change of a profile would do to its calls. No change
// ends a call by itself; it is a new call like these that would be refused.
type profileEffects struct {
	LiveCalls        int32          `json:"live_calls" doc:"Calls of the profile that are up or ringing now, without emergency calls."`
	BeyondLimit      int32          `json:"live_calls_beyond_limit" doc:"How many of them are more than the changed concurrent_call_limit allows. They go on; none is let in until they have ended."`
	NoLongerAdmitted int32          `json:"live_calls_no_longer_admitted" doc:"How many of them are to a number, at a price or at a time of day that is allowed now and would not be after the change, or would find the day's limit spent."`
	Reasons          []reasonEffect `json:"reasons" doc:"Why, by the reason of the refusal."`
}

type reasonEffect struct {
	Reason string `json:"reason"`
	Calls  int32  `json:"calls"`
}

// profileEffect compares the decision on each live call as the policy is with the
// one as it would be. Channels are left out of both: they are counted for all
// calls together.
func (s *server) profileEffect(ctx context.Context, account id.ID, p *profile.Profile, gone bool) (any, error) {
	calls, err := s.Calls.LiveCalls(ctx, account)
	if err != nil {
		return nil, err
	}
	before := s.Live.Snapshot()
	change := policy.PutProfile(p)
	if gone {
		change = policy.DropProfile(p.ID)
	}
	after, err := before.With(change)
	if err != nil {
		return nil, fmt.Errorf("imagine profile %s: %w", p.ID, err)
	}
	now := s.Clock()
	effects := profileEffects{Reasons: []reasonEffect{}}
	counts := map[string]int32{}
	use := &usage{day: record.DayOf(now.UnixMicro())}
	for i := range calls {
		l := &calls[i].Lease
		if l.Profile != p.ID || l.Emergency {
			continue
		}
		known := before.Profile(p.ID)
		if effects.LiveCalls == 0 && known != nil { // only a profile that exists has calls, and spend
			payer := admission.PayerOf(account, known.ID, l.Connection, known.BillingGroup)
			if use.spends, err = s.readSpends(ctx, before, payer); err != nil {
				return nil, err
			}
			if use.limits, err = s.readLimits(ctx, before, account); err != nil {
				return nil, err
			}
		}
		effects.LiveCalls++
		decided, err := admission.DecodeDecision(l.Decision)
		if err != nil {
			return nil, fmt.Errorf("read the decision on call %s: %w", l.ID, err)
		}
		call := &admission.Call{
			Connection: l.Connection, Identity: policy.IdentityKnown, From: decided.Facts.From, To: decided.Facts.To,
		}
		if c := after.Connection(l.Connection); c != nil {
			call.Source = c.AnySource()
		}
		if d := admission.Decide(after, call, use, now); !d.Allow && admission.Decide(before, call, use, now).Allow {
			effects.NoLongerAdmitted++
			counts[d.Reason.String()]++
		}
	}
	if !gone && p.ConcurrentCallLimit != nil {
		effects.BeyondLimit = max(0, effects.LiveCalls-*p.ConcurrentCallLimit)
	}
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		effects.Reasons = append(effects.Reasons, reasonEffect{reason, counts[reason]})
	}
	return effects, nil
}
