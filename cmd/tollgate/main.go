// Command tollgate is a self-hosted outbound voice gateway: it applies outbound
// voice profiles to real SIP calls, meters them while they run, and ends them
// when the budget ends. "tollgate --help" lists the commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // calling windows name time zones, and a small host has no zone files

	"github.com/alecthomas/kong"

	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/telemetry"
)

// commands is the command line.
type commands struct {
	Config      configFlag `help:"JSON file with settings; a flag or an environment variable overrides it." placeholder:"FILE" env:"TOLLGATE_CONFIG"`
	logSettings `part:"Log" see:"OPERATIONS.md"`
	Version     kong.VersionFlag `help:"Print the version and stop."`

	Serve       serveCommand       `cmd:"" help:"Run the gateway and its API."`
	Demo        demoCommand        `cmd:"" help:"Start all of it in a temporary folder, place real calls, and tell the outcome of each."`
	Call        callCommand        `cmd:"" help:"Place one test call through a running server."`
	Check       checkCommand       `cmd:"" help:"Tell how a call to a number would be decided, and which gateways it would try."`
	Trace       traceCommand       `cmd:"" help:"Show the SIP messages of one call."`
	Gateways    gatewaysCommand    `cmd:"" help:"Find out what the carrier of a gateway does."`
	Audit       auditCommand       `cmd:"" help:"Check what was recorded of calls, charges and changes."`
	Secrets     secretsCommand     `cmd:"" help:"Change the keys that seal the secrets in the database."`
	Backup      backupCommand      `cmd:"" help:"Copy the SQLite database, also of a running server."`
	Restore     restoreCommand     `cmd:"" help:"Put a copy in the place of the database, or mark a PostgreSQL database that was restored."`
	CheckConfig checkConfigCommand `cmd:"" help:"Check the settings without starting anything."`
	Settings    settingsCommand    `cmd:"" help:"Print the reference of all settings, docs/SETTINGS.md, as Markdown."`
}

// logSettings are the settings of the log.
type logSettings struct {
	LogLevel  slog.Level `name:"log-level" default:"info" reload:"" help:"Least level that is logged: debug, info, warn or error."`
	LogFormat string     `name:"log-format" default:"text" enum:"text,json" help:"How the log is written: text or json. Telephone numbers are masked in both."`
}

// exit is an error that carries the status of the process.
type exit struct {
	code int
	error
}

func main() {
	os.Exit(run(os.Args[1:]))
}

// newLogger makes the log of the program. No telephone number is in it.
func newLogger(out io.Writer, format string, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(telemetry.Mask(slog.NewJSONHandler(out, options)))
	}
	return slog.New(telemetry.Mask(slog.NewTextHandler(out, options)))
}

// newParser makes the parser of the command line, the environment and the config file.
func newParser(ctx context.Context, cli *commands, exit func(int)) (*kong.Kong, error) {
	return kong.New(cli,
		kong.Name("tollgate"),
		kong.Description("A self-hosted outbound voice gateway with profiles that are enforced."),
		kong.Vars{"version": version(), "data_dir": app.Default().DataDir},
		readVariables(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Exit(exit),
		kong.UsageOnError(),
	)
}

// reread reads the settings again from where they came, and puts the level of the
// log in force.
type reread func() (serverFlags, error)

// run is main without the exit, for tests of the command line.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ended := -1
	var cli commands
	parser, err := newParser(ctx, &cli, func(code int) { ended = code })
	if err != nil {
		fmt.Fprintln(os.Stderr, "tollgate:", err)
		return 1
	}
	command, err := parser.Parse(args)
	if ended >= 0 { // --help and --version end here
		return ended
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tollgate:", err)
		return 2
	}
	level := new(slog.LevelVar)
	level.Set(cli.LogLevel)
	logger := newLogger(os.Stderr, cli.LogFormat, level)
	err = command.Run(logger, reread(func() (serverFlags, error) {
		var again commands
		parser, err := newParser(ctx, &again, func(int) {})
		if err != nil {
			return serverFlags{}, err
		}
		if _, err := parser.Parse(args); err != nil {
			return serverFlags{}, err
		}
		level.Set(again.LogLevel)
		return again.Serve.serverFlags, nil
	}))
	var status exit
	if errors.As(err, &status) {
		return status.code
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tollgate:", err)
		return 1
	}
	return 0
}
