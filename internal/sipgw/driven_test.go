package sipgw

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/siptrace"
)

// driven is a gateway of one shard that the test drives by hand: nothing runs by
// itself, the clock is the test's, and what is sent is kept for the test to look at.
// So what it costs is what calls cost, without a socket and without a database.
type driven struct {
	tb    testing.TB
	srv   *Server
	live  *policy.Live
	state *admission.State
	now   time.Time
	calls int
	// records are those of the calls that have ended.
	records []*record.Call
	keep    bool // they are kept

	toPBX, toCarrier []byte                               // the last message to each
	watch            func(to netip.AddrPort, data []byte) // is told of every datagram, if it is there
	work             []byte                               // in which messages are written
}

var (
	drivenPBX     = netip.MustParseAddrPort(pbxAddress + ":5070")
	drivenCarrier = netip.MustParseAddrPort(carrierAddress + ":5080")
)

func newDriven(tb testing.TB, traced bool) *driven {
	tb.Helper()
	return newDrivenFor(tb, traced, wish{})
}

func newDrivenFor(tb testing.TB, traced bool, want wish) *driven {
	tb.Helper()
	d := &driven{tb: tb, live: policy.NewLive(), state: admission.NewState(), now: time.Now()}
	config := Config{
		Live: d.live, Ledger: d, Owner: uuid.New(), Shards: 1, Clock: func() time.Time { return d.now },
		Limits: Limits{CallsPerShard: 1 << 20},
	}
	if traced {
		config.Tracer = siptrace.NewTracer(siptrace.NewBuffer(siptrace.DefaultBytes), nil)
	}
	if want.config != nil {
		want.config(&config)
	}
	w := &world{t: tb, live: d.live, carriers: []*party{{local: drivenCarrier}}}
	for i := 1; i < want.carriers; i++ {
		at := netip.AddrPortFrom(drivenCarrier.Addr(), drivenCarrier.Port()+uint16(i))
		w.carriers = append(w.carriers, &party{local: at})
	}
	w.publish(want)
	d.srv = New(config)
	d.srv.transport.Divert(d, "127.0.0.4:5060")
	return d
}

// WriteToUDPAddrPort implements datagrams.
func (d *driven) WriteToUDPAddrPort(data []byte, to netip.AddrPort) (int, error) {
	if d.watch != nil {
		d.watch(to, data)
	}
	if to == drivenPBX {
		d.toPBX = append(d.toPBX[:0], data...)
	} else {
		d.toCarrier = append(d.toCarrier[:0], data...)
	}
	return len(data), nil
}

// Submit implements store.Ledger: every command is durable at once.
func (d *driven) Submit(command admission.Command, done func(admission.Result, error)) {
	result := d.state.Apply(d.live.Snapshot(), command, d.now)
	if d.keep {
		d.records = append(d.records, d.state.TakeChanges().Records...)
	} else {
		d.state.TakeChanges()
	}
	done(result, nil)
}

// Do implements store.Ledger.
func (d *driven) Do(context.Context, admission.Command) (admission.Result, error) {
	return admission.Result{}, collection.ErrUnavailable
}

// deliver is a datagram that arrives, and all that follows from it.
func (d *driven) deliver(data []byte, from netip.AddrPort) {
	stranger, ok := d.srv.filter.Admits(from.Addr(), data)
	if !ok {
		return
	}
	d.srv.dispatch(data, transport.Peer{Addr: from, Stranger: stranger})
	for d.srv.shards[0].turn() {
		continue
	}
}

// request sends a request of the PBX's in the nth call. to is its To, uri its
// Request-URI.
func (d *driven) request(method string, n, cseq int, uri, to []byte, more string) {
	b := fmt.Appendf(d.work[:0], "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKpbx-%d-%s\r\n", method, uri,
		drivenPBX, n, method)
	b = fmt.Appendf(b, "From: <sip:+13125550100@%s>;tag=1pbx%d\r\nTo: %s\r\nCall-ID: %d-4711@%s\r\n", drivenPBX, n, to, n,
		pbxAddress)
	d.work = fmt.Appendf(b, "CSeq: %d %s\r\nMax-Forwards: 70\r\n%s", cseq, method, more)
	d.deliver(d.work, drivenPBX)
}

// respond answers the last request to the carrier.
func (d *driven) respond(status string, more string) {
	b := append(append(append(d.work[:0], "SIP/2.0 "...), status...), "\r\n"...)
	for _, h := range []struct {
		long  string
		short byte
	}{{"Via", 'v'}, {"From", 'f'}, {"To", 't'}, {"Call-ID", 'i'}, {"CSeq", 0}} {
		value := sip.HeaderOf(d.toCarrier, h.long, h.short)
		b = append(append(append(b, h.long...), ": "...), value...)
		if h.long == "To" && !bytes.Contains(value, []byte("tag=")) {
			b = append(b, ";tag=1carrier7"...)
		}
		b = append(b, "\r\n"...)
	}
	d.work = append(b, more...)
	d.deliver(d.work, drivenCarrier)
}

