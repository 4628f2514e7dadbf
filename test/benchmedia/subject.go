package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/relay"
	"github.com/tollgate/tollgate/internal/media/rtpengine"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/recording"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// childArgument makes this program the relay under load.
const childArgument = "relay-under-load"

var loopback = netip.MustParseAddr("127.0.0.1")

// subject is a process under load.
type subject struct {
	command *exec.Cmd
	place   func(ctx context.Context, calls int, peers [2]netip.AddrPort) ([]target, error)
	folder  string
	ended   func()
}

// stop ends the process.
func (s *subject) stop() {
	if s.ended != nil {
		s.ended()
	}
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
	_ = os.RemoveAll(s.folder)
}

// ticksPerSecond is that of the kernel's accounting (USER_HZ).
const ticksPerSecond = 100

// cpu is the time that the process has used.
func (s *subject) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.command.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond
}

// startChild starts this program as the built-in relay.
func startChild(ctx context.Context, record bool) (*subject, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	s := &subject{}
	if s.folder, err = os.MkdirTemp("", "benchmedia"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	s.command = exec.CommandContext(ctx, self, childArgument, strconv.FormatBool(record), s.folder)
	s.command.Stderr = os.Stderr
	in, err := s.command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	s.place = func(_ context.Context, calls int, peers [2]netip.AddrPort) ([]target, error) {
		if _, err := fmt.Fprintln(in, calls, peers[0], peers[1]); err != nil {
			return nil, err
		}
		return readTargets(out, calls)
	}
	return s, nil
}

func readTargets(from io.Reader, calls int) ([]target, error) {
	lines := bufio.NewScanner(from)
	var targets []target
	for len(targets) < calls && lines.Scan() {
		one, other, _ := strings.Cut(lines.Text(), " ")
		caller, err := netip.ParseAddrPort(one)
		callee, otherErr := netip.ParseAddrPort(other)
		if err != nil || otherErr != nil {
			return nil, fmt.Errorf("the relay said %q", lines.Text())
		}
		targets = append(targets, target{caller, callee})
	}
	if len(targets) < calls {
		return nil, errors.New("the relay placed too few calls")
	}
	return targets, nil
}

// serve is the relay under load.
func serve(arguments []string) error {
	ctx := context.Background()
	r, err := relay.New(relay.Config{Addresses: []relay.Address{{Local: loopback}}, Low: 40000, High: 59999})
	if err != nil {
		return err
	}
	var recorder media.Recorder
	if arguments[0] == "true" {
		if recorder, err = newRecorder(ctx, arguments[1]); err != nil {
			return err
		}
	}
	var calls int
	var caller, callee string
	if _, err := fmt.Scanln(&calls, &caller, &callee); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	peers := [2]netip.AddrPort{netip.MustParseAddrPort(caller), netip.MustParseAddrPort(callee)}
	for range calls {
		t, err := placeCall(r, recorder, peers)
		if err != nil {
			return err
		}
		fmt.Println(t.caller, t.callee)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the load generator has gone
	return nil
}

// newRecorder records every call to a folder.
func newRecorder(ctx context.Context, folder string) (media.Recorder, error) {
	live := policy.NewLive()
	logger := slog.New(slog.DiscardHandler)
	store, err := sqlstore.Open(ctx, sqlstore.Config{
		Path: filepath.Join(folder, "tollgate.db"), Live: live, Clock: time.Now, IDs: id.NewSource(0, time.Now),
		Owner: uuid.New(), Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	p := profile.New()
	p.ID = 2
	p.AccountID = 1
	p.Name = "recorded"
	p.CallRecording = profile.CallRecording{Type: profile.RecordAll, Channels: "dual", Format: "wav"}
	snapshot, err := live.Snapshot().With(policy.PutProfile(&p))
	if err != nil {
		return nil, err
	}
	live.Publish(snapshot)
	r, err := recording.New(recording.Config{
		Dir: filepath.Join(folder, "recordings"), Live: live, Clock: time.Now, Logger: logger, Store: store,
		NewID: func() uuid.UUID { return uuid.Must(uuid.NewV7()) },
	})
	if err != nil {
		return nil, err
	}
	return r, r.Start(ctx)
}

// placeCall makes one call between the sides of the load generator.
func placeCall(r media.Relay, recorder media.Recorder, peers [2]netip.AddrPort) (target, error) {
	c := media.Call{ID: uuid.Must(uuid.NewV7()), Account: 1, Profile: 2, Connection: 3, From: 13125550100, To: 12125550123,
		SIPCallID: "bench"}
	o := media.Opening{Call: c, Lost: func() { fmt.Fprintln(os.Stderr, "a call was lost") }}
	if recorder != nil {
		o.Tap = recorder.Record(c)
	}
	s := r.Open(o)
	offered, err := pass(s.Offer, record.SideCaller, peers[0], peers[1])
	if err != nil {
		return target{}, err
	}
	answered, err := pass(s.Answer, record.SideCallee, peers[1], peers[0])
	if err != nil {
		return target{}, err
	}
	s.Answered(time.Now())
	return target{caller: answered, callee: offered}, nil
}

// pass gives a description of one side to the relay and returns where the other
// side is to send.
func pass(give func(media.Description, func([]byte, error)), from record.Side, by,
	to netip.AddrPort) (netip.AddrPort, error) {
	type result struct {
		sdp []byte
		err error
	}
	done := make(chan result, 1)
	sdp := fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n", by.Addr(),
		by.Addr(), by.Port())
	give(media.Description{From: from, SDP: []byte(sdp), Source: by.Addr(), Target: to.Addr()},
		func(sdp []byte, err error) { done <- result{sdp, err} })
	r := <-done
	if r.err != nil {
		return netip.AddrPort{}, r.err
	}
	_, rest, _ := strings.Cut(string(r.sdp), "m=audio ")
	text, _, _ := strings.Cut(rest, " ")
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("no port in %q", r.sdp)
	}
	return netip.AddrPortFrom(loopback, uint16(port)), nil
}

// startDaemon starts an rtpengine in user space.
func startDaemon(ctx context.Context) (*subject, error) {
	free, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	address := free.LocalAddr().(*net.UDPAddr).AddrPort()
	_ = free.Close()
	s := &subject{}
	if s.folder, err = os.MkdirTemp("", "benchmedia"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	s.command = exec.CommandContext(ctx, "rtpengine", "--config-file=none", "--foreground", "--table=-1",
		"--interface=127.0.0.1",
		"--listen-ng="+address.String(), "--port-min=40000", "--port-max=59999", "--endpoint-learning=immediate",
		"--log-stderr", "--log-level=2", "--pidfile="+filepath.Join(s.folder, "pid"))
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start rtpengine (make deps installs it): %w", err)
	}
	engine, err := rtpengine.New(rtpengine.Config{Instances: []netip.AddrPort{address}, Silence: time.Hour})
	if err != nil {
		return nil, err
	}
	s.ended = func() { _ = engine.Stop(ctx) }
	s.place = func(ctx context.Context, calls int, peers [2]netip.AddrPort) ([]target, error) {
		var targets []target
		for limit := time.Now().Add(20 * time.Second); len(targets) < calls; {
			t, err := placeCall(engine, nil, peers)
			switch {
			case err == nil:
				targets = append(targets, t)
			case len(targets) > 0 || time.Now().After(limit) || ctx.Err() != nil:
				return nil, err
			}
		}
		return targets, nil
	}
	return s, nil
}
