package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/postgres"
	"github.com/tollgate/tollgate/test/process"
)

// kamailio is a running Kamailio with the configuration of examples/kamailio. To
// the tests' PBX it is what the server's own gateway is to others.
type kamailio struct {
	t    *testing.T
	sip  string
	log  *process.Log
	stop func()
}

// kamailioIP is where Kamailio listens.
const kamailioIP = "127.0.0.4"

// startKamailio starts Kamailio in front of a server. name is that of the switch.
func startKamailio(t *testing.T, s *server, name string) *kamailio {
	t.Helper()
	program, err := exec.LookPath("kamailio")
	if err != nil {
		t.Fatalf("Kamailio is needed (Debian packages kamailio, kamailio-extra-modules and kamailio-utils-modules; \"make "+
			"deps\" installs them): %v", err)
	}
	k := &kamailio{t: t, log: &process.Log{}, sip: fmt.Sprintf("%s:%d", kamailioIP, process.FreePort(t, kamailioIP))}
	config, err := filepath.Abs("../../examples/kamailio/kamailio.cfg")
	if err != nil {
		t.Fatal(err)
	}
	run := t.TempDir()
	quoted := strconv.Quote
	command := exec.Command(program, "-DD", "-E", "-f", config, "-Y", run, "-P", filepath.Join(run, "pid"), "-m", "64",
		"-M", "8",
		"-A", "LISTEN=udp:"+k.sip, "-A", "TOLLGATE="+quoted(s.API), "-A", "TOLLGATE_KEY="+quoted(process.Key), "-A",
		"SWITCH="+quoted(name),
		"-A", "RENEW_EVERY=3", "-A", "EMERGENCY_ROUTE="+quoted(net.JoinHostPort(carrierIP, "5080")))
	command.Stdout, command.Stderr = k.log, k.log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait()
	}()
	k.stop = func() {
		// SIGTERM takes its children along.
		_ = command.Process.Signal(os.Interrupt)
		<-ended
	}
	t.Cleanup(func() {
		k.stop()
		if t.Failed() {
			t.Logf("log of Kamailio:\n%s", k.log)
		}
	})
	k.ready()
	return k
}

// ready waits until Kamailio answers and has told the server of its start: it lets
// no call through before.
func (k *kamailio) ready() {
	k.t.Helper()
	conn, err := net.Dial("udp", k.sip)
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Close()
	n := 0
	process.Eventually(k.t, "Kamailio lets calls through", 20*time.Second, func() bool {
		n++
		// A number that is refused, so that nothing rings.
		request := fmt.Sprintf("INVITE sip:+33123456789@%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bKready%[3]d\r\n"+
			"From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\n"+
			"Call-ID: ready-%[3]d-%[1]s\r\nCSeq: 1 INVITE\r\nContact: <sip:%[2]s>\r\nMax-Forwards: 7\r\n"+
			"Content-Length: 0\r\n\r\n", k.sip, conn.LocalAddr(), n)
		if _, err := conn.Write([]byte(request)); err != nil {
			return false
		}
		_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		answer := make([]byte, 4096)
		for {
			size, err := conn.Read(answer)
			if err != nil {
				return false
			}
			if text := string(answer[:size]); !strings.HasPrefix(text, "SIP/2.0 100") {
				return strings.HasPrefix(text, "SIP/2.0 403")
			}
		}
	})
}

// pbx starts SIPp as a PBX that calls through Kamailio.
func (k *kamailio) pbx(scenario, number string, calls int, hold time.Duration, more ...string) *sipp {
	k.t.Helper()
	return startSIPp(k.t, append([]string{"-sf", scenario, "-i", pbxIP, "-s", number, "-m", fmt.Sprint(calls), "-r", "20",
		"-l", fmt.Sprint(calls),
		"-d", fmt.Sprint(hold.Milliseconds()), "-p", fmt.Sprint(process.FreePort(k.t, pbxIP)), "-timeout", "90s",
		"-timeout_error", k.sip}, more...)...)
}

