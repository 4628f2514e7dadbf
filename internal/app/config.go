// Package app puts Tollgate together: the store, the gateway and the API. It is
// the only package that knows everyone, and it is how tests and the demo run a
// whole server in their own process.
package app

import (
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/sipgw"
)

// Config is everything that can be set. Its zero value is not usable; Default is.
// The tags name the key in the config file; each is also a flag (--data-dir) and
// an environment variable (TOLLGATE_DATA_DIR).
type Config struct {
	// DataDir holds the SQLite database. It is created when it does not exist.
	DataDir string `json:"data_dir"`
	// DatabaseURL is a PostgreSQL database that several nodes share, in the place of
	// the one in DataDir. It may hold a password.
	DatabaseURL string `json:"-"`
	// SecretsKeyFile holds the keys that seal the secrets in the database and
	// authenticate its audit. Nodes that share a database share the file. Empty: the file
	// secrets.key in DataDir. It is made at the first start.
	SecretsKeyFile string `json:"secrets_key_file"`
	// ForgetCallerPasswords keeps, of passwords of callers that are set from
	// now on, their HA1s alone: no key can read them back.
	ForgetCallerPasswords bool `json:"forget_caller_passwords"`
	// NodeName tells the nodes of one PostgreSQL database apart. A node that is
	// started again must have the name it had. Empty: the host's name and SIPAddr.
	NodeName string `json:"node_name"`
	// HTTPAddr is where the API listens, host:port. Port 0 takes a free one.
	HTTPAddr string `json:"http_addr"`
	// HTTP is how the API and the metrics are served.
	HTTP HTTP `json:"-"`
	// SIPAddr is where the gateway listens, UDP and TCP, host:port.
	SIPAddr string `json:"sip_addr"`
	// MetricsAddr is where Prometheus finds /metrics, host:port, over HTTP without a
	// key: they name no customer, no number and no call. Empty: nowhere.
	MetricsAddr string `json:"metrics_addr"`
	// TraceMemory is the memory for the latest SIP messages, MiB; 0 keeps none.
	TraceMemory int `json:"trace_memory"`
	// HEP is a capture server, host:port, that gets a copy of every SIP message, and
	// HEPKey what it wants to see.
	HEP    string `json:"hep"`
	HEPKey string `json:"-"`
	// SIPTLS is SIP over TLS; its zero value leaves it out.
	SIPTLS sipgw.TLS `json:"-"`
	// OTLP is the URL of an OpenTelemetry collector that gets a trace of each call over
	// HTTP, and OTLPRatio the part of the calls. Empty: none.
	OTLP      string  `json:"otlp"`
	OTLPRatio float64 `json:"otlp_ratio"`
	// MaxCall is how long any call may last; 0 is no limit.
	MaxCall time.Duration `json:"max_call"`
	// SIPSourceRate is how many SIP requests a second are taken from one address, and
	// SIPSourceCalls how many calls it may have at once; 0 is no limit.
	SIPSourceRate  int `json:"sip_source_rate"`
	SIPSourceCalls int `json:"sip_source_calls"`
	// SIPSourceConnections is how many TCP connections a source that is known may have at
	// once; others may have a 16th of it.
	SIPSourceConnections int `json:"sip_source_connections"`
	// SIPStrangerRate is how many answers a second all SIP sources together get that have
	// not proved who they are, and SIPStrangerConnections how many TCP connections they may
	// have at once.
	SIPStrangerRate        int `json:"sip_stranger_rate"`
	SIPStrangerConnections int `json:"sip_stranger_connections"`
	// NameServers are the DNS servers for gateways' names, host:port; by default those
	// of the system.
	NameServers []string `json:"name_servers"`
	// APIKey is a key of the first account. Empty: one is made at the first start.
	APIKey string `json:"-"`
	// StopLimit is how long running calls may go on after a stop was asked for.
	StopLimit time.Duration `json:"stop_limit"`
	// RateLimit is how many requests a second each API key may send, and RateBurst
	// how many at once. 0 is the API's default, a negative RateLimit is none.
	RateLimit float64 `json:"rate_limit"`
	RateBurst int     `json:"rate_burst"`
	// CORSOrigins are the origins whose scripts may call the API from a browser.
	CORSOrigins []string `json:"cors_origins"`
	// GatewayAllowPrivate lets gateways be in private networks and on this machine, and
	// media go to private networks.
	GatewayAllowPrivate bool `json:"gateway_allow_private"`
	// WebhookAllowPrivate lets webhooks go to private and loopback addresses, and
	// WebhookAllowHTTP lets their URLs be http://. Both are for servers whose
	// customers are trusted with the server's network.
	WebhookAllowPrivate bool `json:"webhook_allow_private"`
	WebhookAllowHTTP    bool `json:"webhook_allow_http"`
	// Media is what anchors the media of calls: MediaRelay, MediaNone, or
	// MediaRtpengine and its instances.
	Media string `json:"media"`
	// MediaAnchor anchors every call, not only those that are recorded or whose
	// connection wants it.
	MediaAnchor bool `json:"media_anchor"`
	// MediaAddresses are the addresses that the relay's ports are bound to, one of
	// each family at most; after a / the address that peers are told, where that is
	// another. Empty: the address that SIPAddr names, if it names one.
	MediaAddresses []string `json:"media_addresses"`
	// MediaAnySource takes the media of a side from whatever source is heard first.
	MediaAnySource bool `json:"media_any_source"`
	// MediaPorts is the range of the relay's ports, as in 20000-29999.
	MediaPorts string `json:"media_ports"`
	// MediaTimeout is how long an answered call that is anchored may be silent.
	MediaTimeout time.Duration `json:"media_timeout"`
	// PublicURL is where clients reach the API, as in https://tollgate.example.com, for
	// addresses in webhooks. Empty: webhooks have none.
	PublicURL string `json:"public_url"`
	// RecordingDir holds recordings. Empty: the folder recordings in DataDir.
	RecordingDir string `json:"recording_dir"`
	// RecordingKeyFile holds the keys with which recordings are encrypted. Empty:
	// they are not.
	RecordingKeyFile string `json:"recording_key_file"`
	// RecordingAnnouncement is a WAV file that both sides hear before a call is
	// recorded. Empty: they hear none.
	RecordingAnnouncement string `json:"recording_announcement"`
	// RecordingS3 is the bucket that finished recordings are moved to, as in
	// https://s3.example.com/bucket/folder. Empty: they stay in RecordingDir.
	RecordingS3 string `json:"recording_s3"`
	// RecordingS3Region is the bucket's. Empty: the server is asked.
	RecordingS3Region string `json:"recording_s3_region"`
	// RecordingS3AccessKey and RecordingS3SecretKey open the bucket.
	RecordingS3AccessKey, RecordingS3SecretKey string `json:"-"`
	// Version is what the server says it is.
	Version string `json:"-"`
}

