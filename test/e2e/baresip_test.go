package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// baresipConfig is a telephone without sound devices: it plays a tone to the other side, and keeps what it hears in
// files. Words in capitals are replaced.
const baresipConfig = `poll_method epoll
sip_listen LISTEN
sip_cafile ROOTS
audio_player aubridge,nil
audio_source ausine,400
audio_alert aubridge,nil
ausrc_srate 48000
ausrc_channels 2
auplay_srate 16000
auplay_channels 1
snd_path FOLDER
ctrl_tcp_listen 127.0.0.1:CONTROL
module_path MODULES
`

// baresipModules are loaded besides.
var baresipModules = []string{"module g711.so", "module g722.so", "module srtp.so", "module ausine.so",
	"module aubridge.so", "module sndfile.so", "module_app account.so", "module_app menu.so", "module_app ctrl_tcp.so"}

// baresip is a running telephone.
type baresip struct {
	t       *testing.T
	folder  string
	log     *process.Log
	control net.Conn
	ended   chan struct{}

	mu     sync.Mutex
	events []string // types of what happened, in JSON
}

// startBaresip starts Debian's baresip with one account.
func startBaresip(t *testing.T, account, listen, roots string) *baresip {
	t.Helper()
	program, err := exec.LookPath("baresip")
	modules, _ := filepath.Glob("/usr/lib*/baresip/modules")
	if err != nil || len(modules) == 0 {
		t.Skip("baresip is not installed (Debian package baresip-core; \"make deps\" installs it)")
	}
	b := &baresip{t: t, folder: t.TempDir(), log: &process.Log{}, ended: make(chan struct{})}
	port := fmt.Sprint(process.FreePort(t, "127.0.0.1"))
	config := strings.NewReplacer("LISTEN", listen, "ROOTS", roots, "FOLDER", b.folder, "CONTROL", port,
		"MODULES", modules[0]).Replace(baresipConfig) + strings.Join(baresipModules, "\n") + "\n"
	for name, text := range map[string]string{"config": config, "accounts": account + "\n", "contacts": ""} {
		if err := os.WriteFile(filepath.Join(b.folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), program, "-f", b.folder, "-s")
	command.Stdout, command.Stderr = b.log, b.log
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(b.ended)
		_ = command.Wait()
	}()
	t.Cleanup(func() {
		<-b.ended // the test's context has ended
		if t.Failed() {
			t.Logf("log of baresip:\n%s", b.log)
		}
	})
	process.Eventually(t, "baresip can be controlled", time.Minute, func() bool {
		b.control, err = net.Dial("tcp", "127.0.0.1:"+port)
		return err == nil
	})
	t.Cleanup(func() { _ = b.control.Close() })
	go b.listen()
	return b
}

// listen keeps what the telephone tells: netstrings of JSON.
func (b *baresip) listen() {
	buffer := make([]byte, 16<<10)
	for {
		n, err := b.control.Read(buffer)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.events = append(b.events, string(buffer[:n]))
		b.mu.Unlock()
	}
}

// command has the telephone do something.
func (b *baresip) command(name, parameters string) {
	b.t.Helper()
	text, err := json.Marshal(map[string]string{"command": name, "params": parameters})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.control, "%d:%s,", len(text), text); err != nil {
		b.t.Fatal(err)
	}
}

// await waits until the telephone has told of an event.
func (b *baresip) await(event string) {
	b.t.Helper()
	process.Eventually(b.t, "baresip tells of "+event, 30*time.Second, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return strings.Contains(strings.Join(b.events, ""), event)
	})
}

// heard is the audio that the telephone has played.
func (b *baresip) heard(rate int) (audio []int16) {
	b.t.Helper()
	files, _ := filepath.Glob(filepath.Join(b.folder, "dump-*-dec.wav"))
	slices.Sort(files)
	for _, file := range files {
		wav, err := os.ReadFile(file)
		if err != nil {
			b.t.Fatal(err)
		}
		audio = append(audio, sides(b.t, wav, "single", rate)[0]...)
	}
	return audio
}