// refusal sends one INVITE and returns the final response.
func (k *kamailio) refusal(number string) string {
	k.t.Helper()
	from, err := net.ResolveUDPAddr("udp", pbxIP+":0")
	if err != nil {
		k.t.Fatal(err)
	}
	dialer := net.Dialer{LocalAddr: from}
	conn, err := dialer.DialContext(context.Background(), "udp", k.sip)
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn,
		"INVITE sip:%[1]s@%[2]s SIP/2.0\r\nVia: SIP/2.0/UDP %[3]s;branch=z9hG4bK%[1]s\r\n"+
			"From: <sip:+13125550100@%[3]s>;tag=1\r\nTo: <sip:%[1]s@%[2]s>\r\n"+
			"Call-ID: refused-%[1]s\r\nCSeq: 1 INVITE\r\nContact: <sip:%[3]s>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		number, k.sip, conn.LocalAddr())
	if err != nil {
		k.t.Fatal(err)
	}
	answer := make([]byte, 4096)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		size, err := conn.Read(answer)
		if err != nil {
			k.t.Fatal(err)
		}
		if text := string(answer[:size]); !strings.HasPrefix(text, "SIP/2.0 100") {
			return text
		}
	}
}

// callRecords are the records without those of the calls by which ready looked.
func (s *server) callRecords() (records []object) {
	s.T.Helper()
	for _, r := range s.records() {
		if !strings.HasPrefix(fmt.Sprint(r["sip_call_id"]), "ready-") {
			records = append(records, r)
		}
	}
	return records
}

func TestKamailioAsksAndTells(t *testing.T) {
	s := serve(t, t.TempDir())
	profile := s.setUp(object{"daily_spend_limit": "100.00", "daily_spend_limit_enabled": true}, startCarrier(t))
	k := startKamailio(t, s, "edge")
	const calls = 20
	k.pbx("pbx.xml", "+12125550123", calls, 1500*time.Millisecond).wait(t)
	s.settled()
	records := s.callRecords()
	if got := count(records, "outcome"); len(records) != calls || got["answered"] != calls {
		t.Errorf("%d records: %v, want %d answered", len(records), got, calls)
	}
	for _, r := range records {
		// The calls lasted for 1.5 s and what SIPp took to send its BYE.
		if billed, _ := r["billed_sec"].(float64); billed < 2 || billed > 4 || r["gateway_id"] == nil {
			t.Errorf("a call of 1.5 s: %v", r)
		}
	}
	s.wantSpend(profile)

	refused := k.refusal("+442079460000")
	for _, want := range []string{
		"SIP/2.0 403 Dialed number +442079460000 (associated countries: GBR) is not included in whitelisted countries USA " +
			"D13\r\n",
		"Reason: Q.850;cause=21;text=\"CALL_REJECTED\"\r\n", "X-Tollgate-Reason: destination_not_whitelisted\r\n",
	} {
		if !strings.Contains(refused, want) {
			t.Errorf("the refusal has no %q:\n%s", want, refused)
		}
	}
}

// Kamailio takes the gateways that a route chooses, in their order.
func TestKamailioObeysRoutes(t *testing.T) {
	s := serve(t, t.TempDir())
	s.setUp(nil, startCarrier(t))
	_, gateways := s.Call(http.MethodGet, "/tollgate/v1/gateways", nil)
	usual := gateways["data"].([]any)[0].(object)
	chosen := s.Must(http.MethodPost, "/tollgate/v1/gateways", object{"name": "chosen", "address": usual["address"],
		"priority": 9})["id"]
	route := s.Must(http.MethodPost, "/tollgate/v1/routes", object{"name": "new york",
		"match": object{"prefixes": []string{"+1212"}}, "gateways": []object{{"gateway_id": chosen}}})["id"]
	s.Must(http.MethodPost, "/tollgate/v1/routes", object{"name": "premium", "action": "refuse",
		"match": object{"prefixes": []string{"+1213"}}})
	k := startKamailio(t, s, "edge")
	k.pbx("pbx.xml", "+12125550123", 3, 100*time.Millisecond).wait(t)
	s.settled()
	for _, r := range s.callRecords() {
		if r["gateway_id"] != chosen || r["route_id"] != route {
			t.Errorf("gateway %v by route %v, want %v by %v", r["gateway_id"], r["route_id"], chosen, route)
		}
	}
	if refused := k.refusal("+12135550123"); !strings.Contains(refused, "Destination is refused by a route TG27\r\n") {
		t.Errorf("refused with\n%s", refused)
	}
}

