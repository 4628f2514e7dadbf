package client

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// The kinds of error that programs tell apart, for errors.Is.
var (
	ErrUnauthenticated = errors.New("the API key is not valid")              // 401
	ErrForbidden       = errors.New("the API key may not do this")           // 403
	ErrNotFound        = errors.New("no such object")                        // 404
	ErrChanged         = errors.New("the object has changed")                // 412, to a request with IfMatch
	ErrInvalid         = errors.New("values of the request are wrong")       // 400, 422, and a 200 to another query
	ErrTooMany         = errors.New("too many requests")                     // 429
	ErrUnavailable     = errors.New("the server cannot answer at this time") // 502, 503 and 504
)

// Error is an answer that says no. It is found by errors.As, and its kind by
// errors.Is with one of the errors above.
type Error struct {
	Status     int // of HTTP
	RequestID  string
	RetryAfter time.Duration // 0 if the server says nothing
	Problems   []Problem     // at least one when the server is a Tollgate
}

// Problem is one thing that is wrong.
type Problem struct {
	Code      string // of Telnyx's list, such as "10015"
	Title     string
	Detail    string
	Pointer   string // JSON pointer to a field of the request, or ""
	Parameter string // name of a query parameter, or ""
	URL       string // where the server explains the code
}

func (e *Error) Error() string {
	texts := []string{fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))}
	for _, p := range e.Problems {
		place := strings.TrimSpace(p.Pointer + " " + p.Parameter)
		texts = append(texts, strings.TrimSpace(p.Code+" "+place)+": "+p.Detail)
	}
	if e.RequestID != "" {
		texts = append(texts, "request "+e.RequestID)
	}
	return strings.Join(texts, "; ")
}

// Is reports whether the error is of one of the kinds above.
func (e *Error) Is(kind error) bool {
	switch e.Status {
	case http.StatusUnauthorized:
		return kind == ErrUnauthenticated
	case http.StatusForbidden:
		return kind == ErrForbidden
	case http.StatusNotFound:
		return kind == ErrNotFound
	case http.StatusPreconditionFailed:
		return kind == ErrChanged
	case http.StatusOK, http.StatusBadRequest, http.StatusUnprocessableEntity:
		return kind == ErrInvalid
	case http.StatusTooManyRequests:
		return kind == ErrTooMany
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return kind == ErrUnavailable
	}
	return false
}

// At returns the problem with a field, given as a JSON pointer such as "/name",
// or nil.
func (e *Error) At(pointer string) *Problem {
	for i := range e.Problems {
		if e.Problems[i].Pointer == pointer {
			return &e.Problems[i]
		}
	}
	return nil
}

// failure reads the envelope of an error. What is no such envelope, as the page
// of a proxy, leaves an error without problems.
func failure(answer *http.Response, text []byte) *Error {
	e := &Error{
		Status: answer.StatusCode, RequestID: answer.Header.Get("X-Request-Id"), RetryAfter: retryAfter(answer.Header),
	}
	var envelope struct {
		Errors []struct {
			Code   string `json:"code"`
			Title  string `json:"title"`
			Detail string `json:"detail"`
			Source struct {
				Pointer   string `json:"pointer"`
				Parameter string `json:"parameter"`
			} `json:"source"`
			Meta struct {
				URL string `json:"url"`
			} `json:"meta"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return e
	}
	for _, entry := range envelope.Errors {
		e.Problems = append(e.Problems, Problem{Code: entry.Code, Title: entry.Title, Detail: entry.Detail,
			Pointer: entry.Source.Pointer, Parameter: entry.Source.Parameter,
			URL: entry.Meta.URL})
	}
	return e
}

// ignoredParameters is the header that names parameters of a query that the server
// does not know. It answers such a query of Telnyx's lists anyway: without any
// rows when there is a filter among them.
const ignoredParameters = "Tollgate-Ignored-Parameters"

// passedOver is the error for an answer to another query than was meant.
func passedOver(answer *http.Response) error {
	e := &Error{Status: answer.StatusCode, RequestID: answer.Header.Get("X-Request-Id")}
	for name := range strings.SplitSeq(answer.Header.Get(ignoredParameters), ", ") {
		e.Problems = append(e.Problems, Problem{Code: "10031", Title: "Invalid request filter", Parameter: name,
			Detail: "The server does not know this parameter, or what it sorts by."})
	}
	return e
}
