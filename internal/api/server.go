// Package api is the control API: the outbound voice profiles and their
// neighbours as Telnyx's v2 API has them, and what Telnyx has no word for under
// /tollgate/v1.
//
// Each resource has a file of its own, with its operations and what they do. Package rest
// serves them.
package api

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/shaken"
	"github.com/tollgate/tollgate/internal/siptrace"
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
	// CheckWebhook describes what the server's settings forbid of a webhook endpoint; nil
	// forbids nothing.
	CheckWebhook func(*webhook.Endpoint) []field.Error
	// GatewayForbidden reports a gateway to whose address nothing is sent;
	// nil forbids none.
	GatewayForbidden func(gateway id.ID) bool
	// CheckGateway describes what the server's settings forbid of a gateway's address; nil
	// forbids nothing.
	CheckGateway func(*routing.Gateway) []field.Error
	// Shaken signs calls that other switches carry; nil signs none.
	Shaken *shaken.Signer
	// Downloads serves the files of recordings; nil when there are none.
	Downloads *Downloads
	// Ready reports whether calls are being taken, for /readyz; nil means that the
	// store alone decides.
	Ready func(ctx context.Context) error
	// MaxCall is how long the server lets any call last; 0 is no limit, and so is nil.
	MaxCall func() time.Duration
	// Registrations looks up registered phones; nil has none.
	Registrations connection.Registrations
	// SayCode places the call that says a code; nil where nothing could say it.
	SayCode func(verification.Call) error
	// GatewayHealth tells what this server has seen of a gateway; nil knows nothing.
	GatewayHealth func(gateway id.ID) (routing.Health, bool)
	// TryGateway asks a gateway what it does; nil asks none.
	TryGateway func(ctx context.Context, gateway id.ID, number, caller e164.Number) (routing.Check, error)
	// BansChanged, if not nil, is called after the list of banned sources has changed.
	BansChanged func()
	// Trace finds the SIP messages of a call; nil finds none.
	Trace func(call uuid.UUID) []siptrace.Message
	// LoginFailed is called for each request that fails to authenticate, with the reason: one of
	// LoginFailures; nil for none.
	LoginFailed func(why string)
	// Rejected is called for each refused event of another switch, with the reason, in
	// one of a few; nil for no listener.
	Rejected func(why string)
	// RateLimit bounds the requests of each API key.
	RateLimit rest.RateLimit
	// Guard bounds what strangers take; nil bounds nothing.
	Guard Guard
	// CORSOrigins are the origins whose scripts may call the API from a browser, as
	// in "https://console.example.com"; none by default.
	CORSOrigins []string
}

type server struct {
	Config
	engine  *rest.Server
	absent  map[string]*absence // by the name of a resource
	lookups lookups
	keys    *keyring
	logins  failedLogins
}

// New returns the handler of the API. It serves /v2, /tollgate/v1, /healthz,
// /readyz, /openapi.json and /docs, and answers every other path with a 404 of the API.
func New(c Config) http.Handler { return newServer(c).engine }

func newServer(c Config) *server {
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
	s := &server{
		Config: c, absent: absentResources(), keys: newKeyring(c.Keys, c.Clock), lookups: make(lookups, maxLookups),
	}
	s.keys.lookups = s.lookups
	of := rest.Config{
		Title: "Tollgate", Version: c.Version, Description: description,
		Operations: s.operations(), Webhooks: describeWebhooks, ResourceNames: resourceNames(),
		Clock: c.Clock, Random: c.Random, Logger: c.Logger,
		Authenticate: s.authenticate, Enter: s.enter, Ready: s.ready,
		Kept: c.Writes, RequestKey: []byte(c.Vault.Mark("requests")),
		Failure: failureOf, Refused: s.countRejected, ExplainPath: s.explainPath, Codes: errorPages(),
		RateLimit: c.RateLimit, CORSOrigins: c.CORSOrigins,
	}
	if c.Downloads != nil {
		of.PublicURL = c.Downloads.PublicURL
	}
	s.engine = rest.New(of)
	s.engine.Handle(downloadsPath+"{name}", s.download)
	return s
}

// description introduces the API in its OpenAPI document.
const description = "Outbound voice profiles that are enforced on real calls. " +
	"Paths under /v2 are compatible with the Telnyx v2 API; paths under /tollgate/v1 are Tollgate's own. " +
	"docs/COMPATIBILITY.md lists the fields that are enforced and those that are only kept."

func (s *server) operations() []rest.Operation {
	return slices.Concat(
		s.profileOperations(), s.billingGroupOperations(), s.ledgerReportOperations(),
		s.spendOperations(), s.connectionOperations(), s.ipOperations(),
		s.recordOperations(), s.deckOperations(),
		s.deckComparisonOperations(), s.gatewayOperations(), s.numberingOperations(), s.numberListOperations(),
		s.routeOperations(),
		s.spendLimitOperations(), s.decisionOperations(),
		s.callOperations(), s.banOperations(), s.fqdnOperations(), s.recordingOperations(), s.usageReportOperations(),
		s.callEventOperations(), s.emergencyOperations(), s.accountViewOperations(),
		s.whoamiOperations(), s.keyOperations(), s.accountOperations(),
		s.auditOperations(),
		s.verifiedNumberOperations(), s.webhookOperations(), s.webhookEndpointOperations(), s.admissionOperations(),
	)
}

// ready reports whether requests and calls can be taken.
func (s *server) ready(ctx context.Context) error {
	end, err := s.lookups.begin(ctx)
	if err == nil {
		err = s.Writes.Ping(ctx)
		end()
	}
	if err == nil && s.Ready != nil {
		err = s.Ready(ctx)
	}
	return err
}

// resourceNames are the resources that are not called as their paths are.
func resourceNames() map[string]string {
	return map[string]string{
		"/v2/outbound_voice_profiles":          "profiles",
		"/tollgate/v1/outbound_voice_profiles": "profiles",
		"/v2/webhook_deliveries":               "attempted_webhooks", // Telnyx's view of webhook_deliveries
	}
}

// missingField is used where a field is required by another one.
func missingField(pointer, detail string) rest.Problem {
	return rest.Problem{Code: field.Missing, Pointer: pointer, Detail: detail}
}