func TestKamailioEndsCallsAtTheGrant(t *testing.T) {
	s := serve(t, t.TempDir())
	// A cent a second: the two calls together may last 20 seconds.
	profile := s.setUp(object{
		"daily_spend_limit": "0.20", "daily_spend_limit_enabled": true, "spend_limit_action": "end_calls",
	}, startCarrier(t))
	k := startKamailio(t, s, "edge")
	k.pbx("pbx-held.xml", "+12125550123", 2, 0).wait(t) // each ends by Kamailio's BYE
	s.settled()
	records := s.callRecords()
	if len(records) != 2 || count(records, "outcome")["answered"] != 2 ||
		count(records, "hangup_cause")["ALLOTTED_TIMEOUT"] != 2 {
		t.Fatalf("%d records: %v", len(records), count(records, "outcome"))
	}
	charged, _ := sum(t, records, "cost").Float64()
	if charged > 0.20 || charged < 0.10 {
		t.Errorf("charged %v, want close to the limit of 0.20 and never above it", charged)
	}
	s.wantSpend(profile)
}

// More calls than Kamailio goes through in a loop by itself are all renewed.
func TestKamailioRenewsManyCalls(t *testing.T) {
	s := serve(t, t.TempDir())
	s.setUp(nil, startCarrier(t))
	k := startKamailio(t, s, "edge")
	const calls, firstGrant = 150, 30
	pbx := k.pbx("pbx.xml", "+12125550123", calls, 15*time.Second, "-r", "50")
	process.Eventually(t, "all calls are renewed", 25*time.Second, func() bool {
		_, answer := s.Call(http.MethodGet, "/tollgate/v1/calls?page[size]=250", nil)
		renewed := 0
		for _, c := range answer["data"].([]any) {
			if granted, _ := c.(object)["granted_sec"].(float64); granted > firstGrant {
				renewed++
			}
		}
		return renewed == calls
	})
	pbx.wait(t)
	s.settled()
	if got := count(s.callRecords(), "outcome")["answered"]; got != calls {
		t.Errorf("%d of %d calls answered", got, calls)
	}
}

// The server is killed while calls are up. They go on, and nothing of them is lost.
func TestKamailioOutlivesTheServer(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { outliveServer(t) })
	t.Run("PostgreSQL", func(t *testing.T) {
		database, err := postgres.Start()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := database.Remove(); err != nil {
				t.Error(err)
			}
		})
		url, _ := database.NewDatabase(t)
		outliveServer(t, "--database-url", url, "--node-name", "first")
	})
}

func outliveServer(t *testing.T, flags ...string) {
	folder := t.TempDir()
	s := serve(t, folder, flags...)
	profile := s.setUp(nil, startCarrier(t))
	k := startKamailio(t, s, "edge")
	const calls = 10
	pbx := k.pbx("pbx.xml", "+12125550123", calls, 8*time.Second)
	process.Eventually(t, "all calls up", 20*time.Second, func() bool { return s.liveCalls("answered_at") == calls })
	s.Kill()
	// While nothing can be decided no new call is admitted, but in an emergency.
	if text := k.refusal("+12125550124"); !strings.HasPrefix(text, "SIP/2.0 503 Service Unavailable TG4\r\n") {
		t.Errorf("a call without a server:\n%s", text)
	}
	s = serve(t, folder, append(flags, "--http-addr", strings.TrimPrefix(s.API, "http://"))...)
	if n := s.liveCalls("answered_at"); n == 0 {
		t.Error("the restart has ended the calls of the switch")
	}
	pbx.wait(t)
	s.settled()
	records := s.callRecords()
	if got := count(records, "outcome"); len(records) != calls || got["answered"] != calls {
		t.Errorf("%d records: %v, want %d answered", len(records), got, calls)
	}
	for _, r := range records {
		if billed, _ := r["billed_sec"].(float64); billed < 8 || billed > 12 {
			t.Errorf("a call of 8 s was billed for %v", r["billed_sec"])
		}
	}
	s.wantSpend(profile)
}

// A Kamailio that is killed loses its calls, and says so when it is back.
func TestKamailioIsRestarted(t *testing.T) {
	s := serve(t, t.TempDir())
	profile := s.setUp(nil, startCarrier(t))
	k := startKamailio(t, s, "edge")
	k.pbx("pbx-held.xml", "+12125550123", 5, 0)
	process.Eventually(t, "all calls up", 20*time.Second, func() bool { return s.liveCalls("answered_at") == 5 })
	k.stop()
	startKamailio(t, s, "edge")
	s.settled()
	records := s.callRecords()
	if got := count(records, "hangup_cause"); len(records) != 5 || got["NORMAL_TEMPORARY_FAILURE"] != 5 {
		t.Errorf("%d records: %v", len(records), got)
	}
	s.wantSpend(profile)
	if status, _ := s.Call(http.MethodPost, "/tollgate/v1/switches/edge/restarted", object{}); status != http.StatusOK {
		t.Errorf("restarted again: %d", status)
	}
}
