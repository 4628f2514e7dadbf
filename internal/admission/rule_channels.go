package admission

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
)

// RuleChannels holds that the account, the profile and the connection have a channel left.
const RuleChannels Rule = 9

// The reasons of RuleChannels.
const (
	ReasonAccountChannels    Reason = 16
	ReasonProfileChannels    Reason = 17
	ReasonConnectionChannels Reason = 18
)

var channelsRule = rule{
	name:    "channels",
	needs:   needProfile,
	gather:  gatherChannels,
	judge:   judgeChannels,
	explain: explainChannels,
	code: func(c *coder, f *Facts) {
		ints(c, &f.AccountLive, &f.ProfileLive, &f.ConnectionLive, &f.AccountMax, &f.ProfileMax, &f.ConnectionMax)
	},
	reasons: []answer{
		{ReasonAccountChannels, "account_channel_limit", "D1", 403, "User channel limit exceeded",
			"Raise the account's channel limit, or wait for a call to end."},
		{ReasonProfileChannels, "profile_channel_limit", "D2", 403, "OB profile channel limit exceeded",
			"Raise the profile's concurrent_call_limit, or wait for a call to end."},
		{ReasonConnectionChannels, "connection_channel_limit", "D3", 403, "Connection channel limit exceeded",
			"Raise outbound.channel_limit on the connection, or wait for a call to end."},
	},
}

// ChannelFacts are how many calls are up, and how many may be.
type ChannelFacts struct {
	AccountLive, ProfileLive, ConnectionLive int32
	AccountMax, ProfileMax, ConnectionMax    int32 // policy.NoLimit for none
}

func gatherChannels(f *Facts, in *inquiry) {
	f.AccountMax = policy.NoLimit
	f.ProfileMax = policy.NoLimit
	f.ConnectionMax = in.caller.ChannelLimit
	if in.account != nil {
		f.AccountMax = in.account.ChannelLimit
	}
	if in.profile != nil {
		f.ProfileMax = in.profile.ChannelLimit
		f.AccountLive, f.ProfileLive, f.ConnectionLive = in.use.LiveCalls(f.Account, f.Profile, f.Connection)
	}
}

// liveIn is how many calls of an account, a profile or a connection are up.
func (f *Facts) liveIn(scope id.ID) int32 {
	switch scope {
	case f.Profile:
		return f.ProfileLive
	case f.Connection:
		return f.ConnectionLive
	}
	return f.AccountLive
}

func judgeChannels(f *Facts) Reason {
	switch {
	case f.AccountMax != policy.NoLimit && f.AccountLive >= f.AccountMax:
		return ReasonAccountChannels
	case f.ProfileMax != policy.NoLimit && f.ProfileLive >= f.ProfileMax:
		return ReasonProfileChannels
	case f.ConnectionMax != policy.NoLimit && f.ConnectionLive >= f.ConnectionMax:
		return ReasonConnectionChannels
	}
	return ReasonNone
}

func explainChannels(f *Facts) (seen, allowed string) {
	return fmt.Sprintf("account %d, profile %d, connection %d in use", f.AccountLive, f.ProfileLive, f.ConnectionLive),
		fmt.Sprintf("below account %s, profile %s, connection %s",
			limitText(f.AccountMax), limitText(f.ProfileMax), limitText(f.ConnectionMax))
}

func limitText(limit int32) string {
	if limit == policy.NoLimit {
		return "unlimited"
	}
	return fmt.Sprint(limit)
}
