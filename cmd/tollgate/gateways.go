package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tollgate/tollgate/client"
)

type gatewaysCommand struct {
	Check gatewaysCheckCommand `cmd:"" help:"Ask a gateway by OPTIONS, place a call that ends at the first ringing, and say what the carrier did and what to change."`
}

type gatewaysCheckCommand struct {
	Gateway    string `arg:"" help:"The id of the gateway."`
	Number     string `help:"A number to call, in E.164. Without it no call is placed."`
	Connection string `help:"The id of the connection as whose call it goes; by default the account's oldest."`
	API        string `name:"api" help:"Address of the API. Its key, of scope carrier, is read from TOLLGATE_API_KEY." default:"http://127.0.0.1:8080" env:"TOLLGATE_API"`
}

// Run prints what the carrier did. The exit status is 2 when a step did not pass.
func (c *gatewaysCheckCommand) Run(ctx context.Context) error {
	key := os.Getenv("TOLLGATE_API_KEY")
	if key == "" {
		return errors.New("TOLLGATE_API_KEY: must hold an API key")
	}
	server, err := client.New(c.API, key)
	if err != nil {
		return err
	}
	params := client.CheckGatewayParams{}
	if c.Number != "" {
		params.Number = client.Set(c.Number)
	}
	if c.Connection != "" {
		params.ConnectionID = client.Set(c.Connection)
	}
	result, err := server.Gateways().Check(ctx, c.Gateway, params)
	if err != nil {
		return err
	}
	for _, step := range result.Steps {
		mark := "ok    "
		if !step.Passed {
			mark = "FAILED"
		}
		fmt.Printf("%s %-8s %s\n", mark, step.Step, printable(step.Says))
		if step.Advice != nil {
			fmt.Printf("%16s%s\n", "", printable(*step.Advice))
		}
	}
	if !result.Works {
		return exit{2, errors.New("the gateway does not work as it should")}
	}
	return nil
}
