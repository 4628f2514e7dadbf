// Package rtpengine anchors media by rtpengine, over its ng protocol: bencoded
// requests over UDP.
// Source: https://rtpengine.readthedocs.io/en/latest/ng_control_protocol.html
package rtpengine

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/reach"
)

// Config is what an Engine needs. Instances is required.
type Config struct {
	Instances []netip.AddrPort // of their ng ports
	// Silence is how long nothing may pass in an answered call that is not on hold;
	// default 60 s. rtpengine's own --timeout must not be shorter.
	Silence time.Duration
	// AnySource takes the media of a side from wherever they come first, also where
	// its description says from where.
	AnySource bool
	// Reach says where media may go; by default to the internet, and from a peer in a
	// private network or on this machine to others there.
	Reach  *reach.Guard
	Clock  func() time.Time
	Logger *slog.Logger
}

// Engine is a set of rtpengine instances: a call goes to the one with the least to
// do, or to the next when that one does not answer.
type Engine struct {
	config    Config
	instances []*instance
	work      sync.WaitGroup
	done      chan struct{}
	stop      sync.Once

	mu       sync.Mutex // guards sessions
	sessions map[*session]struct{}
}

// New prepares an engine and starts to ask the instances for their load. An
// instance that is away is no error: it may come back.
func New(config Config) (*Engine, error) {
	if len(config.Instances) == 0 {
		return nil, errors.New("rtpengine: no instance")
	}
	if config.Silence == 0 {
		config.Silence = time.Minute
	}
	if config.Reach == nil {
		config.Reach = reach.New(reach.Rules{Documentation: true})
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Engine{config: config, done: make(chan struct{}), sessions: make(map[*session]struct{})}
	for _, address := range config.Instances {
		i, err := newInstance(address)
		if err != nil {
			for _, opened := range e.instances {
				_ = opened.conn.Close()
			}
			return nil, err
		}
		e.instances = append(e.instances, i)
	}
	for _, i := range e.instances {
		e.work.Go(func() { i.read(e.done) })
	}
	e.work.Go(e.run)
	return e, nil
}

// Stop ends every session and returns when every goroutine has ended.
func (e *Engine) Stop(context.Context) error {
	e.stop.Do(func() {
		for _, s := range e.all() {
			s.Close()
		}
		close(e.done)
		for _, i := range e.instances {
			_ = i.conn.Close()
		}
	})
	e.work.Wait()
	for _, i := range e.instances {
		i.abandon()
	}
	return nil
}

// run keeps the time.
func (e *Engine) run() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-e.done:
			return
		case <-ticker.C:
		}
		now := e.config.Clock()
		for _, i := range e.instances {
			i.tick(now)
		}
		for _, s := range e.all() {
			s.checkSilence(now)
		}
	}
}

func (e *Engine) all() []*session {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]*session, 0, len(e.sessions))
	for s := range e.sessions {
		list = append(list, s)
	}
	return list
}

// Open implements media.Relay. A call that is to be recorded is no task for
// rtpengine: give it to the built-in relay (media.Split).
func (e *Engine) Open(o media.Opening) media.Session {
	s := &session{engine: e, opening: o, id: o.Call.ID.String()}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sessions[s] = struct{}{}
	return s
}

func (e *Engine) forget(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s)
}

// order lists the instances, the one with the least to do first.
func (e *Engine) order() []*instance {
	type burdened struct {
		*instance
		burden int64
	}
	list := make([]burdened, 0, len(e.instances))
	for _, i := range e.instances {
		list = append(list, burdened{i, i.burden()})
	}
	slices.SortStableFunc(list, func(a, b burdened) int { return int(min(max(a.burden-b.burden, -1), 1)) })
	ordered := make([]*instance, 0, len(list))
	for _, b := range list {
		ordered = append(ordered, b.instance)
	}
	return ordered
}
