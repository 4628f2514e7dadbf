package rest

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
	// maxBody is far above the largest resource, of some 1,000 entries.
	maxBody = 1 << 20
	// MaxUpload bounds a body that is a file.
	MaxUpload = 64 << 20
	// maxURL is Telnyx's limit (error 10003).
	maxURL = 2000
)

// Shape is the form of an operation's answer.
type Shape uint8

// The shapes.
const (
	Item          Shape = iota // data is one object
	List                       // data is a list, and meta says which page of it
	Table                      // a list, which is text/csv if format=csv asks for it
	CursorList                 // a list whose meta has cursors too
	ListOrCursors              // a list whose meta has cursors too when the query pages by them
	Rows                       // data is a list without meta
	Plain                      // the answer is not wrapped in data
	CSV                        // the answer is text/csv, and nothing else
)

// Paged reports whether the answer is a list with meta.
func (s Shape) Paged() bool {
	return s == List || s == Table || s == CursorList || s == ListOrCursors
}

// Effect is what an operation does. What a request may say, and what an answer promises,
// follows from it.
type Effect uint8

// The effects.
const (
	// Reads changes nothing, and its answer may change by itself.
	Reads Effect = iota
	// ReadsConfig changes nothing either. Its answer depends on the account's
	// configuration alone, and is kept until that changes.
	ReadsConfig
	// Configures changes configuration. It takes an idempotency key, a reason, dry_run,
	// and If-Match where it is about one object that exists; it is in the audit.
	Configures
	// Adds is configures for what makes something new of the object that its path names
	// and does not change that: it takes no If-Match.
	Adds
	// Acts changes no configuration, and does something outside that a repetition would do
	// again, such as a call: no client repeats it by itself.
	Acts
	// Traffic is the main work of the service, many times a second: it has no limit of
	// requests, no entity tag, and a log line only for debugging. The handler reads the
	// raw body itself, and answers for repeated requests.
	Traffic
)

// Operation is one method on one path. The router serves it and the OpenAPI
// document describes it; neither knows anything about it that is not here.
type Operation struct {
	Method, Path string
	ID           string
	Summary      string
	Tag          string
	Shape        Shape
	Effect       Effect
	Scope        string // "" for operations that anyone may call
	Params       []Parameter
	Body         *Schema  // of a JSON object, or nil
	Uploads      []string // the media types of a body that is a file; none for no such body
	Status       int      // of success
	Answer       *Schema  // of data, or nil
	Noun         string   // of the answer, as the document calls its schema; "" is that of the id
	Refers       bool     // what the body names and is not there is a 404
	effects      *Schema  // of meta.dry_run, or nil
	Handle       func(ctx context.Context, r *Request) (*Response, error)
}

// Request is what a handler gets: everything in it is checked.
type Request struct {
	Op      *Operation
	Account id.ID
	Caller  Caller
	Raw     []byte // the body as it came
	ID      string // of the path, "" if it has none
	Base    string // the address that it was sent to, as in http://127.0.0.1:8080
	Query   Query
	Body    map[string]any // the part that the operation's schema names, not yet checked against it
	Upload  io.Reader      // of a body that is a file
	Engine  *Server

	Idempotency string    // the header Idempotency-Key of a lean operation
	unknown     []Problem // fields of the body that a closed schema does not name
}

// Response is what a handler gives.
type Response struct {
	Data any
	Meta *PageMeta
	Text []byte // instead of data, already encoded
	Kind string // media type of text; "" is JSON
	// Stream is instead of data and text: it writes the answer as it is made, in pieces that are sent as they come. What
	// fails before the first one is answered as usual; later, the connection is cut, so that no part is taken for all.
	Stream func(io.Writer) error
	// asset is instead of all that: what is the same for everyone, for as long as the
	// process runs.
	asset *asset
	// Cursors is instead of meta in lists with cursors.
	Cursors *CursorMeta

	Version  int64              // of the object; 0 when it has none
	dryRun   bool               // nothing was changed
	effects  any                // what the change would do, in a dry run
	encoded  *collection.Answer // instead of all that: what has been rendered already
	replayed bool               // from an earlier request
}

