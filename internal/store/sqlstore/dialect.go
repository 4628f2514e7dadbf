package sqlstore

import (
	"context"

	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// dialect is what differs between the two databases where both are used alike.
type dialect struct {
	scopeID    string // the scope_id of a row whose id is a number
	afterLimit string // after_limit in a document

	// How the ledger is read for an audit: what its tables do not have yet, and leases.
	journal     func(context.Context, table.Querier) (*sqlite.Journal, error)
	auditLeases leaseAudit
}

var fileDialect = dialect{
	scopeID: "unhex(printf('%032x', id))", afterLimit: "json_extract(doc, '$.after_limit')",
	journal: sqlite.ReadJournal, auditLeases: auditFileLeases,
}

var serverDialect = dialect{
	scopeID: "decode(lpad(to_hex(id), 32, '0'), 'hex')", afterLimit: "doc::JSONB ->> 'after_limit'",
	journal:     func(context.Context, table.Querier) (*sqlite.Journal, error) { return &sqlite.Journal{}, nil },
	auditLeases: auditServerLeases,
}
