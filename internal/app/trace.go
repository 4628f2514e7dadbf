package app

import (
	"context"
	"hash/crc32"

	"github.com/tollgate/tollgate/internal/sipgw"
	"github.com/tollgate/tollgate/internal/siptrace"
	"github.com/tollgate/tollgate/internal/telemetry"
)

// WatchSettings are the settings of logs, metrics and traces.
type WatchSettings struct {
	MetricsAddr string  `name:"metrics-addr" form:"host:port" help:"Address of the Prometheus metrics, as in 127.0.0.1:9464; nowhere by default."`
	TraceMemory int     `name:"trace-memory" default:"32" min:"0" max:"1024" unit:"MiB" help:"Memory for the latest SIP messages, which \"tollgate trace\" shows, in MiB; 0 keeps none."`
	HEP         string  `name:"hep" form:"host:port" help:"Capture server, such as Homer, that gets a copy of every SIP message by HEP version 3 over UDP, host:port. Its key is read from TOLLGATE_HEP_KEY."`
	HEPKey      string  `name:"hep-key" kong:"-" secret:"" help:"Key that the capture server wants to see."`
	OTLP        string  `name:"otlp" help:"URL of an OpenTelemetry collector that gets a trace of each call by OTLP over HTTP, as in http://127.0.0.1:4318; none by default."`
	OTLPRatio   float64 `name:"otlp-ratio" default:"1" min:"0" max:"1" help:"Part of the calls that is traced, from 0 to 1."`
}

// buildTracer makes what takes SIP messages; nil when nothing is to be kept or sent.
func (a *App) buildTracer(ctx context.Context) (*siptrace.Tracer, error) {
	var buffer *siptrace.Buffer
	if a.config.TraceMemory > 0 {
		buffer = siptrace.NewBuffer(a.config.TraceMemory << 20)
	}
	var hep *siptrace.HEP
	if a.config.HEP != "" {
		node, err := a.config.nodeName()
		if err != nil {
			return nil, err
		}
		if hep, err = siptrace.DialHEP(ctx, a.config.HEP, crc32.ChecksumIEEE([]byte(node)), a.config.HEPKey); err != nil {
			return nil, err
		}
		a.undo("SIP capture", func(context.Context) error { return hep.Close() })
		a.metrics.WatchHEP(hep.Sent, hep.Lost)
	}
	if buffer == nil && hep == nil {
		return nil, nil
	}
	return siptrace.NewTracer(buffer, hep), nil
}

// buildTracing makes what sends traces of calls; nil when none are wanted.
func (a *App) buildTracing(ctx context.Context) (func(*sipgw.Journey), error) {
	if a.config.OTLP == "" {
		return nil, nil
	}
	node, err := a.config.nodeName()
	if err != nil {
		return nil, err
	}
	tracing, err := telemetry.NewTracing(ctx, telemetry.TracingSettings{
		Endpoint: a.config.OTLP, Ratio: a.config.OTLPRatio, Node: node, Version: a.config.Version, Logger: a.logger,
	})
	if err != nil {
		return nil, err
	}
	a.undo("traces", func(ctx context.Context) error {
		// A collector that is away must not hold up the end.
		limited, cancel := context.WithTimeout(ctx, httpStopLimit)
		defer cancel()
		if err := tracing.Close(limited); err != nil {
			a.logger.Warn("the last traces were not sent", "error", err)
		}
		return nil
	})
	return tracing.Journey, nil
}
