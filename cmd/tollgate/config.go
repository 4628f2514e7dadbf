package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxConfigBytes bounds a config file. It holds a handful of settings.
const maxConfigBytes = 1 << 20

// settings resolves flags from a config file: {"http_addr": "127.0.0.1:8080"}.
type settings map[string]jsontext.Value

// configFile reads a config file. A key given twice, or anything behind the
// object, is an error.
func configFile(r io.Reader) (kong.Resolver, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxConfigBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read config file: %w", err)
	}
	if len(text) > maxConfigBytes {
		return nil, fmt.Errorf("config file is larger than %d bytes", maxConfigBytes)
	}
	values := settings{}
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("config file: %w", err)
	}
	return values, nil
}

// keyOf is the key of a flag in the config file.
func keyOf(flag *kong.Flag) string { return strings.ReplaceAll(flag.Name, "-", "_") }

// Validate implements kong.Resolver: a key that no command has is an error.
func (s settings) Validate(app *kong.Application) error {
	var known []string
	nodes := append([]*kong.Node{app.Node}, app.Children...)
	for _, node := range nodes {
		for _, flag := range node.Flags {
			if flag.Name != "help" && flag.Name != "config" && flag.Name != "version" {
				known = append(known, keyOf(flag))
			}
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for key := range s {
		if !slices.Contains(known, key) {
			return fmt.Errorf("config file: unknown key %q; known are %s", key, strings.Join(known, ", "))
		}
	}
	return nil
}

func isSet(variable string) bool {
	_, set := os.LookupEnv(variable)
	return set
}

// Resolve implements kong.Resolver. An environment variable goes before the file.
func (s settings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := s[keyOf(flag)]
	if !ok || slices.ContainsFunc(flag.Envs, isSet) {
		return nil, nil
	}
	var text string
	if value.Kind() == '"' {
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, fmt.Errorf("config file: %s: %w", keyOf(flag), err)
		}
		return text, nil
	}
	return value.String(), nil
}
