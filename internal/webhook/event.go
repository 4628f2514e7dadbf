// Package webhook defines the events that are sent to customers: the endpoints, the
// events and their payloads, the signature, and when a delivery is tried again. What
// waits to be delivered is in an Outbox, which the store keeps; package deliver sends it.
//
// The body and the signature are Telnyx's, so that code written for their
// webhooks reads and verifies these. Deliveries happen at least once and in no
// promised order; receivers recognise repeats by the event's id.
package webhook

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
)

// The types of events. The list is closed; EventTypes has it in order.
const (
	CallInitiated            = "call.initiated"
	CallAnswered             = "call.answered"
	CallHangup               = "call.hangup"
	CallCost                 = "call.cost"
	CallRefused              = "call.refused"
	CallEnded                = "call.ended"
	CallEmergency            = "call.emergency"
	CallRecordingSaved       = "call.recording.saved"
	CallHangUpRequested      = "call.hangup_requested"
	ConnectionEmergencies    = "connection.emergency_calls"
	ProfileSpendThreshold    = "profile.spend_threshold"
	ProfileSpendLimitReached = "profile.spend_limit_reached"
	GroupSpendThreshold      = "billing_group.spend_threshold"
	GroupSpendLimitReached   = "billing_group.spend_limit_reached"
	AccountSpendThreshold    = "account.spend_threshold"
	AccountSpendLimitReached = "account.spend_limit_reached"
	SpendLimitThreshold      = "spend_limit.threshold"
	SpendLimitReached        = "spend_limit.reached"
	ConnectionSourceRefused  = "connection.source_refused"
	ConfigurationChanged     = "configuration.changed"
)

// EventType is a type of event and what it means, for the API's documents.
type EventType struct {
	Name    string
	Doc     string
	Payload any // an empty one, which has its fields
}

// EventTypes lists every type of event.
func EventTypes() []EventType {
	return []EventType{
		{CallInitiated, "A call was admitted. The payload is Telnyx's.", initiatedPayload{}},
		{CallAnswered, "A call was answered. The payload is Telnyx's.", answeredPayload{}},
		{CallHangup, "A call that was admitted has ended, answered or not. The payload is Telnyx's.",
			hangupPayload{}},
		{CallCost, "What a call that has ended costs. It is sent when the connection's call_cost_in_webhooks is " +
			"true. The payload is Telnyx's.", costPayload{}},
		{CallRefused, "A call was not admitted. The payload says why and by which limit.", refusedPayload{}},
		{CallEnded, "A call that was admitted has ended, answered or not. The payload has its duration and cost.",
			endedPayload{}},
		{CallEmergency, "A call to an emergency number was admitted. It is sent when the call starts.",
			callPayload{}},
		{CallRecordingSaved, "The recording of a call has been saved and can be fetched. It is sent after " +
			"call.ended.", recordingPayload{}},
		{CallHangUpRequested, "Somebody had a call of another switch hung up. The switch is to end the call at once; it gets no " +
			"longer grant.", hangupRequestedPayload{}},
		{ConnectionEmergencies, "A connection has started as many emergency calls on one UTC day as its " +
			"emergency_alert_calls says, or twice, four times, eight times as many.", emergencyAlertPayload{}},
		{ProfileSpendThreshold, "A profile's spend of the UTC day has passed 50, 80 or 95 percent of its daily " +
			"limit. Each is sent once a day.", spendPayload{}},
		{ProfileSpendLimitReached, "A profile's spend has reached its daily limit. It is sent once a day and limit.",
			spendPayload{}},
		{GroupSpendThreshold, "The spend of a billing group's profiles of the UTC day has passed 50, 80 or 95 " +
			"percent of the group's daily limit. Each is sent once a day.", spendPayload{}},
		{GroupSpendLimitReached, "The spend of a billing group has reached its daily limit. It is sent once a day " +
			"and limit.", spendPayload{}},
		{AccountSpendThreshold, "The spend of all profiles of the UTC day has passed 50, 80 or 95 percent of the " +
			"account's daily limit. Each is sent once a day.", spendPayload{}},
		{AccountSpendLimitReached, "The spend of the account has reached its daily limit. It is sent once a day and " +
			"limit.", spendPayload{}},
		{SpendLimitThreshold,
			"What a spend limit counts has passed 50, 80 or 95 percent of its amount. Each is sent once a " +
				"period.", limitPayload{}},
		{SpendLimitReached, "What a spend limit counts has reached its amount. It is sent once a period and amount.",
			limitPayload{}},
		{ConnectionSourceRefused, "The right password of a connection came from an address that is not in its " +
			"allowed_sources, so it may be known where it should not be. It is sent at most once a minute for each connection " +
			"by each server.", strayPayload{}},
		{ConfigurationChanged, "A profile, connection, rate deck or other resource was created, changed or deleted.",
			changePayload{}},
	}
}

