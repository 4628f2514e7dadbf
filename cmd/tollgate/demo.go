package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/tollgate/tollgate/internal/demo"
)

type demoCommand struct{}

// Run places the demonstration's calls and fails when one was not decided as expected.
func (c *demoCommand) Run(ctx context.Context) error {
	// The table is for people; a request log in between would hide it.
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ok, err := demo.Run(ctx, os.Stdout, demo.Options{Logger: logger})
	if err != nil {
		return err
	}
	if !ok {
		return exit{1, fmt.Errorf("a call was not decided as expected")}
	}
	return nil
}