// Default is the configuration of a server on one's own machine: nothing listens
// beyond loopback.
func Default() Config {
	return Config{
		DataDir: "./tollgate-data", HTTPAddr: "127.0.0.1:8080", SIPAddr: "127.0.0.1:5060",
		SIPSourceRate: 20_000, SIPSourceConnections: 256, SIPStrangerRate: 1000, SIPStrangerConnections: 512,
		StopLimit: 10 * time.Second, TraceMemory: 32, OTLPRatio: 1, Media: MediaRelay, MediaPorts: "20000-29999",
		MediaTimeout: time.Minute,
	}
}

// minKeyLength is the shortest API key that an operator may choose. A random key
// of this length cannot be guessed through the API.
const minKeyLength = 16

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

// maxTraceMemory bounds TraceMemory: looking through more would hold up the calls.
const maxTraceMemory = 1024

// sipProblems says what is wrong with the limits of SIP.
func (c Config) sipProblems() (problems []error) {
	if c.SIPSourceRate < 0 {
		problems = append(problems, errors.New("sip_source_rate: must not be negative; 0 is no limit"))
	}
	if c.SIPSourceCalls < 0 {
		problems = append(problems, errors.New("sip_source_calls: must not be negative; 0 is no limit"))
	}
	if c.SIPSourceConnections < 1 {
		problems = append(problems, fmt.Errorf("sip_source_connections: %d would let no source connect; give at least 1",
			c.SIPSourceConnections))
	}
	if c.SIPStrangerRate < 1 {
		problems = append(problems, fmt.Errorf("sip_stranger_rate: %d would answer no telephone that has yet to log in; "+
			"give at least 1", c.SIPStrangerRate))
	}
	if c.SIPStrangerConnections < 1 {
		problems = append(problems, fmt.Errorf("sip_stranger_connections: %d would let no telephone connect that has yet "+
			"to log in; give at least 1", c.SIPStrangerConnections))
	}
	return problems
}

