package record

import (
	"strconv"
	"strings"
)

// Why a call ended has two sets of words. A record keeps those of Telnyx's
// call.hangup, in lower case, and what a switch said. Detail records of Telnyx show
// the words of ITU-T Q.850 as FreeSWITCH writes them, which this file makes of them.

// q850 are FreeSWITCH's words with their Q.850 numbers, and with numbers of its own
// where Q.850 has none. Sources: ITU-T Q.850 table 1; FreeSWITCH, "Hangup Cause Code
// Table".
var q850 = map[string]int{
	"UNALLOCATED_NUMBER": 1, "NO_ROUTE_TRANSIT_NET": 2, "NO_ROUTE_DESTINATION": 3, "CHANNEL_UNACCEPTABLE": 6,
	"CALL_AWARDED_DELIVERED": 7, "NORMAL_CLEARING": 16, "USER_BUSY": 17, "NO_USER_RESPONSE": 18, "NO_ANSWER": 19,
	"SUBSCRIBER_ABSENT": 20, "CALL_REJECTED": 21, "NUMBER_CHANGED": 22, "REDIRECTION_TO_NEW_DESTINATION": 23,
	"EXCHANGE_ROUTING_ERROR": 25, "DESTINATION_OUT_OF_ORDER": 27, "INVALID_NUMBER_FORMAT": 28, "FACILITY_REJECTED": 29,
	"RESPONSE_TO_STATUS_ENQUIRY": 30, "NORMAL_UNSPECIFIED": 31, "NORMAL_CIRCUIT_CONGESTION": 34,
	"NETWORK_OUT_OF_ORDER": 38, "NORMAL_TEMPORARY_FAILURE": 41, "SWITCH_CONGESTION": 42, "ACCESS_INFO_DISCARDED": 43,
	"REQUESTED_CHAN_UNAVAIL": 44, "PRE_EMPTED": 45, "FACILITY_NOT_SUBSCRIBED": 50, "OUTGOING_CALL_BARRED": 52,
	"INCOMING_CALL_BARRED": 54, "BEARERCAPABILITY_NOTAUTH": 57, "BEARERCAPABILITY_NOTAVAIL": 58,
	"SERVICE_UNAVAILABLE": 63, "BEARERCAPABILITY_NOTIMPL": 65, "CHAN_NOT_IMPLEMENTED": 66, "FACILITY_NOT_IMPLEMENTED": 69,
	"SERVICE_NOT_IMPLEMENTED": 79, "INVALID_CALL_REFERENCE": 81, "INCOMPATIBLE_DESTINATION": 88,
	"INVALID_MSG_UNSPECIFIED": 95, "MANDATORY_IE_MISSING": 96, "MESSAGE_TYPE_NONEXIST": 97, "WRONG_MESSAGE": 98,
	"IE_NONEXIST": 99, "INVALID_IE_CONTENTS": 100, "WRONG_CALL_STATE": 101, "RECOVERY_ON_TIMER_EXPIRE": 102,
	"MANDATORY_IE_LENGTH_ERROR": 103, "PROTOCOL_ERROR": 111, "INTERWORKING": 127,
	"ORIGINATOR_CANCEL": 487, "CRASH": 500, "SYSTEM_SHUTDOWN": 501, "LOSE_RACE": 502, "MANAGER_REQUEST": 503,
	"BLIND_TRANSFER": 600, "ATTENDED_TRANSFER": 601, "ALLOTTED_TIMEOUT": 602, "USER_CHALLENGE": 603,
	"MEDIA_TIMEOUT": 604, "PICKED_OFF": 605, "USER_NOT_REGISTERED": 606, "PROGRESS_TIMEOUT": 607,
	"INVALID_GATEWAY": 608, "GATEWAY_DOWN": 609, "INVALID_URL": 610, "INVALID_PROFILE": 611, "NO_PICKUP": 612,
	"SRTP_READ_ERROR": 613, "BOWOUT": 614, "BUSY_EVERYWHERE": 615, "DECLINE": 616, "DOES_NOT_EXIST_ANYWHERE": 617,
	"NOT_ACCEPTABLE": 618, "UNWANTED": 619, "NO_IDENTITY": 620, "BAD_IDENTITY_INFO": 621,
	"UNSUPPORTED_CERTIFICATE": 622, "INVALID_IDENTITY": 623, "STALE_DATE": 624, "REJECT_ALL": 625,
}

