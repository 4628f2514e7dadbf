package phone

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxCarrierCalls bounds the calls that a carrier has up at once; more are
// answered 503.
const maxCarrierCalls = 10_000

// Behaviour is what a carrier does with a call.
type Behaviour struct {
	// Status is the final answer: 200 to 699. 0 rings and never answers.
	Status int
	Phrase string // of the final answer; "" for the usual one
	// Silent sends not even 100 Trying.
	Silent bool
	// NoRing leaves out the 180.
	NoRing bool
	// RingFor is from the INVITE to the final answer.
	RingFor time.Duration
	// HangUpAfter is how long after the answer the carrier hangs up; 0 for never.
	HangUpAfter time.Duration
}

// The usual behaviours.
var (
	Answer      = Behaviour{Status: 200}
	Busy        = Behaviour{Status: 486}
	Unavailable = Behaviour{Status: 503}
	NotFound    = Behaviour{Status: 404}
	RingOnly    = Behaviour{}
	Dead        = Behaviour{Silent: true, NoRing: true}
)

// CarrierOptions describes how a carrier behaves.
type CarrierOptions struct {
	Addr    string               // "address:port" to listen on; "" for a free port of 127.0.0.1
	Default Behaviour            // of numbers that Numbers does not name
	Numbers map[string]Behaviour // by the user part of the Request-URI
	// User and Password make the carrier challenge each call with 407.
	User, Password string
	Algorithm      string              // of the challenge: "MD5", which "" means too, or "SHA-256"
	NoAudio        bool                // answers without opening an RTP port
	Codec          Codec               // what it speaks
	Sound          []byte              // what it says in it again and again; nil is silence
	Hear           func(packet []byte) // told every RTP packet of one call at a time; nil for none
	T1             time.Duration       // as in Options
	Listen         ListenFunc
}

// CarrierCall is a call as a carrier saw it.
type CarrierCall struct {
	CallID   string
	From, To string // user parts of From and of the Request-URI
	Invite   string // the whole INVITE

	Started, Ringing, Answered, Ended time.Time

	Status       int // final answer sent; 0 when none was yet
	Acknowledged bool
	Cancelled    bool
	HungUpBy     Side   // SideCaller: a BYE came; SideCallee: the carrier hung up
	Reason       string // Reason header of the BYE or CANCEL that came
	Refreshes    int    // re-INVITEs and UPDATEs answered
	Answers      int    // how often the final answer was sent

	AudioSent, AudioReceived int64 // RTP packets, once the call has ended
}

// Carrier answers calls. Its methods are safe for concurrent use.
type Carrier struct {
	o       CarrierOptions
	end     *endpoint
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu      sync.Mutex
	calls   []CarrierCall
	changed chan struct{} // closed and replaced when calls changes
}

// NewCarrier prepares a carrier, which Start starts.
func NewCarrier(o CarrierOptions) *Carrier {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.T1 == 0 {
		o.T1 = DefaultT1
	}
	return &Carrier{o: o, changed: make(chan struct{})}
}

// Start opens the carrier's port and answers calls until Stop, or until ctx ends.
func (c *Carrier) Start(ctx context.Context) error {
	if c.end != nil {
		return errors.New("start carrier: already started")
	}
	if err := c.o.check(); err != nil {
		return fmt.Errorf("start carrier: %w", err)
	}
	end, err := openEndpoint(c.o.Listen, c.o.Addr, c.o.T1)
	if err != nil {
		return fmt.Errorf("start carrier: %w", err)
	}
	c.end = end
	ctx, c.cancel = context.WithCancel(ctx)
	e := newExchange(ctx, c)
	end.start(e.serve, e.count)
	c.workers.Go(func() {
		<-ctx.Done()
		end.close()
	})
	return nil
}

// Addr is where the carrier listens, as "address:port". Start must have succeeded.
func (c *Carrier) Addr() string { return c.end.local.String() }

// Stop closes the port without hanging up and waits for the goroutines. It may be
// called more than once, and before Start.
func (c *Carrier) Stop() {
	if c.cancel == nil {
		return
	}
	c.cancel()
	c.workers.Wait()
}

// Calls are the calls seen so far, in the order of their INVITEs.
func (c *Carrier) Calls() []CarrierCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]CarrierCall(nil), c.calls...)
}

// Await returns once the calls seen satisfy the condition, or ctx has ended.
func (c *Carrier) Await(ctx context.Context, condition func([]CarrierCall) bool) error {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if condition(c.Calls()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the carrier: %w", ctx.Err())
		}
	}
}

// update changes the record of a call.
func (c *Carrier) update(index int, change func(*CarrierCall)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.calls[index])
	close(c.changed)
	c.changed = make(chan struct{})
}

// add begins a call and returns its index.
func (c *Carrier) add(call CarrierCall) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
	close(c.changed)
	c.changed = make(chan struct{})
	return len(c.calls) - 1
}

func (o *CarrierOptions) check() error {
	switch o.Algorithm {
	case "", "MD5", "SHA-256":
	default:
		return fmt.Errorf("algorithm %q: want MD5 or SHA-256", o.Algorithm)
	}
	if err := o.Default.check(); err != nil {
		return err
	}
	for number, b := range o.Numbers {
		if err := b.check(); err != nil {
			return fmt.Errorf("number %q: %w", number, err)
		}
	}
	return nil
}

func (b Behaviour) check() error {
	if b.Status != 0 && (b.Status < 200 || b.Status > 699) {
		return fmt.Errorf("status %d: want 200 to 699, or 0 for no answer", b.Status)
	}
	if b.RingFor < 0 || b.HangUpAfter < 0 {
		return errors.New("negative duration")
	}
	return nil
}

// phrases are the reason phrases of the answers that carriers give most.
var phrases = map[int]string{
	200: "OK", 403: "Forbidden", 404: "Not Found", 408: "Request Timeout", 480: "Temporarily Unavailable",
	486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 500: "Server Internal Error",
	503: "Service Unavailable", 603: "Decline",
}

func (b Behaviour) phrase() string {
	if b.Phrase != "" {
		return b.Phrase
	}
	if phrase := phrases[b.Status]; phrase != "" {
		return phrase
	}
	return "Answer"
}
