package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// openSIPSIP is where OpenSIPS listens.
const openSIPSIP = "127.0.0.9"

// startOpenSIPS starts the OpenSIPS whose folder is in TOLLGATE_OPENSIPS with the configuration of examples/opensips.
// Debian 12 has none, so that the test runs where someone has built one: with the modules that the configuration loads.
func startOpenSIPS(t *testing.T, s *server) (sip string) {
	t.Helper()
	root := os.Getenv("TOLLGATE_OPENSIPS")
	if root == "" {
		t.Skip("TOLLGATE_OPENSIPS does not name the folder of an OpenSIPS 3.4, which Debian 12 does not have")
	}
	config, err := os.ReadFile("../../examples/opensips/opensips.cfg")
	if err != nil {
		t.Fatal(err)
	}
	modules, _ := filepath.Glob(filepath.Join(root, "lib*/opensips/modules"))
	if len(modules) == 0 {
		t.Fatalf("no modules of OpenSIPS in %s", root)
	}
	sip = net.JoinHostPort(openSIPSIP, fmt.Sprint(process.FreePort(t, openSIPSIP)))
	text := strings.NewReplacer("LISTEN_ADDRESS", sip, "MODULES", modules[0]+"/", "API_KEY", process.Key,
		"TOLLGATE_ADDRESS", strings.TrimPrefix(s.API, "http://"), "SWITCH_NAME", "opensips",
		"EMERGENCY_ROUTE", net.JoinHostPort(carrierIP, "5080"), "RENEW_EVERY", "1").Replace(string(config))
	file := filepath.Join(t.TempDir(), "opensips.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &process.Log{}
	command := exec.CommandContext(t.Context(), filepath.Join(root, "sbin/opensips"), "-F", "-m", "64", "-M", "8", "-f", file)
	command.Stdout, command.Stderr = log, log
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 20 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Wait()
		if t.Failed() {
			t.Logf("log of OpenSIPS:\n%s", log)
		}
	})
	process.Eventually(t, "OpenSIPS lets calls through", 20*time.Second, func() bool {
		o, err := phone.Place(t.Context(), phone.Options{Server: sip, From: "+13125550100", To: "+33123456789",
			LocalAddr: pbxIP + ":0"})
		return err == nil && o.Status == 403
	})
	return sip
}

// TestOpenSIPSAsksAndTells has the calls of examples/opensips.
func TestOpenSIPSAsksAndTells(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	carrier := startSwitchCarrier(t)
	profile := s.setUp(nil, carrier.Addr())
	sip := startOpenSIPS(t, s)
	s.switchCalls(sip)
	s.switchEnds(sip, profile)
}
