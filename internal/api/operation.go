package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
)

// Limits of requests.
const (
	// maxBody is far above the largest resource, a profile with 1,000 recorded callers.
	maxBody = 1 << 20
	// maxDeckBody is over twice the largest decks that carriers send.
	maxDeckBody = 64 << 20
	// maxURL is Telnyx's limit (error 10003).
	maxURL = 2000
)

// shape is the form of an operation's answer.
type shape uint8

const (
	item          shape = iota // data is one object
	list                       // data is a list, and meta says which page of it
	table                      // a list, which is text/csv if format=csv asks for it
	cursorList                 // a list whose meta has cursors too
	listOrCursors              // a list whose meta has cursors too when the query pages by them
	rows                       // data is a list without meta
	plain                      // the answer is not wrapped in data
)

// paged says whether the answer is a list with meta.
func (s shape) paged() bool {
	return s == list || s == table || s == cursorList || s == listOrCursors
}

// effect is what an operation does. What a request may say, and what an answer promises,
// follows from it.
type effect uint8

const (
	// reads changes nothing, and its answer may change by itself.
	reads effect = iota
	// readsConfig changes nothing either. Its answer depends on the account's
	// configuration alone, and is kept until that changes.
	readsConfig
	// configures changes configuration. It takes an idempotency key, a reason, dry_run,
	// and If-Match where it is about one object that exists; it is in the audit.
	configures
	// adds is configures for what makes something new of the object that its path names
	// and does not change that: it takes no If-Match.
	adds
	// traffic is what the service is there for, many times a second: it has no limit of
	// requests, no entity tag, and a log line only for debugging. The handler reads the
	// raw body itself, and answers for repeated requests.
	traffic
)

// operation is one method on one path. The router serves it and the OpenAPI
// document describes it; neither knows anything about it that is not here.
type operation struct {
	method, path string
	id           string
	summary      string
	tag          string
	shape        shape
	effect       effect
	scope        string // "" for operations that anyone may call
	params       []parameter
	body         *schema // of a JSON object, or nil
	upload       string  // the media type of a body that is a file; "" for none
	status       int     // of success
	answer       *schema // of data, or nil
	noun         string  // of the answer, as the document calls its schema; "" is that of the id
	effects      *schema // of meta.dry_run, or nil
	handle       func(ctx context.Context, r *request) (*response, error)
}

// request is what a handler gets: everything in it is checked.
type request struct {
	op      *operation
	account id.ID
	caller  caller
	raw     []byte // the body as it came
	id      string // of the path, "" if it has none
	base    string // the address that it was sent to, as in http://127.0.0.1:8080
	query   query
	body    map[string]any // the part that the operation's schema names, not yet checked against it
	upload  io.Reader      // of a CSV body
	engine  *engine

	idempotency string    // the header Idempotency-Key of a lean operation
	unknown     []problem // fields of the body that a closed schema does not name
}

// response is what a handler gives.
type response struct {
	data any
	meta *pageMeta
	text []byte // instead of data, already encoded
	kind string // media type of text; "" is JSON
	// asset is instead of all that: what is the same for everyone, for as long as the
	// process runs.
	asset *asset
	// cursors is instead of meta in lists with cursors.
	cursors *cursorMeta

	version  int64              // of the object; 0 when it has none
	dryRun   bool               // nothing was changed
	effects  any                // what the change would do, in a dry run
	encoded  *collection.Answer // instead of all that: what has been rendered already
	replayed bool               // from an earlier request
}

type pageMeta struct {
	PageNumber   int `json:"page_number"`
	PageSize     int `json:"page_size"`
	TotalPages   int `json:"total_pages"`
	TotalResults int `json:"total_results"`
}

