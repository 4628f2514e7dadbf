package phone

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call places one call over a network in memory and returns its outcome and what
// the carrier saw, once the carrier knows of the end.
func call(t *testing.T, n *network, o Options, co CarrierOptions) (Outcome, []CarrierCall) {
	t.Helper()
	co.Listen, o.Listen = n.listen, n.listen
	carrier := NewCarrier(co)
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer carrier.Stop()
	o.Server, o.LocalAddr = carrier.Addr(), "127.0.0.1:0"
	if o.From == "" {
		o.From = "+13125550100"
	}
	if o.To == "" {
		o.To = "+442079460000"
	}
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	outcome := c.Wait()
	<-time.After(timeoutPerT1 * DefaultT1) // of the bubble's clock: until all transactions are over
	return outcome, carrier.Calls()
}

// lines are the transcript without what differs from run to run.
func lines(o Outcome) []string {
	var all []string
	for _, e := range o.Transcript {
		arrow := "< "
		if e.Sent {
			arrow = "> "
		}
		line, _, _ := strings.Cut(e.Line, " sip:")
		if e.Repeated {
			line += " again"
		}
		all = append(all, arrow+line)
	}
	return all
}

func TestAnsweredCallHungUpByTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, calls := call(t, newNetwork(nil), Options{HangUpAfter: 5 * time.Second},
			CarrierOptions{Default: Behaviour{Status: 200, RingFor: 3 * time.Second}})
		want := []string{
			"> INVITE", "< SIP/2.0 100 Trying (INVITE)", "< SIP/2.0 180 Ringing (INVITE)",
			"< SIP/2.0 200 OK (INVITE)", "> ACK", "> BYE", "< SIP/2.0 200 OK (BYE)",
		}
		if diff := cmp.Diff(want, lines(o)); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
		if o.Status != 200 || o.HungUpBy != SideCaller || o.Duration() != 5*time.Second ||
			o.Answered.Sub(o.Ringing) != 3*time.Second {
			t.Errorf("outcome %+v", o)
		}
		if o.ExitCode() != 0 {
			t.Errorf("exit code %d, want 0", o.ExitCode())
		}
		got := calls[0]
		if !got.Acknowledged || got.HungUpBy != SideCaller || got.From != "+13125550100" || got.To != "+442079460000" {
			t.Errorf("carrier saw %+v", got)
		}
		// 5 s of 20 ms packets each way; the ends are not in step to the packet.
		if o.AudioSent < 248 || o.AudioReceived < 248 || got.AudioReceived < 248 {
			t.Errorf("audio sent %d, received %d; the carrier received %d, want about 250", o.AudioSent, o.AudioReceived,
				got.AudioReceived)
		}
	})
}

func TestCarrierHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, calls := call(t, newNetwork(nil), Options{},
			CarrierOptions{Default: Behaviour{Status: 200, HangUpAfter: 7 * time.Second}})
		if o.HungUpBy != SideCallee || o.Duration() != 7*time.Second {
			t.Errorf("hung up by %q after %v, want the far side after 7s", o.HungUpBy, o.Duration())
		}
		if calls[0].HungUpBy != SideCallee {
			t.Errorf("carrier saw %+v", calls[0])
		}
	})
}

func TestBehavioursByNumber(t *testing.T) {
	numbers := map[string]Behaviour{"1": Busy, "2": Unavailable, "3": NotFound, "4": {Status: 603, RingFor: time.Second},
		"5": {Status: 486, NoRing: true}}
	for number, want := range map[string]int{"1": 486, "2": 503, "3": 404, "4": 603, "5": 486} {
		synctest.Test(t, func(t *testing.T) {
			o, calls := call(t, newNetwork(nil), Options{To: number}, CarrierOptions{Numbers: numbers})
			if o.Status != want || !o.Answered.IsZero() || o.ExitCode() != 2 {
				t.Errorf("%s: status %d, want %d", number, o.Status, want)
			}
			if o.Ringing.IsZero() != numbers[number].NoRing {
				t.Errorf("%s: ringing at %v", number, o.Ringing)
			}
			if !calls[0].Acknowledged || calls[0].Answers != 1 {
				t.Errorf("%s: carrier saw %+v, want one acknowledged answer", number, calls[0])
			}
		})
	}
}

func TestNothingComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(nil)
		o, _ := call(t, n, Options{}, CarrierOptions{Default: Dead})
		if !o.NoResponse || o.Status != 408 || o.ExitCode() != 1 {
			t.Errorf("outcome %+v", o)
		}
		// Timer A: at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s; Timer B at 32 s.
		if got := n.count("INVITE "); got != 7 {
			t.Errorf("INVITE was sent %d times, want 7", got)
		}
		if got := o.Ended.Sub(o.Started); got != 32*time.Second {
			t.Errorf("gave up after %v, want 32s", got)
		}
	})
}

// TestLoss loses the first two datagrams of one kind; the call must come out the same.
func TestLoss(t *testing.T) {
	for _, start := range []string{"INVITE ", "ACK ", "BYE ", "SIP/2.0 100", "SIP/2.0 180", "SIP/2.0 200"} {
		t.Run(start, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(loseFirst(2, start))
				o, calls := call(t, n, Options{HangUpAfter: 10 * time.Second, NoAudio: true},
					CarrierOptions{Default: Behaviour{Status: 200, RingFor: 2 * time.Second}, NoAudio: true})
				if o.Status != 200 || o.HungUpBy != SideCaller || o.Duration() != 10*time.Second {
					t.Errorf("outcome %+v", o)
				}
				if len(calls) != 1 || !calls[0].Acknowledged || calls[0].HungUpBy != SideCaller {
					t.Errorf("carrier saw %+v", calls)
				}
			})
		})
	}
	for _, start := range []string{"ACK ", "SIP/2.0 486"} {
		t.Run("refused "+start, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, calls := call(t, newNetwork(loseFirst(2, start)), Options{NoAudio: true}, CarrierOptions{Default: Busy})
				// More than 3, since sipgo holds an ACK back for T2 when it repeats it.
				if o.Status != 486 || !calls[0].Acknowledged || calls[0].Answers < 3 {
					t.Errorf("status %d, carrier saw %+v, want 3 answers of which the last is acknowledged", o.Status, calls[0])
				}
			})
		})
	}
}

func TestAnswerWithoutAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(loseFirst(1000, "ACK "))
		o, calls := call(t, n, Options{NoAudio: true}, CarrierOptions{Default: Answer, NoAudio: true})
		if o.HungUpBy != SideCallee || calls[0].Acknowledged {
			t.Errorf("outcome %+v, carrier %+v: want the carrier to hang up", o, calls[0])
		}
		if o.Duration() != 32*time.Second {
			t.Errorf("hung up after %v, want 32s", o.Duration())
		}
	})
}

func TestByeWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(loseFirst(1000, "BYE "))
		o, _ := call(t, n, Options{HangUpAfter: time.Second, NoAudio: true}, CarrierOptions{Default: Answer, NoAudio: true})
		// Timer E: 0.5, 1.5, 3.5, then every 4 s to 31.5 s; Timer F at 32 s.
		if got := n.count("BYE "); got != 11 {
			t.Errorf("BYE was sent %d times, want 11", got)
		}
		if o.HungUpBy != SideCaller || o.Duration() != time.Second {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestCancel(t *testing.T) {
	for _, lost := range []string{"none", "CANCEL ", "SIP/2.0 487", "SIP/2.0 200", "SIP/2.0 1"} {
		t.Run(lost, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, calls := call(t, newNetwork(loseFirst(2, lost)), Options{CancelAfter: 4 * time.Second, NoAudio: true},
					CarrierOptions{Default: RingOnly})
				if o.Status != 487 || !o.Answered.IsZero() || o.ExitCode() != 2 {
					t.Errorf("outcome %+v", o)
				}
				if !calls[0].Cancelled || calls[0].Status != 487 || !calls[0].Acknowledged {
					t.Errorf("carrier saw %+v", calls[0])
				}
			})
		})
	}
}

