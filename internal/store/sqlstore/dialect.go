package sqlstore

import (
	"context"

	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// dialect is what differs between the two databases where both are used alike.
type dialect struct {
	shared     bool   // other nodes write too
	scopeID    string // the scope_id of a row whose id is a number
	afterLimit string // after_limit in a document
	tagged     string // joins the tags of profiles to call records
	marker     marker

	// How the ledger is read for an audit: what its tables do not have yet, and leases.
	journal     func(context.Context, table.Querier) (*sqlite.Journal, error)
	auditLeases leaseAudit
}

var fileDialect = dialect{
	scopeID: "unhex(printf('%032x', id))", afterLimit: "json_extract(doc, '$.after_limit')", tagged: fileTagged,
	// There is one writer, and rows get rising numbers.
	marker: marker{
		now: `SELECT (SELECT COALESCE(MAX(rowid), 0) FROM call_records) + 1,
			(SELECT COALESCE(MAX(sweeps), 0) FROM record_sweeps WHERE account_id = $1)`,
		table: "call_records NOT INDEXED", after: "rowid >= $%d", reach: 50_000,
	},
	journal: sqlite.ReadJournal, auditLeases: auditFileLeases,
}

var serverDialect = dialect{
	shared: true, scopeID: "decode(lpad(to_hex(id), 32, '0'), 'hex')", afterLimit: "doc::JSONB ->> 'after_limit'", tagged: serverTagged,
	// The rows of a transaction that is still open may come in sight in any order, so the
	// mark is the oldest transaction that is open. Source: PostgreSQL 15, pg_snapshot_xmin.
	marker: marker{
		now: `SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT),
			(SELECT COALESCE(MAX(sweeps), 0) FROM record_sweeps WHERE account_id = $1)`,
		table: "call_records", after: "written >= CAST(CAST(CAST($%d AS BIGINT) AS TEXT) AS XID8)",
	},
	journal:     func(context.Context, table.Querier) (*sqlite.Journal, error) { return &sqlite.Journal{}, nil },
	auditLeases: auditServerLeases,
}
