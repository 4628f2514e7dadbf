package rest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
)

// The codes that concern a request as a whole; the rest are in package field.
const (
	CodeURL           field.Code = "10003"
	CodeNotFound      field.Code = "10005"
	CodeUnexpected    field.Code = "10007"
	CodeAuth          field.Code = "10009"
	CodeForbidden     field.Code = "10010"
	CodeTooMany       field.Code = "10011"
	CodeMediaType     field.Code = "10014"
	CodeInUse         field.Code = "10021"
	CodeJSON          field.Code = "10023"
	CodeUnprocessable field.Code = "10027" // of a condition that does not hold, and of a key that was used before
	CodeEncoding      field.Code = "10028"
	CodeWantsJSON     field.Code = "10029"
	CodeMethod        field.Code = "10030"
	CodeFilter        field.Code = "10031"
	CodeProcessing    field.Code = "10036"
	CodeUnavailable   field.Code = "10037"
	CodeTooLarge      field.Code = "10015" // Telnyx has no code of its own for a body that is too large
)

// Problem is one entry of an error answer. At most one of pointer (into the
// body) and parameter (of the query) is set.
type Problem struct {
	Code      field.Code
	Detail    string
	Pointer   string
	Parameter string
}

// RefusalError is why a request is not answered with what it asked for. It is the
// only error type that reaches a client; every other error is a 500 or a 503.
type RefusalError struct {
	Status     int
	Problems   []Problem
	Header     http.Header // of the answer, as Allow
	Underlying error       // for the log, never for the client
}

func (f *RefusalError) Error() string {
	var texts []string
	for _, p := range f.Problems {
		texts = append(texts, fmt.Sprintf("%s %s%s: %s", p.Code, p.Pointer, p.Parameter, p.Detail))
	}
	return strconv.Itoa(f.Status) + " " + strings.Join(texts, "; ")
}

func (f *RefusalError) Unwrap() error { return f.Underlying }

// Fail is the answer with one error.
func Fail(status int, code field.Code, format string, args ...any) *RefusalError {
	return &RefusalError{Status: status, Problems: []Problem{{Code: code, Detail: fmt.Sprintf(format, args...)}}}
}

// FailAt is fail with the pointer of the field that is to blame.
func FailAt(status int, pointer string, code field.Code, format string, args ...any) *RefusalError {
	f := Fail(status, code, format, args...)
	f.Problems[0].Pointer = pointer
	return f
}

// Invalid is the answer to values that are wrong.
func Invalid(problems []Problem) *RefusalError {
	return &RefusalError{Status: http.StatusUnprocessableEntity, Problems: problems}
}

// InvalidFields is the answer to what a resource's own validation found.
func InvalidFields(errs []field.Error) *RefusalError {
	problems := make([]Problem, 0, min(len(errs), MaxProblems))
	for _, e := range errs[:min(len(errs), MaxProblems)] {
		problems = append(problems, Problem{Code: e.Code, Detail: e.Detail, Pointer: e.Pointer})
	}
	return Invalid(problems)
}

// RetryAfterSecs is how soon a client may try again when the store is busy.
const RetryAfterSecs = "1"

