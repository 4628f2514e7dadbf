package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/setting"
)

func TestSettingsReference(t *testing.T) {
	written, err := os.ReadFile(filepath.Join("..", "..", "docs", "SETTINGS.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != settingsReference() {
		t.Error("docs/SETTINGS.md is not what the settings say: run go generate ./cmd/tollgate")
	}
}

// three are three different values of a setting, as text.
func three(s *setting.Setting) [3]string {
	switch s.Name {
	case "log-level":
		return [3]string{"DEBUG", "WARN", "ERROR"}
	case "log-format":
		return [3]string{"json", "text", "json"}
	}
	switch s.Value().(type) {
	case bool:
		return [3]string{"true", "false", "true"}
	case int, float64:
		return [3]string{"11", "12", "13"}
	case []string:
		return [3]string{"[first second]", "[third]", "[fourth fifth]"}
	case string:
		return [3]string{"first", "second", "third"}
	}
	return [3]string{"11s", "12s", "13s"} // durations
}

// parsed is the text of a setting's value after the real command line was read.
func parsed(t *testing.T, name string, args ...string) string {
	t.Helper()
	var cli commands
	parser, err := newParser(context.Background(), &cli, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"check-config"}, args...)); err != nil {
		t.Fatalf("%s: %v", args, err)
	}
	config := cli.CheckConfig.config()
	all := append(setting.Of(&cli), setting.Of(&config)...)
	i := slices.IndexFunc(all, func(s setting.Setting) bool { return s.Name == name })
	return fmt.Sprint(all[i].Value())
}

// given is a value as it is given to a flag or a variable.
func given(s *setting.Setting, value string) string {
	if _, list := s.Value().([]string); list {
		return strings.ReplaceAll(strings.Trim(value, "[]"), " ", ",")
	}
	return value
}

// TestEverySettingFromEverywhere gives each setting through the config file, the
// environment and the flag, one over the other.
func TestEverySettingFromEverywhere(t *testing.T) {
	for _, s := range allSettings() {
		t.Run(s.Name, func(t *testing.T) {
			values := three(&s)
			if s.NoFlag {
				t.Setenv(s.Variable(), values[0])
				if got := parsed(t, s.Name); got != values[0] {
					t.Errorf("from %s: %s", s.Variable(), got)
				}
				return
			}
			text, err := json.Marshal(map[string]string{s.Key(): given(&s, values[0])})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "tollgate.json")
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := parsed(t, s.Name, "--config", file); got != values[0] {
				t.Errorf("from the file: %s, want %s", got, values[0])
			}
			t.Setenv("TOLLGATE_CONFIG", file)
			if got := parsed(t, s.Name); got != values[0] {
				t.Errorf("from the file that TOLLGATE_CONFIG names: %s, want %s", got, values[0])
			}
			t.Setenv(s.Variable(), given(&s, values[1]))
			want := values[1]
			if s.Name == "database-url" {
				want = values[0] // the variable may hold a password, and is read last
			}
			if got := parsed(t, s.Name); got != want {
				t.Errorf("from the environment: %s, want %s", got, want)
			}
			if got := parsed(t, s.Name, s.Flag()+"="+given(&s, values[2])); got != values[2] {
				t.Errorf("from the flag: %s, want %s", got, values[2])
			}
		})
	}
}

// The defaults of the command line are those of a server that a test or the
// demonstration starts.
func TestDefaultsAreTheSame(t *testing.T) {
	usual := app.Default()
	for _, s := range setting.Of(&usual) {
		if got, want := parsed(t, s.Name), fmt.Sprint(s.Value()); got != want {
			t.Errorf("%s: %s, want %s", s.Name, got, want)
		}
	}
}

// What is in a JSON file need not be text.
func TestConfigFileValues(t *testing.T) {
	for key, c := range map[string]struct{ value, want string }{
		"http-plain":    {"true", "true"},
		"sip-addr":      {`"127.0.0.1:1"`, "127.0.0.1:1"},
		"max-call":      {`"1h"`, "1h0m0s"},
		"otlp-ratio":    {"0.25", "0.25"},
		"rate-burst":    {"1000000", "1000000"},
		"cors-origins":  {`["https://a.example", "https://b.example"]`, "[https://a.example https://b.example]"},
		"name-servers":  {`"192.0.2.1:53,192.0.2.2:53"`, "[192.0.2.1:53 192.0.2.2:53]"},
		"media-address": {`[]`, "[]"},
	} {
		file := filepath.Join(t.TempDir(), "tollgate.json")
		text := fmt.Sprintf(`{%q: %s}`, setting.Key(key), c.value)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := parsed(t, key, "--config", file); got != c.want {
			t.Errorf("%s: %s, want %s", text, got, c.want)
		}
	}
}
