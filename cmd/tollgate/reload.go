package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/tollgate/tollgate/internal/app"
)

// reloadOnHangup makes the server read its settings and files again on each SIGHUP,
// until the function that it returns is called.
func reloadOnHangup(server *app.App, logger *slog.Logger, again reread) (stop func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range signals {
			flags, err := again()
			later := false
			if err == nil {
				later, err = server.Reload(flags.config())
			}
			if err != nil {
				logger.Error("reload on SIGHUP; what was in force stays so", "err", err)
				continue
			}
			logger.Info("reloaded on SIGHUP", "more_at_next_start", later)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}
