package app

import (
	"context"
	"errors"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/webhook"
)

const (
	// strayInterval is how often one connection is reported; strayConnections bounds those
	// that are remembered.
	strayInterval    = time.Minute
	strayConnections = 10_000
	// straysQueue bounds those that wait to be reported. More than that are only counted.
	straysQueue = 64
)

// strayed takes note of a right password from a source that its connection does not allow.
func (a *App) strayed(s webhook.Stray) {
	select {
	case a.strays <- s:
	default:
	}
}

// startStrays reports such passwords until Stop.
func (a *App) startStrays(ctx context.Context) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.tellStrays(running)
	}()
	a.undo("strays", func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
}

func (a *App) tellStrays(ctx context.Context) {
	told := make(map[id.ID]time.Time)
	for {
		var s webhook.Stray
		select {
		case <-ctx.Done():
			return
		case s = <-a.strays:
		}
		if last, again := told[s.Connection]; again && s.At.Sub(last) < strayInterval {
			continue
		}
		if len(told) >= strayConnections {
			clear(told)
		}
		told[s.Connection] = s.At
		a.logger.Warn("the right password of a connection came from an address that is not in its allowed_sources; "+
			"it was answered as a wrong one", "account", s.Account.String(), "connection", s.Connection.String(),
			"user_name", s.UserName, "source", s.Source.String())
		if err := a.store.NoteStray(ctx, s); err != nil && !errors.Is(err, context.Canceled) {
			a.logger.Warn("the webhook connection.source_refused is not sent", "error", err)
		}
	}
}
