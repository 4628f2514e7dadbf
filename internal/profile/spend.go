package profile

import (
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/money"
)

// SpendLimit is a daily limit of what the calls of a billing group or an account
// may cost together. A profile has the same fields of its own.
type SpendLimit struct {
	// the most that the calls of all its profiles may cost together in a UTC day; null means no limit. Refused with TG7
	DailySpendLimit *money.Amount `json:"daily_spend_limit" doc:"Tollgate's own: the most that the calls of all its profiles may cost together in a UTC day, in USD, as a decimal string."`
	// whether it is enforced
	DailySpendLimitEnabled bool `json:"daily_spend_limit_enabled" doc:"Tollgate's own: whether daily_spend_limit is enforced."`
	// as of a profile
	SpendLimitAction string `json:"spend_limit_action" enum:"block_new_calls,end_calls" doc:"Tollgate's own: what happens to calls in progress at the daily limit."`
	// as of a profile; released by `POST /tollgate/v1/billing_groups/{id}/release`
	AfterLimit string `json:"after_limit" enum:"resume_at_reset,hold_until_released" doc:"Tollgate's own: whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls until it is released."`
}

// NewSpendLimit returns the defaults: no limit.
func NewSpendLimit() SpendLimit {
	return SpendLimit{SpendLimitAction: BlockNewCalls, AfterLimit: ResumeAtReset}
}

// Limit is the profile's own limit.
func (p *Profile) Limit() *SpendLimit {
	return &SpendLimit{DailySpendLimit: p.DailySpendLimit, DailySpendLimitEnabled: p.DailySpendLimitEnabled,
		SpendLimitAction: p.SpendLimitAction, AfterLimit: p.AfterLimit}
}

// Limits reports whether a limit is in force.
func (l *SpendLimit) Limits() bool { return l.DailySpendLimitEnabled && l.DailySpendLimit != nil }

// Validate returns the problems of the limit.
func (l *SpendLimit) Validate() []field.Error {
	if l.DailySpendLimitEnabled && l.DailySpendLimit == nil {
		return []field.Error{missingLimit()}
	}
	return nil
}

func missingLimit() field.Error {
	return field.Error{Pointer: "/daily_spend_limit", Code: field.Missing,
		Detail: "daily_spend_limit_enabled is true, which without a daily_spend_limit limits nothing. " +
			"Give a limit such as \"100.00\", or disable it."}
}
