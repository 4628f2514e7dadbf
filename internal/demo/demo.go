// Package demo shows Tollgate at work: it starts the whole server in a temporary
// folder, a phone and a carrier beside it, sets all up over the API as a user
// would, places real calls, and reports the outcome of each and the reason.
package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/phone"
)

const (
	// runLimit bounds the whole demonstration.
	runLimit = 40 * time.Second
	// stopLimit bounds the end of it, also after an interrupt.
	stopLimit = 5 * time.Second
	// longestRun is more than the calls take. A run that began so shortly before
	// midnight UTC would meet two days, each with a limit of its own.
	longestRun = 15 * time.Second
)

var errTooLong = fmt.Errorf("the demonstration took longer than %v", runLimit)

// Options changes how the demonstration runs. The zero value is fit for use.
type Options struct {
	// Logger is what the server logs to; nil logs nothing.
	Logger *slog.Logger
	// NoColour writes without colours even to a terminal.
	NoColour bool
}

// Run runs the demonstration and writes what happens to out. ok reports whether every
// call was decided, answered and charged as it should be. Everything is stopped
// and the folder removed when Run returns, also when ctx ends early.
func Run(ctx context.Context, out io.Writer, o Options) (ok bool, err error) {
	return run(ctx, out, o, steps())
}

func run(ctx context.Context, out io.Writer, o Options, scenario []step) (ok bool, err error) {
	p := newPrinter(out, o.NoColour)
	if wait := untilSafe(time.Now()); wait > 0 {
		p.say("It is nearly midnight UTC, when the day's limit starts afresh. Waiting %.0f s.\n", wait.Seconds())
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, errTooLong)
	defer cancel()
	s := &stage{key: rand.Text()}
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // what broke when the context ended is only its echo
		}
		err = errors.Join(err, s.stop(ctx))
	}()
	if err := s.start(ctx, o.Logger); err != nil {
		return false, err
	}
	p.opening(s)
	if err := s.setUp(ctx, p); err != nil {
		return false, err
	}
	p.header()
	results, err := s.play(ctx, scenario, p)
	if err != nil {
		return false, err
	}
	end, err := s.tally(ctx, results)
	if err != nil {
		return false, err
	}
	p.closing(results, end, time.Since(began))
	return end.ok(results), p.err
}

// untilSafe is how long to wait so that the calls fall in one UTC day.
func untilSafe(now time.Time) time.Duration {
	midnight := now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	if left := midnight.Sub(now); left <= longestRun {
		return left
	}
	return 0
}

// stage is the server, the carrier and the folder of one run.
type stage struct {
	key     string // of the API
	folder  string
	server  *app.App
	carrier *phone.Carrier
	api     *client
	profile string // id of the outbound voice profile
	calls   []*phone.Call
}

func (s *stage) start(ctx context.Context, logger *slog.Logger) (err error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s.folder, err = os.MkdirTemp("", "tollgate-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	s.carrier = phone.NewCarrier(phone.CarrierOptions{Default: phone.Behaviour{Status: 200, RingFor: ringTime}})
	if err := s.carrier.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	config := app.Default()
	config.GatewayAllowPrivate = true
	config.DataDir = s.folder
	config.HTTPAddr = "127.0.0.1:0"
	config.SIPAddr = "127.0.0.1:0"
	config.APIKey = s.key
	config.StopLimit = time.Second
	config.Version = "demo"
	s.server, err = app.New(ctx, config, logger)
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	if err := s.server.Start(ctx); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	s.api = newClient(s.server.HTTPAddr(), s.key)
	return nil
}

// stop ends the calls, then the server, then the carrier, which the server still
// has to tell that its calls have ended.
func (s *stage) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	for _, call := range s.calls {
		call.Close()
	}
	var problems []error
	if s.api != nil {
		s.api.close()
	}
	if s.server != nil {
		problems = append(problems, s.server.Stop(ctx))
	}
	if s.carrier != nil {
		s.carrier.Stop()
	}
	if s.folder != "" {
		problems = append(problems, os.RemoveAll(s.folder))
	}
	return errors.Join(problems...)
}

// play places the calls in order. A call that stays is still up while the next is
// placed, and reported before it.
func (s *stage) play(ctx context.Context, scenario []step, p *printer) ([]result, error) {
	var results []result
	var staying *phone.Call
	for i, next := range scenario {
		call, err := s.place(ctx, next)
		if err != nil {
			return nil, err
		}
		if next.stays {
			staying = call
			select {
			case <-call.Answered():
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
			continue
		}
		now, err := s.examine(ctx, next, call)
		if err != nil {
			return nil, err
		}
		if staying != nil {
			before, err := s.examine(ctx, scenario[i-1], staying)
			if err != nil {
				return nil, err
			}
			staying = nil
			results = append(results, before)
			p.result(len(results), &before)
		}
		results = append(results, now)
		p.result(len(results), &now)
	}
	return results, nil
}

func (s *stage) place(ctx context.Context, next step) (*phone.Call, error) {
	call, err := phone.Dial(ctx, phone.Options{
		Server: s.server.SIPAddr(), From: caller, To: next.dialled, HangUpAfter: next.hangUpAfter,
	})
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", next.dialled, err)
	}
	s.calls = append(s.calls, call)
	return call, nil
}

// examine waits for the end of a call, fetches its record and its decision, and
// compares them with the expected results.
func (s *stage) examine(ctx context.Context, placed step, call *phone.Call) (result, error) {
	r := result{step: placed, wire: call.Wait()}
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	var err error
	if r.record, err = s.api.record(ctx, r.wire.CallID); err != nil {
		return r, err
	}
	if r.decision, err = s.api.decision(ctx, r.record.DecisionID); err != nil {
		return r, err
	}
	r.mismatches = r.check()
	return r, nil
}

// tally is what remains after all calls.
func (s *stage) tally(ctx context.Context, results []result) (totals, error) {
	t := totals{carrier: len(s.carrier.Calls())}
	err := s.api.do(ctx, "GET", "/tollgate/v1/outbound_voice_profiles/"+s.profile+"/usage", nil, &t.usage)
	if err != nil {
		return t, err
	}
	t.mismatches = t.check(results)
	return t, nil
}
