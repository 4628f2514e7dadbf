package phone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

const (
	maxDatagramBytes = 65535 // the largest UDP payload there is
	maxUnread        = 64    // responses that wait for their transaction; more are lost, as datagrams are
)

// endpoint is a datagram socket with sipgo's transactions on it. It is the connection
// that they write to, and it reads for them: sipgo's own transport hands each message
// to a goroutine that it neither orders nor waits for, and refuses long messages.
type endpoint struct {
	conn  net.PacketConn
	local netip.AddrPort
	t1    time.Duration
	log   *slog.Logger
	// serve takes a request other than ACK in its transaction. wire is called with every message
	// before it is sent, or handled. Neither may block.
	serve func(req *sip.Request, tx *sip.ServerTx)
	wire  func(m sip.Message, sent bool)

	peer    atomic.Pointer[netip.AddrPort] // last heard, for targets that are not addresses
	clients sync.Map                       // of clientTx, by txKey
	servers sync.Map                       // of *sip.ServerTx, by txKey
	acks    sync.Map                       // of chan *sip.Request, by ackKey, for the 2xx that wait for one
	workers sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// clientTx is a transaction with the responses that it has not taken yet.
type clientTx struct {
	*sip.ClientTx
	unread chan *sip.Response
}

func listen(open ListenFunc, address string) (net.PacketConn, netip.AddrPort, error) {
	if open == nil {
		open = func(address string) (net.PacketConn, error) {
			return new(net.ListenConfig).ListenPacket(context.Background(), "udp", address)
		}
	}
	conn, err := open(address)
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("open UDP port %s: %w", address, err)
	}
	udp, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, netip.AddrPort{}, errors.Join(fmt.Errorf("open UDP port %s: %T is not a UDP address", address,
			conn.LocalAddr()), conn.Close())
	}
	local := udp.AddrPort()
	return conn, netip.AddrPortFrom(local.Addr().Unmap(), local.Port()), nil
}

// openEndpoint opens a port. start must follow.
func openEndpoint(open ListenFunc, address string, t1 time.Duration) (*endpoint, error) {
	conn, local, err := listen(open, address)
	if err != nil {
		return nil, err
	}
	if local.Addr().IsUnspecified() {
		return nil, errors.Join(fmt.Errorf("open UDP port %s: want a definite address, which SIP tells the other side",
			address), conn.Close())
	}
	return &endpoint{conn: conn, local: local, t1: t1, log: slog.New(slog.DiscardHandler)}, nil
}

// start begins to read.
func (e *endpoint) start(serve func(*sip.Request, *sip.ServerTx), wire func(sip.Message, bool)) {
	e.serve, e.wire = serve, wire
	e.run(e.read)
}

// run starts a goroutine that close waits for. It reports whether there is time for it.
func (e *endpoint) run(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.workers.Go(f)
	}
	return !e.closed
}

// close ends all transactions, closes the port and waits for the goroutines.
func (e *endpoint) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	_ = e.conn.Close() // nothing is left to be told
	for _, open := range []*sync.Map{&e.clients, &e.servers} {
		for _, tx := range open.Range {
			tx.(sip.Transaction).Terminate()
		}
	}
	e.workers.Wait()
}

// dialogs builds and sends the requests of dialogs through the endpoint.
func (e *endpoint) dialogs(contact sip.Uri) *sipgo.DialogUA {
	client, _ := sipgo.NewClient(&sipgo.UserAgent{}, sipgo.WithClientHostname(e.local.Addr().String()),
		sipgo.WithClientPort(int(e.local.Port())), sipgo.WithClientNAT()) // these options do not fail
	client.TxRequester = e
	return &sipgo.DialogUA{Client: client, ContactHDR: sip.ContactHeader{Address: contact}}
}

// Request implements sipgo.ClientTransactionRequester. An ACK has no transaction.
func (e *endpoint) Request(_ context.Context, req *sip.Request) (sip.ClientTransaction, error) {
	if req.IsAck() {
		return nil, e.WriteMsg(req)
	}
	key := txKey(req, req.Method)
	tx := clientTx{sip.NewClientTx(key, req, e, e.log), make(chan *sip.Response, maxUnread)}
	tx.OnTerminate(func(string, error) { e.clients.Delete(key) })
	e.clients.Store(key, tx)
	if !e.run(tx.receive) {
		tx.Terminate()
		return nil, net.ErrClosed
	}
	return tx, tx.Init()
}

// receive gives the transaction its responses in the order in which they came. It has
// a goroutine of its own, since the transaction blocks until they are taken.
func (tx clientTx) receive() {
	for {
		select {
		case res := <-tx.unread:
			tx.Receive(res)
		case <-tx.Done():
			return
		}
	}
}

