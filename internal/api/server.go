// Package api is the control API: the outbound voice profiles and their
// neighbours as Telnyx's v2 API has them, and what Telnyx has no word for under
// /tollgate/v1.
//
// One table of operations (operation.go) is the whole interface: the router
// serves it, requests are checked against its schemas, and the OpenAPI document
// is printed from it. Each resource has a file of its own.
package api

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

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/siptrace"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/verification"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Config is what the API needs.
type Config struct {
	Stores
	Live    *policy.Live
	Clock   func() time.Time // time.Now if nil
	Random  io.Reader        // of request ids; crypto/rand if nil
	Logger  *slog.Logger     // none if nil
	Version string           // of the program, for the OpenAPI document
	// Vault keeps what tells requests apart from readers of the database; nil is one with
	// a public key.
	Vault *secret.Vault
	// WebhookPublicKey is what webhooks are verified with.
	WebhookPublicKey string
	// CheckWebhook says what the server's settings forbid of a webhook endpoint; nil
	// forbids nothing.
	CheckWebhook func(*webhook.Endpoint) []field.Error
	// GatewayForbidden says of a gateway that its address leads where nothing is sent;
	// nil forbids none.
	GatewayForbidden func(gateway id.ID) bool
	// CheckGateway says what the server's settings forbid of a gateway's address; nil
	// forbids nothing.
	CheckGateway func(*routing.Gateway) []field.Error
	// Downloads serves the files of recordings; nil when there are none.
	Downloads *Downloads
	// Ready says whether calls are being taken, for /readyz; nil means that the
	// store alone decides.
	Ready func(ctx context.Context) error
	// MaxCall is how long the server lets any call last; 0 is no limit, and so is nil.
	MaxCall func() time.Duration
	// Registrations tells which telephones are registered; nil knows of none.
	Registrations connection.Registrations
	// SayCode places the call that says a code; nil where nothing could say it.
	SayCode func(verification.Call) error
	// GatewayHealth tells what this server has seen of a gateway; nil knows nothing.
	GatewayHealth func(gateway id.ID) (routing.Health, bool)
	// BansChanged is told that the list of banned sources has changed; nil: nobody is.
	BansChanged func()
	// Trace finds the SIP messages of a call; nil finds none.
	Trace func(call uuid.UUID) []siptrace.Message
	// LoginFailed is told of each request that is not let in, and why: one of
	// LoginFailures; nil for none.
	LoginFailed func(why string)
	// Rejected is told of each event of another switch that was not taken, and why, in
	// a word of a few; nil tells nobody.
	Rejected func(why string)
	// RateLimit bounds the requests of each API key.
	RateLimit RateLimit
	// Guard bounds what strangers take; nil bounds nothing.
	Guard Guard
	// CORSOrigins are the origins whose scripts may call the API from a browser, as
	// in "https://console.example.com"; none by default.
	CORSOrigins []string
}

type server struct {
	Config
	mux        *http.ServeMux
	operations []operation
	document   *asset
	absent     map[string]*absence // by the name of a resource
	lookups    lookups
	strangers  lines
	keys       *keyring
	limiter    *limiter
	answers    answers
	flights    flights
	logins     failedLogins
	gzip       compressors
}

// New returns the handler of the API. It serves /v2, /tollgate/v1, /healthz,
// /readyz, /openapi.json and /docs, and answers every other path with a 404 of the API.
func New(c Config) http.Handler {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Vault == nil {
		c.Vault = secret.Open()
	}
	if c.MaxCall == nil {
		c.MaxCall = func() time.Duration { return 0 }
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{Config: c, mux: http.NewServeMux(), absent: absentResources(),
		keys: newKeyring(c.Keys, c.Clock), limiter: newLimiter(c.RateLimit, c.Clock)}
	s.lookups = make(lookups, maxLookups)
	s.keys.lookups = s.lookups
	s.operations = slices.Concat(
		s.profileOperations(), s.billingGroupOperations(), s.ledgerReportOperations(), s.spendOperations(), s.connectionOperations(), s.ipOperations(),
		s.recordOperations(), s.deckOperations(), s.gatewayOperations(), s.numberingOperations(), s.decisionOperations(),
		s.callOperations(), s.banOperations(), s.serverOperations(), s.fqdnOperations(), s.recordingOperations(), s.usageReportOperations(),
		s.callEventOperations(), s.emergencyOperations(), s.accountViewOperations(), s.whoamiOperations(), s.keyOperations(), s.accountOperations(),
		s.auditOperations(),
		s.verifiedNumberOperations(), s.webhookOperations(), s.webhookEndpointOperations(), s.admissionOperations(),
	)
	for i := range s.operations {
		if op := &s.operations[i]; op.writes() {
			op.params = append(slices.Clip(op.params), dryRunParam())
		}
	}
	s.document = newAsset("application/json", s.openAPI())
	s.route()
	return s
}

// route registers every path. Methods are told apart here and not by the router,
// so that the answer to a wrong one has the API's form.
func (s *server) route() {
	paths := map[string]map[string]*operation{}
	for i := range s.operations {
		op := &s.operations[i]
		if paths[op.path] == nil {
			paths[op.path] = map[string]*operation{}
		}
		paths[op.path][op.method] = op
	}
	for pattern, methods := range paths {
		allowed := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			method := r.Method
			if method == http.MethodHead {
				method = http.MethodGet // the server leaves the body out
			}
			if op, ok := methods[method]; ok {
				s.serve(op, w, r)
				return
			}
			f := fail(http.StatusMethodNotAllowed, codeMethod, "%s is not allowed here. Use %s.", excerpt(r.Method), allowed)
			f.header = http.Header{"Allow": {allowed}}
			writeFailure(w, scopeOf(r), f)
		})
	}
	s.routeDocs()
	s.routeDownloads()
	s.mux.HandleFunc("/", s.notFound)
}

