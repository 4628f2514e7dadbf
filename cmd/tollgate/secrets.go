package main

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/secret"
)

type secretsCommand struct {
	AddKey addKeyCommand `cmd:"" help:"Append a new key to the key file: it opens what is sealed under it. Give the file to every node and restart them."`
	UseKey useKeyCommand `cmd:"" help:"Make the last key of the key file the first, which seals. Give the file to every node and restart them; the first to start seals everything anew."`
}

type keyFile struct {
	DataDir        string `help:"Folder of the database." default:"${data_dir}"`
	SecretsKeyFile string `help:"Key file of the server's secrets; by default secrets.key in the folder."`
}

func (f *keyFile) path() string {
	return app.DatabaseSettings{DataDir: f.DataDir, SecretsKeyFile: f.SecretsKeyFile}.SecretsKey()
}

type addKeyCommand struct {
	keyFile `embed:""`
}

// Run appends a key.
func (c *addKeyCommand) Run() error {
	id, err := secret.AddKey(c.path())
	if err != nil {
		return err
	}
	fmt.Printf("%s has the new key %s, which opens and does not seal yet. Give the file to every node and restart them; "+
		"then: tollgate secrets use-key\n", c.path(), id)
	return nil
}

type useKeyCommand struct {
	keyFile `embed:""`
}

// Run makes the last key the first.
func (c *useKeyCommand) Run() error {
	id, err := secret.Promote(c.path())
	if err != nil {
		return err
	}
	fmt.Printf("%s seals with the key %s from the next start on. Give the file to every node and restart them. Keep the "+
		"older keys in it: the audit is checked by them.\n", c.path(), id)
	return nil
}
