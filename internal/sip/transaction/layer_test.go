package transaction

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/timer"
)

// clock is the owner of a layer in a time of its own. It notes when what is sent.
type clock struct {
	now    time.Time
	begun  time.Time
	timers timer.Heap
	layer  *Layer
	sent   []string
	later  []func()
}

func newClock(t *testing.T) *clock {
	t.Helper()
	c := &clock{now: time.Unix(1_800_000_000, 0)}
	c.begun = c.now
	carrier := transport.New(transport.Config{Clock: func() time.Time { return c.now }})
	carrier.Divert(c, "192.0.2.1:5060")
	c.layer = NewLayer(Config{
		Times:     Times{T1: 500 * time.Millisecond, T2: 4 * time.Second, T4: 5 * time.Second, TimerC: 185 * time.Second},
		Transport: carrier, Timers: &c.timers, Now: func() time.Time { return c.now },
		Post: func(f func()) { c.later = append(c.later, f) }, NewTag: func() string { return "tag" },
	})
	return c
}

// WriteToUDPAddrPort implements transport.Datagrams.
func (c *clock) WriteToUDPAddrPort(data []byte, _ netip.AddrPort) (int, error) {
	what, _, _ := strings.Cut(string(data), "\r\n")
	what = strings.TrimPrefix(what, "SIP/2.0 ")
	what, _, _ = strings.Cut(what, " ")
	c.sent = append(c.sent, fmt.Sprintf("%s %v", what, c.now.Sub(c.begun).Seconds()))
	return len(data), nil
}

// until lets time pass, timer by timer.
func (c *clock) until(second float64) {
	end := c.begun.Add(time.Duration(second * float64(time.Second)))
	for at, ok := c.timers.Next(); ok && !at.After(end); at, ok = c.timers.Next() {
		c.now = at
		for due := c.timers.Due(at); due != nil; due = c.timers.Due(at) {
			due.Expire()
		}
	}
	c.now = end
}

func (c *clock) want(t *testing.T, want string) {
	t.Helper()
	if got := strings.Join(c.sent, ", "); got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	c.sent = nil
}

var peer = transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.9:5060")}

func request(method string) []byte {
	return []byte(method + " sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n" +
		"To: <sip:b@b>\r\nCall-ID: 1\r\nCSeq: 1 " + method + "\r\n\r\n")
}

func response(status int, method string) *Message {
	return Read(fmt.Appendf(nil, "SIP/2.0 %d X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"+
		"From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 %s\r\n\r\n", status, method), peer)
}

// TestClients: the times of RFC 3261 figures 5 and 6, and what ends them.
func TestClients(t *testing.T) {
	for name, c := range map[string]struct {
		method    string
		responses map[float64]int // by seconds
		sent      string
		heard     string // 0 is none in time
	}{
		"INVITE, silence": {"INVITE", nil, "INVITE 0, INVITE 0.5, INVITE 1.5, INVITE 3.5, INVITE 7.5, INVITE 15.5, " +
			"INVITE 31.5", "0 at 32"},
		"BYE, silence": {"BYE", nil, "BYE 0, BYE 0.5, BYE 1.5, BYE 3.5, BYE 7.5, BYE 11.5, BYE 15.5, BYE 19.5, " +
			"BYE 23.5, BYE 27.5, BYE 31.5", "0 at 32"},
		"BYE that is on its way": {"BYE", map[float64]int{0.2: 100}, "BYE 0, BYE 0.5, BYE 4.5, BYE 8.5, BYE 12.5, " +
			"BYE 16.5, BYE 20.5, BYE 24.5, BYE 28.5", "100 at 0.2, 0 at 32"},
		"INVITE that rings in a dialog": {"INVITE", map[float64]int{0.2: 100, 0.7: 180}, "INVITE 0",
			"100 at 0.2, 180 at 0.7, 0 at 185.7"},
		"INVITE, 100 alone in a dialog": {"INVITE", map[float64]int{0.2: 100}, "INVITE 0", "100 at 0.2, 0 at 32"},
		"INVITE, refused twice": {"INVITE", map[float64]int{0.2: 486, 5: 486},
			"INVITE 0, ACK 0.2, ACK 5", "486 at 0.2"},
		"INVITE, refused late": {"INVITE", map[float64]int{0.2: 486, 40: 486}, "INVITE 0, ACK 0.2", "486 at 0.2"},
		"INVITE, two answers":  {"INVITE", map[float64]int{0.2: 200, 5: 200}, "INVITE 0", "200 at 0.2, 200 at 5"},
		"BYE, answered":        {"BYE", map[float64]int{0.6: 200, 1: 200}, "BYE 0, BYE 0.5", "200 at 0.6"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newClock(t)
			var heard []string
			o.layer.Request(c.method, "z9hG4bK1", peer, request(c.method), func(m *Message) {
				status := 0
				if m != nil {
					status = m.Status
				}
				heard = append(heard, fmt.Sprintf("%d at %v", status, o.now.Sub(o.begun).Seconds()))
			})
			for _, at := range []float64{0.2, 0.6, 0.7, 1, 5, 40} {
				if status := c.responses[at]; status > 0 {
					o.until(at)
					o.layer.Receive(response(status, c.method))
				}
			}
			o.until(1000)
			o.want(t, c.sent)
			if got := strings.Join(heard, ", "); got != c.heard {
				t.Errorf("heard %s, want %s", got, c.heard)
			}
			if len(o.layer.clients) != 0 || o.timers.Len() != 0 {
				t.Errorf("%d transactions and %d timers are left", len(o.layer.clients), o.timers.Len())
			}
		})
	}
}