// scope is what one request gathers for its log line.
type scope struct {
	requestID string
	base      string // the address of this server as the client has it
	account   id.ID
	failure   error // what was behind a 500 or a 503
	lean      bool  // see operation
	known     bool  // a valid key was shown
}

type scopeKey struct{}

func scopeOf(r *http.Request) *scope { return r.Context().Value(scopeKey{}).(*scope) }

// Values of header fields that every answer shares; nothing ever writes to them.
var (
	noSniff  = []string{"nosniff"}
	noStore  = []string{"no-store"}
	jsonType = []string{"application/json"}
)

// ServeHTTP gives the request its id, answers it, and writes one line of log.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := s.Clock()
	sc := &scope{requestID: s.requestID(r.Header.Get("X-Request-Id")), base: s.baseOf(r)}
	r = r.WithContext(context.WithValue(r.Context(), scopeKey{}, sc))
	seen := &statusWriter{ResponseWriter: w, scope: sc, body: r.ContentLength != 0}
	if acceptsGzip(r.Header) {
		seen.gzip = &s.gzip
	}
	header := w.Header()
	header.Set("X-Request-Id", sc.requestID)
	header["X-Content-Type-Options"], header["Cache-Control"] = noSniff, noStore
	defer func() {
		pattern := r.Pattern // and not the path, which may hold a phone number; set by the router

		if cause := recover(); cause != nil {
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(cause)
			}
			s.Logger.Error("api: request panicked", "request_id", sc.requestID, "route", pattern, "panic", cause, "stack", string(debug.Stack()))
			if seen.status == 0 {
				writeFailure(seen, sc, toFailure(errors.New("panic")))
			}
		}
		s.log(r, sc, seen.status, s.Clock().Sub(started))
	}()
	if !s.enter(seen, r) || s.cors(seen, r) {
		return
	}
	if len(r.URL.RequestURI()) > maxURL {
		writeFailure(seen, sc, fail(http.StatusRequestURITooLong, codeURL, "The URL is too long. URLs can be a maximum of %d characters.", maxURL))
		return
	}
	if !tidy(r) {
		s.notFound(seen, r)
		return
	}
	s.mux.ServeHTTP(seen, r)
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
	tidied.Path, tidied.RawPath = decoded, clean
	r.URL = &tidied
	return true
}

func (s *server) log(r *http.Request, sc *scope, status int, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case errors.Is(sc.failure, context.Canceled) && r.Context().Err() != nil: // the client has gone
	case sc.failure != nil:
		level = slog.LevelError
	case sc.lean && status < http.StatusBadRequest:
		level = slog.LevelDebug // there is one for each step of each call, and a record of the call
	}
	if !s.Logger.Enabled(r.Context(), level) {
		return
	}
	if !sc.known && level < slog.LevelError {
		write, leftOut := s.strangers.take(s.Clock())
		if leftOut > 0 {
			s.Logger.Warn("api: requests without a valid key are so many that some have no line of their own",
				"left_out", leftOut)
		}
		if !write {
			return
		}
	}
	attributes := []any{"request_id", sc.requestID, "method", r.Method, "route", r.Pattern, "status", status, "took_us", took.Microseconds()}
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
func (s *server) requestID(given string) string {
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
	status int
	gzip   *compressors // nil when the client does not take gzip
	scope  *scope
	body   bool // the request has one
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		if w.body && !w.scope.known {
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

// serverOperations are those of the server itself. Anyone may call them, so they
// tell nothing of any account.
func (s *server) serverOperations() []operation {
	healthy := schemaOf[health]()
	return []operation{
		{method: "GET", path: "/healthz", id: "health", tag: "Server", summary: "Whether the process runs.", status: 200, answer: healthy, shape: plain,
			handle: func(context.Context, *request) (*response, error) { return &response{data: health{Status: "ok"}}, nil }},
		{method: "GET", path: "/readyz", id: "ready", tag: "Server", summary: "Whether requests and calls can be taken.", status: 200, answer: healthy, shape: plain, handle: s.ready},
		{method: "GET", path: "/openapi.json", id: "openapi", tag: "Server", summary: "This document.", status: 200,
			handle: func(context.Context, *request) (*response, error) { return &response{asset: s.document}, nil }},
		errorPageOperation(),
	}
}

type health struct {
	Status string `json:"status" enum:"ok"`
}

// readyTimeout bounds how long a probe waits for the store.
const readyTimeout = 2 * time.Second

func (s *server) ready(ctx context.Context, _ *request) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	end, err := s.lookups.begin(ctx)
	if err == nil {
		err = s.Writes.Ping(ctx)
		end()
	}
	if err == nil && s.Ready != nil {
		err = s.Ready(ctx)
	}
	if err != nil {
		return nil, toFailure(errors.Join(store.ErrUnavailable, err))
	}
	return &response{data: health{Status: "ok"}}, nil
}

// invalidPathID is the answer to an id that cannot be one: the same as to one
// that does not exist.
func invalidPathID() error { return store.ErrNotFound }

// missingField is used where a field is required by another one.
func missingField(pointer, detail string) problem {
	return problem{code: field.Missing, pointer: pointer, detail: detail}
}
