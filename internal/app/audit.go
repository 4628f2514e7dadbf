package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

// auditHeadFile keeps the end of the chain of audit events as this node has last seen
// it: events that are cut off the database afterwards are missed.
const auditHeadFile = "audit.head"

// How often the end of the chain is kept in the file, and told to the log.
const (
	auditHeadInterval = 10 * time.Second
	auditLogInterval  = time.Hour
)

// ReadAuditHead reads the head that a node has kept in its data folder; found is false
// when there is none.
func ReadAuditHead(dataDir string, vault *secret.Vault) (head trail.Head, found bool, err error) {
	path := filepath.Join(dataDir, auditHeadFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return head, false, nil
	}
	if err == nil {
		head, err = trail.OpenHead(vault, string(text))
	}
	if err != nil {
		return head, false, fmt.Errorf("%s: %w", path, err)
	}
	return head, true, nil
}

// watchAudit compares the chain with what this node has seen of it, and continues
// keeping its end until Stop.
func (a *App) watchAudit(ctx context.Context) error {
	if err := a.checkAudit(ctx); err != nil {
		return err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(auditHeadInterval)
		defer ticker.Stop()
		var logged time.Time
		for {
			select {
			case <-running.Done():
				return
			case <-ticker.C:
			}
			a.keepAuditHead(running, time.Since(logged) >= auditLogInterval)
			if time.Since(logged) >= auditLogInterval {
				logged = time.Now()
			}
		}
	}()
	a.undo("audit", func(ctx context.Context) error {
		cancel()
		<-ended
		a.keepAuditHead(ctx, true)
		return nil
	})
	return nil
}

// checkAudit tells the operator when the database lacks what this node has seen. The
// server continues: an older copy may have been restored on purpose.
func (a *App) checkAudit(ctx context.Context) error {
	path := filepath.Join(a.config.DataDir, auditHeadFile)
	head, found, err := ReadAuditHead(a.config.DataDir, a.vault)
	if err == nil {
		has := true
		if found {
			if has, err = a.store.HasAuditHead(ctx, head); err != nil {
				return err
			}
		}
		if has {
			a.auditHead = head
			return nil
		}
		err = fmt.Errorf("the database lacks the audit event %d that this node has seen: events were cut off or rewritten, "+
			"or an older copy was restored", head.Sequence)
	}
	kept := path + "." + time.Now().UTC().Format("20060102T150405Z")
	a.logger.Error("audit: the chain of audit events is not what this node has seen", "error", err, "kept", kept)
	return os.Rename(path, kept)
}

// keepAuditHead writes the end of the chain into the file, when it has moved.
func (a *App) keepAuditHead(ctx context.Context, tell bool) {
	head, err := a.store.AuditHead(ctx)
	if err != nil {
		return // the store says why
	}
	if tell {
		a.logger.Info("audit: the end of the chain", "head", head.String())
	}
	if head == a.auditHead {
		return
	}
	if err := a.writeAuditHead(head); err != nil {
		a.logger.Warn("audit: the end of the chain cannot be kept", "error", err)
		return
	}
	a.auditHead = head
}

func (a *App) writeAuditHead(head trail.Head) error {
	path := filepath.Join(a.config.DataDir, auditHeadFile)
	partial := path + ".partial"
	if err := os.WriteFile(partial, []byte(head.Sign(a.vault)+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(partial, path)
}