// TestCancelCrossesAnswer cancels in the moment of the answer: CANCEL loses, BYE follows.
func TestCancelCrossesAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(loseFirst(1, "SIP/2.0 200"))
		o, calls := call(t, n, Options{CancelAfter: 2100 * time.Millisecond, NoAudio: true},
			CarrierOptions{Default: Behaviour{Status: 200, RingFor: 2 * time.Second}, NoAudio: true})
		if o.Status != 200 || o.HungUpBy != SideCaller {
			t.Errorf("outcome %+v", o)
		}
		if calls[0].Cancelled || calls[0].HungUpBy != SideCaller || !calls[0].Acknowledged {
			t.Errorf("carrier saw %+v", calls[0])
		}
	})
}

func TestContextEndsTheCall(t *testing.T) {
	for name, plan := range map[string]Behaviour{"ringing": RingOnly, "answered": Answer, "dead": Dead} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(nil)
				carrier := NewCarrier(CarrierOptions{Default: plan, Listen: n.listen})
				if err := carrier.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer carrier.Stop()
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				c, err := Dial(ctx, Options{Server: carrier.Addr(), To: "1", LocalAddr: "127.0.0.1:0", Listen: n.listen})
				if err != nil {
					t.Fatal(err)
				}
				o := c.Wait()
				c.Close()
				want := map[string]int{"ringing": 487, "answered": 200, "dead": 408}[name]
				if o.Status != want || o.Ended.Sub(o.Started) > 3*time.Second+teardownLimit {
					t.Errorf("status %d after %v, want %d", o.Status, o.Ended.Sub(o.Started), want)
				}
			})
		})
	}
}

func TestHangUpEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(nil)
		carrier := NewCarrier(CarrierOptions{Default: Answer, Listen: n.listen})
		if err := carrier.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer carrier.Stop()
		c, err := Dial(t.Context(), Options{Server: carrier.Addr(), To: "1", LocalAddr: "127.0.0.1:0", Listen: n.listen})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		<-c.Answered()
		if o := c.Outcome(); o.Answered.IsZero() || !o.Ended.IsZero() {
			t.Errorf("outcome %+v, want a call that is up", o)
		}
		c.HangUp()
		c.HangUp()
		if o := c.Wait(); o.HungUpBy != SideCaller {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestDigest(t *testing.T) {
	for _, algorithm := range []string{"", "MD5", "SHA-256"} {
		for password, want := range map[string]int{"secret": 200, "wrong": 407, "": 407} {
			t.Run(fmt.Sprintf("%s %s", algorithm, password), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					user := "pbx"
					if password == "" {
						user = ""
					}
					n := newNetwork(loseFirst(1, "SIP/2.0 407", "ACK "))
					o, calls := call(t, n, Options{User: user, Password: password, HangUpAfter: time.Second, NoAudio: true},
						CarrierOptions{Default: Answer, User: "pbx", Password: "secret", Algorithm: algorithm, NoAudio: true})
					if o.Status != want {
						t.Errorf("status %d %s, want %d", o.Status, o.Phrase, want)
					}
					if (len(calls) == 1) != (want == 200) {
						t.Errorf("carrier took %d calls", len(calls))
					}
				})
			})
		}
	}
}

