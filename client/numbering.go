package client

import "time"

// NumberingPlanOverride is what the operator knows better than the built-in numbering
// plan about all numbers that begin with a prefix. It belongs to the server.
type NumberingPlanOverride struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// Why, for those who read it later.
	Comment string `json:"comment"`
	// ISO 3166-1 alpha-2 of where the numbers ring; null for what the built-in plan says.
	Country *string `json:"country"`
	// The most digits of a number, calling code included; null for what its country has.
	MaxDigits *int64 `json:"max_digits"`
	// The least digits of a number, calling code included; null for what its country has.
	MinDigits *int64 `json:"min_digits"`
	// What the numbers are, such as fixed_line; null for what the built-in plan says.
	NumberType *string `json:"number_type"`
	// The first digits of the numbers in E.164, without a plus.
	Prefix string `json:"prefix"`
	// Whether such numbers exist.
	Valid bool `json:"valid"`
	// From when the override holds; null for always.
	ValidFrom *time.Time `json:"valid_from"`
	// Until when it holds, itself not included; null for ever.
	ValidUntil *time.Time `json:"valid_until"`
	CreatedAt  time.Time  `json:"created_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

// NumberingPlanOverrideParams is what can be set of a NumberingPlanOverride.
type NumberingPlanOverrideParams struct {
	// Why, for those who read it later.
	Comment Field[string] `json:"comment,omitzero"`
	// ISO 3166-1 alpha-2 of where the numbers ring; null for what the built-in plan says.
	Country Field[string] `json:"country,omitzero"`
	// The most digits of a number, calling code included; null for what its country has.
	MaxDigits Field[int64] `json:"max_digits,omitzero"`
	// The least digits of a number, calling code included; null for what its country has.
	MinDigits Field[int64] `json:"min_digits,omitzero"`
	// What the numbers are, such as fixed_line; null for what the built-in plan says.
	NumberType Field[string] `json:"number_type,omitzero"`
	// The first digits of the numbers in E.164, without a plus.
	Prefix Field[string] `json:"prefix,omitzero"`
	// Whether such numbers exist.
	Valid Field[bool] `json:"valid,omitzero"`
	// From when the override holds; null for always.
	ValidFrom Field[time.Time] `json:"valid_from,omitzero"`
	// Until when it holds, itself not included; null for ever.
	ValidUntil Field[time.Time] `json:"valid_until,omitzero"`
}

// NumberingPlanOverrides are the operator's overrides of the numbering plan. Changing
// them takes a key with the scope admin.
func (c *Client) NumberingPlanOverrides() Resource[NumberingPlanOverride, NumberingPlanOverrideParams] {
	return resource[NumberingPlanOverride, NumberingPlanOverrideParams](c, "/tollgate/v1/numbering_plan_overrides")
}
