package sipgw

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip"
)

var drivenGateway = netip.MustParseAddrPort("127.0.0.4:5060")

// flow is one call between a caller and two carriers who do at each step one of the things
// that they may, over a network that loses, repeats and reorders. What the gateway sends
// is held against a plain model of the dialogs.
type flow struct {
	d        *driven
	rnd      *rand.Rand
	caller   *actor
	carriers []*actor
	invite   *asked // the caller's
	network  []datagram
	words    int
	lossy    bool
	failed   string
	notes    []string // what happened, in words
	model    flowModel
	log      bytes.Buffer // of the gateway
}

type datagram struct {
	from, to netip.AddrPort // the zero value is the gateway
	data     []byte
}

func newFlow(t *testing.T, seed uint64) *flow {
	f := &flow{rnd: rand.New(rand.NewPCG(seed, 1))}
	user, password := "us", "secret"
	log := slog.New(slog.NewTextHandler(&f.log, nil))
	f.d = newDrivenFor(t, false, wish{carriers: 2, config: func(c *Config) {
		c.Logger = log
	}, gateway: func(g *routing.Gateway) {
		g.UserName, g.Password = &user, &password
		g.Transport = "udp"
	}})
	f.d.watch, f.d.keep = f.sniff, true
	f.caller = &actor{f: f, name: "zcaller", at: drivenPBX}
	for i := range 2 {
		at := netip.AddrPortFrom(drivenCarrier.Addr(), drivenCarrier.Port()+uint16(i))
		f.carriers = append(f.carriers, &actor{f: f, name: "zcarrier" + strconv.Itoa(i), at: at})
	}
	f.model.init(f)
	return f
}

func (f *flow) chance(percent int) bool { return f.rnd.IntN(100) < percent }

func (f *flow) pick(a, b int) int { return []int{a, b}[f.rnd.IntN(2)] }

func (f *flow) oneOf(list ...string) string { return list[f.rnd.IntN(len(list))] }

func (f *flow) fail(format string, args ...any) {
	if f.failed == "" {
		f.failed = fmt.Sprintf(format, args...)
		f.note("FAILED: " + f.failed)
	}
}

func (f *flow) note(text string) {
	f.notes = append(f.notes, f.d.now.Format("04:05.000 ")+text)
}

// post puts a datagram on its way.
func (f *flow) post(from, to netip.AddrPort, data []byte) {
	f.network = append(f.network, datagram{from, to, bytes.Clone(data)})
}

// sniff is what the gateway sends.
func (f *flow) sniff(to netip.AddrPort, data []byte) {
	f.note("gateway > " + f.nameOf(to) + ": " + summary(data))
	f.model.sent(to, data)
	f.post(netip.AddrPort{}, to, data)
}

func (f *flow) actors() []*actor { return append([]*actor{f.caller}, f.carriers...) }

func (f *flow) nameOf(at netip.AddrPort) string {
	for _, a := range f.actors() {
		if a.at == at {
			return a.name
		}
	}
	return at.String()
}

// summary is a message in a line.
func summary(data []byte) string {
	first, _, _ := strings.Cut(string(data), "\r\n")
	line := fmt.Sprintf("%s [%s", first, sip.HeaderOf(data, "cseq", 0))
	if _, tag, ok := strings.Cut(string(sip.HeaderOf(data, "to", 't')), "tag="); ok {
		line += " to " + tag
	}
	for _, name := range []string{"rseq", "rack", "session-expires"} {
		if value := sip.HeaderOf(data, name, 0); len(value) > 0 {
			line += " " + name + " " + string(value)
		}
	}
	if _, body, _ := bytes.Cut(data, []byte("\r\n\r\n")); len(body) > 0 {
		number, answers := originOf(body)
		line += fmt.Sprintf(" sdp %d/%d", number, answers)
	}
	return line + "]"
}

// deliver lets one datagram arrive, as a rule the one that was sent first.
func (f *flow) deliver() {
	i := 0
	if f.lossy && f.chance(10) {
		i = f.rnd.IntN(len(f.network))
	}
	g := f.network[i]
	if f.lossy && f.chance(5) {
		f.network = slices.Delete(f.network, i, i+1)
		f.note("lost: " + summary(g.data))
		return
	}
	if !f.lossy || !f.chance(3) {
		f.network = slices.Delete(f.network, i, i+1)
	}
	if !g.from.IsValid() {
		for _, a := range f.actors() {
			if a.at == g.to {
				a.take(g.data)
			}
		}
		return
	}
	f.note(f.nameOf(g.from) + " > gateway: " + summary(g.data))
	f.model.arrives(g.from, g.data)
	f.d.deliver(g.data, g.from)
	f.model.arrived(g.from, g.data)
}

