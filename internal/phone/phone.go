// Package phone is a small SIP phone and a small SIP carrier over UDP, for test
// calls, demonstrations and end-to-end tests.
//
// The phone keeps a transcript of what went over the wire. Both speak SIP with sipgo's
// messages, transactions and dialogs, and share no code with the gateway: it is tried
// against another implementation than its own.
package phone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Timers of RFC 3261 section 17.1.1.1 and its table 4, for what sipgo leaves to its user.
const (
	// DefaultT1 is the estimate of the round-trip time.
	DefaultT1 = 500 * time.Millisecond
	// t2PerT1 is T2, the longest pause between retransmissions, in T1: 4 s of 500 ms.
	t2PerT1 = 8
	// timeoutPerT1 is how long a transaction waits: Timers B, F and H are 64*T1.
	timeoutPerT1 = 64
)

// teardownLimit is how long a phone whose context has ended still waits for the
// answer to its CANCEL or BYE. A caller that ends the context should return soon.
const teardownLimit = 2 * time.Second

// Limits of what a caller of Dial may pass.
const (
	maxUserBytes     = 128  // a number or name in a SIP URI
	maxExtraHeaders  = 32   // more do not fit a datagram that is not fragmented
	maxHeaderBytes   = 1024 // of one header line
	maxTranscript    = 1000 // messages; a peer that repeats itself must not fill the memory
	maxKeptLineBytes = 500  // of one line of the transcript
)

// Header is a header line to be added to the INVITE.
type Header struct{ Name, Value string }

// ListenFunc opens a datagram socket at "address:port".
type ListenFunc func(address string) (net.PacketConn, error)

// Options says whom to call and how.
type Options struct {
	Server string // host or host:port of the SIP server; the port is 5060 if missing
	From   string // the caller's number or name; "" calls anonymously
	To     string // the number as dialled
	// User and Password answer a digest challenge (401 or 407, MD5 or SHA-256).
	User, Password string
	Headers        []Header
	// LocalAddr is "address:port" for SIP; the audio uses another port of the same
	// address. "" means a free port of the address from which the server is reached.
	LocalAddr string
	// HangUpAfter is how long after the answer the phone hangs up; 0 means it
	// leaves that to the other side, or to HangUp.
	HangUpAfter time.Duration
	// CancelAfter is how long after the INVITE the phone gives up waiting for an
	// answer; 0 means it waits.
	CancelAfter time.Duration
	// Progress, if set, is called with every message as it is sent or received, one at a
	// time. It must not block.
	Progress func(Entry)
	// NoAudio offers audio without opening a port for it.
	NoAudio bool
	// Codec is what the phone speaks, and Sound what it says in it again and again; nil
	// is silence.
	Codec Codec
	Sound []byte
	// Hear, if set, is called with every RTP packet that arrives, until it returns. It is
	// called by one goroutine at a time.
	Hear func(packet []byte)
	// T1 replaces DefaultT1 if it is not 0: in how long the phone waits for an answer,
	// and in how often it repeats one. Requests keep to DefaultT1, which sipgo has for
	// the whole process.
	T1 time.Duration
	// Listen replaces the network's sockets if it is not nil.
	Listen ListenFunc
}

// Side is who ended an answered call.
type Side string

// The sides, as a phone sees them.
const (
	SideNone   Side = ""         // the call was not answered, or has not ended
	SideCaller Side = "caller"   // the side that placed the call
	SideCallee Side = "far side" // the side that was called, or what stands between
)

// Entry is one message of a transcript.
type Entry struct {
	At       time.Time
	Sent     bool // false: received
	Repeated bool // a retransmission of the phone's own
	Line     string
	Headers  []string // those that explain what happens, as "Name: value"
}

// Outcome is how a call ended.
type Outcome struct {
	From, To, Server string
	CallID           string // Call-ID of the SIP dialog

	// Status and Phrase are of the final answer to the INVITE. NoResponse says that
	// there was none: Status is then 408, as RFC 3261 section 8.1.3.1 has it.
	Status     int
	Phrase     string
	NoResponse bool

	Started  time.Time // the first INVITE was sent
	Ringing  time.Time // the first 18x; zero if there was none
	Answered time.Time // the 2xx; zero if there was none
	Ended    time.Time // final refusal, or BYE sent or received
	HungUpBy Side
	Reason   string // Reason header of the refusal or of the BYE that was received (RFC 3326)

	Decision      string // X-Tollgate-Decision, wherever it was seen first
	RefusalReason string // X-Tollgate-Reason of the final answer

	Refreshes                int   // session refreshes that were answered (RFC 4028)
	AudioSent, AudioReceived int64 // RTP packets

	Transcript []Entry
}

// Duration is from the answer to the end; 0 if the call was not answered.
func (o *Outcome) Duration() time.Duration {
	if o.Answered.IsZero() || o.Ended.IsZero() {
		return 0
	}
	return o.Ended.Sub(o.Answered)
}

// ExitCode is what a command that placed the call should exit with: 0 when it was
// answered, 2 if it was refused or not answered, 1 if the server did not respond.
func (o *Outcome) ExitCode() int {
	switch {
	case !o.Answered.IsZero():
		return 0
	case o.NoResponse:
		return 1
	}
	return 2
}

