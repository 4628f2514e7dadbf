package e2e

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

// program runs a command of the program against the server's API.
func (s *server) program(args ...string) (status int, out string) {
	s.T.Helper()
	command := process.Command(args...)
	command.Env = append(command.Env, "TOLLGATE_API="+s.API)
	text, _ := command.CombinedOutput()
	return command.ProcessState.ExitCode(), string(text)
}

func TestTraceOfACall(t *testing.T) {
	capture, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	s := serve(t, t.TempDir(), "--hep", capture.LocalAddr().String())
	profile := s.setUp(nil, startCarrier(t))
	s.Must(http.MethodPost, "/v2/credential_connections", object{
		"connection_name": "phone", "user_name": "desk12345", "password": "correct-horse",
		"outbound": object{"outbound_voice_profile_id": profile},
	})
	s.pbx("pbx.xml", "+12125550123", 3, 50, 100*time.Millisecond).wait(t)
	if status, out := s.placeCall("+12125550199", "--user", "desk12345", "--from", "+13125550100"); status != 0 {
		t.Fatalf("the phone's call: status %d\n%s", status, out)
	}
	s.settled()
	for _, r := range s.records() {
		status, out := s.program("trace", r["id"].(string))
		if status != 0 {
			t.Fatalf("status %d\n%s", status, out)
		}
		// Both legs, from the first INVITE to the last 200, and no other call.
		for text, want := range map[string]int{"\n    INVITE sip:": 2, "\n    BYE sip:": 2, "\n    ACK sip:": 2,
			"\n    SIP/2.0 180": 2} {
			got := strings.Count(out, text)
			if strings.HasPrefix(text, "\n    INVITE") || strings.HasPrefix(text, "\n    ACK") {
				if got < want { // the phone's is challenged and comes again
					t.Errorf("%d times %q, want at least %d\n%s", got, text, want, out)
				}
			} else if got != want {
				t.Errorf("%d times %q, want %d\n%s", got, text, want, out)
			}
		}
		if r["cld"] == "+12125550199" {
			if !strings.Contains(out, `username="desk12345"`) || !strings.Contains(out, `response="removed"`) {
				t.Errorf("the trace of the phone's call:\n%s", out)
			}
		}
	}
	if status, out := s.program("trace", "019c0000-0000-7000-8000-000000000000"); status != 1 ||
		!strings.Contains(out, "tollgate:") {
		t.Errorf("a call that never was: status %d\n%s", status, out)
	}

	// The capture server has them too: 13 a call, and 3 for the challenge.
	packets, packet := 0, make([]byte, 1<<16)
	_ = capture.SetReadDeadline(time.Now().Add(2 * time.Second))
	for n, _, err := capture.ReadFrom(packet); err == nil; n, _, err = capture.ReadFrom(packet) {
		if !bytes.HasPrefix(packet[:n], []byte("HEP3")) {
			t.Fatalf("not HEP: %q", packet[:n])
		}
		packets++
	}
	if packets < 4*13+3 {
		t.Errorf("%d packets reached the capture server", packets)
	}
}
