package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/postgres"
	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
)

type backupCommand struct {
	DataDir string `help:"Folder of the database. A server may be running." default:"${data_dir}"`
	To      string `required:"" help:"File to write the copy to; it must not be there. It holds call records and sealed passwords; the secrets key file is not in it." placeholder:"FILE"`
}

// Run copies the SQLite database.
func (c *backupCommand) Run(ctx context.Context) error {
	if os.Getenv("TOLLGATE_DATABASE_URL") != "" {
		return errors.New("TOLLGATE_DATABASE_URL is set: PostgreSQL is backed up by its own tools, see docs/BACKUP.md")
	}
	if err := sqlite.Backup(ctx, sqlstore.Tables(), filepath.Join(c.DataDir, app.DatabaseFile), c.To, time.Now()); err != nil {
		return err
	}
	fmt.Printf("The database is copied to %s and checked. The key file of its secrets, %s, is not in it: keep a copy "+
		"of that elsewhere.\n",
		c.To, app.DatabaseSettings{DataDir: c.DataDir, SecretsKeyFile: os.Getenv("TOLLGATE_SECRETS_KEY_FILE")}.SecretsKey())
	return nil
}

type restoreCommand struct {
	From        string `help:"Copy that backup has made, or any whole database file." placeholder:"FILE" xor:"what"`
	DataDir     string `help:"Folder to restore it into. It must have no database." default:"${data_dir}"`
	DatabaseURL string `name:"database-url" help:"Instead: mark this PostgreSQL database, which its own tools have restored. A password belongs into PGPASSWORD." placeholder:"URL" xor:"what"`
}

// Run restores a copy, or marks a database that was restored.
func (c *restoreCommand) Run(ctx context.Context) error {
	switch {
	case hasPassword(c.DatabaseURL):
		return errPasswordSeen
	case c.DatabaseURL != "":
		if err := postgres.MarkRestored(ctx, c.DatabaseURL, time.Now()); err != nil {
			return err
		}
		fmt.Println("The database is marked as restored.")
	case c.From == "":
		return errors.New("--from: must name the copy to restore")
	default:
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return err
		}
		if err := sqlite.Restore(ctx, sqlstore.Tables(), c.From, filepath.Join(c.DataDir, app.DatabaseFile)); err != nil {
			return err
		}
		fmt.Printf("%s is restored into %s and checked.\n", c.From, c.DataDir)
	}
	fmt.Println("What was spent since the copy was made is unknown: from the next start on, whatever has a daily " +
		"limit counts as\nspent until 00:00 UTC, or until it is released. See docs/BACKUP.md.")
	return nil
}
