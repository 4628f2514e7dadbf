package api

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
	codeURL           field.Code = "10003"
	codeNotFound      field.Code = "10005"
	codeUnexpected    field.Code = "10007"
	codeAuth          field.Code = "10009"
	codeForbidden     field.Code = "10010"
	codeTooMany       field.Code = "10011"
	codeMediaType     field.Code = "10014"
	codeInUse         field.Code = "10021"
	codeJSON          field.Code = "10023"
	codeUnprocessable field.Code = "10027" // of a condition that does not hold, and of a key that was used before
	codeEncoding      field.Code = "10028"
	codeWantsJSON     field.Code = "10029"
	codeMethod        field.Code = "10030"
	codeFilter        field.Code = "10031"
	codeProcessing    field.Code = "10036"
	codeUnavailable   field.Code = "10037"
	codeTooLarge      field.Code = "10015" // Telnyx has no code of its own for a body that is too large
)

// problem is one entry of an error answer. At most one of pointer (into the
// body) and parameter (of the query) is set.
type problem struct {
	code      field.Code
	detail    string
	pointer   string
	parameter string
}

// failure is why a request is not answered with what it asked for. It is the
// only error type that reaches a client; every other error is a 500 or a 503.
type failure struct {
	status     int
	problems   []problem
	header     http.Header // of the answer, as Allow
	underlying error       // for the log, never for the client
}

func (f *failure) Error() string {
	var texts []string
	for _, p := range f.problems {
		texts = append(texts, fmt.Sprintf("%s %s%s: %s", p.code, p.pointer, p.parameter, p.detail))
	}
	return strconv.Itoa(f.status) + " " + strings.Join(texts, "; ")
}

func (f *failure) Unwrap() error { return f.underlying }

func fail(status int, code field.Code, format string, args ...any) *failure {
	return &failure{status: status, problems: []problem{{code: code, detail: fmt.Sprintf(format, args...)}}}
}

// failAt is fail with the pointer of the field that is to blame.
func failAt(status int, pointer string, code field.Code, format string, args ...any) *failure {
	f := fail(status, code, format, args...)
	f.problems[0].pointer = pointer
	return f
}

func invalid(problems []problem) *failure {
	return &failure{status: http.StatusUnprocessableEntity, problems: problems}
}

// invalidFields is the answer to what a resource's own validation found.
func invalidFields(errs []field.Error) *failure {
	problems := make([]problem, 0, min(len(errs), maxProblems))
	for _, e := range errs[:min(len(errs), maxProblems)] {
		problems = append(problems, problem{code: e.Code, detail: e.Detail, pointer: e.Pointer})
	}
	return invalid(problems)
}

// retryAfterSecs is how soon a client may try again when the store is busy.
const retryAfterSecs = "1"

// failureOf turns any error into the answer to it. This is the one place where
// the errors of collections get a status and a code.
func (s *engine) failureOf(err error) *failure {
	if known := (*failure)(nil); errors.As(err, &known) {
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
	case errors.Is(err, collection.ErrNotFound):
		return fail(http.StatusNotFound, codeNotFound, "The requested resource or URL could not be found.")
	case errors.Is(err, collection.ErrInUse):
		// A 409 would be repeated by the clients that Telnyx publishes.
		return failAt(http.StatusUnprocessableEntity, reference.Field, codeInUse, "The resource is still in use%s. Change what uses it first.", by(reference.Other))
	case errors.Is(err, collection.ErrDuplicate):
		return failAt(http.StatusUnprocessableEntity, reference.Field, field.Duplicate, "Another resource already has this value%s. Give a value that is not used.", by(reference.Other))
	case errors.Is(err, collection.ErrNoReference):
		return failAt(http.StatusUnprocessableEntity, reference.Field, field.NoAssociation, "%s names a resource that does not exist in this account. Give the id of an existing one.", nameOf(reference.Field))
	case errors.Is(err, collection.ErrKeyReused):
		return fail(http.StatusUnprocessableEntity, codeUnprocessable, "The %s was used before with another method, path, query or body. Use a new key for a new request.", idempotencyHeader)
	case errors.Is(err, collection.ErrBadValue):
		return fail(http.StatusUnprocessableEntity, codeFilter, "A filter has a value that its field cannot have.")
	case errors.Is(err, collection.ErrBusy), errors.Is(err, collection.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		f := fail(http.StatusServiceUnavailable, codeUnavailable, "The database does not answer now. Try again.")
		f.header = http.Header{"Retry-After": {retryAfterSecs}}
		f.underlying = err
		return f
	}
	f := fail(http.StatusInternalServerError, codeUnexpected, "An unexpected error occurred. The request id finds it in the log.")
	f.underlying = err
	return f
}

func by(other string) string {
	if other == "" {
		return ""
	}
	return ": " + other
}

// Error answers on the wire. Source: Telnyx v2, ErrorResponse.
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

// titleOf is the fixed text of a code.
func (s *engine) titleOf(code field.Code) string {
	return cmp.Or(s.titles[code], s.titles[codeUnexpected])
}

func writeFailure(w http.ResponseWriter, sc *exchange, f *failure) {
	answer := errorAnswer{}
	for _, p := range f.problems {
		// What repeats a part of the request may not be UTF-8.
		entry := errorEntry{Code: p.code, Title: sc.engine.titleOf(p.code), Detail: strings.ToValidUTF8(p.detail, "?"),
			Meta: errorMeta{URL: sc.base + "/docs/errors/" + string(p.code), RequestID: sc.requestID}}
		switch {
		case p.parameter != "":
			entry.Source = &errorSource{Parameter: strings.ToValidUTF8(p.parameter, "?")}
		case p.pointer != "":
			entry.Source = &errorSource{Pointer: strings.ToValidUTF8(p.pointer, "?")}
		case f.status != http.StatusUnauthorized:
			entry.Source = &errorSource{Pointer: "/"}
		}
		answer.Errors = append(answer.Errors, entry)
	}
	for name, values := range f.header {
		w.Header()[name] = values
	}
	text, err := json.Marshal(answer, encoding())
	if err != nil {
		panic("api: an error answer cannot be encoded: " + err.Error())
	}
	writeBody(w, f.status, "application/json", text)
}
