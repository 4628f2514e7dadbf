package app

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testConfig(folder string) Config {
	c := Default()
	c.DataDir = folder
	c.HTTPAddr = "127.0.0.1:0"
	c.SIPAddr = "127.0.0.1:0"
	return c
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func start(t *testing.T, c Config) *App {
	t.Helper()
	a, err := New(t.Context(), c, silent())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// profiles asks for the list of profiles with a key and returns the status.
func profiles(t *testing.T, a *App, key string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"http://"+a.HTTPAddr()+"/v2/outbound_voice_profiles", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

func TestTheFirstKeyIsMadeOnce(t *testing.T) {
	folder := t.TempDir()
	first := start(t, testConfig(folder))
	key := first.NewKey()
	if key == "" || profiles(t, first, key) != http.StatusOK {
		t.Fatalf("the first key %q does not open the API", key)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := start(t, testConfig(folder))
	if again.NewKey() != "" {
		t.Error("a second start made another key")
	}
	if status := profiles(t, again, key); status != http.StatusOK {
		t.Errorf("the key of the first start: status %d after the second", status)
	}
	if status := profiles(t, again, key[:len(key)-1]+"x"); status != http.StatusUnauthorized {
		t.Errorf("a wrong key: status %d, want 401", status)
	}
}

func TestTheOperatorsOwnKey(t *testing.T) {
	c := testConfig(t.TempDir())
	c.APIKey = "an-own-key-of-the-operator"
	a := start(t, c)
	if a.NewKey() != "" {
		t.Error("a key was made although one was given")
	}
	if status := profiles(t, a, c.APIKey); status != http.StatusOK {
		t.Errorf("status %d with the operator's key", status)
	}
}

func TestNoSecretIsInTheFolder(t *testing.T) {
	folder := t.TempDir()
	a := start(t, testConfig(folder))
	key := a.NewKey()
	if err := a.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	looked := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		looked++
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), key) {
			t.Errorf("%s holds the API key", path)
		}
		return err
	})
	if err != nil || looked == 0 {
		t.Fatalf("%d files in the data folder: %v", looked, err)
	}
}

func TestWhatCannotStartLeavesNothingBehind(t *testing.T) {
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer occupied.Close()
	folder := t.TempDir()
	for _, c := range []struct {
		what   string
		change func(*Config)
		says   string
	}{
		{"HTTP address in use", func(c *Config) { c.HTTPAddr = occupied.Addr().String() }, "listen for HTTP"},
		{"SIP address in use", func(c *Config) { c.SIPAddr = occupied.Addr().String() }, "SIP"},
		{"no such address", func(c *Config) { c.SIPAddr = "192.0.2.1:5060" }, "SIP"},
	} {
		config := testConfig(folder)
		c.change(&config)
		a, err := New(t.Context(), config, silent())
		if err != nil {
			t.Fatalf("%s: New: %v", c.what, err)
		}
		if err := a.Start(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: Start: %v, want an error about %q", c.what, err, c.says)
		}
		if err := a.Stop(t.Context()); err != nil {
			t.Errorf("%s: Stop: %v", c.what, err)
		}
	}
	start(t, testConfig(folder)) // the folder is free again
}

func TestTwoServersDoNotShareAFolder(t *testing.T) {
	folder := t.TempDir()
	start(t, testConfig(folder))
	if _, err := New(t.Context(), testConfig(folder), silent()); err == nil {
		t.Fatal("a second server opened the same data folder")
	}
}

func TestBadConfigurationsNameEverySetting(t *testing.T) {
	var config Config
	config.HTTPAddr = "nowhere"
	config.SIPAddr = ":"
	config.APIKey = "short"
	config.StopLimit = -1
	config.RateBurst = -1
	config.CORSOrigins = []string{"*"}
	_, err := New(t.Context(), config, silent())
	if err == nil {
		t.Fatal("started without an error")
	}
	for _, setting := range []string{
		"data_dir", "http_addr", "sip_addr", "TOLLGATE_API_KEY", "stop_limit", "rate_burst", "cors_origins",
	} {
		if !strings.Contains(err.Error(), setting) {
			t.Errorf("the error does not name %s: %v", setting, err)
		}
	}
	if strings.Contains(err.Error(), "short") {
		t.Errorf("the error repeats the key: %v", err)
	}
}

func TestStopMayBeCalledTwice(t *testing.T) {
	a := start(t, testConfig(t.TempDir()))
	for range 2 {
		if err := a.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
