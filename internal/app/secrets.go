package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// secretsKeyFile is the name of the default key file in the data folder.
const secretsKeyFile = "secrets.key"

// DatabaseSettings are the settings of the database and of the keys of its secrets.
type DatabaseSettings struct {
	DataDir               string `name:"data-dir" default:"./tollgate-data" help:"Folder of the database; made if it is not there."`
	DatabaseURL           string `name:"database-url" secret:"" placeholder:"URL" help:"PostgreSQL database that several nodes share, in the place of the one in the folder; by default that of TOLLGATE_DATABASE_URL. A password belongs there or into PGPASSWORD, since everybody on the machine can see arguments."`
	NodeName              string `name:"node-name" help:"Name of this node among those that share a PostgreSQL database; by default the host's name and the SIP address."`
	SecretsKeyFile        string `name:"secrets-key-file" help:"File of the keys that seal the secrets in the database and authenticate its audit; by default secrets.key in the data folder. Made at the first start. Nodes that share a database need the same file."`
	ForgetCallerPasswords bool   `name:"forget-caller-passwords" help:"Keep of passwords of credential and FQDN connections that are set from now on their hashes (HA1) alone, which no API key can read back."`
}

// SecretsKey is SecretsKeyFile or its default.
func (s DatabaseSettings) SecretsKey() string {
	if s.SecretsKeyFile != "" {
		return s.SecretsKeyFile
	}
	return filepath.Join(s.DataDir, secretsKeyFile)
}

// openStore opens the database with the keys of the secrets key file. The file is
// made at the first start of a database; one that was sealed already needs its own.
func (a *App) openStore(ctx context.Context, config sqlstore.Config) (*sqlstore.Store, error) {
	path, made := a.config.SecretsKey(), false
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := secret.Make(path); err == nil {
			made = true
		} else if !errors.Is(err, fs.ErrExist) { // another node that has the folder was faster
			return nil, fmt.Errorf("make the secrets key file: %w", err)
		}
	}
	vault, err := secret.Load(path)
	if err != nil {
		return nil, err
	}
	config.Vault, a.vault = vault, vault
	config.ForgetPasswords = a.config.ForgetCallerPasswords
	store, err := sqlstore.Open(ctx, config)
	if wrong := (*sqlstore.WrongKeyError)(nil); errors.As(err, &wrong) {
		if made {
			err = errors.Join(err, os.Remove(path))
		}
		return nil, fmt.Errorf("open the database: %w. Copy the file secrets.key of the node that has it, or of the "+
			"backup, to %s (mode 0600). Without it the secrets are lost: see docs/SECRETS.md", err, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if made {
		a.logger.Info("made the secrets key file: keep a copy apart from the database, and give it to every node that "+
			"shares the database", "file", path)
	}
	return store, nil
}

// checkSecretFiles refuses files of secrets that others can read.
func (c *Config) checkSecretFiles() error {
	var problems []error
	for _, file := range []struct {
		setting *string
		path    string
	}{
		{&c.SecretsKeyFile, c.SecretsKey()}, {&c.SIPTLSKey, c.SIPTLSKey}, {&c.HTTPTLSKey, c.HTTPTLSKey},
		{&c.RecordingKeyFile, c.RecordingKeyFile}, {&c.DataDir, filepath.Join(c.DataDir, webhookKeyFile)},
	} {
		if file.path == "" {
			continue
		}
		if err := secret.CheckFile(file.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, c.wrong(file.setting, "%w", err))
		}
	}
	return errors.Join(problems...)
}
