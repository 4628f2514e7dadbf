package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tollgate/tollgate/internal/setting"
)

// maxConfigBytes bounds a config file. It holds a handful of settings.
const maxConfigBytes = 1 << 20

// configFlag names the config file.
type configFlag string

// BeforeResolve reads the file, for kong, and has the flags resolved from it.
func (configFlag) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	name, _ := ctx.FlagValue(trace.Flag).(configFlag)
	file, err := os.Open(kong.ExpandPath(string(name)))
	if err != nil {
		return err
	}
	values, err := readConfig(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("config file: %w", err)
	}
	if err := values.check(keysOf(ctx)); err != nil {
		return fmt.Errorf("config file: %w", err)
	}
	ctx.AddResolver(values)
	return nil
}

// configValues resolves flags from a config file: {"http_addr": "127.0.0.1:8080"}.
type configValues map[string]jsontext.Value

// readConfig reads a config file. A key given twice, or anything behind the
// object, is an error.
func readConfig(r io.Reader) (configValues, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxConfigBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxConfigBytes {
		return nil, fmt.Errorf("is larger than %d bytes", maxConfigBytes)
	}
	values := configValues{}
	return values, json.Unmarshal(text, &values)
}

// keysOf lists the keys that a command may find in the file: its own options, and the
// settings of the server, since all commands may read the server's file.
func keysOf(ctx *kong.Context) []string {
	var keys []string
	for _, path := range ctx.Path {
		for _, flag := range path.Flags {
			switch flag.Name {
			case "help", "config", "version":
			default:
				keys = append(keys, setting.Key(flag.Name))
			}
		}
	}
	for _, s := range allSettings() {
		if !s.NoFlag {
			keys = append(keys, s.Key())
		}
	}
	return keys
}

// check refuses keys that the command does not read.
func (c configValues) check(known []string) error {
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(c)) {
		if slices.Contains(known, key) {
			continue
		}
		problem := fmt.Errorf("unknown key %q; the nearest known one is %q", key, setting.Nearest(key, known))
		for _, s := range allSettings() {
			if s.NoFlag && key == setting.Key(s.Name) {
				problem = fmt.Errorf("unknown key %q; this secret is read from %s alone", key, s.Variable())
			}
		}
		problems = append(problems, problem)
	}
	return errors.Join(problems...)
}

// Validate implements kong.Resolver: check has done it.
func (configValues) Validate(*kong.Application) error { return nil }

func isSet(variable string) bool {
	_, set := os.LookupEnv(variable)
	return set
}

// Resolve implements kong.Resolver. An environment variable goes before the file.
func (c configValues) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	key := setting.Key(flag.Name)
	value, ok := c[key]
	if !ok || slices.ContainsFunc(flag.Envs, isSet) {
		return nil, nil
	}
	switch value.Kind() {
	case '"':
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, fmt.Errorf("config file: %s: %w", key, err)
		}
		return text, nil
	case '[':
		var list []any
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, fmt.Errorf("config file: %s: %w", key, err)
		}
		return list, nil
	case 't', 'f', '0':
		return value.String(), nil
	}
	return nil, fmt.Errorf("config file: %s: must be a text, a number, true, false or a list", key)
}
