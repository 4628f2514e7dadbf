package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
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
	DataDir     string `help:"Folder of the database." default:"${data_dir}"`
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
	fmt.Printf("Read %d live calls, %d call records and %d days of profiles, as they are at one moment.\n",
		audit.Leases, audit.Records, audit.Days)
	e := &audit.Emergencies
	fmt.Printf("Emergency calls: %d admitted, %d of them live, %d s billed, %s posted outside the limits.\n\n",
		e.Started, e.Started-e.Ended, e.BilledSecs, e.Posted)
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

var errPasswordSeen = errors.New("--database-url: must not have a password, which everybody on the machine " +
	"could see; set TOLLGATE_DATABASE_URL or PGPASSWORD instead")

// hasPassword reports whether a URL or the key=value words of libpq have a password.
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
	SecretsKeyFile  string   `help:"Key file of the server's secrets; by default secrets.key in the folder."`
	Head            []string `help:"A head that this command or the server's log has printed before, SEQUENCE:HASH. It must be in the chain, which also shows what was cut off its end. The one that a server keeps in the folder is looked for by itself." placeholder:"SEQUENCE:HASH"`
}

// Run verifies the chain. The exit status is 0 when it holds, 1 when it does not, and 2
// when that could not be found out.
func (c *auditVerifyCommand) Run(ctx context.Context) error {
	head, known, err := c.verify(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tollgate:", err)
		if broken := (*trail.Error)(nil); errors.As(err, &broken) {
			return exit{auditBroken, err}
		}
		return exit{auditFailed, err}
	}
	fmt.Printf("The chain of %d audit events holds. Its head, to be kept elsewhere:\n\n    %s\n\n", head.Sequence, head)
	fmt.Println("Proven: each event was written by a server with a key of the secrets key file, and none" +
		" was changed, inserted,\nmoved or removed before the last one.")
	switch len(known) {
	case 0:
		fmt.Println("Not proven: that the last events were not cut off. No head was given, and the folder has none.")
	default:
		var last int64
		for _, k := range known {
			last = max(last, k.Sequence)
		}
		fmt.Printf("Proven too: nothing up to event %d was cut off, since a head of it was kept "+
			"outside the database.\n", last)
		fmt.Println("Not proven: that no events after that one were cut off.")
	}
	fmt.Println("Not proven: that the configuration is what the events say, that no one with the key file has" +
		" made the chain\nanew, and that a change was made by the person who has the API key.")
	return nil
}

// heads are those that the chain must go through: given, and kept by a server.
func (c *auditVerifyCommand) heads(vault *secret.Vault) (known []trail.Head, err error) {
	for _, text := range c.Head {
		head, err := trail.ParseHead(text)
		if err != nil {
			return nil, err
		}
		known = append(known, head)
	}
	head, found, err := app.ReadAuditHead(c.DataDir, vault)
	if found {
		known = append(known, head)
	}
	return known, err
}

func (c *auditVerifyCommand) verify(ctx context.Context) (head trail.Head, known []trail.Head,
	err error) {
	server, err := c.server()
	if err != nil {
		return head, nil, err
	}
	vault, err := secret.Load(app.DatabaseSettings{DataDir: c.DataDir, SecretsKeyFile: c.SecretsKeyFile}.SecretsKey())
	if err != nil {
		return head, nil, err
	}
	// What is kept is read before the database, which is only ever ahead of it.
	if known, err = c.heads(vault); err != nil {
		return head, nil, err
	}
	if server != "" {
		head, err = sqlstore.VerifyAuditServer(ctx, server, vault, known...)
	} else {
		head, err = sqlstore.VerifyAuditFile(ctx, c.file(), vault, known...)
	}
	return head, known, err
}
