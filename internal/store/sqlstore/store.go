// Package sqlstore keeps everything of Tollgate in SQLite or, for several nodes
// that share it, in PostgreSQL.
//
// The ledger is one of two, in packages sqlite and postgres, behind the interface
// engine. One goroutine of it writes. It takes admission commands and writes of
// configuration from one queue, runs as many as are waiting in one transaction, and
// answers them when that is durable. So a commit is paid for by hundreds of calls,
// every command sees the configuration that was written before it, and nothing that was
// answered is lost. Reads have connections of their own and do not wait for it.
//
// Rooms read and write through package database: the outbox of webhooks, calls, decks,
// recordings, registrations and bans are packages of their own, which Open puts together.
// Here are the resources, each of which is a noun (nouns.go), what scopes have spent, and
// the audit of the ledger. What differs between the databases in their statements is in dialect.go.
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
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/bans"
	"github.com/tollgate/tollgate/internal/store/sqlstore/calls"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/decks"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/outbox"
	"github.com/tollgate/tollgate/internal/store/sqlstore/postgres"
	"github.com/tollgate/tollgate/internal/store/sqlstore/recordings"
	"github.com/tollgate/tollgate/internal/store/sqlstore/registrations"
	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/webhook"
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

	// Observe is called after every transaction of the writer, by its goroutine; it must
	// not block, nor keep or change what it gets. It may be nil.
	Observe func(ledger.Group)

	// Published is called after a commit from which webhooks may have to be
	// delivered. It must not block; it may be nil.
	Published func()

	// HungUp is called with calls of this process that were hung up, after that is durable:
	// at least once, possibly with calls of others or ended ones among them. It must not block,
	// nor change the list; it may be nil.
	HungUp func(calls []uuid.UUID)
}

// Store implements the interfaces of package store: some by its rooms, the others itself.
type Store struct {
	*bans.Bans
	*calls.Calls
	*decks.Decks
	*recordings.Recordings
	*registrations.Registrations

	config  Config
	live    *policy.Live
	log     *slog.Logger
	db      *database.DB
	outbox  *outbox.Outbox
	engine  engine
	dialect *dialect
	stale   bool        // something may not be sealed under the first key of the vault
	unswept atomic.Bool // the configuration has changed since webhooks were swept
	orphans [][]byte

	stopTicks chan struct{}
	ticking   sync.WaitGroup
}

// engine is the ledger in a database, and the database itself. Its writer takes from the
// queue that it was opened with.
type engine interface {
	database.Reader
	// Tick does what is due in the ledger by the clock.
	Tick(ctx context.Context) error
	// Close waits until what was queued is committed. The queue was closed before.
	Close() error
}

