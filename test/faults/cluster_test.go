package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/postgres"
)

// twoNodes is a site of two nodes on one database. The way of the second one to it
// may be another.
func (b *bench) twoNodes(first, second string) *site {
	b.Helper()
	n := b.clusterNode("first", first).start()
	s := b.configure(nil, n)
	s.nodes = append(s.nodes, b.clusterNode("second", second).start())
	return s
}

// ownServer is a PostgreSQL server that this row may kill.
func (b *bench) ownServer() *postgres.Server {
	b.Helper()
	server, err := postgres.Start()
	b.check(err)
	b.Cleanup(func() {
		if err := server.Remove(); err != nil {
			b.Error(err)
		}
	})
	return server
}

// killedServer kills PostgreSQL under load and starts it again.
func killedServer(b *bench) {
	server := b.ownServer()
	url, _, err := server.CreateDatabase()
	b.check(err)
	s := b.twoNodes(url, url)
	phones, l := s.startCalls(10, 200*time.Millisecond), s.startSwitch("pbx", 10)
	begin, end := b.emergencies(s.nodes...)
	times := b.times(10, 1)
	for range times {
		l.await(50)
		begin()
		b.check(server.Stop(syscall.SIGQUIT))
		for _, n := range s.nodes {
			s.mustNotAdmit(n, 3)
		}
		b.wait(2 * time.Second)
		b.check(server.Restart())
		end()
		l.await(50)
	}
	s.conclude(phones, l)
	b.did(fmt.Sprintf("%d × SIGQUIT, which ends PostgreSQL at once, and recovery", times), phones.String()+"; "+l.String())
}

// promotedStandby kills the primary and promotes its synchronous standby.
func promotedStandby(b *bench) {
	primary := b.ownServer()
	url, _, err := primary.CreateDatabase()
	b.check(err)
	standby, err := primary.Standby()
	b.check(err)
	b.Cleanup(func() {
		if err := standby.Remove(); err != nil {
			b.Error(err)
		}
	})
	either := strings.Replace(url, "host="+primary.Dir(), "host="+primary.Dir()+","+standby.Dir(), 1) +
		" target_session_attrs=read-write"
	s := b.twoNodes(either, either)
	phones, l := s.startCalls(10, 200*time.Millisecond), s.startSwitch("pbx", 10)
	begin, end := b.emergencies(s.nodes...)
	l.await(200)
	begin()
	b.check(primary.Stop(syscall.SIGQUIT))
	b.wait(2 * time.Second)
	for _, n := range s.nodes {
		s.mustNotAdmit(n, 3)
	}
	b.check(standby.Exec("postgres", "ALTER SYSTEM RESET synchronous_standby_names"))
	b.check(standby.Exec("postgres", "SELECT pg_promote()"))
	l.await(200)
	end()
	s.conclude(phones, l)
	b.did("1 × SIGQUIT of the primary, pg_promote() after 2 s; nodes have both hosts in their URL",
		phones.String()+"; "+l.String())
}

// cutOff cuts one of two nodes off for longer than its calls have grants.
func cutOff(b *bench) {
	url, _ := b.newDatabase()
	way, p := b.proxied(url)
	s := b.twoNodes(url, way)
	held := s.hold(s.nodes[1], 10)
	phones, l := s.startCalls(10, 200*time.Millisecond), s.startSwitch("pbx", 10)
	begin, end := b.emergencies(s.nodes...)
	times := b.times(3, 1)
	for i := range times {
		l.await(50)
		begin()
		p.cut.Store(true)
		s.mustNotAdmit(s.nodes[1], 1)
		b.wantEmergency(s, s.nodes[1], "cut")
		span := 10 * time.Second
		if i == 0 {
			span = 45 * time.Second
		}
		b.wait(span)
		if i == 0 {
			if alive := held.alive(); alive > 0 {
				b.Errorf("I2, I3: %d calls of the node that is cut off outlive their grants", alive)
			}
		}
		before := l.calls.Load()
		b.eventually("the other node goes on", 10*time.Second, func() bool { return l.calls.Load() > before })
		p.reset()
		end()
	}
	s.conclude(phones, l)
	b.did(fmt.Sprintf("%d × no byte passes between a node and PostgreSQL for 10 s, once for 45 s with 10 calls up that "+
		"end at their grants", times), phones.String()+"; "+l.String())
}

// held is calls that are not hung up.
type held struct{ calls []*phone.Call }

// hold places calls that last until Tollgate ends them.
func (s *site) hold(n *node, calls int) *held {
	s.b.Helper()
	h := &held{}
	for range calls {
		c, err := phone.Dial(context.Background(), phone.Options{
			Server: n.sip, From: "+13125550100", To: "+12125550123", LocalAddr: pbxIP + ":0", NoAudio: true,
		})
		s.b.check(err)
		s.b.Cleanup(c.Close)
		h.calls = append(h.calls, c)
		if len(h.calls) >= atOnce {
			h.await(s.b, h.calls[len(h.calls)-atOnce])
		}
	}
	for _, c := range h.calls {
		h.await(s.b, c)
	}
	return h
}

// atOnce is how many calls to be held are being set up at a time.
const atOnce = 10

