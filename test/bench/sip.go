package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
)

// between is what stands between the PBX and the carrier.
type between struct {
	name    string
	address string // where the PBX sends its calls
	carrier string
	number  string // that all calls are to
	metrics string // host:port of Tollgate's metrics, "" for what has none
	servers []*process
}

func (s *between) close() {
	for _, server := range s.servers {
		server.kill()
	}
}

// used is the processor time and the memory of all that it takes.
func (s *between) used() (cpu time.Duration, memory int64, err error) {
	for _, server := range s.servers {
		c, err := server.cpu()
		if err != nil {
			return 0, 0, err
		}
		m, err := server.memory()
		if err != nil {
			return 0, 0, err
		}
		cpu, memory = cpu+c, memory+m
	}
	return cpu, memory, nil
}

// sipSections are measured with SIPp on both sides: signalling only, UDP, loopback.
var sipSections = []section{
	{"calls", measureCalls},
	{"delay", measureDelay},
	{"live", measureLive},
}

// contenders start what is to be measured, one after the other, each in front of a
// carrier's address.
var contenders = []struct {
	name  string
	start func(ctx context.Context, b *bench, carrier string) (*between, error)
}{
	{"Tollgate", startTollgate},
	{"Kamailio as a proxy", startKamailio},
	{"Kamailio that asks Tollgate", startAsking},
}

func startTollgate(ctx context.Context, b *bench, carrier string) (*between, error) {
	b.folders++
	listen, err := freeUDP(proxyIP)
	if err != nil {
		return nil, err
	}
	metrics, err := freeTCP()
	if err != nil {
		return nil, err
	}
	server, err := start(b.program, []string{"TOLLGATE_API_KEY=" + apiKey}, "serve", "--metrics-addr", metrics,
		"--data-dir", filepath.Join(b.folder, fmt.Sprint("data", b.folders)),
		"--http-addr", "127.0.0.1:0", "--sip-addr", listen, "--rate-limit=-1", "--log-level", "error")
	if err != nil {
		return nil, err
	}
	w := &world{servers: []*process{server}, deck: b.deck}
	if err := w.setUpSIP(ctx, carrier); err != nil {
		server.kill()
		return nil, err
	}
	return &between{name: "Tollgate", address: listen, metrics: metrics, servers: []*process{server}}, nil
}

// setUpSIP makes one PBX known by its address, and the carrier.
func (w *world) setUpSIP(ctx context.Context, carrier string) error {
	if err := w.price(ctx, fullMinute); err != nil {
		return err
	}
	profile, err := w.create(ctx, "/v2/outbound_voice_profiles", map[string]any{
		"name": "office", "whitelisted_destinations": []string{"US"}, "daily_spend_limit": "1000000.00",
		"daily_spend_limit_enabled": true,
		"spend_limit_action":        "end_calls",
	})
	if err != nil {
		return err
	}
	connection, err := w.create(ctx, "/v2/ip_connections", map[string]any{
		"connection_name": "pbx", "outbound": map[string]any{"outbound_voice_profile_id": profile},
	})
	if err != nil {
		return err
	}
	if _, err := w.create(ctx, "/v2/ips", map[string]any{"connection_id": connection, "ip_address": pbxIP}); err != nil {
		return err
	}
	_, err = w.create(ctx, "/tollgate/v1/gateways", map[string]any{"name": "sipp", "address": carrier, "priority": 0})
	return err
}

//go:embed kamailio.cfg
var kamailioConfig string

// startKamailio starts a record-routing proxy.
func startKamailio(_ context.Context, b *bench, carrier string) (*between, error) {
	listen, err := freeUDP(proxyIP)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(b.folder, "kamailio")
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer("CARRIER\"", "sip:"+carrier+"\"", "listen=LISTEN",
		"listen=udp:"+listen).Replace(kamailioConfig)
	config := filepath.Join(folder, "kamailio.cfg")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	server, err := kamailio(config, folder, listen)
	if err != nil {
		return nil, err
	}
	return &between{name: "Kamailio as a proxy", address: listen, servers: []*process{server}}, nil
}

// startAsking starts the Kamailio of examples/kamailio and the Tollgate that it asks.
func startAsking(ctx context.Context, b *bench, carrier string) (*between, error) {
	s, err := startTollgate(ctx, b, carrier)
	if err != nil {
		return nil, err
	}
	s.name = "Kamailio that asks Tollgate"
	if s.address, err = freeUDP(proxyIP); err != nil {
		s.close()
		return nil, err
	}
	folder, err := os.MkdirTemp(b.folder, "kamailio")
	if err != nil {
		s.close()
		return nil, err
	}
	server, err := kamailio("examples/kamailio/kamailio.cfg", folder, s.address, "-A", "LISTEN=udp:"+s.address, "-A",
		"SWITCH="+strconv.Quote("kamailio"),
		"-A", "TOLLGATE="+strconv.Quote("http://"+s.servers[0].address), "-A", "TOLLGATE_KEY="+strconv.Quote(apiKey))
	if err != nil {
		s.close()
		return nil, err
	}
	s.servers = append(s.servers, server)
	return s, nil
}

