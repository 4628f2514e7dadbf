package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/telemetry"
)

// observe takes what a transaction of the store did.
func (a *App) observe(g sqlstore.Group) {
	a.metrics.Group(g)
	telemetry.LogCalls(a.logger, g.Records)
}

// startMetrics serves /metrics on a listener of its own, since whoever may see how
// the server does is not who may use its API.
func (a *App) startMetrics(ctx context.Context) error {
	if a.config.MetricsAddr == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.config.MetricsAddr)
	if err != nil {
		return fmt.Errorf("listen for metrics on %s: %w", a.config.MetricsAddr, err)
	}
	a.metricsListener = listener
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", a.metrics.Handler())
	server := &http.Server{
		Handler: routes, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readHeaderTimeout,
		WriteTimeout: readTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(a.logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
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