// Validate says everything that is wrong with the configuration.
func (c Config) Validate() error {
	var problems []error
	if c.DataDir == "" {
		problems = append(problems, errors.New("data_dir: must name a folder"))
	}
	problems = append(problems, c.validateAddresses()...)
	if c.APIKey != "" && len(c.APIKey) < minKeyLength {
		problems = append(problems, fmt.Errorf("TOLLGATE_API_KEY: must have at least %d characters", minKeyLength))
	}
	for _, origin := range c.CORSOrigins {
		parsed, err := url.Parse(origin)
		if err != nil || parsed.Scheme == "" || parsed.Host == "" || origin != parsed.Scheme+"://"+parsed.Host {
			problems = append(problems, fmt.Errorf("cors_origins: %q is not an origin such as https://console.example.com", origin))
		}
	}
	if target, err := url.Parse(c.OTLP); c.OTLP != "" && (err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "") {
		problems = append(problems, fmt.Errorf("otlp: %q is not a URL such as http://127.0.0.1:4318", c.OTLP))
	}
	if !(c.OTLPRatio >= 0 && c.OTLPRatio <= 1) {
		problems = append(problems, errors.New("otlp_ratio: must be from 0 to 1"))
	}
	if c.TraceMemory < 0 || c.TraceMemory > maxTraceMemory {
		problems = append(problems, fmt.Errorf("trace_memory: must be from 0 to %d", maxTraceMemory))
	}
	if c.RateBurst < 0 {
		problems = append(problems, errors.New("rate_burst: must not be negative"))
	}
	if _, err := c.relayConfig(); err != nil {
		problems = append(problems, err)
	}
	problems = append(problems, c.sipProblems()...)
	if c.MaxCall < 0 {
		problems = append(problems, errors.New("max_call: must not be negative"))
	}
	if c.StopLimit < 0 {
		problems = append(problems, errors.New("stop_limit: must not be negative"))
	}
	for _, server := range c.NameServers {
		if _, _, err := net.SplitHostPort(server); err != nil {
			problems = append(problems, fmt.Errorf("name_servers: %q is not host:port: %w", server, err))
		}
	}
	if c.SIPTLS.Addr != "" {
		if _, _, err := net.SplitHostPort(c.SIPTLS.Addr); err != nil {
			problems = append(problems, fmt.Errorf("sip_tls_listen: %q is not host:port: %w", c.SIPTLS.Addr, err))
		}
	}
	if err := c.SIPTLS.Check(); err != nil {
		problems = append(problems, err)
	}
	problems = append(problems, c.validateHTTP()...)
	return errors.Join(append(problems, c.validateRecording(), c.validateSecretFiles())...)
}

// validateAddresses says which addresses to listen on are none.
func (c Config) validateAddresses() (problems []error) {
	listeners := []struct{ key, address string }{{"http_addr", c.HTTPAddr}, {"sip_addr", c.SIPAddr}}
	for _, optional := range []struct{ key, address string }{{"metrics_addr", c.MetricsAddr}, {"hep", c.HEP}} {
		if optional.address != "" {
			listeners = append(listeners, optional)
		}
	}
	for _, listener := range listeners {
		_, port, err := net.SplitHostPort(listener.address)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %q is not host:port: %w", listener.key, listener.address, err))
		}
	}
	return problems
}
