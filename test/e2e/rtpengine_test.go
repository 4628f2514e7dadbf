package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// TestThroughRtpengine: a call of which rtpengine carries the audio, and both sides
// hear each other from the first to the last tenth of a second. rtpengine runs with
// its defaults: from whom it takes media it is told with each description.
func TestThroughRtpengine(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("rtpengine")
	if err != nil {
		t.Fatalf("rtpengine is needed (Debian package rtpengine-daemon; \"make deps\" installs it): %v", err)
	}
	ng := fmt.Sprintf("127.0.0.1:%d", process.FreePort(t, "127.0.0.1"))
	engine := exec.Command(program, "--config-file=none", "--foreground", "--table=-1", "--interface=127.0.0.1",
		"--listen-ng="+ng,
		"--port-min=31000", "--port-max=31999", "--num-threads=1", "--log-stderr", "--log-level=3",
		"--pidfile="+filepath.Join(t.TempDir(), "pid"))
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = engine.Process.Kill()
		_ = engine.Wait()
	})
	s := serve(t, t.TempDir(), "--media", "rtpengine="+ng, "--media-anchor")
	var near, far ear
	carrier := phone.NewCarrier(phone.CarrierOptions{Default: phone.Answer, Addr: carrierIP + ":0",
		Sound: pcmuTone(calleeHz), Hear: far.hear})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Stop)
	s.setUp(nil, carrier.Addr())
	place := func() phone.Outcome {
		o, err := phone.Place(t.Context(), phone.Options{Server: s.SIP, From: "+13125550100", To: "+12125550123",
			LocalAddr:   pbxIP + ":0",
			HangUpAfter: 3 * time.Second, Sound: pcmuTone(callerHz), Hear: near.hear})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	var o phone.Outcome
	process.Eventually(t, "rtpengine takes calls", 20*time.Second, func() bool {
		o = place()
		return o.Status == http.StatusOK
	})
	heard, told := near.tenths(calleeHz), far.tenths(callerHz)
	if least := int(o.Duration()/(100*time.Millisecond)) - 4; heard < least || told < least {
		t.Errorf("in a call of %v the caller heard the callee for %d tenths of a second, and the callee the caller for %d",
			o.Duration(), heard, told)
	}
	s.settled()
}