// pass lets time go by until something is due, and no further than limit.
func (f *flow) pass(limit time.Duration) bool {
	end := f.d.now.Add(limit)
	next, waits := f.d.srv.shards[0].timers.Next()
	if !waits || next.After(end) {
		next = end
	}
	idle := !waits
	for _, a := range f.actors() {
		for _, s := range a.waiting() {
			idle = false
			if s.next.Before(next) {
				next = s.next
			}
		}
	}
	if next.After(f.d.now) {
		f.d.now = next
	}
	f.d.srv.shards[0].turn() // what is due may leave more to do
	for f.d.srv.shards[0].turn() {
		continue
	}
	for _, a := range f.actors() {
		for _, s := range a.waiting() {
			a.again(s)
		}
	}
	return !idle
}

// step does one thing of all that may happen.
func (f *flow) step(last bool) {
	if len(f.network) > 0 && f.chance(75) {
		f.deliver()
		return
	}
	type choice struct {
		a *actor
		move
	}
	var list []choice
	total, duties := 0, false
	for _, a := range f.actors() {
		for _, m := range a.moves(last) {
			list = append(list, choice{a, m})
			total += m.weight
			duties = duties || m.duty
		}
	}
	if total == 0 || f.chance(25) && !(last && duties) {
		if len(f.network) == 0 {
			f.pass(f.patience(duties))
		}
		return
	}
	n := f.rnd.IntN(total)
	for _, c := range list {
		if n -= c.weight; n < 0 {
			f.note(c.a.name + ": " + c.what)
			c.do()
			return
		}
	}
}

// patience is how long nothing may happen: a duty does not wait for long.
func (f *flow) patience(duties bool) time.Duration {
	if duties {
		return time.Second
	}
	return time.Duration(1+f.rnd.IntN(20)) * time.Second
}

// run plays the flow to its end.
func (f *flow) run() {
	f.lossy = f.chance(60)
	f.caller.begin()
	for range 20 + f.rnd.IntN(120) {
		if f.step(false); f.failed != "" {
			return
		}
	}
	f.finish()
}

// finish lets the call end and holds what is left against the model.
func (f *flow) finish() {
	f.lossy = false
	for range 5000 {
		if f.failed != "" {
			return
		}
		busy := len(f.network) > 0
		for _, a := range f.actors() {
			for _, m := range a.moves(true) {
				busy = busy || m.duty
			}
		}
		if busy {
			f.step(true)
		} else if !f.pass(time.Minute) {
			f.model.over()
			return
		}
	}
	f.fail("the call does not end")
}

// script plays the moves named, each "actor move". Moves meet in the network: "all" lets
// everything arrive. A move that is not to be had, as chance has it, is passed over.
func (f *flow) script(steps []string) {
	f.caller.begin()
	for _, step := range steps {
		if step == "all" {
			for len(f.network) > 0 && f.failed == "" {
				f.deliver()
			}
			continue
		}
		if step == "time" {
			f.pass(flowT1)
			continue
		}
		who, what, _ := strings.Cut(step, " ")
		for _, a := range f.actors() {
			for _, m := range a.moves(false) {
				if strings.TrimPrefix(a.name, "z") == who && m.what == what {
					f.note(a.name + ": " + what)
					m.do()
					what = ""
				}
			}
		}
	}
}

