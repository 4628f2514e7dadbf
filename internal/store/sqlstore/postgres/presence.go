package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
)

// Times of the presence.
const (
	// nameWait is how long Open waits for the name of the node: the server takes a
	// moment to notice that an earlier run of it has died.
	nameWait = 15 * time.Second
	// presenceRetry is how long a presence that was lost waits before it connects again.
	presenceRetry = time.Second
	nameRetry     = 100 * time.Millisecond
)

// presence is the connection by which a node has its name to itself and learns of
// changes of the configuration. The lock on the name goes with the connection.
type presence struct {
	ledger *Ledger
	conn   *pgx.Conn
	stop   context.CancelFunc
	ended  sync.WaitGroup
}

// openPresence takes the name of the node.
func openPresence(ctx context.Context, l *Ledger) (*presence, error) {
	waiting, cancel := context.WithTimeout(ctx, nameWait)
	defer cancel()
	conn, err := connectPresence(waiting, l)
	if err != nil {
		return nil, fmt.Errorf("open store: become node %q: %w", l.node.Name, err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	listening := &presence{ledger: l, conn: conn, stop: stop}
	listening.ended.Go(func() { listening.run(running) })
	return listening, nil
}

// errNameTaken means that another process is the node of this name.
var errNameTaken = errors.New("another process that runs has this name")

func connectPresence(ctx context.Context, l *Ledger) (*pgx.Conn, error) {
	config := l.connector.Copy()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	for {
		var taken bool
		err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended('tollgate node ' || $1, 0))",
			plainText(l.node.Name)).Scan(&taken)
		if err == nil && taken {
			_, err = conn.Exec(ctx, "LISTEN "+configChannel+"; LISTEN "+hangUpChannel)
			if err == nil {
				return conn, nil
			}
		}
		if err == nil {
			if err = pause(ctx, nameRetry); err == nil {
				continue
			}
			err = errNameTaken
		}
		return nil, errors.Join(err, closeConn(ctx, conn))
	}
}

// pause waits, or returns the error with which ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closeConn closes a connection, even when ctx has ended.
func closeConn(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectLimit)
	defer cancel()
	return conn.Close(ctx)
}

// Close gives the name back.
func (s *presence) Close() error {
	s.stop()
	s.ended.Wait()
	return nil
}

// run listens until the presence is closed. When the connection is lost, the nodes
// still find out what has changed: each group of commands looks for itself.
func (s *presence) run(ctx context.Context) {
	for {
		if s.conn != nil {
			notification, err := s.conn.WaitForNotification(ctx)
			if err == nil && notification.Channel == hangUpChannel {
				s.hangUps(ctx)
				continue
			}
			if err == nil {
				if notification.Payload != s.ledger.Owner.String() { // not this node's own
					s.wake(ctx)
				}
				continue
			}
			if closing := closeConn(ctx, s.conn); closing != nil && ctx.Err() == nil {
				s.ledger.Logger.Warn("close connection", "error", closing)
			}
			s.conn = nil
			if ctx.Err() == nil {
				s.ledger.Logger.Warn("lost the connection that listens for changes; connecting again", "error", err)
			}
		}
		if pause(ctx, presenceRetry) != nil {
			return
		}
		waiting, cancel := context.WithTimeout(ctx, connectLimit)
		conn, err := connectPresence(waiting, s.ledger)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				s.ledger.Logger.Warn("cannot listen for changes; trying again", "error", err)
			}
			continue
		}
		s.conn = conn
		s.wake(ctx)
		s.hangUps(ctx)
	}
}

// hangUps reports the calls of this node that were hung up. The ticks of the store do
// so too.
func (s *presence) hangUps(ctx context.Context) {
	if err := s.ledger.tellHungUp(ctx); err != nil && ctx.Err() == nil {
		s.ledger.Logger.Warn("learn which calls were hung up; trying again at the next tick", "error", err)
	}
}

// wake has the writer look for changes, by a group of its own, with the new decks
// already compiled: that takes long and must not hold up calls.
func (s *presence) wake(ctx context.Context) {
	if err := s.ledger.Prepare(ctx); err != nil && ctx.Err() == nil {
		s.ledger.Logger.Warn("compile new rate decks; the writer will", "error", err)
	}
	s.ledger.queue.Submit(admission.Expire{}, func(_ admission.Result, err error) {
		if err != nil {
			s.ledger.Logger.Debug("look for changes of the configuration", "error", err)
		}
	})
}
