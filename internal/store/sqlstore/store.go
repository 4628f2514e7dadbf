// Package sqlstore keeps everything of Tollgate in SQLite or, for several nodes
// that share it, in PostgreSQL.
//
// One goroutine writes. It takes admission commands and writes of configuration
// from one queue, runs as many as are waiting in one transaction, and answers them
// when that is durable. So a commit is paid for by hundreds of calls, every
// command sees the configuration that was written before it, and nothing that was
// answered is lost. Reads have connections of their own and do not wait for it; what
// reads the ledger in SQLite has it bring the tables up to date first.
//
// With SQLite the ledger is in memory, in an admission.State, and its changes are
// in the transaction: in a row of the journal or in the tables, see journal.go. When a
// commit fails it is unknown whether it has persisted, so the memory is given up and
// built again from the database.
//
// With PostgreSQL nothing in memory is relied on: the policy is caught up on before
// each group is decided, and what is remembered of leases is compared with them. A
// group locks the profiles that it touches, loads what its commands need, applies
// them to it and writes the changes: cluster.go.
//
// A command that names a call by an id that was used before is answered from the
// call's lease or, when the call has ended, from its record: Reserve as well.
//
// Passwords and tokens are sealed under a key that is not in the database (secret.go),
// and the chain of audit events is authenticated by it.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
)

// Defaults of Config.
const (
	// DefaultGroupSize bounds a transaction, and so how long its first command
	// waits for its last: some milliseconds.
	DefaultGroupSize = 512
	// DefaultQueueLength is what is written in well under a second. More waiting
	// would only make calls answer late instead of being refused at once.
	DefaultQueueLength = 8192
	// DefaultMaxClockOffset is far less than the time for which a lease outlives its
	// grant, and far more than a clock that is kept by NTP is off.
	DefaultMaxClockOffset = 2 * time.Second
)

// tickInterval is how often leases are looked through for expired ones, and decks
// for prices that have taken effect.
const tickInterval = time.Second

// Config says where a store is and what it works with. Path or DatabaseURL, Live,
// Clock, IDs and Owner are needed.
type Config struct {
	// Path is the SQLite file; it is made if there is none.
	Path string
	// DatabaseURL is a PostgreSQL database, in the place of Path: a URL or the
	// key=value words of libpq. It must be reached directly and not through a pooler
	// that changes connections between transactions.
	DatabaseURL string
	// NodeName tells this node from the others that share a PostgreSQL database; a
	// process that is started again must have the name that it had before, and no
	// two that run at once the same. "" means the host's name.
	NodeName string

	Live  *policy.Live     // where the policy in force is published
	Clock func() time.Time // the time of day
	// Monotonic is the time since some moment by a clock that is never set. With it a
	// store on SQLite finds out that the time of day was set forward, which must not
	// end the leases of calls that run. nil means that it does not look.
	Monotonic func() time.Duration
	IDs       *id.Source
	// Vault seals secrets and authenticates the audit; nil is one with a
	// public key.
	Vault *secret.Vault
	// ForgetPasswords keeps only the hashes of callers' passwords.
	ForgetPasswords bool
	Owner           uuid.UUID // this process: calls of any other owner end when the store is opened
	Logger          *slog.Logger

	// MaxClockOffset is how far the clock of a node may be from that of PostgreSQL
	// before it admits no more calls; 0 means DefaultMaxClockOffset, and a negative
	// one that it is not looked at.
	MaxClockOffset time.Duration

	GroupSize   int // commands in one transaction at most; 0 means DefaultGroupSize
	QueueLength int // commands waiting at most; 0 means DefaultQueueLength

	// Ticks drives the expiry of leases and the recompiling of decks; nil means
	// once a second.
	Ticks <-chan time.Time
	// AroundCommit is called in the place of every commit of the writer, to fail it
	// on purpose before or after it has persisted; nil means just to commit.
	AroundCommit func(commit func() error) error

	// Observe is told of every transaction of the writer, by its goroutine; it must
	// not block, nor keep or change what it gets. It may be nil.
	Observe func(Group)

	// Published is called after a commit from which webhooks may have to be
	// delivered. It must not block; it may be nil.
	Published func()

	// HungUp is told of calls of this process that were hung up, after that is durable:
	// at least once, and calls of others or that are over among them. It must not block,
	// nor change the list; it may be nil.
	HungUp func(calls []uuid.UUID)
}