// TestFlowsReported plays situations in which other software went wrong, each with what
// chance makes of it: offers early and late, reliable responses, several branches.
func TestFlowsReported(t *testing.T) {
	for name, script := range map[string]string{
		"CANCEL crosses 200":             "all,carrier0 180,all,carrier0 200,caller CANCEL,all",
		"CANCEL before the 100":          "caller CANCEL,all,caller CANCEL,all,carrier0 200,all",
		"CANCEL crosses 487 of failover": "all,carrier0 180,all,carrier0 a refusal,caller CANCEL,all,carrier1 200,all",
		"200 after PRACK and CANCEL": "all,carrier0 183,all,caller PRACK,all,carrier0 200 to PRACK,all,caller CANCEL," +
			"carrier0 200,all",
		"both sides re-INVITE": "all,carrier0 200,all,caller ACK,all,caller re-INVITE,carrier0 re-INVITE,all," +
			"carrier0 200 to INVITE,all,caller ACK,all",
		"re-INVITE crosses UPDATE": "all,carrier0 200,all,caller ACK,all,caller UPDATE,carrier0 re-INVITE,all," +
			"carrier0 200 to UPDATE,caller 200 to INVITE,all",
		"re-INVITE before the ACK": "all,carrier0 200,all,carrier0 re-INVITE,all,caller ACK,all,carrier0 re-INVITE,all," +
			"caller 200 to INVITE,all",
		"BYE crosses BYE":   "all,carrier0 200,all,caller ACK,all,caller BYE,carrier0 BYE,all",
		"BYE and no ACK":    "all,carrier0 200,all,carrier0 BYE,all,caller ACK,all",
		"early BYE and 200": "all,carrier0 183,all,caller PRACK,all,caller early BYE,carrier0 200,all",
		"re-INVITE, then BYE, then its answer": "all,carrier0 200,all,caller ACK,all,caller re-INVITE,all,caller BYE,all," +
			"carrier0 487,all",
		"INFO answered after BYE": "all,carrier0 200,all,caller ACK,all,carrier0 INFO,all,carrier0 BYE,all," +
			"caller 481,all",
		"late offer, ACK lost": "all,carrier0 200,all,time,all,time,all,caller ACK,all," +
			"carrier0 re-INVITE without offer,all," +
			"caller 200 to INVITE,all,time,all,carrier0 ACK,all",
		"challenge after a reliable 183": "all,carrier0 183,all,carrier0 a challenge,all,caller PRACK,all,carrier0 183,all," +
			"caller PRACK,all,carrier0 200,all",
		"two branches, both reliable": "all,carrier0 183,all,carrier0 180,all,carrier0 183,all," +
			"caller PRACK,all,caller PRACK,all," +
			"carrier0 200,all",
		"UPDATE before the answer": "all,carrier0 183,all,caller PRACK,all,carrier0 200 to PRACK,all," +
			"caller early UPDATE,all," +
			"carrier0 200,all",
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(40) {
				f := newFlow(t, seed)
				f.script(strings.Split(script, ","))
				f.finish()
				f.check(t, seed)
			}
		})
	}
}

// TestFlowsFound are the flows in which random play found the gateway wrong.
func TestFlowsFound(t *testing.T) {
	for name, seed := range map[string]uint64{
		"a 481 to INFO comes when the call is over":                3,
		"a caller hangs up while its 2xx waits for a PRACK":        10,
		"a caller hangs up after its carrier, its ACK being lost":  17,
		"an early dialog whose INVITE was challenged gets a PRACK": 18,
		"a 2xx crosses CANCEL in a dialog that had a PRACK":        870,
		"two early dialogs have reliable responses in turn":        986,
		"another branch answers when the call is over":             7831,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlow(t, seed)
			f.run()
			f.check(t, seed)
		})
	}
}

// check reports what went wrong, with the whole flow.
func (f *flow) check(t *testing.T, seed uint64) {
	t.Helper()
	f.d.srv.transport.Stop()
	if f.failed != "" {
		t.Errorf("seed %d: %s\n%s", seed, f.failed, strings.Join(f.notes, "\n"))
	}
}

// TestFlows plays random calls. TOLLGATE_FLOWS is how many, TOLLGATE_FLOW the seed of one.
func TestFlows(t *testing.T) {
	first, count := uint64(1), uint64(300)
	if n, err := strconv.ParseUint(os.Getenv("TOLLGATE_FLOWS"), 10, 64); err == nil {
		count = n
	}
	if n, err := strconv.ParseUint(os.Getenv("TOLLGATE_FLOW"), 10, 64); err == nil {
		first, count = n, 1
	}
	answered := 0
	for seed := first; seed < first+count; seed++ {
		f := newFlow(t, seed)
		f.run()
		f.check(t, seed)
		if t.Failed() && os.Getenv("TOLLGATE_FLOWS_ALL") == "" {
			return
		}
		if len(f.d.records) == 1 && f.d.records[0].Outcome == record.OutcomeAnswered {
			answered++
		}
	}
	if count >= 100 && (answered < int(count)/5 || answered == int(count)) {
		t.Errorf("%d of %d calls were answered", answered, count)
	}
}
