package rtpengine

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/mediatest"
	"github.com/tollgate/tollgate/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// daemon starts an rtpengine in user space on loopback and returns its ng port.
func daemon(t *testing.T, low int) netip.AddrPort {
	t.Helper()
	if testing.Short() {
		t.Skip("needs rtpengine")
	}
	program, err := exec.LookPath("rtpengine")
	if err != nil {
		t.Fatal("rtpengine is not installed: make deps installs it")
	}
	free, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	address := free.LocalAddr().(*net.UDPAddr).AddrPort()
	free.Close()
	command := exec.Command(program, "--config-file=none", "--foreground", "--table=-1", "--interface=127.0.0.1",
		"--interface=::1",
		"--listen-ng="+address.String(), "--port-min="+strconv.Itoa(low), "--port-max="+strconv.Itoa(low+999),
		"--num-threads=1", "--log-stderr", "--log-level=3", "--delete-delay=0", "--pidfile="+t.TempDir()+"/pid")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return address
}

func newEngine(t *testing.T, c Config) *Engine {
	t.Helper()
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Stop(context.Background()) })
	return e
}

// ready waits until an instance answers.
func (e *Engine) ready(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < 20*time.Second; <-tick.C {
		answered := make(chan error, 1)
		e.instances[0].send(dict{"command": "ping"}, time.Now(), func(_ dict, err error) { answered <- err })
		if <-answered == nil {
			return
		}
	}
	t.Fatal("rtpengine does not answer")
}

func TestConformance(t *testing.T) {
	address := daemon(t, 24000)
	mediatest.Run(t, func(t *testing.T, want mediatest.Want) media.Relay {
		e := newEngine(t, Config{Instances: []netip.AddrPort{address}, Silence: want.Silence})
		e.ready(t)
		return e
	})
}

// TestAnySource: with it the first packet of a side decides, from wherever it comes.
func TestAnySource(t *testing.T) {
	e := newEngine(t, Config{Instances: []netip.AddrPort{daemon(t, 27000)}, AnySource: true})
	e.ready(t)
	s, sdp, err := call(t, e)
	if err != nil {
		t.Fatal(err)
	}
	callee, elsewhere := mediatest.NewPhone(t, "127.0.0.2"), mediatest.NewPhone(t, "127.0.0.9")
	callee.Learn(sdp)
	done := make(chan []byte, 1)
	s.Answer(media.Description{From: record.SideCallee, SDP: callee.Describe(), Source: netip.MustParseAddr("127.0.0.2"),
		Target: netip.MustParseAddr("127.0.0.1")},
		func(sdp []byte, err error) {
			if err != nil {
				t.Error(err)
			}
			done <- sdp
		})
	elsewhere.Learn(<-done)
	mediatest.Converse(t, elsewhere, callee)
}

func TestNamed(t *testing.T) {
	for _, c := range []struct {
		addresses []string
		source    string
		want      bool
	}{
		{[]string{"IP4 10.1.2.3"}, "10.1.2.3", true},
		{[]string{"IP4 10.1.2.3"}, "::ffff:10.1.2.3", true},
		{[]string{"IP4 10.1.2.3"}, "10.1.2.4", false},
		{[]string{"IP4 10.1.2.3"}, "198.51.100.7", false},
		{[]string{"IP4 198.51.100.9"}, "198.51.100.7", true}, // a carrier's media gateway
		{[]string{"IP4 198.51.100.9", "IP4 192.168.0.9"}, "198.51.100.9", false},
		{[]string{"IP4 100.64.0.1"}, "198.51.100.7", false},
		{[]string{"IP4 0.0.0.0"}, "198.51.100.7", false},
		{[]string{"IP4 239.1.1.1/127"}, "198.51.100.7", false},
		{[]string{"IP6 2001:db8::9"}, "2001:db8::7", true},
		{[]string{"IP6 fd00::9"}, "2001:db8::7", false},
		{[]string{"IP4 media.example"}, "198.51.100.7", false},
		{nil, "198.51.100.7", false},
	} {
		sdp := "v=0\r\n"
		for _, a := range c.addresses {
			sdp += "c=IN " + a + "\r\n"
		}
		if got := named(media.Description{SDP: []byte(sdp), Source: netip.MustParseAddr(c.source)}); got != c.want {
			t.Errorf("%v from %s: %v", c.addresses, c.source, got)
		}
	}
}