// read takes what arrives until the socket is closed. What is not SIP is dropped:
// there is no one to tell.
func (e *endpoint) read() {
	parser := sip.NewParser()
	buffer := make([]byte, maxDatagramBytes)
	for {
		n, addr, err := e.conn.ReadFrom(buffer)
		e.mu.Lock()
		closed := e.closed
		e.mu.Unlock()
		udp, ok := addr.(*net.UDPAddr)
		switch {
		case closed || errors.Is(err, net.ErrClosed):
			return
		case err != nil || !ok:
			continue // such as an ICMP error that the kernel reports here
		}
		message, err := parser.ParseSIP(append([]byte(nil), buffer[:n]...))
		if err != nil || !complete(message) {
			continue
		}
		from := udp.AddrPort()
		e.receive(message, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
}

func (e *endpoint) receive(message sip.Message, from netip.AddrPort) {
	message.SetSource(from.String())
	e.wire(message, false)
	e.peer.Store(&from)
	switch m := message.(type) {
	case *sip.Response:
		if tx, ok := e.clients.Load(txKey(m, m.CSeq().MethodName)); ok {
			select {
			case tx.(clientTx).unread <- m:
			default:
			}
		}
	case *sip.Request:
		e.request(m)
	}
}

func (e *endpoint) request(req *sip.Request) {
	if req.IsAck() {
		e.acknowledge(req)
		return
	}
	key := txKey(req, req.Method)
	if tx, known := e.servers.Load(key); known {
		_ = tx.(*sip.ServerTx).Receive(req) // fails for other methods only
		return
	}
	tx := sip.NewServerTx(key, req, e, e.log)
	tx.OnTerminate(func(string, error) { e.servers.Delete(key) })
	e.servers.Store(key, tx)
	_ = tx.Init() // does not fail
	e.serve(req, tx)
}

// acknowledge takes an ACK, which belongs to the transaction of its INVITE where that
// was refused.
func (e *endpoint) acknowledge(req *sip.Request) {
	if tx, ok := e.servers.Load(txKey(req, sip.INVITE)); ok {
		_ = tx.(*sip.ServerTx).Receive(req) // fails for other methods only
	}
	if ack, ok := e.acks.Load(ackKey(req)); ok {
		select {
		case ack.(chan *sip.Request) <- req:
		default: // one is enough
		}
	}
}

// expect has the ACK of a 2xx sent to the channel until forget is called.
func (e *endpoint) expect(res *sip.Response) (ack <-chan *sip.Request, forget func()) {
	key, acks := ackKey(res), make(chan *sip.Request, 1)
	e.acks.Store(key, acks)
	return acks, func() { e.acks.CompareAndDelete(key, acks) }
}

// await returns the ACK of a 2xx that was sent, nil if none comes before ctx ends or in
// time. sipgo's transactions leave it to their user to repeat a 2xx (RFC 6026), and
// its dialogs do so every 4 s without an end.
func (e *endpoint) await(ctx context.Context, tx *sip.ServerTx, res *sip.Response,
	ack <-chan *sip.Request) (req *sip.Request) {
	deadline := time.After(timeoutPerT1 * e.t1)
	for pause := e.t1; ; pause = min(2*pause, t2PerT1*e.t1) {
		select {
		case req = <-ack:
			return req
		case <-time.After(pause):
			_ = tx.Respond(res) // an error is what a lost packet is
		case <-deadline:
			return nil
		case <-tx.Done():
			return nil
		case <-ctx.Done():
			select { // it came before the end
			case req = <-ack:
			default:
			}
			return req
		}
	}
}

// accept answers an INVITE within a dialog, or an UPDATE.
func (e *endpoint) accept(req *sip.Request, tx *sip.ServerTx, contact sip.Uri, description string) {
	res := accepted(req, sip.StatusOK, "OK", contact, description)
	ack, forget := e.expect(res)
	_ = tx.Respond(res) // an error is what a lost packet is
	if !req.IsInvite() || !e.run(func() {
		defer forget()
		e.await(context.Background(), tx, res, ack) // until close at most
	}) {
		forget()
	}
}

// reply answers a request other than INVITE, whose transaction repeats it on demand.
func reply(req *sip.Request, tx *sip.ServerTx, status int, phrase string, headers ...sip.Header) {
	res := sip.NewResponseFromRequest(req, status, phrase, nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	_ = tx.Respond(res) // an error is what a lost packet is
}

// WriteMsg implements sip.Connection. It never fails: an error is what a lost packet is,
// and the transactions send again.
func (e *endpoint) WriteMsg(m sip.Message) error {
	to, err := netip.ParseAddrPort(m.Destination())
	if err != nil {
		to = *e.peer.Load()
	}
	e.wire(m, true)
	_, _ = e.conn.WriteTo([]byte(m.String()), net.UDPAddrFromAddrPort(to))
	return nil
}

// LocalAddr implements sip.Connection.
func (e *endpoint) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(e.local) }

// Ref implements sip.Connection: the endpoint outlives its transactions.
func (e *endpoint) Ref(int) int { return 1 }

// TryClose implements sip.Connection.
func (e *endpoint) TryClose() (int, error) { return 1, nil }

// Close implements sip.Connection.
func (e *endpoint) Close() error { return nil }

// txKey names a transaction: the branch is unlike any other, on either side.
func txKey(m sip.Message, method sip.RequestMethod) string { return branchOf(m) + " " + string(method) }

// ackKey is what the answer to an INVITE and its ACK have in common.
func ackKey(m sip.Message) string {
	return fmt.Sprint(m.CallID().Value(), " ", tagOf(m.From().Params), " ", m.CSeq().SeqNo)
}

// complete reports whether a message has what RFC 3261 section 8.1.1 demands: the parser
// lets more through.
func complete(m sip.Message) bool {
	if m == nil || m.Via() == nil || m.From() == nil || m.To() == nil || m.CallID() == nil || m.CSeq() == nil {
		return false
	}
	if req, ok := m.(*sip.Request); ok && req.CSeq().MethodName != req.Method {
		return false
	}
	return branchOf(m) != "" && m.CallID().Value() != ""
}

// isToken reports whether a text is a token of RFC 3261 section 25.1.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("-.!%*_+`'~", r)
	})
}