// CallEvents lists the types of events that concern one call.
func CallEvents() []string {
	return []string{
		CallInitiated, CallAnswered, CallHangup, CallCost, CallRefused, CallEnded, CallEmergency, CallRecordingSaved,
		CallHangUpRequested,
	}
}

func knownEventType(name string) bool {
	for _, t := range EventTypes() {
		if t.Name == name {
			return true
		}
	}
	return false
}

// MaxPayloadBytes bounds an event's payload. The largest, a call with its route
// attempts, is some kilobytes.
const MaxPayloadBytes = 64 << 10

// Event is something that happened. It never changes.
type Event struct {
	ID           uuid.UUID      // version 7; the same in every attempt, endpoint and replay
	AccountID    id.ID          // whose event it is
	ConnectionID id.ID          // 0 when it concerns no single connection
	Type         string         // one of EventTypes
	OccurredAt   time.Time      // kept to the microsecond
	Payload      jsontext.Value // a JSON object of at most MaxPayloadBytes
}

// ErrBadEvent means that an event cannot be published. It is wrapped with why.
var ErrBadEvent = errors.New("event cannot be published")

// Validate reports whether the event can be published. Its errors wrap ErrBadEvent.
func (e *Event) Validate() error {
	switch {
	case e.ID.Version() != 7:
		return fmt.Errorf("%w: its id %s is not a version 7 UUID", ErrBadEvent, e.ID)
	case e.AccountID == 0:
		return fmt.Errorf("%w: it has no account", ErrBadEvent)
	case !knownEventType(e.Type):
		return fmt.Errorf("%w: unknown type %.64q", ErrBadEvent, e.Type)
	case e.OccurredAt.IsZero():
		return fmt.Errorf("%w: it has no time", ErrBadEvent)
	case len(e.Payload) > MaxPayloadBytes:
		return fmt.Errorf("%w: its payload has %d bytes, more than %d", ErrBadEvent, len(e.Payload), MaxPayloadBytes)
	case !e.Payload.IsValid() || e.Payload.Kind() != '{':
		return fmt.Errorf("%w: its payload is not a JSON object", ErrBadEvent)
	}
	return nil
}

// wireTime is the form of Telnyx's times.
const wireTime = "2006-01-02T15:04:05.000000Z"

type wireBody struct {
	Data wireData `json:"data"`
	Meta wireMeta `json:"meta"`
}

type wireData struct {
	EventType  string         `json:"event_type"`
	ID         uuid.UUID      `json:"id"`
	OccurredAt string         `json:"occurred_at"`
	Payload    jsontext.Value `json:"payload"`
	RecordType string         `json:"record_type"`
}

type wireMeta struct {
	Attempt     int    `json:"attempt"`
	DeliveredTo string `json:"delivered_to"`
}

// Body is the body of one attempt, numbered from 1, to deliver the event to an
// address. Source: Telnyx v2, webhook fundamentals.
func (e *Event) Body(attempt int, deliveredTo string) ([]byte, error) {
	body, err := json.Marshal(wireBody{
		Data: wireData{
			EventType: e.Type, ID: e.ID, OccurredAt: e.OccurredAt.UTC().Format(wireTime),
			Payload: e.Payload, RecordType: "event",
		},
		Meta: wireMeta{Attempt: attempt, DeliveredTo: deliveredTo},
	})
	if err != nil {
		return nil, fmt.Errorf("write event %s: %w", e.ID, err)
	}
	return body, nil
}