// TestBaresip has a telephone register and call over each transport: both sides hear each other, the call is
// held and resumed, and a transfer is refused, upon which baresip hangs up.
func TestBaresip(t *testing.T) {
	for _, c := range []struct {
		name, transport, media string
		voice                  int
	}{
		{"UDP", "udp", "", 0},
		{"TCP and G.722", "tcp", "", 2},
		{"TLS and SRTP", "tls", ";mediaenc=srtp-mand", 0},
		{"IPv6 and PCMA", "udp6", "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			testBaresip(t, c.transport, c.media, voices(t)[c.voice])
		})
	}
}

func testBaresip(t *testing.T, transport, media string, v voice) {
	authority := process.NewAuthority(t)
	certificate, key := authority.Issue("127.0.0.1")
	listen := fmt.Sprintf("[::1]:%d", process.FreePort(t, "[::1]"))
	s := serve(t, t.TempDir(), "--sip-tls-listen", "127.0.0.1:0", "--sip-tls-cert", certificate, "--sip-tls-key", key,
		"--sip-listen", listen, "--media-address", "127.0.0.1,::1")
	carrier := startTalker(t, v)
	s.asteriskConnections(carrier.Addr(), false)
	domain, own := s.SIP+";transport="+transport, "127.0.0.1:0"
	switch transport {
	case "tls":
		domain = s.Secure + ";transport=tls"
	case "udp6":
		domain, own = listen, "[::1]:0"
	}
	b := startBaresip(t, "<sip:alice1@"+domain+">;auth_user=alice1;auth_pass=a-long-password;regint=600"+media, own,
		authority.Roots())
	process.Eventually(t, "baresip is registered", 30*time.Second, func() bool {
		return s.registration("alice1") == "Registered"
	})
	b.command("dial", "12125550123")
	b.await("CALL_ESTABLISHED")
	b.useTheCall(carrier)
	record := s.onlyRecord()
	if record["outcome"] != "answered" || record["hangup_cause"] != "NORMAL_CLEARING" {
		t.Errorf("record %v", record)
	}
	b.command("quit", "")
	<-b.ended
	if state := s.registration("alice1"); state == "Registered" {
		t.Errorf("registration status %q after baresip has ended", state)
	}
	for side, hz := range []float64{asteriskHz, calleeHz} {
		// G.722 was offered, and so the recording has the samples of it.
		audio := sides(t, fetch(t, s.recordings(1)[0]), "dual", 16000)
		if heard := tenths(audio[side], 16000, hz); heard < 5 {
			t.Errorf("side %d of the recording has %.0f Hz in %d tenths of a second", side, hz, heard)
		}
	}
	if heard := tenths(b.heard(v.rate), v.rate, calleeHz); heard < 5 {
		t.Errorf("baresip heard the carrier in %d tenths of a second", heard)
	}
}

// useTheCall does what people do in a call, and speaks for a second.
func (b *baresip) useTheCall(carrier *phone.Carrier) {
	b.t.Helper()
	process.Eventually(b.t, "a second of audio", 30*time.Second, func() bool {
		file, _ := filepath.Glob(filepath.Join(b.folder, "dump-*-dec.wav"))
		if len(file) == 0 {
			return false
		}
		info, err := os.Stat(file[0])
		return err == nil && info.Size() > 32000
	})
	for n, what := range []string{"hold", "resume"} {
		b.command(what, "")
		process.Eventually(b.t, what+" at the carrier", 30*time.Second, func() bool {
			return carrier.Calls()[0].Refreshes == n+1
		})
	}
	b.command("transfer", "sip:bob@example.com")
	process.Eventually(b.t, "the transfer is refused", 30*time.Second, func() bool {
		return strings.Contains(b.log.String(), "405 Method Not Allowed")
	})
}

// registration is the status of a user's registration.
func (s *server) registration(user string) string {
	s.T.Helper()
	_, answer := s.Call(http.MethodGet, "/v2/credential_connections", nil)
	for _, c := range answer["data"].([]any) {
		if c := c.(object); c["user_name"] == user {
			status := s.Must(http.MethodPost, fmt.Sprintf("/v2/credential_connections/%v/actions/check_registration_status",
				c["id"]), nil)
			return fmt.Sprint(status["status"])
		}
	}
	s.T.Fatalf("no connection of %s: %v", user, answer)
	return ""
}
