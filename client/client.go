// Package client calls the API of a Tollgate server.
//
// Each resource of the API is a method of Client, and each of its operations a method of
// what that returns: Profiles().Create makes an outbound voice profile. They are generated
// from the server's table of operations, as are their types.
//
// Every method takes a context first, and its errors are of type *Error when the
// server has answered. Reads are tried again when the server or the network
// fails for a moment. Writes are not, since a write without an answer may have
// been carried out, except when the server says that it has not looked at them, or
// with an IdempotencyKey.
//
// Texts of JSON stay texts: amounts are Decimal, numbers with digits that count
// are Number, and nothing goes through a float.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

//go:generate go run ../internal/clientgen .

// Client calls one server with one key. It is safe for concurrent use.
type Client struct {
	base     *url.URL
	key      string
	http     *http.Client
	attempts int
	agent    string
}

// Limits of a client.
const (
	// DefaultAttempts is how often a read is tried.
	DefaultAttempts = 3
	// DefaultTimeout bounds one attempt, from its start to the end of its answer. An
	// HTTP client of one's own has its own bound.
	DefaultTimeout = 30 * time.Second
	// maxAnswer is above the largest page of the API.
	maxAnswer = 64 << 20
	// firstWait is before the second attempt; each wait doubles.
	firstWait = 100 * time.Millisecond
	// maxWait bounds what a Retry-After header may ask for.
	maxWait = 30 * time.Second
)

// Option changes how a client works.
type Option func(*Client)

// WithHTTPClient has requests made by another HTTP client, such as one with a
// proxy or a certificate of its own. It must not be nil.
func WithHTTPClient(h *http.Client) Option { return func(c *Client) { c.http = h } }

// WithAttempts sets how often a read is tried, at least once.
func WithAttempts(n int) Option { return func(c *Client) { c.attempts = max(1, n) } }

// WithUserAgent names the program in the requests' User-Agent header.
func WithUserAgent(name string) Option { return func(c *Client) { c.agent = name } }

// New returns a client of the server at an address such as
// "https://tollgate.example.com", with an API key.
func New(address, key string, options ...Option) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil {
		return nil, fmt.Errorf("address of the server: %w", err)
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.User != nil {
		return nil, fmt.Errorf("address of the server: %q is not a plain http or https address", base.Redacted())
	}
	if key == "" {
		return nil, errors.New("an API key is needed")
	}
	c := &Client{
		base: base, key: key, http: &http.Client{Timeout: DefaultTimeout},
		attempts: DefaultAttempts, agent: "tollgate-go",
	}
	for _, option := range options {
		option(c)
	}
	return c, nil
}

// call is one request and where its answer goes.
type call struct {
	method, path string
	query        any         // a struct with tags, or nil
	fixed        url.Values  // of the query
	body         any         // of JSON, or nil
	csv          io.Reader   // instead of body
	header       http.Header // besides those of every request
	safe         bool        // may be repeated whatever happened

	values url.Values // the query
	into   any        // the envelope
	raw    io.Writer  // instead of into
	etag   *string    // where the tag of the answer goes; nil for nowhere

	effects any // where a dry run says what would happen; nil for nowhere
}

// prepare takes the options of a call and writes its query.
func (r *call) prepare(options []CallOption) {
	r.values = valuesOf(r.query)
	maps.Copy(r.values, r.fixed)
	if p, ok := r.body.(interface{ complete() any }); ok {
		r.body = p.complete()
	}
	if p, ok := r.body.(interface{ repeatable() bool }); ok {
		r.safe = p.repeatable()
	}
	for _, option := range options {
		option(r)
	}
}

func (c *Client) do(ctx context.Context, r *call) error {
	var text []byte
	if r.body != nil {
		var err error
		if text, err = json.Marshal(r.body, json.Deterministic(true)); err != nil {
			return fmt.Errorf("%s %s: encode the request: %w", r.method, r.path, err)
		}
	}
	for attempt := 1; ; attempt++ {
		err := c.try(ctx, r, text)
		if err == nil {
			return nil
		}
		wait, again := c.waitBefore(r, attempt, err)
		if !again || ctx.Err() != nil {
			return fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s %s: %w", r.method, r.path, errors.Join(err, ctx.Err()))
		case <-timer.C:
		}
	}
}