// Store implements the interfaces of package store.
type Store struct {
	config Config
	paces  admission.Paces // of this server
	live   *policy.Live
	log    *slog.Logger
	db     *database
	stale  bool      // something may not be sealed under the first key of the vault
	lock   io.Closer // keeps other processes from being this node

	counts   counts
	versions versions
	compiled deckCache // PostgreSQL: decks of other nodes, ahead of their use
	orphans  [][]byte

	mu     sync.RWMutex // guards closed, and queue against being closed while sent to
	closed bool
	queue  chan *work

	behind   atomic.Bool // SQLite: the journal has what the tables of the ledger have not
	claiming sync.Mutex  // held while webhook deliveries are claimed
	unswept  atomic.Bool // the configuration has changed since webhooks were swept

	stopTicks chan struct{}
	ended     sync.WaitGroup // the store's goroutines
	ticking   sync.WaitGroup
}

// Open opens the database, publishes the policy that it holds, and ends the calls
// of processes that are no more: with PostgreSQL those of this node's earlier
// runs, while those of other nodes end when their leases do. It fails when another
// process has the SQLite file open, or the name of the node.
func Open(ctx context.Context, config Config) (*Store, error) {
	if config.GroupSize <= 0 {
		config.GroupSize = DefaultGroupSize
	}
	if config.QueueLength <= 0 {
		config.QueueLength = DefaultQueueLength
	}
	if config.Published == nil {
		config.Published = func() {}
	}
	if config.HungUp == nil {
		config.HungUp = func([]uuid.UUID) {}
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Vault == nil {
		config.Vault = secret.Open()
	}
	s := &Store{
		config: config, live: config.Live, log: config.Logger,
		queue: make(chan *work, config.QueueLength), stopTicks: make(chan struct{}),
	}
	open := s.openFile
	if config.DatabaseURL != "" {
		open = s.openCluster
	}
	if err := open(ctx); err != nil {
		return nil, err
	}
	if err := s.reopenCopy(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), s.Close())
	}
	if s.stale {
		if err := s.reseal(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open store: %w", err), s.Close())
		}
	}
	result, err := s.Do(ctx, admission.ExpireOwners{Keep: config.Owner})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store: end the calls of dead processes: %w", err), s.Close())
	}
	s.orphans = result.Teardowns
	s.ticking.Go(s.tick)
	return s, nil
}

// openFile opens the SQLite file and starts its writer.
func (s *Store) openFile(ctx context.Context) error {
	var err error
	if s.lock, err = lockFile(s.config.Path + ".lock"); err != nil {
		return err
	}
	if s.db, err = openDatabase(ctx, s.config.Path); err != nil {
		return errors.Join(err, s.lock.Close())
	}
	if s.stale, err = claim(ctx, s.db.write, s.config.Vault, ""); err != nil {
		return errors.Join(err, s.db.close(), s.lock.Close())
	}
	w := &writer{store: s, snapshot: s.live.Snapshot(), stale: true}
	if err := w.ready(); err != nil {
		w.disconnect()
		return errors.Join(fmt.Errorf("open store: %w", err), s.db.close(), s.lock.Close())
	}
	wanted := make(chan struct{}, 1)
	w.checkpoints = wanted
	s.ended.Go(func() { s.checkpoint(wanted) })
	s.ended.Go(func() {
		defer close(wanted)
		commitGroups(s.queue, s.config.GroupSize, w.commitGroup)
		w.foldNow()
		w.disconnect()
	})
	return nil
}

// Orphans returns the notes of the answered calls that Open found without an
// owner, from which the gateway can still end them.
func (s *Store) Orphans() [][]byte { return s.orphans }

// Close stops taking commands, finishes the ones taken, and closes the database.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()

	close(s.stopTicks)
	s.ticking.Wait()
	close(s.queue) // no one sends any more: closed is set
	s.ended.Wait()
	return errors.Join(s.lock.Close(), s.db.close())
}

// submit queues work, or says why not.
func (s *Store) submit(w *work) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fmt.Errorf("%w: closed", store.ErrUnavailable)
	}
	select {
	case s.queue <- w:
		return nil
	default:
		return store.ErrBusy
	}
}

// Submit implements store.Ledger.
func (s *Store) Submit(command admission.Command, done func(admission.Result, error)) {
	if err := s.submit(&work{command: command, done: done, patient: isPatient(command)}); err != nil {
		done(admission.Result{}, err)
	}
}

// Do implements store.Ledger.
func (s *Store) Do(ctx context.Context, command admission.Command) (admission.Result, error) {
	w := &work{command: command, answered: make(chan error, 1)}
	if err := s.submit(w); err != nil {
		return admission.Result{}, err
	}
	select {
	case err := <-w.answered:
		return w.result, err
	case <-ctx.Done():
		return admission.Result{}, ctx.Err() // the writer still has w
	}
}