// PageMeta is the member meta of an answer with a page.
type PageMeta struct {
	PageNumber   int `json:"page_number"`
	PageSize     int `json:"page_size"`
	TotalPages   int `json:"total_pages"`
	TotalResults int `json:"total_results"`
}

// Serve answers one request of an operation.
func (s *Server) Serve(op *Operation, w http.ResponseWriter, r *http.Request) {
	scope := exchangeOf(r)
	scope.lean = op.Effect == Traffic
	var encoded collection.Answer
	answer, err := s.run(op, w, r)
	if err == nil && answer.asset != nil {
		answer.asset.serve(w, r)
		return
	}
	if err == nil && answer.Stream != nil {
		if err = op.stream(answer, w); err == nil {
			return
		}
	}
	if err == nil {
		encoded, err = op.encode(answer)
	}
	if err != nil {
		f := s.FailureOf(err)
		if s.Refused != nil && op.Effect == Traffic && f.Status != http.StatusUnauthorized &&
			f.Status != http.StatusForbidden {
			s.Refused(f)
		}
		scope.failure = f.Underlying
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
	if op.Method == http.MethodGet && encoded.ETag != "" && unchanged(r.Header.Values("If-None-Match"), encoded.ETag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeBody(w, encoded.Status, cmp.Or(answer.Kind, "application/json"), encoded.Body)
}

// encode makes the status, the tag and the body of an answer.
func (op *Operation) encode(answer *Response) (collection.Answer, error) {
	if answer.encoded != nil {
		return *answer.encoded, nil
	}
	out := collection.Answer{Status: op.Status, Body: answer.Text}
	if answer.Text == nil {
		var envelope any = answer.Data
		switch {
		case answer.Cursors != nil:
			envelope = cursorAnswer{answer.Data, answer.Cursors}
		case op.Shape.Paged():
			envelope = listAnswer{answer.Data, answer.Meta}
		case answer.effects != nil:
			envelope = dryRunAnswer{answer.Data, dryRunMeta{answer.effects}}
		case op.Shape != Plain:
			envelope = objectAnswer{answer.Data}
		}
		var err error
		if out.Body, err = json.Marshal(envelope, encoding()); err != nil {
			return collection.Answer{}, fmt.Errorf("encode the answer of %s: %w", op.ID, err)
		}
	}
	if op.tagged() {
		out.ETag = entityTag(answer.Version, out.Body)
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
	Meta *PageMeta `json:"meta"`
}

// overridden refuses a request that asks for another method, as some servers offer: to
// carry out the one that it was sent with would do something else than was meant.
func overridden(r *http.Request) error {
	for _, name := range [...]string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
		if asked := r.Header.Get(name); asked != "" && !strings.EqualFold(asked, r.Method) {
			return Fail(http.StatusBadRequest, field.Malformed,
				"%s asks for %s, and the method of the request is %s. Send "+
					"it with the method that is meant, and without the header.",
				name, Excerpt(asked), r.Method)
		}
	}
	return nil
}

func (s *Server) run(op *Operation, w http.ResponseWriter, r *http.Request) (*Response, error) {
	in := &Request{Op: op, ID: cmp.Or(r.PathValue("id"), r.PathValue("name")), Base: exchangeOf(r).base, Engine: s}
	if op.Scope != "" {
		var err error
		if in.Caller, err = s.Authenticate(r, op.Scope); err != nil {
			return nil, err
		}
		in.Account = in.Caller.Account
		exchangeOf(r).account = in.Account
		if op.Effect != Traffic {
			if err := s.Limiter.check(w.Header(), in.Caller.Key); err != nil {
				return nil, err
			}
		}
	}
	if err := overridden(r); err != nil {
		return nil, err
	}
	if op.Body == nil && len(op.Uploads) == 0 && !op.Writes() {
		answer, err := s.answerOf(r.Context(), in, r.URL.RawQuery)
		if len(in.Query.ignored) > 0 {
			w.Header().Set(ignoredParametersHeader, headerList(in.Query.ignored))
		}
		return answer, err
	}
	var err error
	if in.Query, err = parseQuery(op.Params, r.URL.RawQuery, op.PassesOver()); err != nil {
		return nil, err
	}
	switch {
	case len(op.Uploads) > 0:
		if err := in.readUpload(w, r); err != nil {
			return nil, err
		}
	case op.Body != nil:
		if err := in.readBody(op, w, r); err != nil {
			return nil, err
		}
	}
	if op.Writes() {
		return s.write(r.Context(), op, in, r)
	}
	return op.Handle(r.Context(), in)
}

// readUpload lets the handler read the file as it comes, unless an idempotency key
// asks to compare all of it with an earlier one first.
func (in *Request) readUpload(w http.ResponseWriter, r *http.Request) error {
	if err := wantsFile(r, in.Op.Uploads); err != nil {
		return err
	}
	in.Upload = http.MaxBytesReader(w, r.Body, MaxUpload)
	if r.Header.Get(idempotencyHeader) == "" {
		return nil
	}
	text, err := readAll(in.Upload, 0)
	in.Raw = text
	in.Upload = bytes.NewReader(text)
	return err
}

// readAll reads a body to its end, for which it is told about how many bytes to expect.
func readAll(body io.Reader, expected int64) ([]byte, error) {
	read := bytes.NewBuffer(make([]byte, 0, max(0, min(expected, maxBody))+bytes.MinRead))
	_, err := read.ReadFrom(body)
	text := read.Bytes()
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, Fail(http.StatusRequestEntityTooLarge, CodeTooLarge, "The body is larger than %d bytes.", tooLarge.Limit)
	}
	if err != nil {
		return nil, Fail(http.StatusBadRequest, field.Malformed, "The body ended early.")
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
func (in *Request) readBody(op *Operation, w http.ResponseWriter, r *http.Request) error {
	if op.Body.Optional && r.ContentLength == 0 {
		in.Body = map[string]any{}
		return nil
	}
	accepted := []string{"application/json"}
	if op.Method == http.MethodPatch {
		accepted = append(accepted, "application/merge-patch+json")
	}
	text := []byte("{}")
	// Clients that have nothing to say often send neither a body nor its type.
	if r.ContentLength != 0 || r.Header["Content-Type"] != nil {
		if err := wantsType(r, CodeWantsJSON, accepted...); err != nil {
			return err
		}
		var err error
		if text, err = readAll(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength); err != nil {
			return err
		}
	}
	in.Raw = bytes.TrimPrefix(text, []byte(byteOrderMark))
	if op.Effect == Traffic {
		in.Idempotency = r.Header.Get(idempotencyHeader)
		return nil
	}
	ignored, err := in.parseBody(op.Body, op.answerOrBody())
	if len(ignored) > 0 {
		w.Header().Set(ignoredHeader, headerList(ignored))
	}
	return err
}

// parseBody reads the JSON object of a body by its schema. ignored are the fields
// that the schema does not name, where it does not refuse them.
func (in *Request) parseBody(shape, whole *Schema) (ignored []string, err error) {
	tree, err := parseTree(in.Raw)
	if err != nil {
		return nil, badJSON(err)
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, Invalid([]Problem{{Code: field.WrongType, Detail: "The body is " + kindOf(tree) + ". Give an object."}})
	}
	in.Body, ignored = knownFields(shape, whole, object, "")
	if len(ignored) > 0 && shape.closed {
		in.unknown = unknownFields(shape, ignored)
		return nil, nil
	}
	return ignored, nil
}

// answerOrBody is the full resource, by which a read-only field is told from an
// unknown one.
func (op *Operation) answerOrBody() *Schema {
	if op.Answer != nil {
		return op.Answer
	}
	return op.Body
}

func unknownFields(s *Schema, names []string) []Problem {
	var known []string // of the top level
	for _, p := range s.Properties {
		known = append(known, p.Name)
	}
	problems := make([]Problem, 0, min(len(names), MaxProblems))
	for _, name := range names[:min(len(names), MaxProblems)] {
		pointer := ""
		for part := range strings.SplitSeq(name, ".") {
			pointer = PointerOf(pointer, part)
		}
		problems = append(problems, Problem{Code: field.Malformed, Pointer: pointer,
			Detail: Excerpt(name) + " is not a field of this resource. Known are " + strings.Join(known, ", ") + "."})
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
		return Fail(http.StatusBadRequest, CodeEncoding, "The body is not UTF-8 text.")
	case errors.Is(err, errEmpty):
		return Fail(http.StatusBadRequest, CodeJSON, "The body is empty. Give a JSON object, such as {}.")
	}
	return Fail(http.StatusBadRequest, CodeJSON, "The body is not valid JSON: %s.",
		Excerpt(strings.TrimPrefix(err.Error(), "jsontext: ")))
}

// wantsType checks the media type of a request, and that it is not compressed.
func wantsType(r *http.Request, code field.Code, accepted ...string) error {
	if kind := r.Header["Content-Type"]; len(kind) == 1 && kind[0] == accepted[0] && r.Header["Content-Encoding"] == nil {
		return nil // as nearly always
	}
	given, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	if err != nil || !slices.Contains(accepted, given) || charset != "" && charset != "utf-8" {
		return Fail(http.StatusUnsupportedMediaType, code, "The Content-Type is %s. Send %s in UTF-8.",
			Excerpt(r.Header.Get("Content-Type")), strings.Join(accepted, " or "))
	}
	if encoded := r.Header.Get("Content-Encoding"); encoded != "" && encoded != "identity" {
		return Fail(http.StatusUnsupportedMediaType, CodeMediaType,
			"The Content-Encoding is %s. Send the body as it is.", Excerpt(encoded))
	}
	return nil
}

// wantsFile is wantsType for a file, whose reader finds out about its encoding by itself.
func wantsFile(r *http.Request, accepted []string) error {
	given, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(accepted, given) {
		return Fail(http.StatusUnsupportedMediaType, CodeMediaType, "The Content-Type is %s. Send the file itself as %s.",
			Excerpt(r.Header.Get("Content-Type")), strings.Join(accepted, " or "))
	}
	if encoded := r.Header.Get("Content-Encoding"); encoded != "" && encoded != "identity" && encoded != "gzip" {
		return Fail(http.StatusUnsupportedMediaType, CodeMediaType,
			"The Content-Encoding is %s. Send the file as it is, or with gzip.", Excerpt(encoded))
	}
	return nil
}

// Checked is the request's body with its defaults, or everything that is wrong
// with it. The current object is nil when one is being created.
func (in *Request) Checked(s *Schema, current, defaults map[string]any) (map[string]any, []Problem) {
	if current != nil {
		current, _ = knownFields(s, s, current, "")
	}
	merged := mergePatch(current, in.Body).(map[string]any)
	fillDefaults(s, merged, defaults)
	c := checker{Problems: slices.Clip(in.unknown)}
	value := c.Check(s, merged, "")
	return value.(map[string]any), c.Problems
}

// Decode puts a checked body into the Go value. A schema that lets through what
// the type refuses is a fault of this package, so it is not the client's error.
func Decode(body map[string]any, into any) error {
	text, err := json.Marshal(body, encoding())
	if err != nil {
		return fmt.Errorf("encode a checked body: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("decode a checked body into %T: %w", into, err)
	}
	return nil
}
