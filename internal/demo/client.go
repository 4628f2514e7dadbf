package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/money"
)

const (
	// requestLimit bounds one request to the API.
	requestLimit = 5 * time.Second
	// maxAnswerBytes bounds what the API may answer.
	maxAnswerBytes = 1 << 20
	// recordPause is between two looks for a record, which is written when the
	// call has been settled, a moment after the phone knows of its end.
	recordPause = 20 * time.Millisecond
	// recordLimit is how long to look for it.
	recordLimit = 10 * time.Second
)

// client asks the API as any program would.
type client struct {
	base, key string
	http      *http.Client
}

func newClient(address, key string) *client {
	return &client{
		base: "http://" + address, key: key,
		http: &http.Client{Timeout: requestLimit, Transport: &http.Transport{}},
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// csv is a body that is sent as a CSV file.
type csv string

// envelope is around every answer of the API.
type envelope[T any] struct {
	Data   T `json:"data"`
	Errors []struct {
		Code   string `json:"code"`
		Title  string `json:"title"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

// do sends a request with a JSON or CSV body, or none, and decodes the data of the
// answer into data.
func (c *client) do(ctx context.Context, method, path string, body, data any) error {
	var text []byte
	contentType := "application/json"
	switch body := body.(type) {
	case nil:
	case csv:
		text, contentType = []byte(body), "text/csv"
	default:
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, complaint(answer))
	}
	if err := json.Unmarshal(answer, &envelope[any]{Data: data}); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

// complaint is what an answer that is an error says.
func complaint(answer []byte) string {
	var e envelope[any]
	if err := json.Unmarshal(answer, &e); err != nil || len(e.Errors) == 0 {
		return string(answer[:min(len(answer), 200)])
	}
	return e.Errors[0].Code + " " + e.Errors[0].Title + ": " + e.Errors[0].Detail
}

// created is what is needed of a new resource.
type created struct {
	ID string `json:"id"`
}

// callRecord is what the demonstration looks at of a call detail record.
type callRecord struct {
	DecisionID   string       `json:"decision_id"`
	Outcome      string       `json:"outcome"`
	HangupSource string       `json:"hangup_source"`
	HangupCause  string       `json:"hangup_cause"`
	CallSec      int64        `json:"call_sec"`
	BilledSec    int64        `json:"billed_sec"`
	GrantedSec   int64        `json:"granted_sec"`
	Rate         money.Amount `json:"rate"`
	Cost         money.Amount `json:"cost"`
	Emergency    bool         `json:"emergency"`
}

// record finds the record of a call by its Call-ID, once it is written.
func (c *client) record(ctx context.Context, callID string) (callRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, recordLimit)
	defer cancel()
	path := "/v2/detail_records?filter[record_type]=sip-trunking&filter[sip_call_id]=" + url.QueryEscape(callID)
	ticker := time.NewTicker(recordPause)
	defer ticker.Stop()
	for {
		var records []callRecord
		if err := c.do(ctx, http.MethodGet, path, nil, &records); err != nil {
			return callRecord{}, err
		}
		if len(records) > 0 {
			return records[0], nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return callRecord{}, fmt.Errorf("no record of call %s: %w", callID, ctx.Err())
		}
	}
}

// decision is what the demonstration looks at of a decision.
type decision struct {
	Allowed bool    `json:"allowed"`
	Reason  string  `json:"reason"`
	Code    *string `json:"code"`
	Rules   []rule  `json:"rules"`
}

// rule is one rule of a decision.
type rule struct {
	Rule    string `json:"rule"`
	Verdict string `json:"verdict"`
	Seen    string `json:"seen"`
	Allowed string `json:"allowed"`
	Reason  string `json:"reason"`
	Fix     string `json:"fix"`
}

func (c *client) decision(ctx context.Context, id string) (d decision, err error) {
	err = c.do(ctx, http.MethodGet, "/tollgate/v1/decisions/"+url.PathEscape(id), nil, &d)
	return d, err
}

// refusing is the rule that gave the decision its reason.
func (d *decision) refusing() (rule, bool) {
	for _, r := range d.Rules {
		if r.Verdict == "refuse" && r.Reason == d.Reason {
			return r, true
		}
	}
	return rule{}, false
}

// usage is what the profile has spent and holds.
type usage struct {
	Posted          money.Amount `json:"posted"`
	Held            money.Amount `json:"held"`
	Overrun         money.Amount `json:"overrun"`
	DailySpendLimit money.Amount `json:"daily_spend_limit"`
	LiveCalls       int          `json:"live_calls"`
}