// serve answers one request of an operation.
func (s *engine) serve(op *operation, w http.ResponseWriter, r *http.Request) {
	scope := exchangeOf(r)
	scope.lean = op.effect == traffic
	var encoded collection.Answer
	answer, err := s.run(op, w, r)
	if err == nil && answer.asset != nil {
		answer.asset.serve(w, r)
		return
	}
	if err == nil {
		encoded, err = op.encode(answer)
	}
	if err != nil {
		f := s.failureOf(err)
		if s.Refused != nil && op.effect == traffic && f.status != http.StatusUnauthorized && f.status != http.StatusForbidden {
			s.Refused(f)
		}
		scope.failure = f.underlying
		writeFailure(w, scope, f)
		return
	}
	header := w.Header()
	if encoded.ETag != "" {
		header.Set("Etag", encoded.ETag)
	}
	if answer.replayed {
		header.Set(replayedHeader, "true")
	}
	if answer.dryRun {
		header.Set(dryRunHeader, "true")
	}
	if op.method == http.MethodGet && encoded.ETag != "" && unchanged(r.Header.Values("If-None-Match"), encoded.ETag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeBody(w, encoded.Status, cmp.Or(answer.kind, "application/json"), encoded.Body)
}

// encode makes the status, the tag and the body of an answer.
func (op *operation) encode(answer *response) (collection.Answer, error) {
	if answer.encoded != nil {
		return *answer.encoded, nil
	}
	out := collection.Answer{Status: op.status, Body: answer.text}
	if answer.text == nil {
		var envelope any = answer.data
		switch {
		case answer.cursors != nil:
			envelope = cursorAnswer{answer.data, answer.cursors}
		case op.shape.paged():
			envelope = listAnswer{answer.data, answer.meta}
		case answer.effects != nil:
			envelope = dryRunAnswer{answer.data, dryRunMeta{answer.effects}}
		case op.shape != plain:
			envelope = objectAnswer{answer.data}
		}
		var err error
		if out.Body, err = json.Marshal(envelope, encoding()); err != nil {
			return collection.Answer{}, fmt.Errorf("encode the answer of %s: %w", op.id, err)
		}
	}
	if op.tagged() {
		out.ETag = entityTag(answer.version, out.Body)
	}
	return out, nil
}

type objectAnswer struct {
	Data any `json:"data"`
}

type dryRunAnswer struct {
	Data any        `json:"data"`
	Meta dryRunMeta `json:"meta"`
}

type dryRunMeta struct {
	DryRun any `json:"dry_run"`
}

type listAnswer struct {
	Data any       `json:"data"`
	Meta *pageMeta `json:"meta"`
}

// overridden refuses a request that asks for another method, as some servers offer: to
// carry out the one that it was sent with would do something else than was meant.
func overridden(r *http.Request) error {
	for _, name := range [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		if asked := r.Header.Get(name); asked != "" && !strings.EqualFold(asked, r.Method) {
			return fail(http.StatusBadRequest, field.Malformed,
				"%s asks for %s, and the method of the request is %s. Send it with the method that is meant, and without the header.",
				name, excerpt(asked), r.Method)
		}
	}
	return nil
}

func (s *engine) run(op *operation, w http.ResponseWriter, r *http.Request) (*response, error) {
	in := &request{op: op, id: cmp.Or(r.PathValue("id"), r.PathValue("name")), base: exchangeOf(r).base, engine: s}
	if op.scope != "" {
		var err error
		if in.caller, err = s.Authenticate(r, op.scope); err != nil {
			return nil, err
		}
		in.account = in.caller.account
		exchangeOf(r).account = in.account
		if op.effect != traffic {
			if err := s.limiter.check(w.Header(), in.caller.key); err != nil {
				return nil, err
			}
		}
	}
	if err := overridden(r); err != nil {
		return nil, err
	}
	if op.body == nil && op.upload == "" && !op.writes() {
		answer, err := s.answerOf(r.Context(), in, r.URL.RawQuery)
		if len(in.query.ignored) > 0 {
			w.Header().Set(ignoredParametersHeader, headerList(in.query.ignored))
		}
		return answer, err
	}
	var err error
	if in.query, err = parseQuery(op.params, r.URL.RawQuery, op.passesOver()); err != nil {
		return nil, err
	}
	switch {
	case op.upload != "":
		if err := in.readUpload(w, r); err != nil {
			return nil, err
		}
	case op.body != nil:
		if err := in.readBody(op, w, r); err != nil {
			return nil, err
		}
	}
	if op.writes() {
		return s.write(r.Context(), op, in, r)
	}
	return op.handle(r.Context(), in)
}

// readUpload lets the handler read the file as it comes, unless an idempotency key
// asks to compare all of it with an earlier one first.
func (in *request) readUpload(w http.ResponseWriter, r *http.Request) error {
	if err := wantsType(r, codeMediaType, in.op.upload); err != nil {
		return err
	}
	in.upload = http.MaxBytesReader(w, r.Body, maxDeckBody)
	if r.Header.Get(idempotencyHeader) == "" {
		return nil
	}
	text, err := readAll(in.upload, 0)
	in.raw, in.upload = text, bytes.NewReader(text)
	return err
}

// readAll reads a body to its end, for which it is told about how many bytes to expect.
func readAll(body io.Reader, expected int64) ([]byte, error) {
	read := bytes.NewBuffer(make([]byte, 0, max(0, min(expected, maxBody))+bytes.MinRead))
	_, err := read.ReadFrom(body)
	text := read.Bytes()
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, fail(http.StatusRequestEntityTooLarge, codeTooLarge, "The body is larger than %d bytes.", tooLarge.Limit)
	}
	if err != nil {
		return nil, fail(http.StatusBadRequest, field.Malformed, "The body ended early.")
	}
	return text, nil
}