// kamailio starts Kamailio with the settings that serve it best: another allocator and
// large socket buffers.
func kamailio(config, folder, listen string, more ...string) (*process, error) {
	command := exec.Command("kamailio",
		append([]string{"-DD", "-E", "-f", config, "-Y", folder, "-P", filepath.Join(folder, "pid"),
			"-m", "1024", "-x", "tlsf", "-X", "tlsf", "-b", "8388608"}, more...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("kamailio (Debian package kamailio): %w", err)
	}
	p := &process{command: command, address: listen, ended: make(chan struct{}), group: true}
	go func() {
		defer close(p.ended)
		_ = command.Wait()
	}()
	return p, nil
}

// ready returns when a call gets through.
func (s *between) ready(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(15 * time.Second)
	for {
		outcome, err := probe(ctx, s.address, s.number)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no call gets through %s: %w (%s)", s.name, err, outcome.Summary())
		}
		<-tick.C
	}
}

// probe places one short call and wants it answered.
func probe(ctx context.Context, through, number string) (phone.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	outcome, err := phone.Place(ctx, phone.Options{
		Server: through, From: "+13125550100", To: number, LocalAddr: pbxIP + ":0", HangUpAfter: time.Millisecond,
		NoAudio: true,
	})
	if err == nil && (outcome.Answered.IsZero() || outcome.Ringing.IsZero()) {
		err = errors.New("the call was not answered")
	}
	return outcome, err
}

// measureCalls raises the rate until calls fail.
func measureCalls(ctx context.Context, b *bench) error {
	const seconds, hold = 8, time.Second
	b.report.printf("### Calls a second\n\nCalls of %v, %d s at each rate; the rate is raised until one call in a "+
		"thousand fails.\n\n"+
		"| between PBX and carrier | calls/s tried | failed | retransmissions | CPU a call | memory at the end |\n"+
		"|---|---:|---:|---:|---:|---:|\n", hold, seconds)
	costs := make([]map[int]time.Duration, len(contenders)) // of a call, by rate
	for i, contender := range contenders {
		costs[i] = map[int]time.Duration{}
		for _, rate := range []int{500, 1000, 2000, 3000, 4000, 5000, 6000} {
			var used time.Duration
			var memory int64
			var result placed
			err := b.between(ctx, contender.start, func(s *between) (err error) {
				before, _, err := s.used()
				if err != nil {
					return err
				}
				if result, err = place(ctx, b.folder, s.address,
					calls{number: s.number, perSecond: rate, total: rate * seconds, hold: hold}); err != nil {
					return err
				}
				used, memory, err = s.used()
				used -= before
				return err
			})
			if err != nil {
				return err
			}
			perCall := used / time.Duration(rate*seconds)
			b.report.printf("| %s | %s | %d | %d | %d µs | %d MB |\n", contender.name, thousands(float64(rate)), result.failed,
				result.retransmitted,
				perCall.Microseconds(), memory>>20)
			costs[i][rate] = perCall
			if result.failed > rate*seconds/1000 {
				break
			}
		}
	}
	for i := range contenders[1:] {
		rate, ratio := compared(costs[0], costs[i+1])
		b.report.printf("\nCPU a call at %s/s: %.2f of what %s takes.\n", thousands(float64(rate)), ratio,
			contenders[i+1].name)
	}
	b.report.printf("\n")
	return nil
}

// compared is the ratio of two costs at the highest rate that both have.
func compared(of, to map[int]time.Duration) (rate int, ratio float64) {
	for candidate := range of {
		if _, both := to[candidate]; both {
			rate = max(rate, candidate)
		}
	}
	return rate, float64(of[rate]) / float64(to[rate])
}

// between starts a carrier and what stands in front of it, for the time of a load.
func (b *bench) between(ctx context.Context, begin func(context.Context, *bench, string) (*between, error),
	run func(*between) error) error {
	address, err := freeUDP(carrierIP)
	if err != nil {
		return err
	}
	far, err := startCarrier(b.folder, address)
	if err != nil {
		return err
	}
	defer far.stop()
	s, err := begin(ctx, b, address)
	if err != nil {
		return err
	}
	defer s.close()
	s.carrier, s.number = address, b.deck.number()
	if err := s.ready(ctx); err != nil {
		return err
	}
	return run(s)
}

