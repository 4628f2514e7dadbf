package call

import "github.com/tollgate/tollgate/internal/admission"

// The hangup causes of call records, named as in ITU-T Q.850 where it has the cause.
const (
	CauseNormal        = "normal_clearing"
	CauseCancel        = "originator_cancel"
	CauseTimeLimit     = "time_limit"
	CauseNoAck         = "no_ack"
	CauseLostPeer      = "lost_peer"
	CauseStopping      = "server_stopping"
	CauseStore         = "store_unavailable"
	CauseLease         = "lease_lost"
	CauseBusy          = "user_busy"
	CauseNoAnswer      = "no_answer"
	CauseUnallocated   = "unallocated_number"
	CauseRejected      = "call_rejected"
	CauseIncompatible  = "incompatible_destination"
	CauseNoGateway     = "no_route_destination"
	CauseGatewayFailed = "network_out_of_order"
	CauseNoResource    = "resource_unavailable"
	CauseMediaTimeout  = "media_timeout"
	CauseGatewayDown   = "gateway_down"
	CauseGatewayLimit  = "gateway_limit"
	CauseUnspecified   = "unspecified"
)

// ownCause words a refusal of Tollgate's own.
func ownCause(why admission.Reason) string {
	switch why {
	case admission.ReasonNoGateway:
		return CauseNoGateway
	case admission.ReasonGatewaysDown:
		return CauseGatewayDown
	case admission.ReasonGatewayLimit:
		return CauseGatewayLimit
	case admission.ReasonStoreUnavailable:
		return CauseStore
	case admission.ReasonStopping:
		return CauseStopping
	case admission.ReasonHungUp:
		return CauseNormal
	}
	return CauseRejected
}

// outward returns the response to the caller when the last gateway failed with
// status: nothing that would make the caller redirect, authenticate or pay, and nothing
// that is about the form of our own INVITE.
func outward(status int, phrase string) (int, string) {
	switch status {
	case 401, 402, 405, 407, 420, 421, 422, 423, 481, 493, 494:
		return 502, "Bad Gateway"
	}
	if status < 400 {
		return 502, "Bad Gateway"
	}
	return status, phrase
}
