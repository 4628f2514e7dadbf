package app

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/shaken/shakentest"
)

// TestSettingsOfSigningAreChecked: each error names the setting and says what would do.
func TestSettingsOfSigningAreChecked(t *testing.T) {
	now := time.Now()
	const pair = "Give a certificate and the key that it was made for"
	x5u := func(text string) func(*Config) { return func(c *Config) { c.ShakenX5U = text } }
	key := func(text string) func(*Config) { return func(c *Config) { c.ShakenKey = text } }
	for name, c := range map[string]struct {
		wish   shakentest.Wish
		change func(*Config)
		want   string // of Check; "" for none
		late   string // of CheckTime
	}{
		"whole":         {},
		"no address":    {change: x5u(""), want: "shaken_x5u: is missing: give the address"},
		"plain address": {change: x5u("http://a/b"), want: "shaken_x5u: \"http://a/b\" is no address"},
		"no key":        {change: key(""), want: "shaken_cert, shaken_key: STIR/SHAKEN needs both"},
		"no such file":  {change: key("/nowhere"), want: "shaken_key: no file"},
		"another's key": {change: key(otherKey(t)), want: pair},
		"only a key":    {change: func(c *Config) { c.ShakenCert = "" }, want: "shaken_cert, shaken_key: STIR/SHAKEN needs both"},
		"open to all":   {change: func(c *Config) { chmod(t, c.ShakenKey) }, want: "Run: chmod 600"},
		"P-384":         {wish: shakentest.Wish{Curve: elliptic.P384()}, want: "openssl ecparam -name prime256v1"},
		"bad list":      {wish: shakentest.Wish{Authority: []byte{0x30, 0}}, want: "TNAuthList"},
		"ended":         {wish: shakentest.Wish{To: now.Add(-time.Minute)}, late: "shaken_cert: the certificate ended at"},
		"not begun":     {wish: shakentest.Wish{From: now.Add(time.Hour)}, late: "is not valid before"},
	} {
		t.Run(name, func(t *testing.T) {
			config := Default()
			config.ShakenCert, config.ShakenKey = shakentest.New(t, c.wish).Write(t, t.TempDir())
			config.ShakenX5U = shakentest.X5U
			if c.change != nil {
				c.change(&config)
			}
			for what, got := range map[string]struct {
				err  error
				want string
			}{"Check": {config.Check(), c.want}, "CheckTime": {config.CheckTime(now), c.late}} {
				bad := got.err != nil
				if bad != (got.want != "") || bad && !strings.Contains(got.err.Error(), got.want) {
					t.Errorf("%s: %v, want %q", what, got.err, got.want)
				}
			}
		})
	}
}

func otherKey(t *testing.T) string {
	t.Helper()
	_, key := shakentest.New(t, shakentest.Wish{}).Write(t, t.TempDir())
	return key
}

func chmod(t *testing.T, path string) {
	t.Helper()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTheLogWarnsBeforeACertificateEnds: a line a day, from 30 days before the end or the last
// third of a shorter one.
func TestTheLogWarnsBeforeACertificateEnds(t *testing.T) {
	const day = 24 * time.Hour
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		lasts       time.Duration
		first, last int // days on which there is a warning
	}{
		"a year":    {365 * day, 335, 364},
		"nine days": {9 * day, 6, 8},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			log := slog.New(slog.NewTextHandler(&out, nil))
			leaf := &x509.Certificate{NotBefore: begin, NotAfter: begin.Add(c.lasts)}
			var told expiryTold
			for hour := time.Duration(0); hour < c.lasts+2*day; hour += 12 * time.Hour {
				out.Reset()
				told.tell(log, leaf, begin.Add(hour+time.Minute))
				on := int((hour) / day)
				wanted := hour%day == 0 && on >= c.first
				switch text := out.String(); {
				case !wanted && text != "":
					t.Fatalf("after %v: %s", hour, text)
				case wanted && on <= c.last && !strings.Contains(text, "level=WARN"),
					wanted && on > c.last && !strings.Contains(text, "level=ERROR"):
					t.Fatalf("after %v: %q", hour, text)
				}
			}
		})
	}
}
