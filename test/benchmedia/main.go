// Command benchmedia measures what relaying a G.711 call costs: the built-in relay,
// the same with a recording of each call, and rtpengine in user space, in one run on
// one machine. The load generator plays both sides of every call over loopback.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		if err := serve(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	calls := flag.String("calls", "250,500,1000", "how many calls are up at once, one run for each")
	seconds := flag.Duration("for", 10*time.Second, "how long each is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measureAll(ctx, *calls, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// candidate is a relay under load.
type candidate struct {
	name  string
	start func(context.Context) (*subject, error)
}

func measureAll(ctx context.Context, list string, length time.Duration) error {
	candidates := []candidate{
		{"built-in relay", func(ctx context.Context) (*subject, error) { return startChild(ctx, false) }},
		{"built-in relay, each call recorded", func(ctx context.Context) (*subject, error) { return startChild(ctx, true) }},
		{"rtpengine in user space", startDaemon},
	}
	fmt.Println("| relay | calls | lost packets | CPU | a packet | calls a core | added delay p50 / p99 |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for text := range strings.SplitSeq(list, ",") {
		calls, err := strconv.Atoi(text)
		if err != nil || calls < 1 {
			return fmt.Errorf("-calls: %q is not a number of calls", text)
		}
		for _, c := range candidates {
			if err := measure(ctx, c, calls, length); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return nil
}

// measure runs one relay with so many calls.
func measure(ctx context.Context, c candidate, calls int, length time.Duration) error {
	g, err := newGenerator(calls)
	if err != nil {
		return err
	}
	defer g.close()
	s, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	if g.targets, err = s.place(ctx, calls, g.addresses()); err != nil {
		return err
	}
	g.run(ctx, warmUp, nil)
	begun, cpu := time.Now(), s.cpu()
	sentBefore := g.sent.Load()
	g.run(ctx, length, g.delays)
	took, used := time.Since(begun), s.cpu()-cpu
	packets := g.sent.Load() - sentBefore
	g.drain()
	lost := g.sent.Load() - g.received.Load()
	each := used.Seconds() / float64(packets) * 1e6
	fmt.Printf("| %s | %d | %d of %d | %.0f %% | %.1f µs | %.0f | %s / %s |\n", c.name, calls, lost, g.sent.Load(),
		used.Seconds()/took.Seconds()*100, each, 1e6/(each*packetsPerCall), g.quantile(0.5), g.quantile(0.99))
	return ctx.Err()
}

// packetsPerCall is how many packets a call of G.711 brings in a second: 50 each way.
const packetsPerCall = 100

// warmUp is how long a relay runs before it is measured.
const warmUp = 2 * time.Second

// target is where one call's sides send.
type target struct{ caller, callee netip.AddrPort }
