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

// SecretsKey is SecretsKeyFile or its default.
func (c Config) SecretsKey() string {
	if c.SecretsKeyFile != "" {
		return c.SecretsKeyFile
	}
	return filepath.Join(c.DataDir, secretsKeyFile)
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

// validateSecretFiles refuses files of secrets that others can read.
func (c Config) validateSecretFiles() error {
	var problems []error
	for _, file := range []struct{ key, path string }{
		{"secrets_key_file", c.SecretsKey()}, {"sip_tls_key", c.SIPTLS.KeyFile}, {"http_tls_key", c.HTTP.KeyFile},
		{"recording_key_file", c.RecordingKeyFile}, {"data_dir", filepath.Join(c.DataDir, webhookKeyFile)},
	} {
		if file.path == "" {
			continue
		}
		if err := secret.CheckFile(file.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("%s: %w", file.key, err))
		}
	}
	return errors.Join(problems...)
}
