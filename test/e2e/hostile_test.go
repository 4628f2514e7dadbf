package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

// strangerIP is a source that no connection names.
const strangerIP = "127.0.0.66"

// floodRate is what the flood sends, in packets a second, unless the machine is too busy. It goes on until it has
// sent leastFlood packets.
const (
	floodRate  = 10_000
	leastFlood = 20_000
)

// flood sends packets from a stranger until it is stopped and has sent enough, and returns how many.
// What it sends alternates between what scanners send and what nothing could parse.
func flood(t *testing.T, target string) (stop func() (sent int, took time.Duration)) {
	t.Helper()
	local, err := net.ResolveUDPAddr("udp", strangerIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	remote, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp", local, remote)
	if err != nil {
		t.Fatal(err)
	}
	var packets [][]byte
	for i := range 500 {
		packets = append(packets, fmt.Appendf(nil,
			"INVITE sip:+12125550123@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKflood%d\r\nFrom: <sip:x@y>;tag=%d\r\n"+
				"To: <sip:+12125550123@z>\r\nCall-ID: flood%d\r\nCSeq: 1 INVITE\r\nContact: <sip:x@%s>\r\nMax-Forwards: 70\r\n"+
				"Content-Length: 0\r\n\r\n", target, strangerIP, i, i, i, strangerIP),
			fmt.Appendf(nil, "OPTIONS sip:%d@%s SIP/2.0\r\nCall-ID: %d\r\n\r\n", i, target, i),
			[]byte(strings.Repeat("\x00\xff", 200)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	total := make(chan int)
	started := time.Now()
	go func() {
		const batch = 50
		tick := time.NewTicker(batch * time.Second / floodRate)
		defer tick.Stop()
		sent := 0
		for {
			<-tick.C
			if sent >= leastFlood && ctx.Err() != nil {
				total <- sent
				return
			}
			// As many as are due, so that a tick that comes late is made up for.
			for due := int(time.Since(started).Seconds() * floodRate); sent < due; sent++ {
				_, _ = conn.Write(packets[sent%len(packets)])
			}
		}
	}()
	return func() (int, time.Duration) {
		cancel()
		sent, took := <-total, time.Since(started)
		conn.Close()
		return sent, took
	}
}

// rang is how many calls have rung since the server started.
func (s *server) rang() (calls float64) {
	for name, value := range s.Scrape() {
		if strings.HasPrefix(name, "tollgate_post_dial_delay_seconds_count") {
			calls += value
		}
	}
	return calls
}

// A flood of 10,000 packets a second changes nothing for those who are known: every call rings once and is answered,
// and those that are up stay. How much of the machine it takes is measured by the benchmarks.
func TestAFloodChangesNothing(t *testing.T) {
	for _, users := range []bool{false, true} {
		t.Run(fmt.Sprintf("digest users %v", users), func(t *testing.T) {
			s := serve(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0")
			profile := s.setUp(nil, startCarrier(t))
			if users {
				s.Must(http.MethodPost, "/v2/credential_connections", object{
					"connection_name": "phone", "user_name": "desk12345", "password": "correct-horse",
					"outbound": object{"outbound_voice_profile_id": profile},
				})
			}
			const calls, up = 200, 20
			s.pbx("pbx-held.xml", "+12125550124", up, 50, 0)
			process.Eventually(t, "calls up", 10*time.Second, func() bool { return s.liveCalls("answered_at") == up })
			before, rang := s.Scrape(), s.rang()
			stop := flood(t, s.SIP)
			s.pbx("pbx.xml", "+12125550123", calls, 50, 500*time.Millisecond).wait(t) // a call that failed fails the test
			sent, took := stop()
			if rang = s.rang() - rang; rang != calls {
				t.Errorf("%v of %d calls rang", rang, calls)
			}
			process.Eventually(t, "the calls of the run settled", 10*time.Second, func() bool { return s.liveCalls(nil) == up })
			after := s.Scrape()
			dropped := func(why string) float64 {
				name := fmt.Sprintf("tollgate_sip_dropped_total{why=%q}", why)
				return after[name] - before[name]
			}
			filtered, parsed := dropped("filtered"), dropped("unparsable")
			t.Logf("%d packets in %v, %.0f dropped before the parser", sent, took, filtered)
			// A busy machine drops packets before the server sees them, so not all of them are counted.
			if filtered < leastFlood/20 {
				t.Errorf("%.0f of %d packets were dropped before the parser", filtered, sent)
			}
			// One stranger gets 5 messages a second to the parser, and 20 at once.
			if through := after[`tollgate_sip_auth_total{result="challenged"}`]; !users && through+parsed != 0 ||
				through+parsed > 20+5*took.Seconds()+1 {
				t.Errorf("%v challenges went out, %v other messages came to the parser", through, parsed)
			}
			if after["tollgate_sip_attempts_total"] != calls+up || s.liveCalls("answered_at") != up {
				t.Errorf("%v attempts and %d calls up, want %d and %d", after["tollgate_sip_attempts_total"],
					s.liveCalls("answered_at"), calls+up, up)
			}
		})
	}
}

// sipvicious runs a program of SIPVicious from a stranger's address.
func sipvicious(t *testing.T, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("SIPVicious is needed (Debian package sipvicious; \"make deps\" installs it): %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	command.Dir = t.TempDir()
	command.Env = []string{"HOME=" + command.Dir, "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"}
	out, err := command.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s does not end: %v\n%s", program, err, out)
	}
	return string(out)
}

// What attackers use finds no server, no user and no password, and a known PBX
// calls meanwhile and afterwards.
func TestSIPViciousFindsNothing(t *testing.T) {
	s := serve(t, t.TempDir(), "--metrics-addr", "127.0.0.1:0")
	profile := s.setUp(nil, startCarrier(t))
	s.Must(http.MethodPost, "/v2/credential_connections", object{
		"connection_name": "phone", "user_name": "a1000", "password": "1234567890",
		"outbound": object{"outbound_voice_profile_id": profile},
	})
	host, port, _ := net.SplitHostPort(s.SIP)
	run := s.pbx("pbx.xml", "+12125550123", 100, 10, 300*time.Millisecond)

	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("a999\na1000\na1001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"REGISTER", "OPTIONS"} {
		out := sipvicious(t, "svwar", "-p", port, "-m", method, "-d", users, "-b", strangerIP, "-x", strangerIP, host)
		if regexp.MustCompile(`(?m)^\| *a1000\b`).MatchString(out) &&
			!regexp.MustCompile(`(?m)^\| *a1001\b`).MatchString(out) {
			t.Errorf("svwar by %s tells the user from others:\n%s", method, out)
		}
	}
	// By INVITE a user that exists must look like one that does not.
	if out := sipvicious(t, "svwar", "-p", port, "-m", "INVITE", "-d", users, "-b", strangerIP, "-x", strangerIP,
		"--force", host); regexp.MustCompile(`(?m)^\| *a1000\b`).MatchString(out) &&
		!regexp.MustCompile(`(?m)^\| *a1001\b`).MatchString(out) {
		t.Errorf("svwar by INVITE tells the user from others:\n%s", out)
	}
	if out := sipvicious(t, "svcrack", "-p", port, "-u", "a1000", "-r", "1234567880-1234567895", "-b", strangerIP, "-x",
		strangerIP, host); strings.Contains(out, "1234567890") && !strings.Contains(out, "found nothing") {
		t.Errorf("svcrack found the password:\n%s", out)
	}
	run.wait(t)
	s.settled()
	if records := s.records(); len(records) != 100 || count(records, "outcome")["answered"] != 100 {
		t.Errorf("%d records: %v", len(records), count(records, "outcome"))
	}
	if series := s.Scrape(); series[`tollgate_sip_dropped_total{why="filtered"}`] == 0 ||
		series["tollgate_sip_attempts_total"] != 100 {
		t.Errorf("%v packets filtered, %v attempts", series[`tollgate_sip_dropped_total{why="filtered"}`],
			series["tollgate_sip_attempts_total"])
	}
}
