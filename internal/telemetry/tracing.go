package telemetry

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/sipgw"
)

// TracingSettings say where traces of calls go.
type TracingSettings struct {
	// Endpoint is the URL of a collector that takes OTLP over HTTP, as in
	// http://127.0.0.1:4318; without a path it is /v1/traces.
	Endpoint string
	// Ratio is the part of the calls that is traced, from 0 to 1.
	Ratio   float64
	Node    string // the name of this node
	Version string
	Logger  *slog.Logger
}

// Tracing sends an OpenTelemetry trace of each call that has ended. The trace's id is
// the id of the call, so that one leads to the other. Spans say where
// the time went: decide, each gateway, conversation, settle. No numbers are in them.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	ratio    float64
}

// NewTracing begins to send traces. What a collector does not take is dropped.
// Close ends it.
func NewTracing(ctx context.Context, s TracingSettings) (*Tracing, error) {
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("collector URL: %w", err)
	}
	if strings.Trim(target.Path, "/") == "" {
		target.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(target.String()))
	if err != nil {
		return nil, fmt.Errorf("send traces to the collector: %w", err)
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(&reporting{SpanExporter: exporter, log: s.Logger}), sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithIDGenerator(callIDs{}),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "tollgate"),
			attribute.String("service.version", s.Version), attribute.String("service.instance.id", s.Node))),
	)
	return &Tracing{provider: provider, tracer: provider.Tracer("tollgate"), ratio: s.Ratio}, nil
}

// Close sends what waits, within the time of ctx.
func (t *Tracing) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// reporting tells the operator once when the collector fails, and once when it is
// back. The SDK would tell a global.
type reporting struct {
	sdk.SpanExporter
	log *slog.Logger

	mu     sync.Mutex // guards failed
	failed bool
}

// ExportSpans implements the exporter.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil && !r.failed:
		r.log.Warn("sending traces failed; dropping them until it succeeds", "error", err)
	case err == nil && r.failed:
		r.log.Info("sending traces works again")
	}
	r.failed = err != nil
	return nil
}

// callKey is where the id of a call is in a context.
type callKey struct{}

// callIDs makes the id of a trace that of its call.
type callIDs struct{}

// NewIDs implements sdk.IDGenerator.
func (callIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	call, _ := ctx.Value(callKey{}).(uuid.UUID)
	return trace.TraceID(call), newSpanID()
}

// NewSpanID implements sdk.IDGenerator.
func (callIDs) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return newSpanID() }

func newSpanID() (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1) // never zero
	return id
}

// sampled reports whether a call is traced: by the random part of its id, so that all
// nodes agree.
func (t *Tracing) sampled(call uuid.UUID) bool {
	random := binary.BigEndian.Uint64(call[8:]) << 2 // without the variant (RFC 9562 section 4.1)
	return float64(random)/(1<<64) < t.ratio
}

// Journey sends the trace of a call.
func (t *Tracing) Journey(j *sipgw.Journey) {
	if !t.sampled(j.Call) {
		return
	}
	end := j.Settled
	if end.IsZero() {
		end = j.Ended
	}
	ctx := context.WithValue(context.Background(), callKey{}, j.Call)
	ctx, root := t.tracer.Start(ctx, "call", trace.WithTimestamp(j.Started), trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(
			attribute.String("tollgate.account", j.Account.String()),
			attribute.String("tollgate.connection", j.Connection.String()),
			attribute.String("sip.call_id", j.SIPCallID), attribute.Int("sip.status", j.Status)))
	root.SetAttributes(recorded(j.Record)...)
	if j.Status >= 500 {
		root.SetStatus(codes.Error, "")
	}
	t.part(ctx, "decide", j.Started, j.Decided)
	for _, try := range j.Tries {
		ended := try.Ended
		if ended.IsZero() {
			ended = j.Ended
		}
		t.part(ctx, "gateway", try.Started, ended, attribute.String("tollgate.gateway", try.Gateway.String()),
			attribute.Int("sip.status", try.Status), attribute.String("tollgate.reason", try.Reason))
	}
	if !j.Rang.IsZero() {
		root.AddEvent("ringing", trace.WithTimestamp(j.Rang))
	}
	t.part(ctx, "conversation", j.Answered, j.Ended)
	t.part(ctx, "settle", j.Ended, j.Settled)
	root.End(trace.WithTimestamp(end))
}

// part adds a span, if both of its ends have been.
func (t *Tracing) part(ctx context.Context, name string, start, end time.Time, attributes ...attribute.KeyValue) {
	if start.IsZero() || end.IsZero() {
		return
	}
	_, span := t.tracer.Start(ctx, name, trace.WithTimestamp(start), trace.WithAttributes(attributes...))
	span.End(trace.WithTimestamp(end))
}

// recorded are the attributes that come from the record.
func recorded(r *record.Call) []attribute.KeyValue {
	if r == nil {
		return nil
	}
	return []attribute.KeyValue{
		attribute.String("tollgate.profile", r.ProfileID.String()), attribute.String("tollgate.outcome", r.Outcome.String()),
		attribute.String("tollgate.reason", r.Reason), attribute.String("tollgate.hangup_cause", r.HangupCause),
		attribute.String("tollgate.country", r.Country.Alpha2()), attribute.Int64("tollgate.billed_sec", r.BilledSecs),
	}
}