func TestBadOptions(t *testing.T) {
	good := Options{Server: "127.0.0.1:5060", From: "100", To: "200", LocalAddr: "127.0.0.1:0"}
	for name, change := range map[string]func(*Options){
		"no number":            func(o *Options) { o.To = "" },
		"number with a space":  func(o *Options) { o.To = "1 2" },
		"number with a line":   func(o *Options) { o.To = "1\r\nVia: x" },
		"caller with an at":    func(o *Options) { o.From = "a@b" },
		"long number":          func(o *Options) { o.To = strings.Repeat("1", maxUserBytes+1) },
		"header with a line":   func(o *Options) { o.Headers = []Header{{"X-A", "b\r\nc"}} },
		"header without name":  func(o *Options) { o.Headers = []Header{{"", "b"}} },
		"header of the phone":  func(o *Options) { o.Headers = []Header{{"call-id", "b"}} },
		"header in short form": func(o *Options) { o.Headers = []Header{{"I", "b"}} },
		"long header":          func(o *Options) { o.Headers = []Header{{"X-A", strings.Repeat("b", maxHeaderBytes)}} },
		"many headers":         func(o *Options) { o.Headers = make([]Header, maxExtraHeaders+1) },
		"port 0":               func(o *Options) { o.Server = "127.0.0.1:0" },
		"port with a letter":   func(o *Options) { o.Server = "127.0.0.1:a" },
		"negative":             func(o *Options) { o.HangUpAfter = -1 },
		"every address":        func(o *Options) { o.LocalAddr = "0.0.0.0:0" },
		"foreign address":      func(o *Options) { o.LocalAddr = "192.0.2.1:0" },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			change(&o)
			if c, err := Dial(t.Context(), o); err == nil {
				c.Close()
				t.Error("no error")
			}
		})
	}
}