// Call is a call in progress.
type Call struct {
	answered chan struct{}
	done     chan struct{}
	hangUp   context.CancelFunc
	cancel   context.CancelFunc
	workers  sync.WaitGroup

	noting sync.Mutex // one message at a time is noted, and told Progress

	mu      sync.Mutex
	outcome Outcome
}

// Dial opens a port, sends the INVITE and returns. When ctx ends the call is
// cancelled or hung up. The caller must Close the call.
func Dial(ctx context.Context, o Options) (*Call, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if o.T1 == 0 {
		o.T1 = DefaultT1
	}
	server, err := resolve(ctx, o.Server)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	local, err := localAddress(o.LocalAddr, server)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	end, err := openEndpoint(o.Listen, local, o.T1)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	var sound *audio
	if !o.NoAudio {
		sound, err = openAudio(o.Listen, end.local.Addr(), o.Codec, o.Sound, o.Hear)
		if err != nil {
			end.close()
			return nil, fmt.Errorf("dial: %w", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	stop, hangUp := context.WithCancel(ctx)
	c := &Call{
		answered: make(chan struct{}), done: make(chan struct{}), hangUp: hangUp, cancel: cancel,
		outcome: Outcome{From: o.From, To: o.To, Server: server.String()},
	}
	ua := newAgent(c, o, server, end, sound)
	c.workers.Go(func() { ua.run(ctx, stop) })
	return c, nil
}

// Place places one call, waits for its end and closes it: Dial, Wait and Close.
func Place(ctx context.Context, o Options) (Outcome, error) {
	c, err := Dial(ctx, o)
	if err != nil {
		return Outcome{}, err
	}
	defer c.Close()
	return c.Wait(), nil
}

// Answered is closed when the call is answered, or has ended.
func (c *Call) Answered() <-chan struct{} { return c.answered }

// Done is closed when the call has ended and its outcome is final.
func (c *Call) Done() <-chan struct{} { return c.done }

// HangUp ends the call with BYE, or with CANCEL when it is not answered yet.
func (c *Call) HangUp() { c.hangUp() }

// Wait returns the outcome once the call has ended. The phone continues to answer
// retransmissions until Close, until its context ends, or for 64*T1.
func (c *Call) Wait() Outcome {
	<-c.done
	return c.Outcome()
}

// Outcome returns the state of the call now.
func (c *Call) Outcome() Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.outcome
	o.Transcript = append([]Entry(nil), o.Transcript...)
	return o
}

// Close ends the call if it is not over, closes its ports and waits for its goroutines.
func (c *Call) Close() {
	c.cancel()
	c.workers.Wait()
}

// Errors of Dial's options. They are wrapped with what was passed.
var (
	errUser   = errors.New("not a number or name: want letters, digits and any of + - . _ * # ( ), at most 128")
	errHeader = errors.New("header cannot be added")
)

func (o *Options) check() error {
	if o.To == "" || !validUser(o.To) {
		return fmt.Errorf("number to call %.40q: %w", o.To, errUser)
	}
	if !validUser(o.From) {
		return fmt.Errorf("caller id %.40q: %w", o.From, errUser)
	}
	if o.HangUpAfter < 0 || o.CancelAfter < 0 || o.T1 < 0 {
		return errors.New("negative duration")
	}
	if len(o.Headers) > maxExtraHeaders {
		return fmt.Errorf("%d headers: %w: at most %d", len(o.Headers), errHeader, maxExtraHeaders)
	}
	for _, h := range o.Headers {
		if err := h.check(); err != nil {
			return err
		}
	}
	return nil
}

// structural are the headers that the phone writes itself, and their short forms.
const structural = " via v from f to t call-id i cseq contact m content-length l content-type c max-forwards allow " +
	"route record-route authorization proxy-authorization require supported k "

func (h Header) check() error {
	switch {
	case !isToken(h.Name):
		return fmt.Errorf("header name %.40q: %w: want a token", h.Name, errHeader)
	case strings.Contains(structural, " "+strings.ToLower(h.Name)+" "):
		return fmt.Errorf("header name %.40q: %w: the phone sets it", h.Name, errHeader)
	case len(h.Name)+len(h.Value) > maxHeaderBytes:
		return fmt.Errorf("header %.40q: %w: longer than %d bytes", h.Name, errHeader, maxHeaderBytes)
	case strings.ContainsFunc(h.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return fmt.Errorf("header %.40q: %w: the value contains a control character", h.Name, errHeader)
	}
	return nil
}

func validUser(s string) bool {
	return len(s) <= maxUserBytes && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("+-._*#()", r)
	})
}

// resolve turns "host", "host:port" or an address into the address to send to.
func resolve(ctx context.Context, server string) (netip.AddrPort, error) {
	host, port := server, "5060"
	if h, p, err := net.SplitHostPort(server); err == nil {
		host, port = h, p
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return netip.AddrPort{}, fmt.Errorf("server %.100q: port out of range 1 to 65535", server)
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("server %.100q: %w", server, err)
	}
	return netip.AddrPortFrom(ips[0].Unmap(), uint16(number)), nil
}

// localAddress is where to listen: as wished, or a free port of the address from
// which the server is reached.
func localAddress(wished string, server netip.AddrPort) (string, error) {
	if wished != "" {
		return wished, nil
	}
	probe, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server)) // sends nothing
	if err != nil {
		return "", fmt.Errorf("find the local address for %s: %w", server, err)
	}
	defer func() { _ = probe.Close() }()
	ip := probe.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return netip.AddrPortFrom(ip, 0).String(), nil
}
