package routing

import "time"

// State reports whether calls go to a gateway.
type State string

// The states.
const (
	StateUp           State = "up"           // it has answered recently, or no failure is known
	StateDown         State = "down"         // it does not answer OPTIONS
	StateTripped      State = "tripped"      // calls to it were not answered; a call will try it again
	StateResting      State = "resting"      // it asked to be left alone (503 with Retry-After) for several prefixes
	StateUnregistered State = "unregistered" // its registration is not in force
	StateDisabled     State = "disabled"
	StateForbidden    State = "forbidden" // this server does not send to its address
)

// Health is what one server has observed of a gateway since it started.
type Health struct {
	State State     `json:"state" readOnly:"true" enum:"up,down,tripped,resting,unregistered,disabled,forbidden"`
	Since time.Time `json:"since" readOnly:"true" doc:"Since when it is in this state."`
	// Until is when a gateway that is tripped or resting is tried again.
	Until *time.Time `json:"until" readOnly:"true" doc:"When a gateway that is tripped or resting is tried again."`
	// Detail is why a gateway is forbidden.
	Detail    *string `json:"detail" readOnly:"true" doc:"Why a gateway is forbidden: where its address leads, and which setting allows that, if any; null in other states."`
	LiveCalls int32   `json:"live_calls" readOnly:"true" doc:"Calls of this server that are being set up or are established there."`
	Failures  int32   `json:"failures" readOnly:"true" doc:"Consecutive calls that it did not respond to at all."`
	// RestingPrefixes are the routes that the gateway asked to leave alone.
	RestingPrefixes []string `json:"resting_prefixes" readOnly:"true" doc:"To which prefixes no calls are sent there for now, because it answered one with 503 and Retry-After."`
	// The last OPTIONS.
	OptionsAt     *time.Time `json:"options_at" readOnly:"true" doc:"When it last answered OPTIONS."`
	OptionsMicros int64      `json:"options_us" readOnly:"true" doc:"How long that took, in microseconds."`
	// The registration.
	RegisteredUntil *time.Time `json:"registered_until" readOnly:"true"`
	RegisterStatus  int32      `json:"register_status" readOnly:"true" doc:"The SIP status of the last answer to REGISTER; 0 before, and 408 when none came."`
}
