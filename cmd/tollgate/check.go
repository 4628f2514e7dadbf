package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/tollgate/tollgate/client"
)

type checkCommand struct {
	Number     string `arg:"" help:"The number as it would be dialled."`
	Connection string `help:"The id of the connection that the call would come from." xor:"from" required:"" placeholder:"ID"`
	Profile    string `help:"The id of an outbound voice profile, in place of a connection." xor:"from" required:"" placeholder:"ID"`
	From       string `help:"The caller id as it would be presented." default:""`
	API        string `name:"api" help:"Address of the API. Its key is read from TOLLGATE_API_KEY." default:"http://127.0.0.1:8080" env:"TOLLGATE_API"`
}

// Run prints the way of a call that is not made: where it would come from, each rule, and the
// gateways that it would try. The exit status is 1 when it would be refused.
func (c *checkCommand) Run(ctx context.Context) error {
	key := os.Getenv("TOLLGATE_API_KEY")
	if key == "" {
		return errors.New("TOLLGATE_API_KEY: must hold an API key")
	}
	server, err := client.New(c.API, key)
	if err != nil {
		return err
	}
	asked := client.ExplainDecisionParams{From: client.Set(c.From), To: client.Set(c.Number)}
	if c.Connection != "" {
		asked.ConnectionID = client.Set(c.Connection)
	} else {
		asked.OutboundVoiceProfileID = client.Set(c.Profile)
	}
	forecast, err := server.Decisions().Explain(ctx, asked)
	if err != nil {
		return err
	}
	if err := printForecast(os.Stdout, &forecast); err != nil {
		return err
	}
	if !forecast.Allowed {
		return exit{1, errors.New(forecast.Reason)}
	}
	return nil
}

// printForecast prints a decision and the hunt behind it.
func printForecast(w io.Writer, f *client.Forecast) error {
	out := &strings.Builder{}
	fmt.Fprintf(out, "connection\t%s\n", orDash(f.ConnectionID))
	fmt.Fprintf(out, "profile\t%s\n", orDash(f.OutboundVoiceProfileID))
	fmt.Fprintf(out, "number\t%s\t%s\t%s\n", orDash(f.CLD), orDash(f.CountryCode), f.TNType)
	for _, rule := range f.Rules {
		if rule.Verdict != "not_judged" {
			fmt.Fprintf(out, "rule %s\t%s\t%s\n", rule.Rule, rule.Verdict, rule.Seen)
		}
	}
	if !f.Allowed {
		fmt.Fprintf(out, "refused\t%d %s\t%s\n", f.SIPStatus, f.SIPPhrase, orDash(f.Fix))
		return inColumns(w, out.String())
	}
	if f.Rate != nil {
		fmt.Fprintf(out, "what you charge\t%s a minute\tconnect fee %s, %s/%s s\n", *f.Rate, orDash(f.ConnectFee),
			orDash(f.FirstIncrement), orDash(f.Increment))
	}
	fmt.Fprintf(out, "route\t%s\n", orDash(f.RouteID))
	for i, g := range f.Gateways {
		fmt.Fprintf(out, "gateway %d\t%s\t%s\t%s to %s\n", i+1, orDash(g.GatewayID), g.Name, g.Number, g.Address)
	}
	if len(f.Gateways) == 0 {
		fmt.Fprintln(out, "gateways\tnone")
	}
	return inColumns(w, out.String())
}

// inColumns writes lines whose fields are separated by tabs.
func inColumns(w io.Writer, lines string) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(out, lines); err != nil {
		return err
	}
	return out.Flush()
}

func orDash[T any](value *T) string {
	if value == nil {
		return "-"
	}
	return fmt.Sprint(*value)
}