// write runs a write that belongs to no one account; see writeIn.
func (s *Store) write(ctx context.Context, f func(*txn) error) error {
	return s.writeIn(ctx, everyAccount, f)
}

// writeIn runs a write of an account's configuration in the writer and waits until
// it is durable and in force. When ctx ends first it may still take effect.
func (s *Store) writeIn(ctx context.Context, account id.ID, f func(*txn) error) error {
	w := &work{write: s.attributed(ctx, f), account: account, answered: make(chan error, 1)}
	if err := s.submit(w); err != nil {
		return err
	}
	select {
	case err := <-w.answered:
		if errors.Is(err, errDryRun) {
			return nil
		}
		if isEngineError(err) && !errors.Is(err, store.ErrUnavailable) {
			err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// now is the time as it is stored.
func (s *Store) now() time.Time { return time.UnixMicro(s.config.Clock().UnixMicro()).UTC() }

// Ping implements store.Writes. It writes the time, since a transaction without
// changes would succeed on a full disk too.
func (s *Store) Ping(ctx context.Context) error {
	err := s.write(ctx, func(tx *txn) error {
		return tx.exec(ctx, "INSERT INTO pings (one, at) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET at = excluded.at",
			s.now().UnixMicro())
	})
	if err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	return nil
}

// Decision implements store.Calls.
func (s *Store) Decision(ctx context.Context, account id.ID, decision uuid.UUID) (admission.Decision, error) {
	live, err := s.liveLease(ctx, account, decision)
	if err != nil {
		return readDecision(decision, nil, err)
	}
	if live != nil {
		return readDecision(decision, live.Decision, nil)
	}
	var encoded []byte
	// A call that ends between the two reads would be missed without a transaction.
	err = s.readingLedger(ctx, account, func(tx querier) error {
		if s.db.postgres != nil {
			l, err := scanLease(tx.QueryRowContext(ctx,
				"SELECT account_id, id, body FROM leases WHERE account_id = $1 AND id = $2",
				int64(account), decision[:]).Scan)
			if err == nil {
				encoded = l.Decision
			}
			if !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		r, err := scanRecord(tx.QueryRowContext(ctx,
			"SELECT "+recordColumns+" FROM call_records WHERE account_id = $1 AND id = $2",
			int64(account), decision[:]).Scan)
		if err == nil {
			encoded = r.Decision
		}
		return err
	})
	return readDecision(decision, encoded, err)
}

// liveLease finds a live call in the memory of SQLite's writer, or nil: the table of
// leases has no index. A call that is not live when it looks has its record when the
// tables are read after that.
func (s *Store) liveLease(ctx context.Context, account id.ID, call uuid.UUID) (found *admission.Lease, err error) {
	if s.db.postgres != nil {
		return nil, nil
	}
	w := &work{answered: make(chan error, 1)}
	w.look = func(state *admission.State) {
		if l := state.Lease(call); l != nil && l.Account == account {
			own := *l
			own.Decision, own.Posted, own.Held = slices.Clone(l.Decision), slices.Clone(l.Posted), slices.Clone(l.Held)
			found = &own
		}
	}
	if err := s.submit(w); err != nil {
		return nil, err
	}
	select {
	case err = <-w.answered:
		return found, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func readDecision(decision uuid.UUID, encoded []byte, err error) (admission.Decision, error) {
	if err != nil {
		return admission.Decision{}, readError("decision", decision.String(), err)
	}
	d, err := admission.DecodeDecision(encoded)
	if err != nil {
		return admission.Decision{}, fmt.Errorf("read decision %s: %w: %w", decision, errCorrupt, err)
	}
	return d, nil
}

// SpendToday is what a profile has posted and holds on the current UTC day.
func (s *Store) SpendToday(ctx context.Context, account, profile id.ID) (admission.Spend, error) {
	var spend admission.Spend
	day := record.DayOf(s.config.Clock().UnixMicro())
	err := s.readingLedger(ctx, account, func(tx querier) error {
		return tx.QueryRowContext(ctx, `SELECT COALESCE(d.posted, 0), COALESCE(d.held, 0), COALESCE(d.overrun, 0)
			FROM profiles AS p
			LEFT JOIN profile_days AS d ON d.account_id = p.account_id AND d.profile_id = p.id AND d.day = $3
			WHERE p.account_id = $1 AND p.id = $2`, int64(account), int64(profile), int64(day)).
			Scan(&spend.Posted, &spend.Held, &spend.Overrun)
	})
	if err != nil {
		return admission.Spend{}, readError("outbound voice profile", profile.String(), err)
	}
	return spend, nil
}

// LiveCalls implements store.Calls.
func (s *Store) LiveCalls(ctx context.Context, account id.ID) ([]store.LiveCall, error) {
	calls := []store.LiveCall{}
	now := s.config.Clock().UnixMicro()
	err := s.readingLedger(ctx, account, func(tx querier) error {
		return query(ctx, tx, func(rows *sql.Rows) error {
			l, err := scanLease(rows.Scan)
			if err != nil {
				return err
			}
			calls = append(calls, liveCall(l, now))
			return nil
		}, "SELECT account_id, id, body FROM leases WHERE account_id = $1 ORDER BY id", int64(account))
	})
	if err != nil {
		return nil, fmt.Errorf("list live calls: %w", unavailable(err))
	}
	return calls, nil
}

// LiveCall implements store.Calls.
func (s *Store) LiveCall(ctx context.Context, account id.ID, call uuid.UUID) (store.LiveCall, error) {
	now := s.config.Clock().UnixMicro()
	l, err := s.liveLease(ctx, account, call)
	if s.db.postgres != nil {
		err = s.readingLedger(ctx, account, func(tx querier) (err error) {
			l, err = scanLease(tx.QueryRowContext(ctx,
				"SELECT account_id, id, body FROM leases WHERE account_id = $1 AND id = $2", int64(account), call[:]).Scan)
			return err
		})
	}
	if err == nil && l == nil {
		err = sql.ErrNoRows
	}
	if err != nil {
		return store.LiveCall{}, readError("live call", call.String(), err)
	}
	return liveCall(l, now), nil
}

func liveCall(l *admission.Lease, now int64) store.LiveCall {
	call := store.LiveCall{Lease: *l}
	if l.AnsweredMicros != 0 {
		call.ElapsedMs = max(0, now-l.AnsweredMicros) / 1000
	}
	return call
}

// CountByProfile implements store.Connections.
func (s *Store) CountByProfile(ctx context.Context, account id.ID, profiles []id.ID) (map[id.ID]int, error) {
	counts := make(map[id.ID]int, len(profiles))
	if len(profiles) == 0 {
		return counts, nil
	}
	args := []any{int64(account)}
	places := make([]string, len(profiles))
	for i, p := range profiles {
		args = append(args, int64(p))
		places[i] = fmt.Sprintf("$%d", len(args))
	}
	where := " WHERE account_id = $1 AND profile_id IN (" + strings.Join(places, ", ") + ") GROUP BY profile_id"
	text := "SELECT profile_id, COUNT(*) FROM ip_connections" + where +
		" UNION ALL SELECT profile_id, COUNT(*) FROM credential_connections" + where +
		" UNION ALL SELECT profile_id, COUNT(*) FROM fqdn_connections" + where
	err := s.db.list(ctx, account, func(rows *sql.Rows) error {
		var p id.ID
		var n int
		err := rows.Scan(&p, &n)
		counts[p] += n
		return err
	}, text, args...)
	if err != nil {
		return nil, fmt.Errorf("count connections by profile: %w", unavailable(err))
	}
	return counts, nil
}

// Profiles is one of Collections.
func (s *Store) Profiles() store.Collection[profile.Profile, id.ID] {
	return &collection[profile.Profile, id.ID]{store: s, noun: profileNoun()}
}

// IPConnections is one of Collections.
func (s *Store) IPConnections() store.Collection[connection.IPConnection, id.ID] {
	return &collection[connection.IPConnection, id.ID]{store: s, noun: ipConnectionNoun(s.config.Vault)}
}

// CredentialConnections is one of Collections.
func (s *Store) CredentialConnections() store.Collection[connection.CredentialConnection, id.ID] {
	return &collection[connection.CredentialConnection, id.ID]{store: s, noun: credentialConnectionNoun(s.config.Vault)}
}

// IPs is one of Collections.
func (s *Store) IPs() store.Collection[connection.IP, id.ID] {
	return &collection[connection.IP, id.ID]{store: s, noun: ipNoun()}
}

// Gateways is one of Collections.
func (s *Store) Gateways() store.Collection[routing.Gateway, id.ID] {
	return &collection[routing.Gateway, id.ID]{store: s, noun: gatewayNoun(s.config.Vault)}
}

// BillingGroups is one of Collections.
func (s *Store) BillingGroups() store.Collection[store.BillingGroup, uuid.UUID] {
	return &collection[store.BillingGroup, uuid.UUID]{store: s, noun: billingGroupNoun()}
}
