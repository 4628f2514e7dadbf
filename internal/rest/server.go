// Package rest serves resources over HTTP. It knows nothing of what they are.
//
// A service gives a table of operations (operation.go). Of each it says the method and path,
// the shape of its answer, its effect, the scope that it needs, and the Go types of its body
// and answer. The rest follows: requests are checked against schemas that are made from the
// types and their tags (schema.go, check.go), queries become filters and pages (query.go),
// writes take idempotency keys, conditions and dry runs (writes.go), answers have entity tags,
// and the OpenAPI document is printed from the table (openapi.go). A Resource makes the five
// usual operations of one kind of object.
package rest

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
)

// Scopes of callers that every service has.
const (
	ScopeRead  = "read"
	ScopeWrite = "write"
)

// Config are what a service gives: its operations, and what it knows of callers, errors
// and names.
type Config struct {
	Title, Version, Description string // of the document
	Operations                  []Operation
	// Webhooks describes the requests that the service makes, for the document.
	Webhooks func(*Documenter) map[string]any
	// ResourceNames are the resources that are not called as their paths are: by path.
	ResourceNames map[string]string

	Clock  func() time.Time // time.Now if nil
	Random io.Reader        // of request ids; crypto/rand if nil
	Logger *slog.Logger     // none if nil

	// Authenticate finds who sent a request, and checks that they have the scope.
	Authenticate func(r *http.Request, scope string) (Caller, error)
	// Enter refuses a request before anything else is looked at; nil refuses none.
	Enter func(*http.Request) error
	// Ready reports whether requests can be taken, for /readyz.
	Ready func(context.Context) error
	// Kept is where answers are kept, and what tells that configuration has changed.
	Kept Store
	// RequestKey is the secret by which requests are told apart: a reader of what is kept
	// must not find a password by trying.
	RequestKey []byte
	// Failure is the answer to errors that only the service knows; nil for any other one.
	Failure func(error) *RefusalError
	// Refused, if not nil, is called for each refused request of traffic.
	Refused func(*RefusalError)
	// ExplainPath is the answer to a path that no operation has; nil says no more than that.
	ExplainPath func(path string) error
	// Codes are all codes of errors.
	Codes []ErrorPage
	// RateLimit bounds the requests of each API key.
	RateLimit RateLimit
	// PublicURL is where clients reach this server; "" takes what a request was sent to.
	PublicURL string
	// CORSOrigins are the origins whose scripts may call the API from a browser.
	CORSOrigins []string
}

// Store is what is asked of the store.
type Store interface {
	// Answered returns the answer that was kept for an idempotency key. The error
	// wraps ErrNotFound when there is none, and ErrKeyReused when the key was used
	// with another request.
	Answered(ctx context.Context, i *collection.Idempotency) (collection.Answer, error)
	// ConfigVersion is a number above 0 that has changed when a write of the account's
	// configuration is answered. known is false when it cannot be told.
	ConfigVersion(account id.ID) (version uint64, known bool)
}

// Caller is who sent a request, as the service has authenticated them.
type Caller struct {
	Account id.ID
	Key     id.ID // the API key
	KeyName string
	Scopes  []string
	Until   *time.Time // when the key expires; nil for never
	Secret  string     // the key as it was shown
	Admin   bool       // whom no lock of an account keeps out
	Sees    bool       // secrets, in full
}

// Server serves a table of operations.
type Server struct {
	Config
	Mux       *http.ServeMux
	document  *asset
	titles    map[field.Code]string
	strangers Lines
	Limiter   *Limiter
	Answers   answers
	flights   flights
	gzip      compressors
}

// New returns a server of the operations, and of /healthz, /readyz, /openapi.json and
// /docs. It answers every other path with a 404 of the API.
func New(c Config) *Server {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		Config: c, Mux: http.NewServeMux(), titles: map[field.Code]string{}, Limiter: NewLimiter(c.RateLimit, c.Clock),
	}
	for _, page := range c.Codes {
		s.titles[page.Code] = page.Title
	}
	s.Operations = slices.Concat(c.Operations, s.ownOperations())
	for i := range s.Operations {
		if op := &s.Operations[i]; op.Writes() {
			op.Params = append(slices.Clip(op.Params), dryRunParam())
		}
	}
	s.document = newAsset("application/json", s.openAPI())
	s.route()
	return s
}

