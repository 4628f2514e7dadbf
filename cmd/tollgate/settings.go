package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/setting"
)

//go:generate sh -c "go run . settings > ../../docs/SETTINGS.md"

// allSettings are the settings of every part. Their values are unset.
func allSettings() []setting.Setting {
	return append(setting.Of(new(commands)), setting.Of(new(app.Config))...)
}

// readVariables gives every flag that is a setting its environment variable.
func readVariables() kong.Option {
	return kong.PostBuild(func(k *kong.Kong) error {
		variables := make(map[string]string)
		for _, s := range allSettings() {
			if !s.Secret { // ReadSecrets does that
				variables[s.Name] = s.Variable()
			}
		}
		return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
			if flag, ok := node.(*kong.Flag); ok && variables[flag.Name] != "" {
				flag.Envs = []string{variables[flag.Name]}
				flag.Tag.Envs = flag.Envs
			}
			return next(nil)
		})
	})
}

// settingsIntroduction has ' in the place of `.
const settingsIntroduction = `# Settings

<!-- Printed by "tollgate settings"; go generate ./cmd/tollgate writes it. -->

A setting is given as a flag of 'tollgate serve', as an environment variable, or as a key of the config file. The flag
goes before the variable, and the variable before the file. A list has commas between its items; in the file it may
also be an array. Secrets are read from the environment alone, because everybody on the machine can see arguments.

The config file is one JSON object, as in [examples/tollgate.json](../examples/tollgate.json). '--config' or
'TOLLGATE_CONFIG' names it. Keys that the command does not read are refused by name. All commands may have the file of
the server; they ignore the settings that they have no use for.

'tollgate check-config' checks all settings without starting anything. On SIGHUP the server reads them again. Those
that say so below take effect at once, the others at the next start.
`

type settingsCommand struct{}

// Run prints the reference of all settings.
func (settingsCommand) Run() error {
	fmt.Print(settingsReference())
	return nil
}

func settingsReference() string {
	return strings.ReplaceAll(settingsIntroduction, "'", "`") + setting.Markdown(new(commands), new(app.Config))
}
