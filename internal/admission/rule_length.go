package admission

import (
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/policy"
)

// RuleLength holds that a call lasts at most the least of what the server, the profile and the
// connection say. It refuses no call. It is the end of its grants, so it holds for
// the calls of the SIP gateway and of other switches alike, and stays as it was when
// the call was admitted.
const RuleLength Rule = 13

// ReasonCallLength is why a call was ended that had lasted as long as it may.
const ReasonCallLength Reason = 41

var lengthRule = rule{
	name:    "max_call_secs",
	needs:   needConnection,
	gather:  gatherLength,
	explain: explainLength,
	code: func(c *coder, f *Facts) {
		ints(c, &f.Length.ServerSecs, &f.Length.ProfileSecs, &f.Length.ConnectionSecs)
	},
	reasons: []answer{
		{ReasonCallLength, "max_call_secs", "TG25", 403, "Maximum length of a call reached",
			"Raise max_call_secs of the profile or the connection, or the server's --max-call."},
	},
	first: func(f *Facts, r room) room {
		if most := f.MaxSecs(); most > 0 {
			r.mostSecs = min(r.mostSecs, most)
		}
		return r
	},
	next: func(_ *State, _ *policy.Snapshot, l *Lease, r room) room {
		if l.MaxSecs > 0 {
			r.mostSecs = min(r.mostSecs, int64(l.MaxSecs)-l.GrantedSecs)
		}
		return r
	},
}

// LengthFacts are the limits of a call's length in seconds; 0 is no limit.
type LengthFacts struct{ ServerSecs, ProfileSecs, ConnectionSecs int64 }

func gatherLength(f *Facts, in *inquiry) {
	f.Length.ServerSecs = in.call.MaxSecs
	f.Length.ConnectionSecs = WholeSecs(in.caller.MaxCall)
	if in.profile != nil {
		f.Length.ProfileSecs = WholeSecs(in.profile.MaxCall)
	}
}

// WholeSecs is a limit of length in whole seconds, at least one; 0 stays no limit.
func WholeSecs(most time.Duration) int64 {
	if most <= 0 {
		return 0
	}
	return max(1, int64(most/time.Second))
}

// MaxSecs is how long the call may last at most, or 0 for no limit.
func (f *Facts) MaxSecs() (least int64) {
	if f.Emergency {
		return 0
	}
	for _, most := range [...]int64{f.Length.ServerSecs, f.Length.ProfileSecs, f.Length.ConnectionSecs} {
		if most > 0 && (least == 0 || most < least) {
			least = most
		}
	}
	return least
}

// AllowedSecs is how long after its answer the call may last as of now. What is held
// for it may reach further, since increments are paid whole.
func (l *Lease) AllowedSecs() int64 {
	if l.MaxSecs > 0 {
		return min(l.GrantedSecs, int64(l.MaxSecs))
	}
	return l.GrantedSecs
}

// grant puts into a result how long the call may last.
func (l *Lease) grant(r Result) Result {
	r.GrantedSecs = l.AllowedSecs()
	r.MaxSecs = int64(l.MaxSecs)
	r.HungUp = l.HungUpMicros != 0
	return r
}

func explainLength(f *Facts) (seen, allowed string) {
	seen = "a call of any length"
	if most := f.MaxSecs(); most > 0 {
		seen = fmt.Sprintf("a call that ends after %d s at most", most)
	}
	text := func(secs int64) string {
		if secs == 0 {
			return "unlimited"
		}
		return fmt.Sprintf("%d s", secs)
	}
	return seen, fmt.Sprintf("server %s, profile %s, connection %s",
		text(f.Length.ServerSecs), text(f.Length.ProfileSecs), text(f.Length.ConnectionSecs))
}
