package webhook

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
)

// Endpoint is an address of a customer to which events are sent.
// Source: Tollgate's own; the fields are those of Telnyx's connections
// (webhook_event_url, webhook_event_failover_url, webhook_timeout_secs).
type Endpoint struct {
	collection.Head[id.ID]

	ConnectionID id.ID    `json:"connection_id" doc:"Only events of this connection are sent; null means those of the whole account."`
	URL          string   `json:"url" minLength:"1" maxLength:"2000" doc:"Where events are sent. It must start with https://, and must not resolve to a private address unless the server allows that. Redirects are not followed."`
	FailoverURL  string   `json:"failover_url" maxLength:"2000" doc:"Where an event is sent at once when sending it to url fails; empty means nowhere."`
	Events       []string `json:"events" maxItems:"20" title:"EventType" enum:"call.initiated,call.answered,call.hangup,call.cost,call.refused,call.ended,call.emergency,call.recording.saved,call.hangup_requested,connection.emergency_calls,profile.spend_threshold,profile.spend_limit_reached,billing_group.spend_threshold,billing_group.spend_limit_reached,account.spend_threshold,account.spend_limit_reached,spend_limit.threshold,spend_limit.reached,connection.source_refused,configuration.changed" doc:"The types of events that are sent; an empty list means all."`
	Enabled      bool     `json:"enabled" doc:"Whether events are sent. What happens while an endpoint is disabled is not sent later; what was waiting then is."`
	TimeoutSecs  int32    `json:"timeout_secs" minimum:"1" maximum:"30" doc:"How long an attempt may take until the answer, in seconds."`

	collection.Times
}

// Bounds of Endpoint.TimeoutSecs. The maximum is Telnyx's.
const (
	defaultTimeoutSecs = 10
	maxTimeoutSecs     = 30
)

// NewEndpoint returns an endpoint with every default of the API, which a request
// then overrides.
func NewEndpoint() Endpoint {
	return Endpoint{Events: []string{}, Enabled: true, TimeoutSecs: defaultTimeoutSecs}
}

// Wants reports whether the endpoint is to be told of an event.
func (e *Endpoint) Wants(event *Event) bool {
	return e.Enabled && e.AccountID == event.AccountID &&
		(e.ConnectionID == 0 || e.ConnectionID == event.ConnectionID) &&
		(len(e.Events) == 0 || slices.Contains(e.Events, event.Type))
}

// Target is where the next attempt goes after a number of attempts.
func (e *Endpoint) Target(attempts int) string {
	if e.FailoverURL != "" && attempts%2 == 1 {
		return e.FailoverURL
	}
	return e.URL
}

// Timeout is how long one attempt may take.
func (e *Endpoint) Timeout() time.Duration {
	if e.TimeoutSecs < 1 {
		return defaultTimeoutSecs * time.Second
	}
	return time.Duration(min(e.TimeoutSecs, maxTimeoutSecs)) * time.Second
}

// Validate says everything that is wrong with the endpoint's values beyond what
// the tags of its fields already say and whatever the server's settings are.
// deliver.Client.Validate says what the settings forbid.
func (e *Endpoint) Validate() []field.Error {
	var errs []field.Error
	if e.URL == "" {
		errs = append(errs, field.Error{Pointer: "/url", Code: field.Missing,
			Detail: "Give the address that events are sent to, such as \"https://example.com/hook\"."})
	} else if _, err := ParseURL(e.URL); err != nil {
		errs = append(errs, field.Error{Pointer: "/url", Code: field.Malformed, Detail: err.Error()})
	}
	if e.FailoverURL != "" {
		if _, err := ParseURL(e.FailoverURL); err != nil {
			errs = append(errs, field.Error{Pointer: "/failover_url", Code: field.Malformed, Detail: err.Error()})
		}
	}
	for i, name := range e.Events {
		if !knownEventType(name) {
			errs = append(errs, field.Error{Pointer: "/events/" + strconv.Itoa(i), Code: field.NotListed,
				Detail: fmt.Sprintf("%.64q is not a type of event. Known are %s.", name, eventTypeList())})
		}
	}
	return errs
}

func eventTypeList() string {
	var names []string
	for _, t := range EventTypes() {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}