// These headers name what a request had that this API does not know.
const (
	ignoredHeader           = "Tollgate-Ignored-Fields"
	ignoredParametersHeader = "Tollgate-Ignored-Parameters"
)

// byteOrderMark begins the files of some editors and the bodies of some clients. RFC 8259
// section 8.1 lets a reader pass over it.
const byteOrderMark = "\ufeff"

// readBody reads the JSON object of a request. What is wrong with the values in
// it is found later, together with everything else.
func (in *request) readBody(op *operation, w http.ResponseWriter, r *http.Request) error {
	if op.body.optional && r.ContentLength == 0 {
		in.body = map[string]any{}
		return nil
	}
	accepted := []string{"application/json"}
	if op.method == http.MethodPatch {
		accepted = append(accepted, "application/merge-patch+json")
	}
	text := []byte("{}")
	// Clients that have nothing to say often send neither a body nor its type.
	if r.ContentLength != 0 || r.Header["Content-Type"] != nil {
		if err := wantsType(r, codeWantsJSON, accepted...); err != nil {
			return err
		}
		var err error
		if text, err = readAll(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength); err != nil {
			return err
		}
	}
	in.raw = bytes.TrimPrefix(text, []byte(byteOrderMark))
	if op.effect == traffic {
		in.idempotency = r.Header.Get(idempotencyHeader)
		return nil
	}
	ignored, err := in.parseBody(op.body, op.answerOrBody())
	if len(ignored) > 0 {
		w.Header().Set(ignoredHeader, headerList(ignored))
	}
	return err
}

// parseBody reads the JSON object of a body by its schema. ignored are the fields
// that the schema does not name, where it does not refuse them.
func (in *request) parseBody(shape, whole *schema) (ignored []string, err error) {
	tree, err := parseTree(in.raw)
	if err != nil {
		return nil, badJSON(err)
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, invalid([]problem{{code: field.WrongType, detail: "The body is " + kindOf(tree) + ". Give an object."}})
	}
	in.body, ignored = known(shape, whole, object, "")
	if len(ignored) > 0 && shape.closed {
		in.unknown = unknownFields(shape, ignored)
		return nil, nil
	}
	return ignored, nil
}

