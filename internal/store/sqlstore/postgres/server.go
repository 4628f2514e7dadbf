package postgres

import (
	"context"
	"crypto/tls"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

//go:embed migrations/00001_first.sql
var tables string

// schema is the tables of a database.
var schema = table.Schema{
	Dialect: goose.DialectPostgres, Text: tables, Ledger: table.ServerLayouts, Types: table.DefinedOnServer,
	Exists: "SELECT to_regclass($1) IS NOT NULL",
}

// Limits that the server holds a connection to, so that a node that is paused or
// cut off in the middle of a transaction does not keep its locks from the others.
const (
	idleInTransactionLimit = "5s"
	lockWaitLimit          = "3s"
	statementLimit         = "30s" // a piece of a large rate deck takes well under a second
	clientCheckInterval    = "2s"
)

// Limits that the node holds itself to.
const (
	connectLimit       = 5 * time.Second
	ledgerGroupLimit   = 5 * time.Second // a caller that waits longer has hung up
	configurationLimit = time.Minute     // the import of a large rate deck
	takeoverLimit      = time.Minute     // the calls of a large node that died
)

// keptPlans are the settings of the connections that groups of commands use. To plan
// the dozen statements of a group takes the server as long as to run them, so plans
// are kept; renewPlans throws them away once in a while, since one that was made for
// a table when it was small may be very wrong later. Every statement of a group finds
// its rows by an index, also in tables that are small as yet.
var keptPlans = map[string]string{"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}

// Statements about plans.
const (
	renewPlans = "DISCARD PLANS"
	// ownPlans has a transaction planned statement by statement, for writes of
	// configuration and what they read: rare and of any kind.
	ownPlans = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = on"
)

// everything is the value of the setting tollgate.account that shows the rows of
// all accounts.
const everything = "*"

// SQLSTATEs that decide what is done next. Source: PostgreSQL 15, appendix A.
const (
	stateForeignKeyViolation  = "23503"
	stateUniqueViolation      = "23505"
	stateSerializationFailure = "40001"
	stateDeadlock             = "40P01"
	stateLockNotAvailable     = "55P03"
	stateReadOnly             = "25006" // the server has become a standby
	stateNoPrivilege          = "42501"
)

// openPools connects to PostgreSQL, and makes its tables if it has none. Any number
// of nodes may do so at once.
func (l *Ledger) openPools(ctx context.Context) error {
	parsed, err := pgx.ParseConfig(l.node.DatabaseURL)
	if err != nil {
		return fmt.Errorf("open database: %w", err) // pgx leaves the password out
	}
	if parsed.ConnectTimeout == 0 {
		parsed.ConnectTimeout = connectLimit
	}
	if err := makeTables(ctx, parsed, l.Resources); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"application_name":                    "tollgate " + l.node.Name,
		"idle_in_transaction_session_timeout": idleInTransactionLimit,
		"lock_timeout":                        lockWaitLimit,
		"statement_timeout":                   statementLimit,
		"client_connection_check_interval":    clientCheckInterval,
		// A server finds out about a node that has lost its power.
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	} {
		if _, given := parsed.RuntimeParams[name]; !given {
			parsed.RuntimeParams[name] = value
		}
	}
	l.connector = parsed
	l.read = stdlib.OpenDB(*parsed)
	connections := max(8, 2*runtime.NumCPU())
	l.read.SetMaxOpenConns(connections)
	l.read.SetMaxIdleConns(connections)
	// The writer sees all accounts; a write of configuration narrows that down.
	writing := parsed.Copy()
	writing.RuntimeParams["tollgate.account"] = everything
	for name, value := range keptPlans {
		writing.RuntimeParams[name] = value
	}
	l.write = stdlib.OpenDB(*writing)
	// One for the writer, one that adds rows to be locked, one for what is written beside it.
	l.write.SetMaxOpenConns(3)
	if err := checkServer(ctx, l.write, l.Logger); err != nil {
		return errors.Join(err, l.closePools())
	}
	if host := unproven(parsed); host != "" {
		l.Logger.Warn("the database is beyond this machine and its certificate is not checked: an attacker on the way "+
			"can read and change everything; add sslmode=verify-full and sslrootcert to the database URL", "host", host)
	}
	return nil
}

// unproven is a host beyond this machine that is trusted without sslmode=verify-full, or
// "" when there is none.
func unproven(config *pgx.ConnConfig) string {
	check := func(host string, secured *tls.Config) bool {
		address, err := netip.ParseAddr(host)
		local := strings.HasPrefix(host, "/") || strings.EqualFold(host, "localhost") || err == nil && address.IsLoopback()
		return !local && (secured == nil || secured.InsecureSkipVerify || secured.ServerName == "")
	}
	if check(config.Host, config.TLSConfig) {
		return config.Host
	}
	for _, f := range config.Fallbacks {
		if check(f.Host, f.TLSConfig) {
			return f.Host
		}
	}
	return ""
}

// checkServer looks for what would make a guarantee untrue.
func checkServer(ctx context.Context, pool *sql.DB, logger *slog.Logger) error {
	var encoding, synchronous, durable string
	var bypasses bool
	err := pool.QueryRowContext(ctx, `SELECT current_setting('server_encoding'), current_setting('synchronous_commit'),
		current_setting('fsync'), (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)`).
		Scan(&encoding, &synchronous, &durable, &bypasses)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("open database: its encoding is %s and must be UTF8", encoding)
	}
	if bypasses {
		logger.Warn("the database role passes row-level security; use one that is neither superuser nor BYPASSRLS")
	}
	// Every table that has an account, and those whose rows belong to one that has.
	var open sql.NullString
	err = pool.QueryRowContext(ctx, `SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class AS c
		JOIN pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
		AND (c.relname = 'webhook_attempts' OR c.relname <> 'config_changes' AND EXISTS (
			SELECT 1 FROM pg_attribute AS a
			WHERE a.attrelid = c.oid AND a.attname = 'account_id' AND NOT a.attisdropped))`).Scan(&open)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if open.Valid {
		logger.Warn("row-level security is off for tables of the database; put it on by ALTER TABLE ... ENABLE and FORCE "+
			"ROW LEVEL SECURITY",
			"tables", open.String)
	}
	if synchronous == "off" || durable == "off" {
		logger.Warn("the database answers before it is durable: calls and charges may be lost with it",
			"synchronous_commit", synchronous, "fsync", durable)
	}
	return nil
}

