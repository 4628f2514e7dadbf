package app

import (
	"context"
	"errors"
	"time"

	"github.com/tollgate/tollgate/internal/store"
)

// bansInterval is how often a node looks for bans of other nodes, and so how late it
// may be for them.
const bansInterval = 5 * time.Second

// bansQueue bounds the automatic bans that wait to be stored. More than that are in
// force on this node alone.
const bansQueue = 256

// banned takes a ban that the gateway made.
func (a *App) banned(b store.Ban) {
	select {
	case a.newBans <- b:
	default:
	}
}

// bansChanged has the list read again.
func (a *App) bansChanged() {
	select {
	case a.staleBans <- struct{}{}:
	default: // it will be
	}
}

// startBans applies the bans of the database and keeps them current until Stop.
func (a *App) startBans(ctx context.Context) error {
	bans, err := a.store.ListBans(ctx)
	if err != nil {
		return err
	}
	a.sip.SetBans(bans)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.keepBans(running)
	}()
	a.undo("bans", func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
	return nil
}

func (a *App) keepBans(ctx context.Context) {
	tick := time.NewTicker(bansInterval)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-a.newBans:
			a.logger.Warn("source banned", "source", b.Prefix.String(), "reason", b.Reason, "until", b.ExpiresAt)
			if _, err := a.store.PutBan(ctx, b); err != nil && !errors.Is(err, context.Canceled) {
				a.logger.Warn("the ban is not stored; it is in force on this node alone", "source", b.Prefix.String(), "error", err)
			}
			continue // it is in force already
		case <-a.staleBans:
		case <-tick.C:
		}
		if len(a.newBans) > 0 {
			continue // the list would be without them
		}
		bans, err := a.store.ListBans(ctx)
		if err == nil {
			a.sip.SetBans(bans)
		} else if !failed && ctx.Err() == nil {
			a.logger.Warn("the bans cannot be read; those of before stay in force", "error", err)
		}
		failed = err != nil
	}
}