// TestOverRealSockets places a call over the loopback interface, with a header.
func TestOverRealSockets(t *testing.T) {
	carrier := NewCarrier(CarrierOptions{Default: Busy, Numbers: map[string]Behaviour{"+442079460000": Answer}})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer carrier.Stop()
	c, err := Dial(t.Context(), Options{
		Server: carrier.Addr(), From: "+13125550100", To: "+442079460000",
		Headers: []Header{{"X-Telnyx-Token", "abc"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-c.Answered()
	c.HangUp()
	o := c.Wait()
	if o.Status != 200 || o.HungUpBy != SideCaller {
		t.Errorf("outcome %+v", o)
	}
	err = carrier.Await(t.Context(), func(calls []CarrierCall) bool { return calls[0].HungUpBy == SideCaller })
	if err != nil {
		t.Error(err)
	}
	if invite := carrier.Calls()[0].Invite; !strings.Contains(invite, "\r\nX-Telnyx-Token: abc\r\n") {
		t.Errorf("INVITE without the header:\n%s", invite)
	}
}

func TestPlace(t *testing.T) {
	carrier := NewCarrier(CarrierOptions{Default: Busy})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer carrier.Stop()
	var seen []string
	o, err := Place(t.Context(), Options{Server: carrier.Addr(), To: "1",
		Progress: func(e Entry) { seen = append(seen, e.Line) }})
	if err != nil || o.Status != 486 {
		t.Errorf("status %d, error %v, want 486", o.Status, err)
	}
	if len(seen) != len(o.Transcript) || len(seen) != 5 {
		t.Errorf("progress told %d of %d messages, want all 5", len(seen), len(o.Transcript))
	}
	if _, err := Place(t.Context(), Options{Server: carrier.Addr()}); err == nil {
		t.Error("no error without a number to call")
	}
}

func TestReport(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	o := Outcome{
		From: "+13125550100", To: "+18765550100", Server: "127.0.0.1:5060", CallID: "abc",
		Status: 403, Phrase: "Dialed number is not included in whitelisted countries USA,CAN D13",
		Started: start, Ended: start.Add(4 * time.Millisecond), Reason: `Q.850;cause=21;text="CALL_REJECTED"`,
		Decision: "0197", RefusalReason: "destination_not_whitelisted",
		Transcript: []Entry{
			{At: start, Sent: true, Line: "INVITE sip:+18765550100@127.0.0.1:5060 SIP/2.0"},
			{At: start.Add(500 * time.Millisecond), Sent: true, Repeated: true,
				Line: "INVITE sip:+18765550100@127.0.0.1:5060 SIP/2.0"},
			{At: start.Add(503 * time.Millisecond), Line: "SIP/2.0 403 D13 (INVITE)",
				Headers: []string{"X-Tollgate-Decision: 0197"}},
		},
	}
	want := `Call from +13125550100 to +18765550100 by way of 127.0.0.1:5060

   0.000 s  ->  INVITE sip:+18765550100@127.0.0.1:5060 SIP/2.0
   0.500 s  ->  INVITE sip:+18765550100@127.0.0.1:5060 SIP/2.0  (again)
   0.503 s  <-  SIP/2.0 403 D13 (INVITE)
                  X-Tollgate-Decision: 0197

Refused after 0.0 s: 403 Dialed number is not included in whitelisted countries USA,CAN D13
  reason    destination_not_whitelisted
  Reason    Q.850;cause=21;text="CALL_REJECTED"
  decision  0197
  Call-ID   abc
`
	var b bytes.Buffer
	if err := Report(&b, o); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestSummary(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(secs int) time.Time { return start.Add(time.Duration(secs) * time.Second) }
	for want, o := range map[string]Outcome{
		"Not answered yet.":       {Started: start},
		"Answered, and still up.": {Started: start, Answered: at(2)},
		"Answered after 2.0 s, hung up by the far side after 3.0 s.": {Started: start, Answered: at(2), Ended: at(5),
			HungUpBy: SideCallee},
		"Cancelled after 4.0 s: 487 Request Terminated": {Started: start, Ended: at(4), Status: 487,
			Phrase: "Request Terminated"},
		"No answer from the server: Request Timeout, after 32.0 s.": {Started: start, Ended: at(32), Status: 408,
			Phrase: "Request Timeout", NoResponse: true},
	} {
		if got := o.Summary(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBadCarrierOptions(t *testing.T) {
	for name, o := range map[string]CarrierOptions{
		"status":    {Default: Behaviour{Status: 100}},
		"duration":  {Numbers: map[string]Behaviour{"1": {RingFor: -1}}},
		"algorithm": {Algorithm: "SHA-1"},
		"address":   {Addr: "192.0.2.1:0"},
	} {
		carrier := NewCarrier(o)
		if err := carrier.Start(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
		carrier.Stop()
	}
}

func TestTextFromTheNetworkIsTamed(t *testing.T) {
	if got := kept("a\x1b[31mb\u0085c\xffd"); got != "a?[31mb?c?d" {
		t.Errorf("got %q", got)
	}
	if got := kept(strings.Repeat("x", 1000)); len(got) != maxKeptLineBytes+3 {
		t.Errorf("kept %d bytes", len(got))
	}
}

func TestAudioAddress(t *testing.T) {
	for name, c := range map[string]struct {
		sdp, want string
	}{
		"session": {"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n", "192.0.2.1:4000"},
		"media":   {"c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.2\r\n", "192.0.2.2:4000"},
		"first stream": {"c=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 5000 RTP/AVP 0\r\nc=IN IP4 192.0.2.2\r\n",
			"192.0.2.1:4000"},
		"after video": {"c=IN IP6 2001:db8::1\nm=video 3000 RTP/AVP 9\nm=audio 4000 RTP/AVP 0\n", "[2001:db8::1]:4000"},
		"held":        {"c=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n", ""},
		"rejected":    {"c=IN IP4 192.0.2.1\r\nm=audio 0 RTP/AVP 0\r\n", ""},
		"port":        {"c=IN IP4 192.0.2.1\r\nm=audio 70000 RTP/AVP 0\r\n", ""},
		"name":        {"c=IN IP4 host.example\r\nm=audio 4000 RTP/AVP 0\r\n", ""},
		"empty":       {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := audioAddress([]byte(c.sdp))
			if ok != (c.want != "") || (ok && got.String() != c.want) {
				t.Errorf("got %v %v, want %q", got, ok, c.want)
			}
		})
	}
}
