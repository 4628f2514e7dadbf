package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/telemetry"
)

// observe takes what a transaction of the store did.
func (a *App) observe(g ledger.Group) {
	a.metrics.Group(g)
	telemetry.LogCalls(a.logger, g.Records)
}

// startMetrics serves /metrics on a listener of its own: those who watch a server need no
// access to its API.
func (a *App) startMetrics(ctx context.Context) error {
	if a.config.MetricsAddr == "" {
		return nil
	}
	secured, err := a.secureMetrics()
	if err != nil {
		return a.config.wrong(&a.config.MetricsAddr, "%w", err)
	}
	listener, err := a.listenHTTP(ctx, &a.config.MetricsAddr, "metrics", secured)
	if err != nil {
		return err
	}
	a.metricsListener, a.metricsSecured = listener, secured
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", a.metrics.Handler())
	server, err := a.newHTTP("metrics", secured, false, metricsConnections)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server.Handler = routes
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); err != nil {
			a.failed <- fmt.Errorf("serve metrics: %w", err)
		}
	}()
	a.undo("metrics", func(context.Context) error {
		err := server.Close()
		<-ended
		return err
	})
	return nil
}

// MetricsAddr is the address of the metrics, once started; "" when there is none.
func (a *App) MetricsAddr() string {
	if a.metricsListener == nil {
		return ""
	}
	return a.metricsListener.Addr().String()
}