// answerOrBody is the full resource, by which a read-only field is told from an
// unknown one.
func (op *operation) answerOrBody() *schema {
	if op.answer != nil {
		return op.answer
	}
	return op.body
}

func unknownFields(s *schema, names []string) []problem {
	var known []string // of the top level
	for _, p := range s.properties {
		known = append(known, p.name)
	}
	problems := make([]problem, 0, min(len(names), maxProblems))
	for _, name := range names[:min(len(names), maxProblems)] {
		pointer := ""
		for part := range strings.SplitSeq(name, ".") {
			pointer = pointerOf(pointer, part)
		}
		problems = append(problems, problem{code: field.Malformed, pointer: pointer,
			detail: excerpt(name) + " is not a field of this resource. Known are " + strings.Join(known, ", ") + "."})
	}
	return problems
}

// maxIgnoredHeader bounds the header that repeats a client's own names to it.
const maxIgnoredHeader = 1000

// headerList writes names into a header. What is not a visible ASCII character
// becomes a question mark.
func headerList(names []string) string {
	var text strings.Builder
	for i, name := range names {
		if i == 0 && len(name) > maxIgnoredHeader {
			name = name[:maxIgnoredHeader]
		}
		if text.Len()+len(name) > maxIgnoredHeader {
			text.WriteString(", ...")
			break
		}
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(strings.Map(func(r rune) rune {
			if r <= ' ' || r >= 0x7f || r == ',' {
				return '?'
			}
			return r
		}, name))
	}
	return text.String()
}

func badJSON(err error) error {
	switch {
	case errors.Is(err, errEncoding):
		return fail(http.StatusBadRequest, codeEncoding, "The body is not UTF-8 text.")
	case errors.Is(err, errEmpty):
		return fail(http.StatusBadRequest, codeJSON, "The body is empty. Give a JSON object, such as {}.")
	}
	return fail(http.StatusBadRequest, codeJSON, "The body is not valid JSON: %s.", excerpt(strings.TrimPrefix(err.Error(), "jsontext: ")))
}

// wantsType checks the media type of a request, and that it is not compressed.
func wantsType(r *http.Request, code field.Code, accepted ...string) error {
	if kind := r.Header["Content-Type"]; len(kind) == 1 && kind[0] == accepted[0] && r.Header["Content-Encoding"] == nil {
		return nil // as nearly always
	}
	given, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	if err != nil || !slices.Contains(accepted, given) || charset != "" && charset != "utf-8" {
		return fail(http.StatusUnsupportedMediaType, code, "The Content-Type is %s. Send %s in UTF-8.",
			excerpt(r.Header.Get("Content-Type")), strings.Join(accepted, " or "))
	}
	if encoded := r.Header.Get("Content-Encoding"); encoded != "" && encoded != "identity" {
		return fail(http.StatusUnsupportedMediaType, codeMediaType, "The Content-Encoding is %s. Send the body as it is.", excerpt(encoded))
	}
	return nil
}

// checked is the request's body with its defaults, or everything that is wrong
// with it. The current object is nil when one is being created.
func (in *request) checked(s *schema, current, defaults map[string]any) (map[string]any, []problem) {
	if current != nil {
		current, _ = known(s, s, current, "")
	}
	merged := mergePatch(current, in.body).(map[string]any)
	fillDefaults(s, merged, defaults)
	c := checker{problems: slices.Clip(in.unknown)}
	value := c.check(s, merged, "")
	return value.(map[string]any), c.problems
}

// decode puts a checked body into the Go value. A schema that lets through what
// the type refuses is a fault of this package, so it is not the client's error.
func decode(body map[string]any, into any) error {
	text, err := json.Marshal(body, encoding())
	if err != nil {
		return fmt.Errorf("encode a checked body: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decode a checked body into %T: %w", into, err)
	}
	return nil
}