// measureDelay places single calls, through and past what stands between, while it
// carries 1,000 calls a second.
func measureDelay(ctx context.Context, b *bench) error {
	const rate, probes = 1000, 1000
	b.report.printf("### Post-dial delay at %s calls a second\n\n"+
		"From INVITE to 180, of %d single calls through it and as many straight to the carrier, taken in turn.\n\n"+
		"| between PBX and carrier | through it p50 / p99 | straight p50 / p99 | added p50 / p99 | not answered |\n"+
		"|---|---:|---:|---:|---:|\n", thousands(rate), probes)
	for _, contender := range contenders[:2] { // the third does not carry that rate
		var through, straight []time.Duration
		unanswered := 0
		err := b.between(ctx, contender.start, func(s *between) error {
			ctx, cancel := context.WithCancel(ctx)
			loaded := make(chan struct{})
			go func() {
				defer close(loaded)
				// it is interrupted
				_, _ = place(ctx, b.folder, s.address,
					calls{number: s.number, perSecond: rate, total: rate * 60, hold: time.Second})
			}()
			defer func() {
				cancel()
				<-loaded
			}()
			for range probes {
				for _, way := range []struct {
					address string
					took    *[]time.Duration
				}{{s.address, &through}, {s.carrier, &straight}} {
					outcome, err := probe(ctx, way.address, s.number)
					if err != nil {
						if unanswered++; unanswered > probes/20 {
							return fmt.Errorf("probe of %s: %w", contender.name, err)
						}
						continue
					}
					*way.took = append(*way.took, outcome.Ringing.Sub(outcome.Started))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		slices.Sort(through)
		slices.Sort(straight)
		at := func(took []time.Duration, percent int) time.Duration { return took[len(took)*percent/100] }
		b.report.printf("| %s | %s / %s | %s / %s | %s / %s | %d |\n", contender.name, milliseconds(at(through, 50)),
			milliseconds(at(through, 99)),
			milliseconds(at(straight, 50)), milliseconds(at(straight, 99)),
			milliseconds(at(through, 50)-at(straight, 50)), milliseconds(at(through, 99)-at(straight, 99)), unanswered)
	}
	b.report.printf("\n")
	return nil
}

// lingering is how long transactions of a call outlast it (RFC 3261, 64*T1), with some
// seconds to spare.
const lingering = 40 * time.Second

// measureLive holds calls up and says what memory each has. Before it, as many calls come
// and go that what is kept of the past, such as the trace of SIP messages, is full.
func measureLive(ctx context.Context, b *bench) error {
	const live, rate, hold = 10_000, 500, 75 * time.Second
	b.report.printf("### Memory of %s live calls\n\n"+
		"| between PBX and carrier | heap a call | memory of the process a call | failed |\n|---|---:|---:|---:|\n",
		thousands(live))
	for _, contender := range contenders[:2] {
		var fresh, before, during memory
		var result placed
		err := b.between(ctx, contender.start, func(s *between) (err error) {
			if _, fresh.process, err = s.used(); err != nil {
				return err
			}
			if _, err = place(ctx, b.folder, s.address,
				calls{number: s.number, perSecond: rate, total: live, hold: time.Millisecond}); err != nil {
				return err
			}
			if err := wait(ctx, lingering); err != nil {
				return err
			}
			if before, err = s.memory(ctx); err != nil {
				return err
			}
			loaded := make(chan error, 1)
			go func() {
				var err error
				result, err = place(ctx, b.folder, s.address, calls{number: s.number, perSecond: rate, total: live, hold: hold})
				loaded <- err
			}()
			// All calls are up from the last INVITE on; after some time the transactions of
			// their beginnings are over.
			timer := time.NewTimer(live/rate*time.Second + lingering)
			defer timer.Stop()
			select {
			case <-timer.C:
			case err := <-loaded:
				return fmt.Errorf("the calls were over before they were measured: %w", err)
			}
			during, err = s.memory(ctx)
			return errors.Join(err, <-loaded)
		})
		if err != nil {
			return err
		}
		heap := ""
		if during.heap > 0 {
			heap = fmt.Sprintf("%d bytes", (during.heap-before.heap)/live)
		}
		b.report.printf("| %s | %s | %d bytes | %d |\n", contender.name, heap, (during.process-fresh.process)/live,
			result.failed)
	}
	b.report.printf("\nHeap is what the calls add to what %s calls before them left, after a collection of garbage, the "+
		"call's lease in the ledger\n"+
		"included (`%s` of the metrics). The memory of the process is what it has grown by since it was ready, with "+
		"garbage and with\n"+
		"what it keeps of calls that are over.\n\n", thousands(live), metricLive)
	return nil
}

// memory is what a server uses, in bytes.
type memory struct {
	process int64
	heap    int64 // without garbage; 0 if unknown
}

func (s *between) memory(ctx context.Context) (m memory, err error) {
	// The process first: reading the heap collects its garbage.
	if _, m.process, err = s.used(); err != nil || s.metrics == "" {
		return m, err
	}
	m.heap, err = liveHeap(ctx, s.metrics)
	return m, err
}

// wait waits, or returns why not.
func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