// route registers every path. Methods are told apart here and not by the router,
// so that the answer to a wrong one has the API's form.
func (s *Server) route() {
	paths := map[string]map[string]*Operation{}
	for i := range s.Operations {
		op := &s.Operations[i]
		if paths[op.Path] == nil {
			paths[op.Path] = map[string]*Operation{}
		}
		paths[op.Path][op.Method] = op
	}
	for pattern, methods := range paths {
		allowed := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
		s.Mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			method := r.Method
			if method == http.MethodHead {
				method = http.MethodGet // the server leaves the body out
			}
			if op, ok := methods[method]; ok {
				s.Serve(op, w, r)
				return
			}
			s.refuse(w, r, notAllowed(r, allowed))
		})
	}
	s.routeDocs()
	s.Mux.HandleFunc("/", s.notFound)
}

// Handle registers what is not among the operations. The error of a handler that has
// written nothing is answered in the API's form.
func (s *Server) Handle(pattern string, handle func(http.ResponseWriter, *http.Request) error) {
	s.Mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := handle(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// refuse answers with an error.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := s.FailureOf(err)
	exchangeOf(r).failure = f.Underlying
	writeFailure(w, exchangeOf(r), f)
}

// notFound answers every path that no operation has.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	err := collection.ErrNotFound
	if s.ExplainPath != nil {
		err = s.ExplainPath(r.URL.Path)
	}
	s.refuse(w, r, err)
}

// OnlyGet lets in what is not changed by it: HEAD is a GET without the body.
func OnlyGet(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	return notAllowed(r, http.MethodGet)
}

func notAllowed(r *http.Request, allowed string) error {
	f := Fail(http.StatusMethodNotAllowed, CodeMethod, "%s is not allowed here. Use %s.", Excerpt(r.Method), allowed)
	f.Header = http.Header{"Allow": {allowed}}
	return f
}

// exchange is what one request gathers for its log line.
type exchange struct {
	requestID string
	base      string // the address of this server as the client has it
	account   id.ID
	failure   error // what was behind a 500 or a 503
	lean      bool  // see operation
	known     bool  // a valid key was shown
	engine    *Server
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange { return r.Context().Value(exchangeKey{}).(*exchange) }

// SetKnown notes that a request showed what only a caller of this service has.
func SetKnown(r *http.Request) { exchangeOf(r).known = true }

// SetAccount notes whose request it is, for the log.
func SetAccount(r *http.Request, account id.ID) { exchangeOf(r).account = account }

// RequestIDOf is the id of a request.
func RequestIDOf(r *http.Request) string { return exchangeOf(r).requestID }

// Values of header fields that every answer shares; nothing ever writes to them.
var (
	noSniff  = []string{"nosniff"}
	noStore  = []string{"no-store"}
	jsonType = []string{"application/json"}
)

// ServeHTTP gives the request its id, answers it, and writes one line of log.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := s.Clock()
	sc := &exchange{engine: s, requestID: s.requestID(r.Header.Get("X-Request-Id")), base: s.BaseOf(r)}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, sc))
	seen := &statusWriter{ResponseWriter: w, exchange: sc, body: r.ContentLength != 0}
	if acceptsGzip(r.Header) {
		seen.gzip = &s.gzip
	}
	header := w.Header()
	header.Set("X-Request-Id", sc.requestID)
	header["X-Content-Type-Options"], header["Cache-Control"] = noSniff, noStore
	defer func() {
		pattern := r.Pattern // and not the path, which may hold what is a person's; set by the router

		if cause := recover(); cause != nil {
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(cause)
			}
			s.Logger.Error("api: request panicked", "request_id", sc.requestID,
				"route", pattern, "panic", cause, "stack", string(debug.Stack()))
			if seen.status == 0 {
				writeFailure(seen, sc, s.FailureOf(errors.New("panic")))
			}
		}
		s.log(r, sc, seen.status, s.Clock().Sub(started))
	}()
	if s.Enter != nil {
		if err := s.Enter(r); err != nil {
			s.refuse(seen, r, err)
			return
		}
	}
	if s.cors(seen, r) {
		return
	}
	if len(r.URL.RequestURI()) > maxURL {
		writeFailure(seen, sc, Fail(http.StatusRequestURITooLong, CodeURL,
			"The URL is too long. URLs can be a maximum of %d characters.", maxURL))
		return
	}
	if !tidy(r) {
		s.notFound(seen, r)
		return
	}
	s.Mux.ServeHTTP(seen, r)
}

