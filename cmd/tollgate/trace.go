package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tollgate/tollgate/client"
)

type traceCommand struct {
	Call string `arg:"" help:"The id of a call, as in the header X-Tollgate-Decision, the list of calls or a detail record."`
	API  string `name:"api" help:"Address of the API. Its key is read from TOLLGATE_API_KEY." default:"http://127.0.0.1:8080" env:"TOLLGATE_API"`
}

// Run prints the SIP messages of a call. The exit status is 1 when there are none.
func (c *traceCommand) Run(ctx context.Context) error {
	key := os.Getenv("TOLLGATE_API_KEY")
	if key == "" {
		return errors.New("TOLLGATE_API_KEY: must hold an API key")
	}
	server, err := client.New(c.API, key)
	if err != nil {
		return err
	}
	messages, err := client.Collect(server.Calls().Trace(ctx, c.Call, client.CallsTraceQuery{}))
	if err != nil {
		return err
	}
	if len(messages) == 0 {
		return errors.New("the server has none of the call's messages any more, or another node carried the call")
	}
	for _, m := range messages {
		arrow := "<-"
		if m.Direction == "sent" {
			arrow = "->"
		}
		fmt.Printf("%s %s %s %s to %s\n\n    %s\n\n", arrow, m.At.Format("15:04:05.000000"),
			m.Transport, m.Source, m.Destination,
			strings.ReplaceAll(strings.TrimRight(printable(m.Text), "\n"), "\n", "\n    "))
	}
	return nil
}

// printable is a message for a terminal: what a caller sent must not steer it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return -1
		case r == '\n', r == '\t':
			return r
		case r < 0x20, r == 0x7f, r >= 0x80 && r < 0xa0:
			return '\uFFFD'
		}
		return r
	}, text)
}
