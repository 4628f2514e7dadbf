package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/setting"
)

// serverFlags are the settings of a server.
type serverFlags struct {
	Server app.Config `embed:""`
}

// Validate refuses what must not be seen in the arguments; kong calls it.
func (f serverFlags) Validate() error {
	if hasPassword(f.Server.DatabaseURL) {
		return errPasswordSeen
	}
	return nil
}

// config is the configuration with its secrets, which are never flags: arguments are
// visible to every user of the machine.
func (f serverFlags) config() app.Config {
	c := f.Server
	setting.ReadSecrets(&c, os.Getenv)
	c.Version = version()
	return c
}

type serveCommand struct{ serverFlags }

// Run serves until the context ends, then stops cleanly.
func (c *serveCommand) Run(ctx context.Context, logger *slog.Logger, again reread) error {
	config := c.config()
	server, err := app.New(ctx, config, logger)
	if err != nil {
		return err
	}
	if key := server.NewKey(); key != "" {
		fmt.Printf("API key of the first account, shown this once:\n\n    %s\n\n", key)
	}
	if err := server.Start(ctx); err != nil {
		return errors.Join(err, server.Stop(context.WithoutCancel(ctx)))
	}
	if address := server.MetricsURL(); address != "" {
		fmt.Printf("Metrics on %s\n", address)
	}
	fmt.Printf("API on %s, SIP on %s\n", server.HTTPURL(), strings.Join(server.SIPListening(), ", "))
	defer reloadOnHangup(server, logger, again)()
	failed := server.Wait(ctx)
	return errors.Join(failed, server.Stop(context.WithoutCancel(ctx)))
}

type checkConfigCommand struct{ serverFlags }

// Run checks the settings.
func (c *checkConfigCommand) Run() error {
	config := c.config()
	if err := errors.Join(config.Check(), config.CheckTime(time.Now())); err != nil {
		return err
	}
	fmt.Println("The configuration is valid.")
	return nil
}

// version is the version of the module, or of the checkout it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && (version == "" || version == "(devel)") {
			return "devel " + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return version
}
