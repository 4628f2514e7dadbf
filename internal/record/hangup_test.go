package record

import "testing"

func TestHangupWords(t *testing.T) {
	const answered = 1
	for _, c := range []struct {
		name string
		call Call
		want string
	}{
		{"answered without a cause", Call{Outcome: OutcomeAnswered, AnsweredMicros: answered, SIPStatus: 200},
			"NORMAL_CLEARING"},
		{"answered, cause unknown", Call{Outcome: OutcomeAnswered, AnsweredMicros: answered, HangupCause: "unspecified"},
			"NORMAL_CLEARING"},
		{"a switch's status of an answered call", Call{Outcome: OutcomeAnswered, AnsweredMicros: answered, SIPStatus: 486},
			"NORMAL_CLEARING"},
		{"money ended", Call{Outcome: OutcomeAnswered, AnsweredMicros: answered, SIPStatus: 200, HangupCause: "time_limit"},
			"ALLOTTED_TIMEOUT"},
		{"no audio", Call{Outcome: OutcomeAnswered, AnsweredMicros: answered, HangupCause: "media_timeout"}, "MEDIA_TIMEOUT"},
		{"the peer fell silent", Call{Outcome: OutcomeAnswered, AnsweredMicros: answered, HangupCause: "lost_peer"},
			"RECOVERY_ON_TIMER_EXPIRE"},
		{"refused", Call{Outcome: OutcomeRefused, SIPStatus: 404, HangupCause: "call_rejected"}, "CALL_REJECTED"},
		{"refused without a cause", Call{Outcome: OutcomeRefused, SIPStatus: 503}, "CALL_REJECTED"},
		{"cancelled", Call{Outcome: OutcomeCancelled, SIPStatus: 487, HangupCause: "originator_cancel"}, "ORIGINATOR_CANCEL"},
		{"lost", Call{Outcome: OutcomeLost, AnsweredMicros: answered, HangupCause: "owner_lost"}, "NORMAL_TEMPORARY_FAILURE"},
		{"busy", Call{Outcome: OutcomeFailed, SIPStatus: 486, HangupCause: "user_busy"}, "USER_BUSY"},
		{"not answered in time", Call{Outcome: OutcomeFailed, SIPStatus: 480, HangupCause: "no_answer"}, "NO_ANSWER"},
		{"the carrier's timer", Call{Outcome: OutcomeFailed, SIPStatus: 408, HangupCause: "no_answer"},
			"RECOVERY_ON_TIMER_EXPIRE"},
		{"no such number", Call{Outcome: OutcomeFailed, SIPStatus: 404, HangupCause: "unallocated_number"},
			"UNALLOCATED_NUMBER"},
		{"number changed", Call{Outcome: OutcomeFailed, SIPStatus: 410, HangupCause: "unallocated_number"}, "NUMBER_CHANGED"},
		{"number too short", Call{Outcome: OutcomeFailed, SIPStatus: 484, HangupCause: "unallocated_number"},
			"INVALID_NUMBER_FORMAT"},
		{"declined", Call{Outcome: OutcomeFailed, SIPStatus: 603, HangupCause: "call_rejected"}, "CALL_REJECTED"},
		{"unwanted", Call{Outcome: OutcomeFailed, SIPStatus: 607, HangupCause: "unspecified"}, "UNWANTED"},
		{"carrier unavailable", Call{Outcome: OutcomeFailed, SIPStatus: 503, HangupCause: "network_out_of_order"},
			"NORMAL_TEMPORARY_FAILURE"},
		{"bad gateway", Call{Outcome: OutcomeFailed, SIPStatus: 502, HangupCause: "network_out_of_order"},
			"NETWORK_OUT_OF_ORDER"},
		{"no carrier", Call{Outcome: OutcomeFailed, SIPStatus: 503, HangupCause: "no_route_destination"},
			"NO_ROUTE_DESTINATION"},
		{"carriers down", Call{Outcome: OutcomeFailed, SIPStatus: 503, HangupCause: "gateway_down"}, "GATEWAY_DOWN"},
		{"a status of no table", Call{Outcome: OutcomeFailed, SIPStatus: 499}, "NORMAL_UNSPECIFIED"},
		{"failed, and nothing is known", Call{Outcome: OutcomeFailed}, "NORMAL_UNSPECIFIED"},
		{"a switch's number of Q.850", Call{Outcome: OutcomeFailed, HangupCause: "17"}, "USER_BUSY"},
		{"Asterisk's word", Call{Outcome: OutcomeFailed, HangupCause: "chanunavail"}, "REQUESTED_CHAN_UNAVAIL"},
		{"FreeSWITCH's word", Call{Outcome: OutcomeAnswered, AnsweredMicros: answered, HangupCause: "blind_transfer"},
			"BLIND_TRANSFER"},
		{"a word of its own", Call{Outcome: OutcomeFailed, SIPStatus: 480, HangupCause: "agent_went_home"},
			"AGENT_WENT_HOME"},
		{"a number that Q.850 has not", Call{Outcome: OutcomeFailed, HangupCause: "126"}, "126"},
		{"ringing for too long", Call{Outcome: OutcomeFailed, HangupCause: "timeout"}, "NO_ANSWER"},
	} {
		if got := c.call.HangupWord(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Whatever is in a record, it has a word that is one of Q.850's or FreeSWITCH's.
func TestEveryCallHasAHangupWord(t *testing.T) {
	causes := []string{"", "unspecified", "no_answer", "timeout"}
	for cause := range causeWords {
		causes = append(causes, cause)
	}
	for cause := range coarse {
		causes = append(causes, cause)
	}
	for outcome := OutcomeRefused; outcome <= OutcomeLost; outcome++ {
		for _, cause := range causes {
			for status := range int32(700) {
				r := Call{Outcome: outcome, HangupCause: cause, SIPStatus: status}
				if outcome == OutcomeAnswered || outcome == OutcomeLost && status%2 == 0 {
					r.AnsweredMicros = 1
				}
				if word := r.HangupWord(); q850[word] == 0 {
					t.Fatalf("%s, %q, %d: %q", outcome, cause, status, word)
				}
			}
		}
	}
}

func TestHangupDetails(t *testing.T) {
	for want, r := range map[string]Call{
		"recv_bye":    {Outcome: OutcomeAnswered, HangupSource: SideCaller},
		"send_bye":    {Outcome: OutcomeAnswered, HangupSource: SideTollgate},
		"recv_cancel": {Outcome: OutcomeCancelled, HangupSource: SideCaller},
		"send_refuse": {Outcome: OutcomeRefused, HangupSource: SideTollgate},
		"":            {Outcome: OutcomeLost},
	} {
		if got := r.HangupDetails(); got != want {
			t.Errorf("%s, ended by %s: %q, want %q", r.Outcome, r.HangupSource, got, want)
		}
	}
}