// q850Words are the names of the causes that Q.850 itself has.
var q850Words = func() map[int]string {
	words := map[int]string{}
	for word, number := range q850 {
		if number <= 127 {
			words[number] = word
		}
	}
	return words
}()

// causeWords are Tollgate's own causes, and those of switches that have other words
// for the same, where they are not FreeSWITCH's words in lower case.
var causeWords = map[string]string{
	"time_limit":           "ALLOTTED_TIMEOUT",
	"no_ack":               "RECOVERY_ON_TIMER_EXPIRE",
	"lost_peer":            "RECOVERY_ON_TIMER_EXPIRE",
	"server_stopping":      "SYSTEM_SHUTDOWN",
	"store_unavailable":    "NORMAL_TEMPORARY_FAILURE",
	"lease_lost":           "NORMAL_TEMPORARY_FAILURE",
	"owner_lost":           "NORMAL_TEMPORARY_FAILURE",
	"switch_restarted":     "NORMAL_TEMPORARY_FAILURE",
	"resource_unavailable": "SWITCH_CONGESTION",
	"gateway_limit":        "NORMAL_CIRCUIT_CONGESTION",
	// Telnyx's call.hangup.
	"not_found": "UNALLOCATED_NUMBER",
	// Asterisk's names of Q.850 causes and of dial statuses.
	"unallocated":                    "UNALLOCATED_NUMBER",
	"normal_call_clearing":           "NORMAL_CLEARING",
	"normal":                         "NORMAL_CLEARING",
	"busy":                           "USER_BUSY",
	"user_alerting_no_answer":        "NO_ANSWER",
	"noanswer":                       "NO_ANSWER",
	"cancel":                         "ORIGINATOR_CANCEL",
	"canceled":                       "ORIGINATOR_CANCEL",
	"cancelled":                      "ORIGINATOR_CANCEL",
	"congestion":                     "NORMAL_CIRCUIT_CONGESTION",
	"circuit_congestion":             "NORMAL_CIRCUIT_CONGESTION",
	"switching_equipment_congestion": "SWITCH_CONGESTION",
	"chanunavail":                    "REQUESTED_CHAN_UNAVAIL",
	"requested_channel_unavailable":  "REQUESTED_CHAN_UNAVAIL",
	"rejected":                       "CALL_REJECTED",
	"dest_out_of_order":              "DESTINATION_OUT_OF_ORDER",
	"temporary_failure":              "NORMAL_TEMPORARY_FAILURE",
	"recovery_on_timer_expiry":       "RECOVERY_ON_TIMER_EXPIRE",
}

// statusWords are the causes of final SIP answers. Sources: RFC 3398 section 8.2.6.1
// and RFC 4497 section 8.4.4, in FreeSWITCH's words; 402, 480 and the later answers
// 607 and 608 as FreeSWITCH has them.
var statusWords = map[int32]string{
	400: "NORMAL_TEMPORARY_FAILURE", 401: "CALL_REJECTED", 402: "CALL_REJECTED", 403: "CALL_REJECTED",
	404: "UNALLOCATED_NUMBER", 405: "SERVICE_UNAVAILABLE", 406: "INCOMPATIBLE_DESTINATION", 407: "CALL_REJECTED",
	408: "RECOVERY_ON_TIMER_EXPIRE", 410: "NUMBER_CHANGED", 413: "INTERWORKING", 414: "INTERWORKING",
	415: "INCOMPATIBLE_DESTINATION", 416: "INTERWORKING", 420: "INTERWORKING", 421: "INTERWORKING",
	422: "INTERWORKING", 423: "INTERWORKING", 428: "NO_IDENTITY", 429: "BAD_IDENTITY_INFO",
	436: "BAD_IDENTITY_INFO", 437: "UNSUPPORTED_CERTIFICATE", 438: "INVALID_IDENTITY",
	480: "NO_USER_RESPONSE", 481: "NORMAL_TEMPORARY_FAILURE", 482: "EXCHANGE_ROUTING_ERROR",
	483: "EXCHANGE_ROUTING_ERROR", 484: "INVALID_NUMBER_FORMAT", 485: "UNALLOCATED_NUMBER", 486: "USER_BUSY",
	487: "ORIGINATOR_CANCEL", 488: "INCOMPATIBLE_DESTINATION", 491: "NORMAL_TEMPORARY_FAILURE",
	500: "NORMAL_TEMPORARY_FAILURE", 501: "SERVICE_NOT_IMPLEMENTED", 502: "NETWORK_OUT_OF_ORDER",
	503: "NORMAL_TEMPORARY_FAILURE", 504: "RECOVERY_ON_TIMER_EXPIRE", 505: "INTERWORKING", 513: "INTERWORKING",
	580: "NORMAL_TEMPORARY_FAILURE",
	600: "USER_BUSY", 603: "CALL_REJECTED", 604: "UNALLOCATED_NUMBER", 606: "INCOMPATIBLE_DESTINATION",
	607: "UNWANTED", 608: "CALL_REJECTED",
}

