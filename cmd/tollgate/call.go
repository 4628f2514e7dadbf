package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
)

type callCommand struct {
	Number    string        `arg:"" help:"The number to dial, as a phone would dial it."`
	From      string        `help:"The caller id." default:""`
	Server    string        `help:"SIP address of the server, host:port." default:"127.0.0.1:5060" env:"TOLLGATE_SIP_ADDR"`
	User      string        `help:"User of a credential connection. Its password is read from TOLLGATE_CALL_PASSWORD."`
	LocalAddr string        `help:"Own address, host:port, where the connection is known by its address." default:""`
	HangUp    time.Duration `help:"Hang up this long after the answer." default:"5s"`
	Wait      time.Duration `help:"Give up when there is no answer after this." default:"60s"`
}

// teardownTime is how long a CANCEL is given to be answered.
const teardownTime = time.Second

// Run places the call and tells what happened. The exit status is 0 when it was
// answered, 2 when it was refused or not answered, and 1 when nothing came back.
func (c *callCommand) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	call, err := phone.Dial(ctx, phone.Options{
		Server: c.Server, From: c.From, To: c.Number, LocalAddr: c.LocalAddr,
		User: c.User, Password: os.Getenv("TOLLGATE_CALL_PASSWORD"),
		HangUpAfter: c.HangUp, CancelAfter: c.Wait,
	})
	if err != nil {
		return err
	}
	defer call.Close()
	// A server that says nothing at all cannot be sent a CANCEL (RFC 3261 section
	// 9.1); there is no need to wait for it longer than was asked for.
	giveUp := time.AfterFunc(c.Wait+teardownTime, func() {
		select {
		case <-call.Answered():
		default:
			cancel()
		}
	})
	defer giveUp.Stop()
	outcome := call.Wait()
	if err := phone.Report(os.Stdout, outcome); err != nil {
		return err
	}
	if outcome.Decision != "" {
		fmt.Printf("\nGET /tollgate/v1/decisions/%s explains it.\n", outcome.Decision)
	}
	if status := outcome.ExitCode(); status != 0 {
		return exit{status, fmt.Errorf("not answered")}
	}
	return nil
}
