package app

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/setting"
)

// TestProblemsNameSettingsThatExist has wrong values everywhere, and looks at the names
// with which the messages begin and at those within them.
func TestProblemsNameSettingsThatExist(t *testing.T) {
	var names []string
	for _, s := range setting.Of(new(Config)) {
		names = append(names, setting.Key(s.Name), s.Variable(), strings.TrimPrefix(s.Flag(), "--"))
	}
	absent := filepath.Join(t.TempDir(), "absent")
	for name, change := range map[string]func(*Config){
		"zero": func(c *Config) { *c = Config{} },
		"wrong": func(c *Config) {
			c.APIKey = "short"
			c.CORSOrigins = []string{"*"}
			c.PublicURL = "nowhere"
			c.HTTPConnections = -1
			c.RateBurst = -1
			c.HTTPTrustedProxies = []string{"0.0.0.0/0"}
			c.OTLP = "nowhere"
			c.OTLPRatio = 2
			c.TraceMemory = -1
			c.HEP = "nowhere"
			c.MetricsAddr = "nowhere"
			c.NameServers = []string{"nowhere"}
			c.SIPTLSListen = "nowhere"
			c.SIPTLSCert = absent
			c.SIPTLSKey = absent
			c.SIPTLSCA = absent
			c.HTTPTLSCert = absent
			c.HTTPTLSKey = absent
			c.HTTPPlain = true
			c.RecordingKeyFile = absent
			c.RecordingAnnouncement = absent
			c.RecordingS3 = "nowhere"
			c.Media = "magic"
		},
		"half of TLS":       func(c *Config) { c.HTTPTLSCert, c.SIPTLSListen, c.SIPTLSKey = absent, "127.0.0.1:1", absent },
		"TLS without":       func(c *Config) { c.SIPTLSCert = absent },
		"plain":             func(c *Config) { c.HTTPAddr, c.MetricsAddr = "192.0.2.1:80", ":9464" },
		"anchored by none":  func(c *Config) { c.Media, c.MediaAnchor = "none", true },
		"no ports":          func(c *Config) { c.MediaPorts = "1" },
		"no address":        func(c *Config) { c.SIPAddr, c.MediaAnchor = ":5060", true },
		"wrong address":     func(c *Config) { c.MediaAddresses = []string{"0.0.0.0"} },
		"addresses of one":  func(c *Config) { c.MediaAddresses = []string{"127.0.0.1", "127.0.0.2"} },
		"key files, folder": func(c *Config) { c.SecretsKeyFile = t.TempDir() },
	} {
		config := Default()
		config.DataDir = t.TempDir()
		change(&config)
		err := config.Check()
		if err == nil {
			t.Errorf("%s: no problem", name)
			continue
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			beginning, _, _ := strings.Cut(line, ": ")
			mentioned := append(strings.Split(beginning, ", "), named.FindAllString(line, -1)...)
			for _, word := range mentioned {
				if !slices.Contains(names, strings.TrimPrefix(word, "--")) {
					t.Errorf("%s: %q is not a setting: %s", name, word, line)
				}
			}
		}
	}
}

// named are the words of a message that can only be names of settings.
var named = regexp.MustCompile(`--[a-z0-9-]+|TOLLGATE_[A-Z0-9_]+|\b[a-z]+_[a-z0-9_]+\b`)