// makeTables makes the tables, unless they exist, one node at a time.
func makeTables(ctx context.Context, config *pgx.ConnConfig, resources []table.Resource) (err error) {
	pool := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, pool.Close()) }()
	// Another node that makes them is waited for, a second at a time, for five minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return fmt.Errorf("make tables: %w", err)
	}
	err = schema.Of(resources).Make(ctx, pool, goose.WithSessionLocker(locker))
	if sqlState(err) == stateNoPrivilege {
		return fmt.Errorf("the role %s may not make tables: start this version once with the role that owns them "+
			"(docs/POSTGRESQL.md): %w", config.User, err)
	}
	return err
}

// sqlState is the SQLSTATE of an error of the server, or "".
func sqlState(err error) string {
	var failed *pgconn.PgError
	if errors.As(err, &failed) {
		return failed.Code
	}
	return ""
}

// isConnectionError reports whether an error comes from the way to the server or from
// its end, and not from a statement.
func isConnectionError(err error) bool {
	var network net.Error
	var connecting *pgconn.ConnectError
	state := sqlState(err)
	return errors.As(err, &network) || errors.As(err, &connecting) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, table.ErrDiscard) || pgconn.SafeToRetry(err) ||
		strings.HasPrefix(state, "57P") || strings.HasPrefix(state, "08") || state == stateReadOnly
}

// IsDuplicate reports whether a statement broke a unique index or a primary key.
func IsDuplicate(err error) bool { return sqlState(err) == stateUniqueViolation }

// IsReferred reports whether a statement broke a foreign key.
func IsReferred(err error) bool { return sqlState(err) == stateForeignKeyViolation }

// IsFailure reports whether an error comes from PostgreSQL, or from the way to it.
func IsFailure(err error) bool { return sqlState(err) != "" || isConnectionError(err) }

// plainText is a text as PostgreSQL takes it: what is no UTF-8, and the zero byte,
// cannot be stored and is replaced. Such texts come from callers.
func plainText(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

// plain is a querier that gives PostgreSQL only texts that it takes.
type plain struct{ table.Querier }

func plainArgs(args []any) []any {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = plainText(s)
		}
	}
	return args
}

func (p plain) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return p.Querier.ExecContext(ctx, query, plainArgs(args)...)
}

func (p plain) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.Querier.QueryContext(ctx, query, plainArgs(args)...)
}

func (p plain) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return p.Querier.QueryRowContext(ctx, query, plainArgs(args)...)
}

// ReadServer runs f in one read transaction on a PostgreSQL database whose nodes
// may be running, with the rows of every account.
func ReadServer(ctx context.Context, databaseURL string, resources []table.Resource,
	f func(table.Querier) error) (err error) {
	parsed, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return err // pgx leaves the password out
	}
	if parsed.ConnectTimeout == 0 {
		parsed.ConnectTimeout = connectLimit
	}
	parsed.RuntimeParams["application_name"] = "tollgate audit"
	pool := stdlib.OpenDB(*parsed)
	defer func() { err = errors.Join(err, pool.Close()) }()
	return reading(ctx, pool, table.EveryAccount, schema.Of(resources).Checked(ctx, f))
}

// MarkRestored marks a PostgreSQL database that was restored by PostgreSQL's own
// tools, or has lost its last transactions otherwise. No node may be running.
func MarkRestored(ctx context.Context, databaseURL string, now time.Time) (err error) {
	parsed, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return fmt.Errorf("mark restored: %w", err) // pgx leaves the password out
	}
	if parsed.ConnectTimeout == 0 {
		parsed.ConnectTimeout = connectLimit
	}
	pool := stdlib.OpenDB(*parsed)
	defer func() { err = errors.Join(err, pool.Close()) }()
	var node string
	err = pool.QueryRowContext(ctx, "SELECT name FROM nodes WHERE NOT expired AND heartbeat_at > $1 ORDER BY name LIMIT 1",
		now.Add(-deadAfter).UnixMicro()).Scan(&node)
	switch {
	case err == nil:
		return fmt.Errorf("mark restored: node %q runs: stop it first, and wait %v", node, deadAfter)
	case !errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("mark restored: %w", err)
	}
	if _, err := pool.ExecContext(ctx,
		"INSERT INTO copied (one, at) VALUES (1, 0) ON CONFLICT (one) DO NOTHING"); err != nil {
		return fmt.Errorf("mark restored: %w", err)
	}
	return nil
}