// TestServers: RFC 3261 figures 7 and 8 with RFC 6026: a refusal and a 2xx are repeated until
// their ACK, other answers when the request is.
func TestServers(t *testing.T) {
	for name, c := range map[string]struct {
		method  string
		status  int
		ack     float64 // when it comes; 0 never
		again   float64 // when the request comes once more
		sent    string
		unacked bool
	}{
		"refused": {"INVITE", 486, 2, 0, "486 0, 486 0.5, 486 1.5", false},
		"refused, no ACK": {"INVITE", 486, 0, 0, "486 0, 486 0.5, 486 1.5, 486 3.5, 486 7.5, 486 11.5, 486 15.5, " +
			"486 19.5, 486 23.5, 486 27.5, 486 31.5", false},
		"answered": {"INVITE", 200, 1, 0, "200 0, 200 0.5", false},
		"answered, no ACK": {"INVITE", 200, 0, 0, "200 0, 200 0.5, 200 1.5, 200 3.5, 200 7.5, 200 11.5, 200 15.5, " +
			"200 19.5, 200 23.5, 200 27.5, 200 31.5", true},
		"answered, INVITE late": {"INVITE", 200, 1, 20, "200 0, 200 0.5", false},
		"INFO twice":            {"INFO", 200, 0, 10, "200 0, 200 10", false},
	} {
		t.Run(name, func(t *testing.T) {
			o := newClock(t)
			m := Read(request(c.method), peer)
			tx, unacked := o.layer.Begin(m), false
			tx.Unacked = func() { unacked = tx.state == serverAccepted }
			tx.Respond(c.status, "X", "")
			if c.ack > 0 {
				o.until(c.ack)
				if !tx.Confirm() || tx.Confirm() {
					t.Error("the first ACK counts, and it alone")
				}
			}
			if c.again > 0 {
				o.until(c.again)
				if again := o.layer.Server(m, c.method); again != tx {
					t.Fatal("a repetition has no transaction")
				}
				tx.Again()
			}
			o.until(1000)
			o.want(t, c.sent)
			if unacked != c.unacked {
				t.Errorf("not acknowledged: %v", unacked)
			}
			if o.layer.Servers() != 0 || o.timers.Len() != 0 {
				t.Errorf("%d transactions and %d timers are left", o.layer.Servers(), o.timers.Len())
			}
		})
	}
}

// TestCancel: a CANCEL waits for the first response, and what does not answer it is given up.
func TestCancel(t *testing.T) {
	o := newClock(t)
	gone := false
	tx := o.layer.Request("INVITE", "z9hG4bK1", peer, request("INVITE"), func(m *Message) { gone = m == nil })
	tx.Stop(request("CANCEL"))
	tx.Stop(request("CANCEL"))
	o.until(1)
	o.want(t, "INVITE 0")
	o.layer.Receive(response(180, "INVITE"))
	o.want(t, "CANCEL 1")
	o.layer.Receive(response(200, "CANCEL"))
	o.until(100)
	o.want(t, "")
	if !gone || o.timers.Len() != 0 {
		t.Errorf("given up: %v; %d timers are left", gone, o.timers.Len())
	}
}
