package app

import (
	"context"
	"hash/crc32"

	"github.com/tollgate/tollgate/internal/siptrace"
)

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
