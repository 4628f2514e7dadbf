// Package app puts Tollgate together: the store, the gateway and the API. It is
// the only package that knows everyone, and it is how tests and the demo run a
// whole server in their own process.
package app

import (
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"os"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/setting"
)

// Config is everything that can be set. Its zero value is not usable; Default is. Each
// part has its settings, one line each, beside the code that they are of; package setting
// says what the tags mean.
type Config struct {
	DatabaseSettings  `part:"Database" see:"SECRETS.md"`
	HTTPSettings      `part:"HTTP API" see:"OPERATIONS.md"`
	SIPSettings       `part:"SIP" see:"OPERATIONS.md"`
	ShakenSettings    `part:"STIR/SHAKEN" see:"OPERATIONS.md"`
	MediaSettings     `part:"Media" see:"MEDIA.md"`
	RecordingSettings `part:"Recordings" see:"RECORDING.md"`
	WebhookSettings   `part:"Webhooks"`
	WatchSettings     `part:"Metrics and traces" see:"OPERATIONS.md"`
	// Version is what the server says it is.
	Version string `kong:"-"`
}

// Default is the configuration of a server on one's own machine: nothing listens
// beyond loopback.
func Default() Config {
	var c Config
	setting.SetDefaults(&c)
	return c
}

// wrong is an error about the setting that field points to.
func (c *Config) wrong(field any, format string, args ...any) error {
	return setting.Errorf(c, field, format, args...)
}

// nodeName is NodeName or its default.
func (c Config) nodeName() (string, error) {
	if c.NodeName != "" {
		return c.NodeName, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name of this node: %w", err)
	}
	return host + " " + c.SIPAddr, nil
}

// idNode is the number under which a node makes ids. With SQLite there is one node.
// With PostgreSQL two names may have the same number; the database then refuses an
// id that both have made in the same millisecond.
func (c Config) idNode(name string) int {
	if c.DatabaseURL == "" {
		return 0
	}
	return int(crc32.ChecksumIEEE([]byte(name)) % id.Nodes)
}

// Check says everything that is wrong with the configuration.
func (c Config) Check() error {
	problems := setting.Check(&c)
	if c.DataDir == "" {
		problems = append(problems, c.wrong(&c.DataDir, "must name a folder"))
	}
	if c.OTLP != "" && !isURL(c.OTLP) {
		problems = append(problems, c.wrong(&c.OTLP, "%q is not a URL such as http://127.0.0.1:4318", c.OTLP))
	}
	if _, err := c.relayConfig(); err != nil {
		problems = append(problems, err)
	}
	if _, _, err := c.listens(); err != nil {
		problems = append(problems, err)
	}
	if _, err := c.advertised(); err != nil {
		problems = append(problems, err)
	}
	if err := c.tls().Check(); err != nil {
		problems = append(problems, err)
	}
	problems = append(problems, c.checkShaken()...)
	problems = append(problems, c.checkHTTP()...)
	return errors.Join(append(problems, c.checkRecording(), c.checkSecretFiles())...)
}

// isURL reports whether a text is the address of something that speaks HTTP.
func isURL(text string) bool {
	parsed, err := url.Parse(text)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != ""
}