// begin sets the next call up, and says which it is and what the PBX has of it.
func (d *driven) begin() (n int, uri, to []byte) {
	d.calls++
	body := "Content-Type: application/sdp\r\nContent-Length: " + strconv.Itoa(len(offer)) + "\r\n\r\n" + offer
	contact := fmt.Sprintf("Contact: <sip:pbx@%s;transport=UDP>\r\nSupported: timer\r\n", drivenPBX)
	d.request("INVITE", d.calls, 1, []byte("sip:+12125550123@127.0.0.4:5060"), []byte("<sip:+12125550123@127.0.0.4:5060>"),
		contact+body)
	contact = fmt.Sprintf("Contact: <sip:carrier@%s;transport=UDP>\r\n", drivenCarrier)
	d.respond("180 Ringing", contact+"Content-Length: 0\r\n\r\n")
	d.respond("200 OK", contact+body)
	if !bytes.HasPrefix(d.toPBX, []byte("SIP/2.0 200 ")) {
		d.tb.Fatalf("the PBX got %q", d.toPBX)
	}
	uri = bytes.Trim(sip.HeaderOf(d.toPBX, "contact", 'm'), "<>")
	to = bytes.Clone(sip.HeaderOf(d.toPBX, "to", 't'))
	uri = bytes.Clone(uri)
	d.request("ACK", d.calls, 1, uri, to, "Content-Length: 0\r\n\r\n")
	if !bytes.HasPrefix(d.toCarrier, []byte("ACK ")) {
		d.tb.Fatalf("the carrier got %q", d.toCarrier)
	}
	return d.calls, uri, to
}

// hangUp ends a call from the PBX's side.
func (d *driven) hangUp(n int, uri, to []byte) {
	d.request("BYE", n, 2, uri, to, "Content-Length: 0\r\n\r\n")
	if !bytes.HasPrefix(d.toCarrier, []byte("BYE ")) || !bytes.HasPrefix(d.toPBX, []byte("SIP/2.0 200 ")) {
		d.tb.Fatalf("the carrier got %q, the PBX %q", d.toCarrier, d.toPBX)
	}
	d.respond("200 OK", "Content-Length: 0\r\n\r\n")
}

// pass lets time go by, in steps in which nothing that is due is late.
func (d *driven) pass(span time.Duration) {
	for end := d.now.Add(span); d.now.Before(end); {
		d.now = d.now.Add(time.Second)
		for d.srv.shards[0].turn() {
			continue
		}
	}
}

// heap is the live heap.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // the second frees what finalizers and pools held on to
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// processorTime is what the process has used, the collector's part included.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCall is one whole call, from the INVITE to the end of its record, at 2,000
// calls a second, so that 64,000 ended calls have transactions that linger.
func BenchmarkCall(b *testing.B) {
	d := newDriven(b, true)
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		d.hangUp(d.begin())
		d.now = d.now.Add(500 * time.Microsecond)
	}
	b.StopTimer()
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
	if n := len(d.srv.shards[0].calls); n != 0 {
		b.Fatalf("%d calls are left", n)
	}
	d.srv.transport.Stop()
	b.ReportMetric(float64(heap())/(1<<20), "MB-heap")
	runtime.KeepAlive(d)
}

// memory sets up so many calls and says what heap each takes: the gateway's part and the
// ledger's, at once and when the transactions of their beginnings are over.
func (d *driven) memory(calls int) (fresh, settled float64) {
	d.tb.Helper()
	for range 100 { // what every call uses is there
		d.hangUp(d.begin())
	}
	d.pass(time.Minute)
	before := heap()
	for range calls {
		d.begin()
	}
	up := heap()
	d.pass(40 * time.Second)
	after := heap()
	if n := len(d.srv.shards[0].calls); n != calls {
		d.tb.Fatalf("%d calls are up, want %d", n, calls)
	}
	return (float64(up) - float64(before)) / float64(calls), (float64(after) - float64(before)) / float64(calls)
}

func BenchmarkLive(b *testing.B) {
	for b.Loop() {
		d := newDriven(b, false)
		fresh, settled := d.memory(10_000)
		b.ReportMetric(fresh, "B/new-call")
		b.ReportMetric(settled, "B/call")
		d.srv.transport.Stop()
	}
}

// TestMemoryOfACall bounds the heap of a call that is up.
func TestMemoryOfACall(t *testing.T) {
	const most = 4100
	d := newDriven(t, false)
	defer d.srv.transport.Stop()
	fresh, settled := d.memory(2000)
	t.Logf("%.0f bytes of heap a call, %.0f while its transactions last", settled, fresh)
	if settled > most {
		t.Errorf("%.0f bytes of heap a call, want at most %d", settled, most)
	}
}