// waitBefore reports whether to try again after an error, and when. A server that
// answers 429 has not looked at the request, so that writes may be repeated too.
func (c *Client) waitBefore(r *call, attempt int, err error) (wait time.Duration, again bool) {
	if attempt >= c.attempts || r.csv != nil {
		return 0, false
	}
	answered := &Error{}
	if errors.As(err, &answered) {
		switch answered.Status {
		case http.StatusTooManyRequests:
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			if !r.safe {
				return 0, false
			}
		default:
			return 0, false
		}
		if answered.RetryAfter > 0 {
			return min(answered.RetryAfter, maxWait), true
		}
	} else if !r.safe || errors.Is(err, errAnswer) {
		return 0, false
	}
	// Half of the wait is drawn, so that clients do not come back all at once.
	wait = min(firstWait<<(attempt-1), maxWait)
	return wait/2 + rand.N(wait/2), true
}

// errAnswer means that the answer is not one of this API.
var errAnswer = errors.New("the answer is not one of a Tollgate")

func (c *Client) try(ctx context.Context, r *call, text []byte) error {
	request, err := c.request(ctx, r, text)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch {
	case len(got) > maxAnswer:
		return fmt.Errorf("%w: it is larger than %d bytes", errAnswer, maxAnswer)
	case answer.StatusCode >= http.StatusBadRequest:
		return failure(answer, got)
	case answer.Header.Get(ignoredParameters) != "":
		return passedOver(answer)
	}
	if r.etag != nil {
		*r.etag = answer.Header.Get("ETag")
	}
	if r.raw != nil {
		_, err := r.raw.Write(got)
		return err
	}
	if err := json.Unmarshal(got, r.into); err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	return nil
}

// request is what is sent in one attempt.
func (c *Client) request(ctx context.Context, r *call, text []byte) (*http.Request, error) {
	// The path is encoded already: ids are escaped by their callers.
	target := c.base.String() + r.path
	if len(r.values) > 0 {
		target += "?" + r.values.Encode()
	}
	var body io.Reader = http.NoBody
	kind := ""
	switch {
	case r.csv != nil:
		body, kind = r.csv, "text/csv"
	case text != nil:
		body, kind = bytes.NewReader(text), "application/json"
	}
	request, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	maps.Copy(request.Header, r.header)
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", c.agent)
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	return request, nil
}

// retryAfter is the header's number of seconds; 0 if there is none.
func retryAfter(h http.Header) time.Duration {
	secs, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || secs < 0 {
		return 0
	}
	return time.Duration(min(secs, int(maxWait/time.Second))) * time.Second
}

// object is the envelope of one object.
type object[T any] struct {
	Data T `json:"data"`
	Meta struct {
		DryRun jsontext.Value `json:"dry_run"`
	} `json:"meta"`
}

// one makes a request whose answer is one object.
func one[T any](ctx context.Context, c *Client, r call, options []CallOption) (T, error) {
	var envelope object[T]
	r.into = &envelope
	r.prepare(options)
	err := c.do(ctx, &r)
	if err == nil && r.effects != nil && envelope.Meta.DryRun != nil {
		err = json.Unmarshal(envelope.Meta.DryRun, r.effects)
	}
	return envelope.Data, err
}

// bare makes a request whose answer has no envelope.
func bare[T any](ctx context.Context, c *Client, r call, options []CallOption) (T, error) {
	var answer T
	r.into = &answer
	r.prepare(options)
	err := c.do(ctx, &r)
	return answer, err
}

// send makes a request whose answer goes to where the call says.
func send(ctx context.Context, c *Client, r call, options []CallOption) error {
	r.prepare(options)
	return c.do(ctx, &r)
}