// Open opens the database, publishes the policy that it holds, and ends the calls
// of processes that are no more: with PostgreSQL those of this node's earlier
// runs, while those of other nodes end when their leases do. It fails when another
// process has the SQLite file open, or the name of the node.
func Open(ctx context.Context, config Config) (*Store, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{config: config, live: config.Live, log: config.Logger, stopTicks: make(chan struct{})}
	s.db = &database.DB{
		Queue: ledger.NewQueue(config.QueueLength), Vault: config.Vault, Clock: config.Clock, Log: config.Logger,
	}
	s.outbox = outbox.New(s.db, config.Live)
	s.db.Changes = s.outbox
	accounts := owners{s.db}
	s.Bans = bans.New(s.db)
	s.Registrations = registrations.New(s.db, config.Owner)
	s.Decks = decks.New(s.db, config.Live, config.IDs, accounts)
	s.Calls = calls.New(s.db, accounts.Each)
	s.Recordings = recordings.New(s.db, s.outbox, accounts.Each)
	if err := s.openEngine(ctx); err != nil {
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

// complete sets what is left to defaults.
func (c *Config) complete() (err error) {
	if c.DatabaseURL != "" && c.NodeName == "" {
		if c.NodeName, err = os.Hostname(); err != nil {
			return fmt.Errorf("name of the node: %w", err)
		}
	}
	if c.MaxClockOffset == 0 {
		c.MaxClockOffset = DefaultMaxClockOffset
	}
	if c.GroupSize <= 0 {
		c.GroupSize = DefaultGroupSize
	}
	if c.QueueLength <= 0 {
		c.QueueLength = DefaultQueueLength
	}
	if c.Published == nil {
		c.Published = func() {}
	}
	if c.HungUp == nil {
		c.HungUp = func([]uuid.UUID) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Vault == nil {
		c.Vault = secret.Open()
	}
	return nil
}

// openEngine opens the database, and starts the writer of its ledger.
func (s *Store) openEngine(ctx context.Context) (err error) {
	c := &s.config
	settings := ledger.Settings{
		Configuration: configuration{s}, Resources: Tables(),
		Live: c.Live, Clock: c.Clock, Monotonic: c.Monotonic, Owner: c.Owner,
		Logger: c.Logger, GroupSize: c.GroupSize, AroundCommit: c.AroundCommit, Observe: c.Observe, HungUp: c.HungUp,
	}
	if c.DatabaseURL == "" {
		s.dialect = &fileDialect
		s.engine, err = sqlite.Open(ctx, c.Path, settings, s.db.Queue)
	} else {
		s.db.Kind, s.dialect = database.Server, &serverDialect
		node := postgres.Node{DatabaseURL: c.DatabaseURL, Name: c.NodeName, MaxClockOffset: c.MaxClockOffset}
		s.engine, err = postgres.Open(ctx, node, settings, s.db.Queue)
	}
	s.db.Reader = s.engine
	return err
}

// Orphans returns the notes of the answered calls that Open found without an
// owner, from which the gateway can still end them.
func (s *Store) Orphans() [][]byte { return s.orphans }

// Close stops taking commands, finishes the ones taken, and closes the database.
func (s *Store) Close() error {
	if !s.db.Queue.Close() {
		return nil
	}
	close(s.stopTicks)
	s.ticking.Wait()
	return s.engine.Close()
}

// Submit implements store.Ledger.
func (s *Store) Submit(command admission.Command, done func(admission.Result, error)) {
	s.db.Queue.Submit(command, done)
}

// Do implements store.Ledger.
func (s *Store) Do(ctx context.Context, command admission.Command) (admission.Result, error) {
	return s.db.Queue.Do(ctx, command)
}

// Ping implements store.Writes. It writes the time, since a transaction without
// changes would succeed on a full disk too.
func (s *Store) Ping(ctx context.Context) error {
	err := s.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) error {
		return tx.Exec(ctx, "INSERT INTO pings (one, at) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET at = excluded.at",
			s.db.Now().UnixMicro())
	})
	if err != nil {
		return fmt.Errorf("ping store: %w", err)
	}
	return nil
}

// CountByProfile implements store.Connections.
func (s *Store) CountByProfile(ctx context.Context, account id.ID, profiles []id.ID) (map[id.ID]int, error) {
	counts := make(map[id.ID]int, len(profiles))
	if len(profiles) == 0 {
		return counts, nil
	}
	args := []any{int64(account)}
	for _, p := range profiles {
		args = append(args, int64(p))
	}
	where := " WHERE account_id = $1 AND profile_id IN (" + table.Places(2, len(profiles)) + ") GROUP BY profile_id"
	text := "SELECT profile_id, COUNT(*) FROM ip_connections" + where +
		" UNION ALL SELECT profile_id, COUNT(*) FROM credential_connections" + where +
		" UNION ALL SELECT profile_id, COUNT(*) FROM fqdn_connections" + where
	err := s.db.List(ctx, account, func(rows *sql.Rows) error {
		var p id.ID
		var n int
		err := rows.Scan(&p, &n)
		counts[p] += n
		return err
	}, text, args...)
	if err != nil {
		return nil, fmt.Errorf("count connections by profile: %w", table.Unavailable(err))
	}
	return counts, nil
}

// Webhooks keeps the events and deliveries of webhooks. Events of calls, money and
// configuration are written with what caused them; Publish is for others.
func (s *Store) Webhooks() *outbox.Outbox { return s.outbox }

// NoteStray publishes the event connection.source_refused to those who want it.
func (s *Store) NoteStray(ctx context.Context, stray webhook.Stray) error {
	return s.outbox.NoteStray(ctx, stray)
}

// Answered implements store.Writes.
func (s *Store) Answered(ctx context.Context, i *collection.Idempotency) (collection.Answer, error) {
	return s.db.Answered(ctx, i)
}

// ConfigVersion implements store.Writes.
func (s *Store) ConfigVersion(account id.ID) (version uint64, known bool) {
	return s.db.ConfigVersion(account)
}

// Profiles is one of Collections.
func (s *Store) Profiles() collection.Of[profile.Profile, id.ID] {
	return &documents[profile.Profile, id.ID]{store: s, noun: profileNoun()}
}

// IPConnections is one of Collections.
func (s *Store) IPConnections() collection.Of[connection.IPConnection, id.ID] {
	return &documents[connection.IPConnection, id.ID]{store: s, noun: ipConnectionNoun(&s.config)}
}

// CredentialConnections is one of Collections.
func (s *Store) CredentialConnections() collection.Of[connection.CredentialConnection, id.ID] {
	return &documents[connection.CredentialConnection, id.ID]{store: s, noun: credentialConnectionNoun(&s.config)}
}

// IPs is one of Collections.
func (s *Store) IPs() collection.Of[connection.IP, id.ID] {
	return &documents[connection.IP, id.ID]{store: s, noun: ipNoun()}
}

// Gateways is one of Collections.
func (s *Store) Gateways() collection.Of[routing.Gateway, id.ID] {
	return &documents[routing.Gateway, id.ID]{store: s, noun: gatewayNoun(&s.config)}
}

// BillingGroups is one of Collections.
func (s *Store) BillingGroups() collection.Of[store.BillingGroup, uuid.UUID] {
	return &documents[store.BillingGroup, uuid.UUID]{store: s, noun: billingGroupNoun()}
}