// call opens a session and makes an offer by a phone.
func call(t *testing.T, e *Engine) (media.Session, []byte, error) {
	t.Helper()
	s := e.Open(media.Opening{Call: media.Call{ID: uuid.New()}})
	t.Cleanup(s.Close)
	type result struct {
		sdp []byte
		err error
	}
	done := make(chan result, 1)
	loopback := netip.MustParseAddr("127.0.0.1")
	s.Offer(media.Description{
		From: record.SideCaller, SDP: mediatest.NewPhone(t, "127.0.0.1").Describe(), Source: loopback, Target: loopback,
	}, func(sdp []byte, err error) { done <- result{sdp, err} })
	r := <-done
	return s, r.sdp, r.err
}

func TestCallsAreSpreadAndFailOver(t *testing.T) {
	first, second := daemon(t, 25000), daemon(t, 26000)
	e := newEngine(t, Config{Instances: []netip.AddrPort{first, second}})
	e.ready(t)
	reversed := newEngine(t, Config{Instances: []netip.AddrPort{second, first}})
	reversed.ready(t)
	in := map[byte]int{} // by the second digit of the port
	for range 6 {
		_, sdp, err := call(t, e)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := strings.Cut(string(sdp), "m=audio 2")
		in[port[0]]++
	}
	if in['5'] != 3 || in['6'] != 3 {
		t.Errorf("six calls are spread as %v", in)
	}
	// An address that does not answer is skipped, and is tried last from then on.
	away := netip.MustParseAddrPort("127.0.0.1:9")
	e = newEngine(t, Config{Instances: []netip.AddrPort{away, first}})
	for i := range 3 {
		begun := time.Now()
		if _, sdp, err := call(t, e); err != nil || !strings.Contains(string(sdp), "m=audio 25") {
			t.Fatalf("%v\n%s", err, sdp)
		}
		if took := time.Since(begun); i > 0 && took > giveUpAfter/2 {
			t.Errorf("call %d took %v", i, took)
		}
	}
	e = newEngine(t, Config{Instances: []netip.AddrPort{away}})
	if _, _, err := call(t, e); !errors.Is(err, media.ErrExhausted) {
		t.Errorf("without an instance: %v", err)
	}
}

func TestBencode(t *testing.T) {
	text := string(appendBencode(nil, dict{"command": "offer", "flags": []string{"a", ""}, "sdp": "v=0\r\n",
		"more": dict{"x": "1"}}))
	if want := "d7:command5:offer5:flagsl1:a0:e4:mored1:x1:1e3:sdp5:v=0\r\ne"; text != want {
		t.Errorf("wrote %q, want %q", text, want)
	}
	d, err := readBencode("d1:ai-42e1:bl1:xi7eee")
	if err != nil || d["a"] != int64(-42) || len(d["b"].([]any)) != 2 {
		t.Errorf("read %v, %v", d, err)
	}
	for _, bad := range []string{
		"", "d", "e", "i1e", "l", "d1:a", "d1:ai1e", "d1:ai1ee1", "d-1:ae", "d9999999999:ae", "di1ei1ee", "d1:aiee",
		"d1:ai99999999999999999999ee",
		strings.Repeat("d1:a", 100), "d1:a" + strings.Repeat("l", 100) + strings.Repeat("e", 101),
		"d1:al" + strings.Repeat("0:", maxValues) + "ee",
	} {
		if d, err := readBencode(bad); err == nil {
			t.Errorf("%.40q was read as %v", bad, d)
		}
	}
}

func FuzzBencode(f *testing.F) {
	f.Add("d1:ai-42e1:bl1:xi7ee1:cd1:d0:ee")
	f.Fuzz(func(t *testing.T, text string) {
		r := reader{rest: text}
		if _, err := r.value(0); err == nil && !strings.HasSuffix(text, r.rest) {
			t.Errorf("%q leaves %q, which is not its end", text, r.rest)
		}
	})
}
