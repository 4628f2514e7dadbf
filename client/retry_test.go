package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tollgate/tollgate/client"
)

var errNetwork = errors.New("connection reset")

// network answers requests one after another: a status, with the Retry-After
// header that follows it, or 0 for a failure of the network itself.
type network struct {
	answers []string
	methods []string
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.methods = append(n.methods, r.Method)
	answer := n.answers[min(len(n.methods), len(n.answers))-1]
	var status, after int
	if _, err := fmt.Sscan(answer+" 0", &status, &after); err != nil {
		return nil, err
	}
	if status == 0 {
		return nil, errNetwork
	}
	text := `{"data":{"balance":"1.00","id":"7"}}`
	if status >= 400 {
		text = `<html>a page of a proxy</html>`
	}
	header := http.Header{}
	if after > 0 {
		header.Set("Retry-After", fmt.Sprint(after))
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// Reads are tried again after failures that may pass; writes only when nothing
// can have come of them.
func TestRetries(t *testing.T) {
	get := func(ctx context.Context, c *client.Client) error { _, err := c.Balance(ctx); return err }
	explain := func(ctx context.Context, c *client.Client) error {
		_, err := c.Decisions().Explain(ctx, client.ExplainDecisionParams{})
		return err
	}
	create := func(ctx context.Context, c *client.Client) error {
		_, err := c.IPs().Create(ctx, client.IPParams{})
		return err
	}
	once := func(ctx context.Context, c *client.Client) error {
		_, err := c.IPs().Create(ctx, client.IPParams{}, client.IdempotencyKey("k"))
		return err
	}
	would := func(ctx context.Context, c *client.Client) error {
		_, err := c.IPs().Create(ctx, client.IPParams{}, client.DryRun(nil))
		return err
	}
	remove := func(ctx context.Context, c *client.Client) error { _, err := c.IPs().Delete(ctx, "7"); return err }
	load := func(ctx context.Context, c *client.Client) error {
		_, err := c.RateDecks().Create(ctx, client.RateDecksCreateQuery{Name: "deck"},
			strings.NewReader("prefix,rate\n1,1\n"))
		return err
	}
	for _, c := range []struct {
		name     string
		answers  []string
		do       func(context.Context, *client.Client) error
		attempts int
		want     error
		least    time.Duration // that all attempts take
		most     time.Duration
	}{
		{"read, at once", []string{"200"}, get, 1, nil, 0, 0},
		{"read, twice busy", []string{"503", "502", "200"}, get, 3, nil, 150 * time.Millisecond, 300 * time.Millisecond},
		{"read, server says when", []string{"503 7", "200"}, get, 2, nil, 7 * time.Second, 7 * time.Second},
		{"read, server says too late", []string{"429 86400", "200"}, get, 2, nil, 30 * time.Second, 30 * time.Second},
		{"read, network", []string{"0", "200"}, get, 2, nil, 50 * time.Millisecond, 100 * time.Millisecond},
		{"read, always busy", []string{"504"}, get, 3, client.ErrUnavailable, 150 * time.Millisecond, 300 * time.Millisecond},
		{"read, a fault", []string{"500"}, get, 1, nil, 0, 0},
		{"read, not found", []string{"404"}, get, 1, client.ErrNotFound, 0, 0},
		{"forecast, busy", []string{"503", "200"}, explain, 2, nil, 50 * time.Millisecond, 100 * time.Millisecond},
		{"create, busy", []string{"503"}, create, 1, client.ErrUnavailable, 0, 0},
		{"create, network", []string{"0"}, create, 1, errNetwork, 0, 0},
		{"create, too many requests", []string{"429 1", "201"}, create, 2, nil, time.Second, time.Second},
		{"create once, network", []string{"0", "201"}, once, 2, nil, 50 * time.Millisecond, 100 * time.Millisecond},
		{"create in a dry run, busy", []string{"503", "200"}, would, 2, nil, 50 * time.Millisecond, 100 * time.Millisecond},
		{"delete, busy", []string{"503"}, remove, 1, client.ErrUnavailable, 0, 0},
		{"import, too many requests", []string{"429"}, load, 1, client.ErrTooMany, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{answers: c.answers}
				api := value(client.New("http://tollgate.example", "key", client.WithHTTPClient(&http.Client{Transport: n})))(t)
				began := time.Now()
				err := c.do(t.Context(), api)
				took := time.Since(began)
				fails := c.want != nil || c.name == "read, a fault"
				if (err != nil) != fails || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("error %v, want %v", err, c.want)
				}
				if len(n.methods) != c.attempts || took < c.least || took > c.most {
					t.Errorf("%d attempts in %v, want %d in %v to %v", len(n.methods), took, c.attempts, c.least, c.most)
				}
			})
		})
	}
}

func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{answers: []string{"503 20"}}
		api := value(client.New("http://tollgate.example", "key",
			client.WithHTTPClient(&http.Client{Transport: n}), client.WithAttempts(9)))(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		began := time.Now()
		_, err := api.Balance(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, client.ErrUnavailable) ||
			time.Since(began) != 50*time.Second || len(n.methods) != 3 {
			t.Errorf("%d attempts, %v: %v", len(n.methods), time.Since(began), err)
		}
	})
}

// answers is a transport that always gives one text.
type answers string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}

// What is no answer of a Tollgate is an error, and not tried again.
func TestForeignAnswers(t *testing.T) {
	for _, text := range []string{
		"", "<html>", `{"data":7}`, `{"data":{"balance":1}}`, `{"data":{"balance":"1.00"}`, `{"data":{}} x`,
	} {
		api := value(client.New("http://tollgate.example", "key",
			client.WithHTTPClient(&http.Client{Transport: answers(text)})))(t)
		if got, err := api.Balance(t.Context()); err == nil || errors.As(err, new(*client.Error)) {
			t.Errorf("%q was read as %+v, %v", text, got, err)
		}
	}
	api := value(client.New("http://tollgate.example", "key",
		client.WithHTTPClient(&http.Client{Transport: answers(`{"data":[],"meta":{"page_number":1,"total_pages":9}}`)})))(t)
	if got, err := client.Collect(api.Calls().All(t.Context(), client.CallsQuery{})); err != nil || len(got) != 0 {
		t.Errorf("a list of empty pages: %v, %v", got, err)
	}
	api = value(client.New("http://tollgate.example", "key",
		client.WithHTTPClient(&http.Client{Transport: answers(`{"data":{"max_destination_rate":"1"}}`)})))(t)
	if got, err := api.Profiles().Get(t.Context(), "7"); err == nil {
		t.Errorf("a text was read as a number: %v", got.MaxDestinationRate)
	}
}
