package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

type auditCommand struct {
	Verify auditVerifyCommand `cmd:"" help:"Check the chain of audit events for changed, removed and inserted ones. A server may be running."`
}

type auditVerifyCommand struct {
	DataDir string `help:"Folder of the database." default:"./tollgate-data" env:"TOLLGATE_DATA_DIR"`
	Head    string `help:"A head that this command printed before, SEQUENCE:HASH. It must be in the chain, which also shows a chain that was made anew or cut off together with its end." placeholder:"SEQUENCE:HASH"`
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
	path := filepath.Join(c.DataDir, app.DatabaseFile)
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("no database: %w", err)
	}
	head, err := sqlstore.VerifyAuditFile(ctx, path, known)
	if err != nil {
		return err
	}
	fmt.Printf("The chain of %d audit events holds. Its head, to be kept elsewhere:\n\n    %d:%x\n\n", head.Sequence, head.Sequence, head.Hash)
	return nil
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
