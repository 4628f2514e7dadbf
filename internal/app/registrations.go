package app

import (
	"context"
	"errors"
	"time"

	"github.com/tollgate/tollgate/internal/store"
)

// How often registrations are stored, read from other nodes, and swept. So much later do
// other nodes know of a telephone, and a node that was killed forgets so much.
const (
	saveInterval  = time.Second
	learnInterval = 2 * time.Second
	sweepInterval = 15 * time.Second
)

// saveLimit is how long the last registrations may take to be stored at a stop.
const saveLimit = 5 * time.Second

// registrations has the registrar's memory and the database follow each other. All fields
// belong to one goroutine.
type registrations struct {
	*App
	shared bool  // other nodes write too
	mark   int64 // what was read last
	failed bool  // the last time, which was logged
}

// startRegistrations brings the registrations of the database back, before the first
// REGISTER can come, and keeps them until Stop, after the last one.
func (a *App) startRegistrations(ctx context.Context) error {
	r := &registrations{App: a, shared: a.config.DatabaseURL != ""}
	if err := r.learn(ctx); err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.keep(running)
	}()
	a.undo("registrations", func(ctx context.Context) error {
		cancel()
		<-ended
		r.sip.SweepRegistrations(true)
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveLimit)
		defer cancel()
		return r.save(limited)
	})
	return nil
}

func (r *registrations) keep(ctx context.Context) {
	saves, learns, sweeps := time.NewTicker(saveInterval), time.NewTicker(learnInterval), time.NewTicker(sweepInterval)
	defer saves.Stop()
	defer learns.Stop()
	defer sweeps.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-saves.C:
			err := r.save(ctx)
			r.report(err)
			r.failed = err != nil
		case <-learns.C:
			if r.shared {
				r.report(r.learn(ctx))
			}
		case <-sweeps.C:
			r.sip.SweepRegistrations(false)
		}
	}
}

// report counts a failure, and logs the first of several.
func (r *registrations) report(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	r.metrics.RegistrationsFailed()
	if !r.failed {
		r.logger.Warn("registrations are known to this node alone until the database answers again", "error", err)
	}
	r.failed = true
}

// save stores what has changed.
func (r *registrations) save(ctx context.Context) error {
	for {
		list := r.sip.Registrar().Take(store.MaxRegistrationsSaved, time.Now())
		if len(list) == 0 {
			return nil
		}
		if err := r.store.SaveRegistrations(ctx, list); err != nil {
			r.sip.Registrar().PutBack(list)
			return err
		}
		r.sip.Registrar().Stored()
	}
}

// learn takes in what other nodes have stored, at first what this one has as well.
func (r *registrations) learn(ctx context.Context) error {
	list, next, err := r.store.RegistrationsSince(ctx, r.mark)
	if err != nil {
		return err
	}
	r.mark = next
	r.sip.Registrar().Learn(list, time.Now())
	return nil
}