// CauseOf words the final response of a gateway, as call records keep it.
func CauseOf(status int) string {
	switch status {
	case 486, 600:
		return "user_busy"
	case 408, 480:
		return "no_answer"
	case 404, 410, 484, 604:
		return "unallocated_number"
	case 401, 402, 403, 407, 603:
		return "call_rejected"
	case 406, 415, 488, 606:
		return "incompatible_destination"
	case 487:
		return "originator_cancel"
	}
	if status >= 500 && status < 600 {
		return "network_out_of_order"
	}
	return "unspecified"
}

// statusWord is the cause of a final SIP answer: one of its hundred where it has no
// own.
func statusWord(status int32) string {
	if word, ok := statusWords[status]; ok {
		return word
	}
	switch status / 100 {
	case 2:
		return "NORMAL_CLEARING"
	case 3:
		return "REDIRECTION_TO_NEW_DESTINATION"
	case 5:
		return "NORMAL_TEMPORARY_FAILURE"
	}
	return "NORMAL_UNSPECIFIED"
}

// coarse are the causes that stand for several SIP answers, of which the answer
// itself says more.
var coarse = map[string]bool{
	"unallocated_number": true, "network_out_of_order": true, "unspecified": true,
	"incompatible_destination": true,
}

// HangupWord is why the call ended in the words of Q.850 as FreeSWITCH writes them.
// Every call has one. A word that a switch gave and that is none of them is kept, in
// capitals as they are.
func (c *Call) HangupWord() string {
	cause := strings.ToLower(c.HangupCause)
	switch {
	case cause == "":
		return c.wordOfOutcome()
	case cause == "no_answer" && c.SIPStatus == 408:
		return statusWord(408) // the carrier's timer, not the callee's phone
	case cause == "timeout" && c.AnsweredMicros == 0:
		return "NO_ANSWER"
	case cause == "timeout":
		return "RECOVERY_ON_TIMER_EXPIRE"
	case coarse[cause] && c.AnsweredMicros == 0 && c.SIPStatus >= 300:
		return statusWord(c.SIPStatus)
	case cause == "unspecified":
		return c.wordOfOutcome()
	}
	if word, ok := causeWords[cause]; ok {
		return word
	}
	if number, err := strconv.Atoi(cause); err == nil && q850Words[number] != "" {
		return q850Words[number]
	}
	return strings.ToUpper(cause)
}

// wordOfOutcome is the cause of a call that has none.
func (c *Call) wordOfOutcome() string {
	switch c.Outcome {
	case OutcomeAnswered:
		return "NORMAL_CLEARING"
	case OutcomeRefused:
		return "CALL_REJECTED"
	case OutcomeLost:
		return "NORMAL_TEMPORARY_FAILURE"
	case OutcomeCancelled:
		return "ORIGINATOR_CANCEL"
	}
	if c.SIPStatus >= 300 {
		return statusWord(c.SIPStatus)
	}
	return "NORMAL_UNSPECIFIED"
}

// HangupDetails is who had the call hung up through the API or, if no one did, how the
// caller's leg ended, in the words that FreeSWITCH has for it (sip_hangup_disposition); ""
// when that is not known.
func (c *Call) HangupDetails() string {
	switch {
	case c.HungUpBy != "":
		return c.HungUpBy
	case c.Outcome == OutcomeLost:
		return ""
	case c.Outcome == OutcomeCancelled:
		return "recv_cancel"
	case c.Outcome != OutcomeAnswered:
		return "send_refuse"
	case c.HangupSource == SideCaller:
		return "recv_bye"
	case c.HangupSource == SideUnknown:
		return ""
	}
	return "send_bye"
}

// IsHangupWord reports whether a word is one of Q.850's or FreeSWITCH's.
func IsHangupWord(word string) bool { return q850[word] != 0 }
