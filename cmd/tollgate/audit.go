package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

type auditCommand struct {
	Ledger auditLedgerCommand `cmd:"" default:"withargs" help:"Recompute the invariants of calls, charges and limits from every row. A server may be running. This is what audit alone does."`
	Verify auditVerifyCommand `cmd:"" help:"Check the chain of audit events for changed, removed and inserted ones. A server may be running."`
}

// The statuses of audit.
const (
	auditBroken = 1
	auditFailed = 2 // it could not be found out
)

// auditedDatabase says which database is audited.
type auditedDatabase struct {
	DataDir     string `help:"Folder of the database." default:"./tollgate-data" env:"TOLLGATE_DATA_DIR"`
	DatabaseURL string `name:"database-url" help:"PostgreSQL database, in the place of the folder; by default that of TOLLGATE_DATABASE_URL. A password belongs there or into PGPASSWORD, since everybody on the machine can see arguments." placeholder:"URL"`
}

// server is the URL of the PostgreSQL database; empty when the database is the
// folder's file.
func (d *auditedDatabase) server() (string, error) {
	if hasPassword(d.DatabaseURL) {
		return "", errPasswordSeen
	}
	return cmp.Or(d.DatabaseURL, os.Getenv("TOLLGATE_DATABASE_URL")), nil
}

func (d *auditedDatabase) file() string { return filepath.Join(d.DataDir, app.DatabaseFile) }

type auditLedgerCommand struct {
	auditedDatabase `embed:""`
}

// Run audits the ledger. The exit status is 0 when all invariants hold, 1 when one
// is broken, and 2 when that could not be found out.
func (c *auditLedgerCommand) Run(ctx context.Context) error {
	audit, err := c.audit(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tollgate:", err)
		return exit{auditFailed, err}
	}
	fmt.Printf("Read %d live calls, %d call records and %d days of profiles, as they are at one moment.\n\n", audit.Leases, audit.Records, audit.Days)
	for invariant := range admission.NumInvariants {
		verdict := "holds"
		if n := audit.Broken[invariant]; n > 0 {
			verdict = fmt.Sprintf("BROKEN by %d rows", n)
		}
		fmt.Printf("%s  %s: %s\n", invariant, invariant.Says(), verdict)
		for i := range audit.Breaches {
			if b := &audit.Breaches[i]; b.Invariant == invariant {
				fmt.Printf("    %s %s\n", b.Row, b.Problem)
			}
		}
	}
	if !audit.Holds() {
		first := &audit.Breaches[0]
		err := fmt.Errorf("%s is broken first by %s, which %s", first.Invariant, first.Row, first.Problem)
		fmt.Fprintln(os.Stderr, "tollgate:", err)
		return exit{auditBroken, err}
	}
	return nil
}

func (c *auditLedgerCommand) audit(ctx context.Context) (admission.Audit, error) {
	server, err := c.server()
	switch {
	case err != nil:
		return admission.Audit{}, err
	case server != "":
		return sqlstore.AuditServer(ctx, server)
	}
	return sqlstore.AuditFile(ctx, c.file())
}

var errPasswordSeen = errors.New("--database-url: must not have a password, which everybody on the machine could see; set TOLLGATE_DATABASE_URL or PGPASSWORD instead")

// hasPassword says whether a URL or the key=value words of libpq have a password.
func hasPassword(database string) bool {
	if strings.Contains(database, "://") {
		parsed, err := url.Parse(database)
		if err != nil {
			return false // it is refused for what it is
		}
		_, set := parsed.User.Password()
		return set || parsed.Query().Has("password")
	}
	return strings.Contains(strings.ReplaceAll(database, " ", ""), "password=")
}

type auditVerifyCommand struct {
	auditedDatabase `embed:""`
	Head            string `help:"A head that this command printed before, SEQUENCE:HASH. It must be in the chain, which also shows a chain that was made anew or cut off together with its end." placeholder:"SEQUENCE:HASH"`
}

// Run verifies the chain. The exit status is 0 when it holds, and 1 when it does
// not or cannot be read.
func (c *auditVerifyCommand) Run(ctx context.Context) error {
	var known *sqlstore.AuditHead
	if c.Head != "" {
		head, err := parseHead(c.Head)
		if err != nil {
			return err
		}
		known = &head
	}
	head, err := c.verify(ctx, known)
	if err != nil {
		return err
	}
	fmt.Printf("The chain of %d audit events holds. Its head, to be kept elsewhere:\n\n    %d:%x\n\n", head.Sequence, head.Sequence, head.Hash)
	return nil
}

func (c *auditVerifyCommand) verify(ctx context.Context, known *sqlstore.AuditHead) (sqlstore.AuditHead, error) {
	server, err := c.server()
	switch {
	case err != nil:
		return sqlstore.AuditHead{}, err
	case server != "":
		return sqlstore.VerifyAuditServer(ctx, server, known)
	}
	return sqlstore.VerifyAuditFile(ctx, c.file(), known)
}

func parseHead(text string) (head sqlstore.AuditHead, err error) {
	number, digits, _ := strings.Cut(text, ":")
	head.Sequence, err = strconv.ParseInt(number, 10, 64)
	hash, hexErr := hex.DecodeString(digits)
	if err := errors.Join(err, hexErr); err != nil || head.Sequence < 0 || len(hash) != len(head.Hash) {
		return head, fmt.Errorf("%q is not a head such as 12:9f86d0..., a number and 64 hexadecimal digits", text)
	}
	copy(head.Hash[:], hash)
	return head, nil
}