// await returns when a call has been answered.
func (h *held) await(b *bench, c *phone.Call) {
	b.Helper()
	select {
	case <-c.Answered():
	case <-time.After(20 * time.Second):
	}
	if o := c.Outcome(); o.Answered.IsZero() {
		b.Fatalf("a call to be held was not answered: %d %s", o.Status, o.Phrase)
	}
}

// alive counts the calls that are up, as their phones see them.
func (h *held) alive() (n int) {
	for _, c := range h.calls {
		if o := c.Outcome(); o.Ended.IsZero() {
			n++
		}
	}
	return n
}

func (h *held) hangUp() {
	for _, c := range h.calls {
		c.HangUp()
	}
}

// slowStore has each message to and from PostgreSQL take half a second, and then five.
func slowStore(b *bench) {
	url, _ := b.newDatabase()
	way, p := b.proxied(url)
	n := b.clusterNode("first", way).start()
	s := b.configure(nil, n)
	phones, l := s.startCalls(10, 200*time.Millisecond), s.startSwitch("pbx", 10)
	begin, end := b.emergencies(n)
	times := b.times(6, 1)
	for i := range times {
		l.await(20)
		p.delay.Store(int64([]time.Duration{500 * time.Millisecond, 5 * time.Second}[i%2]))
		begin()
		b.wantEmergency(s, n, "slow")
		asked := time.Now()
		status, _, err := n.call(http.MethodPost, "/tollgate/v1/admissions",
			s.attempt(fmt.Sprint("slow-", i), "+12125550123"))
		if took := time.Since(asked); err != nil || took > 14*time.Second {
			b.Errorf("an admission took %v: %d, %v", took, status, err)
		}
		b.wait(5 * time.Second)
		p.delay.Store(0)
		end()
	}
	s.conclude(phones, l)
	b.did(fmt.Sprintf("%d × each message takes 0.5 s or 5 s", times), phones.String()+"; "+l.String())
}

// stalledNode stops one of two nodes, in the middle of whatever it does.
func stalledNode(b *bench) {
	url, _ := b.newDatabase()
	s := b.twoNodes(url, url)
	s.set(object{"concurrent_call_limit": 100}) // the calls of a node that stood still keep theirs for a while
	phones, l := s.startCalls(10, 200*time.Millisecond), s.startSwitch("pbx", 10)
	begin, end := b.emergencies(s.nodes...)
	times := b.times(10, 1)
	for i := range times {
		n := s.nodes[1]
		calls := s.hold(n, 5)
		l.await(50)
		begin()
		b.wait(rand.N(100 * time.Millisecond))
		n.stall()
		span := 12 * time.Second
		if i == 0 {
			span = 75 * time.Second // the leases of its calls end
		}
		b.wait(span)
		n.wake()
		if i == 0 {
			b.eventually("calls without a lease are ended", 10*time.Second, func() bool { return calls.alive() == 0 })
		}
		l.await(50)
		end()
		calls.hangUp()
	}
	s.conclude(phones, l)
	b.did(fmt.Sprintf("%d × SIGSTOP of a node with 5 calls up for 12 s, once for 75 s, then SIGCONT", times),
		phones.String()+"; "+l.String())
}

// fakeTime is the library by which a program sees another time of day (Debian
// package faketime). It works on PostgreSQL and not on a program without libc.
const fakeTime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"

// wrongClock steps the clock of the database, so that the node's is wrong by its measure.
func wrongClock(b *bench) {
	if _, err := os.Stat(fakeTime); err != nil {
		b.Fatalf("libfaketime is needed (Debian package faketime; make deps installs it): %v", err)
	}
	offset := filepath.Join(b.TempDir(), "offset")
	b.check(os.Chmod(filepath.Dir(offset), 0o755))
	b.check(os.Chmod(filepath.Dir(filepath.Dir(offset)), 0o755))
	set := func(text string) { b.check(os.WriteFile(offset, []byte(text+"\n"), 0o644)) }
	set("+0s")
	server := b.ownServer()
	b.check(server.Stop(syscall.SIGINT))
	server.Env = []string{"LD_PRELOAD=" + fakeTime, "FAKETIME_TIMESTAMP_FILE=" + offset, "FAKETIME_NO_CACHE=1",
		"DONT_FAKE_MONOTONIC=1"}
	b.check(server.Restart())
	url, _, err := server.CreateDatabase()
	b.check(err)
	n := b.clusterNode("first", url).start()
	s := b.configure(nil, n)
	calls := s.hold(n, 5)
	phones, l := s.startCalls(5, 200*time.Millisecond), s.startSwitch("pbx", 5)
	begin, end := b.emergencies(n)
	steps := []string{"+3s", "-3s", "-1h", "-25h", "+1h", "+25h"}
	for _, step := range steps {
		set("+0s")
		l.await(20)
		begin()
		set(step)
		b.wait(500 * time.Millisecond)
		s.mustNotAdmit(n, 3)
		b.wait(time.Second)
		end()
	}
	set("+0s")
	if *full && calls.alive() > 0 {
		b.Logf("%d of 5 calls are up", calls.alive())
	}
	calls.hangUp()
	s.conclude(phones, l)
	b.did("the database's clock steps by "+strings.Join(steps, ", "), phones.String()+"; "+l.String())
}
