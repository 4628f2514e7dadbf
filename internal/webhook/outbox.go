package webhook

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
)

// State is where a delivery is.
type State string

// The states. A delivery starts pending and ends in one of the others.
const (
	Pending   State = "pending"   // waits for its first or next attempt
	Delivered State = "delivered" // the endpoint answered 2xx
	Dead      State = "dead"      // given up
)

// Delivery is one event on its way to one endpoint, as it is claimed.
type Delivery struct {
	ID        uuid.UUID
	Endpoint  Endpoint // as it is at the time of the claim
	Event     Event
	Attempts  int       // attempts reported so far
	CreatedAt time.Time // its age counts from here
	// Claim is greater in every claim of the same delivery. It tells the claim
	// that is in force from one whose lease has ended.
	Claim int64
}

// MaxResponseBytes is how much of a response body is kept.
const MaxResponseBytes = 1 << 10

// Attempt is one try to deliver, for the delivery log and for what comes next.
type Attempt struct {
	DeliveryID uuid.UUID `json:"-"`
	Claim      int64     `json:"-"` // Delivery.Claim

	Number     int       `json:"attempt" doc:"The number of the attempt, from 1."`
	URL        string    `json:"delivered_to" doc:"Where the request was sent."`
	StartedAt  time.Time `json:"started_at"`
	DurationMs int64     `json:"duration_ms"`
	StatusCode int       `json:"status_code" doc:"The HTTP status of the answer; 0 when there was none."`
	Error      string    `json:"error" doc:"Why the attempt failed; empty when it did not."`
	Response   string    `json:"response" doc:"The start of the response body, at most 1 KiB."`

	State  State     `json:"-"` // of the delivery from now on
	NextAt time.Time `json:"-"` // when State is Pending: not before this
}

// EndedAt is when the answer had come, or when it was given up.
func (a *Attempt) EndedAt() time.Time {
	return a.StartedAt.Add(time.Duration(a.DurationMs) * time.Millisecond)
}

// Delivered reports whether the endpoint took the event.
func (a *Attempt) Delivered() bool {
	return a.StatusCode >= 200 && a.StatusCode <= 299 && a.Error == ""
}

// Headers of every request beside those of its signature.
const (
	ContentType = "application/json"
	UserAgent   = "Tollgate-Webhook/1"
)

// Header is one line of the header of an attempt's request.
type Header struct{ Name, Value string }

// Headers are the lines of the request of an attempt, for the log: the signature is
// masked, since with it the request could be made again.
func (a *Attempt) Headers(event uuid.UUID) []Header {
	return []Header{
		{"Content-Type", ContentType}, {"User-Agent", UserAgent}, {HeaderID, event.String()},
		{HeaderTimestamp, strconv.FormatInt(a.StartedAt.Unix(), 10)}, {HeaderSignature, "********"},
	}
}

// Entry is a delivery in the delivery log.
type Entry struct {
	ID         uuid.UUID `json:"id"`
	EndpointID id.ID     `json:"endpoint_id"`
	EventID    uuid.UUID `json:"event_id"`
	EventType  string    `json:"event_type"`
	State      State     `json:"state" enum:"pending,delivered,dead"`
	CreatedAt  time.Time `json:"created_at"`
	NextAt     time.Time `json:"next_attempt_at,omitzero" doc:"When the next attempt is due, while the delivery is pending."`
	// AttemptCount is how many attempts were made.
	AttemptCount int `json:"attempt_count"`

	// Payload, OccurredAt and Attempts are those of one entry that is read, and of lists
	// of what was attempted; others leave them out.
	Payload    jsontext.Value `json:"payload"`
	OccurredAt time.Time      `json:"-"` // of the event
	Attempts   []Attempt      `json:"attempts"`
}

// ClaimLimits bounds a claim.
type ClaimLimits struct {
	Lease       time.Duration // how long the claimed deliveries belong to the claimer
	Total       int           // how many deliveries at most
	PerEndpoint int           // how many leases an endpoint may have at once, old and new ones
}

// Errors of an Outbox and a Log. They are wrapped with what was tried.
var (
	// ErrLeaseLost: the claim is no longer in force, because its lease ended and
	// the delivery was claimed again, or was reported, released or deleted.
	ErrLeaseLost = errors.New("the lease of the delivery is lost")
	// ErrNotFound: the account has no such delivery, or its endpoint was deleted.
	ErrNotFound = errors.New("delivery not found")
)

// Outbox keeps what is to be delivered. Its methods may be called concurrently,
// by several processes on one storage, and are durable when they return nil.
// Times are kept to the microsecond at least. Package webhooktest has the tests
// that every implementation must pass.
type Outbox interface {
	// Publish stores an event and, for every endpoint that wants it, a pending
	// delivery due at now, and returns their ids. An event with an id that was
	// published before changes nothing and returns none. An event that does not
	// validate is an error that wraps ErrBadEvent.
	Publish(ctx context.Context, now time.Time, event Event) ([]uuid.UUID, error)

	// Claim leases pending deliveries that are due at now, those longest due
	// first, until now plus the lease. It leaves out deliveries that are leased
	// and those of disabled endpoints. A lease ends at its end, by Report, or by
	// Release; one that ends at its end leaves the delivery due, so that what a
	// dead process had claimed is delivered by another.
	//
	// next is the earliest instant after now at which a delivery of an enabled
	// endpoint becomes due or a lease ends; the zero time when there is none.
	// Deliveries that are due already and were left out because of the limits do
	// not count: they wait for a Report, a Release or the end of a lease.
	Claim(ctx context.Context, now time.Time, limits ClaimLimits) (claimed []Delivery, next time.Time, err error)

	// Report ends the lease of a claim, adds the attempt to the log and sets the
	// delivery's state. When the claim is not in force it changes nothing and
	// returns an error that wraps ErrLeaseLost. A lease past its end that no one
	// claimed since is still in force.
	Report(ctx context.Context, attempt Attempt) error

	// Release ends the lease of a claim that was not used: the delivery is as if
	// it had not been claimed. Errors are those of Report.
	Release(ctx context.Context, delivery uuid.UUID, claim int64) error
}

// Log shows deliveries to customers and repeats them. Every method works within
// one account; what another account has is not found.
type Log interface {
	// Entry returns a delivery with its attempts in order, or ErrNotFound.
	Entry(ctx context.Context, account id.ID, delivery uuid.UUID) (Entry, error)
	// Replay makes a new delivery of the same event to the same endpoint, due at
	// now, whether the old one was delivered or not, and returns it.
	Replay(ctx context.Context, now time.Time, account id.ID, delivery uuid.UUID) (Entry, error)
}