// tidy takes empty segments out of the path of a request, which the router would answer
// with a redirect: clients join an address that ends in a slash and a path that begins
// with one, and some end every path with a slash. It returns false for a path with . or ..
// in it, which is none of this server's.
func tidy(r *http.Request) bool {
	escaped := r.URL.EscapedPath()
	clean := path.Clean(escaped)
	if clean == escaped {
		return true
	}
	for segment := range strings.SplitSeq(escaped, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	decoded, err := url.PathUnescape(clean)
	if err != nil {
		return false
	}
	tidied := *r.URL
	tidied.Path = decoded
	tidied.RawPath = clean
	r.URL = &tidied
	return true
}

func (s *Server) log(r *http.Request, sc *exchange, status int, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case errors.Is(sc.failure, context.Canceled) && r.Context().Err() != nil: // the client has gone
	case sc.failure != nil:
		level = slog.LevelError
	case sc.lean && status < http.StatusBadRequest:
		level = slog.LevelDebug // there are very many
	}
	if !s.Logger.Enabled(r.Context(), level) {
		return
	}
	if !sc.known && level < slog.LevelError {
		write, leftOut := s.strangers.Take(s.Clock())
		if leftOut > 0 {
			s.Logger.Warn("api: requests without a valid key are so many that some have no line of their own",
				"left_out", leftOut)
		}
		if !write {
			return
		}
	}
	attributes := []any{
		"request_id", sc.requestID, "method", r.Method, "route", r.Pattern, "status", status, "took_us", took.Microseconds(),
	}
	if sc.account != 0 {
		attributes = append(attributes, "account", sc.account.String())
	}
	if sc.failure != nil {
		attributes = append(attributes, "error", sc.failure.Error())
	}
	s.Logger.Log(r.Context(), level, "api: request", attributes...)
}

// maxRequestID bounds the request ids that clients choose.
const maxRequestID = 64

// requestID takes over the client's id when it is harmless in logs and headers.
func (s *Server) requestID(given string) string {
	harmless := given != "" && len(given) <= maxRequestID && !strings.ContainsFunc(given, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if harmless {
		return given
	}
	made, err := uuid.NewRandomFromReader(s.Random)
	if err != nil {
		return "unavailable" // no random bytes; the request itself needs none
	}
	return made.String()
}

// statusWriter notes the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status   int
	gzip     *compressors // nil when the client does not take gzip
	exchange *exchange
	body     bool // the request has one
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		if w.body && !w.exchange.known {
			// The body of a stranger's request is not read, not even to throw it away.
			w.Header().Set("Connection", "close")
			// A server without such deadlines, as in a test, is as good.
			_ = http.NewResponseController(w.ResponseWriter).SetReadDeadline(time.Unix(1, 0))
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ownOperations are those of the server itself. Anyone may call them, so they
// tell nothing of any account.
func (s *Server) ownOperations() []Operation {
	healthy := plainSchema[health]()
	return []Operation{
		{Method: "GET", Path: "/healthz", ID: "health", Tag: "Server", Summary: "Whether the process runs.", Status: 200,
			Answer: healthy, Shape: Plain,
			Handle: func(context.Context, *Request) (*Response, error) { return &Response{Data: health{Status: "ok"}}, nil }},
		{Method: "GET", Path: "/readyz", ID: "ready", Tag: "Server", Summary: "Whether requests and calls can be taken.",
			Status: 200, Answer: healthy, Shape: Plain, Handle: s.ready},
		{Method: "GET", Path: "/openapi.json", ID: "openapi", Tag: "Server", Summary: "This document.", Status: 200,
			Handle: func(context.Context, *Request) (*Response, error) { return &Response{asset: s.document}, nil }},
		s.errorPageOperation(),
	}
}

type health struct {
	Status string `json:"status" enum:"ok"`
}

// readyTimeout bounds how long a probe waits for the store.
const readyTimeout = 2 * time.Second

func (s *Server) ready(ctx context.Context, _ *Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		return nil, errors.Join(collection.ErrUnavailable, err)
	}
	return &Response{Data: health{Status: "ok"}}, nil
}

// InvalidPathID is the answer to an id that cannot be one: the same as to one
// that does not exist.
func InvalidPathID() error { return collection.ErrNotFound }