// FailureOf turns any error into the answer to it. This is the one place where
// the errors of collections get a status and a code.
func (s *Server) FailureOf(err error) *RefusalError {
	if known := (*RefusalError)(nil); errors.As(err, &known) {
		return known
	}
	if s.Failure != nil {
		if known := s.Failure(err); known != nil {
			return known
		}
	}
	reference := &collection.ReferenceError{}
	errors.As(err, &reference)
	switch {
	case errors.Is(err, collection.ErrNotFound) && reference.Field != "":
		return FailAt(http.StatusNotFound, reference.Field, CodeNotFound,
			"%s names a resource that does not exist in this account. Give the id of an existing one.", nameOf(reference.Field))
	case errors.Is(err, collection.ErrNotFound):
		return Fail(http.StatusNotFound, CodeNotFound, "The requested resource or URL could not be found.")
	case errors.Is(err, collection.ErrInUse):
		// A 409 would be repeated by the clients that Telnyx publishes.
		return FailAt(http.StatusUnprocessableEntity, reference.Field, CodeInUse,
			"The resource is still in use%s. Change what uses it first.", by(reference.Other))
	case errors.Is(err, collection.ErrDuplicate):
		return FailAt(http.StatusUnprocessableEntity, reference.Field, field.Duplicate,
			"Another resource already has this value%s. Give a value that is not used.", by(reference.Other))
	case errors.Is(err, collection.ErrNoReference):
		return FailAt(http.StatusUnprocessableEntity, reference.Field, field.NoAssociation,
			"%s names a resource that does not exist in this account. Give the id of an existing one.", nameOf(reference.Field))
	case errors.Is(err, collection.ErrKeyReused):
		return Fail(http.StatusUnprocessableEntity, CodeUnprocessable, "The %s was used before with "+
			"another method, path, query or body. Use a new key for a new request.", idempotencyHeader)
	case errors.Is(err, collection.ErrBadValue):
		return Fail(http.StatusUnprocessableEntity, CodeFilter, "A filter has a value that its field cannot have.")
	case errors.Is(err, collection.ErrBusy), errors.Is(err, collection.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		f := Fail(http.StatusServiceUnavailable, CodeUnavailable, "The database does not answer. Try again.")
		f.Header = http.Header{"Retry-After": {RetryAfterSecs}}
		f.Underlying = err
		return f
	}
	f := Fail(http.StatusInternalServerError, CodeUnexpected,
		"An unexpected error occurred. The request id finds it in the log.")
	f.Underlying = err
	return f
}

func by(other string) string {
	if other == "" {
		return ""
	}
	return ": " + other
}

// errorAnswer is an answer with errors on the wire. Source: Telnyx v2, ErrorResponse.
type errorAnswer struct {
	Errors []errorEntry `json:"errors"`
}

type errorEntry struct {
	Code   field.Code   `json:"code" doc:"A code of Telnyx's list."`
	Title  string       `json:"title"`
	Detail string       `json:"detail" doc:"What was given and what would be accepted."`
	Source *errorSource `json:"source,omitzero"`
	Meta   errorMeta    `json:"meta"`
}

type errorSource struct {
	Pointer   string `json:"pointer,omitzero" doc:"JSON pointer into the body."`
	Parameter string `json:"parameter,omitzero" doc:"Name of a query parameter."`
}

type errorMeta struct {
	URL       string `json:"url" doc:"Where this server explains the code: an absolute address." format:"uri"`
	RequestID string `json:"request_id"`
}

// TitleOf is the fixed text of a code.
func (s *Server) TitleOf(code field.Code) string {
	return cmp.Or(s.titles[code], s.titles[CodeUnexpected])
}

func writeFailure(w http.ResponseWriter, sc *exchange, f *RefusalError) {
	answer := errorAnswer{}
	for _, p := range f.Problems {
		// What repeats a part of the request may not be UTF-8.
		entry := errorEntry{Code: p.Code, Title: sc.engine.TitleOf(p.Code), Detail: strings.ToValidUTF8(p.Detail, "?"),
			Meta: errorMeta{URL: sc.base + "/docs/errors/" + string(p.Code), RequestID: sc.requestID}}
		switch {
		case p.Parameter != "":
			entry.Source = &errorSource{Parameter: strings.ToValidUTF8(p.Parameter, "?")}
		case p.Pointer != "":
			entry.Source = &errorSource{Pointer: strings.ToValidUTF8(p.Pointer, "?")}
		case f.Status != http.StatusUnauthorized:
			entry.Source = &errorSource{Pointer: "/"}
		}
		answer.Errors = append(answer.Errors, entry)
	}
	for name, values := range f.Header {
		w.Header()[name] = values
	}
	text, err := json.Marshal(answer, encoding())
	if err != nil {
		panic("rest: an error answer cannot be encoded: " + err.Error())
	}
	writeBody(w, f.Status, "application/json", text)
}
