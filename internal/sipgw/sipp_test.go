package sipgw

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
)

// sipp starts SIPp with a scenario and returns what waits for its end.
func sipp(t *testing.T, scenario string, arguments ...string) (wait func() error) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs SIPp")
	}
	program, err := exec.LookPath("sipp")
	if err != nil {
		t.Fatalf("these tests need SIPp (the package sip-tester of Debian): %v", err)
	}
	path, err := filepath.Abs(filepath.Join("testdata", scenario))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	command := exec.CommandContext(ctx, program,
		append([]string{"-sf", path, "-i", "127.0.0.1", "-nostdin", "-timeout", "50"}, arguments...)...)
	command.Dir = t.TempDir()
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = command.Wait()
	})
	return func() error {
		if err := command.Wait(); err != nil {
			return fmt.Errorf("sipp %s: %w\n%s", scenario, err, out.Bytes())
		}
		return nil
	}
}

// sippCarrier starts a SIPp carrier and makes it a gateway of the world.
func sippCarrier(t *testing.T, w *world) {
	t.Helper()
	probe, err := net.ListenPacket("udp", "127.0.0.1:0") // a free port
	if err != nil {
		t.Fatal(err)
	}
	port := probe.LocalAddr().(*net.UDPAddr).Port
	probe.Close()
	sipp(t, "uas.xml", "-p", strconv.Itoa(port))
	old := w.live.Snapshot().Gateways(worldAccount)[0]
	g := routing.NewGateway()
	g.ID, g.AccountID = worldGateway, worldAccount
	g.Address = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)).String()
	snapshot, err := w.live.Snapshot().With(policy.DropGateway(old), policy.PutGateway(&g))
	if err != nil {
		t.Fatal(err)
	}
	w.live.Publish(snapshot)
}

// TestManyCallsOfSIPp: a hundred calls a second between two programs that are not
// ours, and every one of them has its record.
func TestManyCallsOfSIPp(t *testing.T) {
	for name, transport := range map[string]string{"UDP": "u1", "TCP": "t1", "UDP, our Contact encoded": "u1"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{config: func(c *Config) { c.Timers = Timers{} }, pbx: func(c *connection.IPConnection) {
				c.EncodeContactHeaderEnabled = strings.Contains(name, "encoded")
			}})
			sippCarrier(t, w)
			const calls = 300
			err := sipp(t, "uac.xml", w.srv.Addr(), "-s", "+12125550123", "-t", transport,
				"-r", "100", "-m", strconv.Itoa(calls), "-d", "300")()
			if err != nil {
				t.Fatal(err)
			}
			for range calls {
				if r := w.record(); r.Outcome != record.OutcomeAnswered {
					t.Fatalf("record %+v", r)
				}
			}
			w.settled()
		})
	}
}
