package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/tollgate/tollgate/internal/app"
)

// serverFlags are the settings of a server.
type serverFlags struct {
	DataDir     string `help:"Folder of the database; made if it is not there." default:"./tollgate-data" env:"TOLLGATE_DATA_DIR"`
	DatabaseURL string `name:"database-url" help:"PostgreSQL database that several nodes share, in the place of the one in the folder; by default that of TOLLGATE_DATABASE_URL. A password belongs there or into PGPASSWORD, since everybody on the machine can see arguments." placeholder:"URL"`
	NodeName    string `help:"Name of this node among those that share a PostgreSQL database; by default the host's name and the SIP address." env:"TOLLGATE_NODE_NAME"`
	HTTPAddr    string `help:"Address of the API, host:port." default:"127.0.0.1:8080" env:"TOLLGATE_HTTP_ADDR"`
	SIPAddr     string `help:"Address of the SIP gateway, UDP and TCP, host:port." default:"127.0.0.1:5060" env:"TOLLGATE_SIP_ADDR"`
	sipFlags    `embed:""`
	httpFlags   `embed:""`
	MetricsAddr string        `help:"Address of the Prometheus metrics, as in 127.0.0.1:9464; nowhere by default." env:"TOLLGATE_METRICS_ADDR"`
	TraceMemory int           `help:"Memory for the latest SIP messages, which \"tollgate trace\" shows, in MiB; 0 keeps none." default:"32" env:"TOLLGATE_TRACE_MEMORY"`
	HEP         string        `name:"hep" help:"Capture server, such as Homer, that gets a copy of every SIP message by HEP version 3 over UDP, host:port. Its key is read from TOLLGATE_HEP_KEY." env:"TOLLGATE_HEP"`
	OTLP        string        `name:"otlp" help:"URL of an OpenTelemetry collector that gets a trace of each call by OTLP over HTTP, as in http://127.0.0.1:4318; none by default." env:"TOLLGATE_OTLP"`
	OTLPRatio   float64       `name:"otlp-ratio" help:"Part of the calls that is traced, from 0 to 1." default:"1" env:"TOLLGATE_OTLP_RATIO"`
	StopLimit   time.Duration `help:"How long running calls may go on after SIGTERM." default:"10s" env:"TOLLGATE_STOP_LIMIT"`

	SecretsKeyFile string `help:"File of the keys that seal the secrets in the database and authenticate its audit; by default secrets.key in the data folder. Made at the first start. Nodes that share a database need the same file." env:"TOLLGATE_SECRETS_KEY_FILE"`

	ForgetCallerPasswords bool `help:"Keep of passwords of credential and FQDN connections that are set from now on their hashes (HA1) alone, which no API key can read back." env:"TOLLGATE_FORGET_CALLER_PASSWORDS"`

	Media          string        `help:"What anchors the media of calls: relay, the built-in one, rtpengine=address:port,... for rtpengine by its ng protocol, or none." default:"relay" env:"TOLLGATE_MEDIA"`
	MediaAnchor    bool          `help:"Anchor every call, not only those that are recorded or whose connection wants it." env:"TOLLGATE_MEDIA_ANCHOR"`
	MediaAddresses []string      `name:"media-address" help:"Address that the relay's ports are bound to, by default that of the SIP gateway; of each family one at most. After a / the address that peers are told." env:"TOLLGATE_MEDIA_ADDRESS"`
	MediaAnySource bool          `help:"Take the media of a side from whatever source is heard first, also where neither its description nor its signalling names that address." env:"TOLLGATE_MEDIA_ANY_SOURCE"`
	MediaPorts     string        `help:"Range of the relay's ports." default:"20000-29999" env:"TOLLGATE_MEDIA_PORTS"`
	MediaTimeout   time.Duration `help:"How long an answered call that is anchored may be silent before it is ended." default:"60s" env:"TOLLGATE_MEDIA_TIMEOUT"`

	PublicURL        string `name:"public-url" help:"Where clients reach the API, as in https://tollgate.example.com, for the addresses of recordings and of error pages." env:"TOLLGATE_PUBLIC_URL"`
	RecordingDir     string `help:"Folder of recordings; by default recordings in the data folder." env:"TOLLGATE_RECORDING_DIR"`
	RecordingKeyFile string `help:"File of the keys that recordings are encrypted with: lines of 32 bytes in base64, the first for new files. Not encrypted without." env:"TOLLGATE_RECORDING_KEY_FILE"`

	RecordingAnnouncement string `help:"WAV file (8,000 Hz, 16 bits, one channel) that both sides hear before a call is recorded." env:"TOLLGATE_RECORDING_ANNOUNCEMENT"`
	RecordingS3           string `name:"recording-s3" help:"Bucket that finished recordings are moved to, as in https://s3.example.com/bucket/folder. Its keys are in TOLLGATE_RECORDING_S3_ACCESS_KEY and TOLLGATE_RECORDING_S3_SECRET_KEY." env:"TOLLGATE_RECORDING_S3"`
	RecordingS3Region     string `name:"recording-s3-region" help:"Region of the bucket; the server is asked by default." env:"TOLLGATE_RECORDING_S3_REGION"`

	GatewayAllowPrivate bool `help:"Let gateways be in private networks and on this machine, and media go to private networks. On this machine alone they may be without it while the SIP gateway listens on loopback." env:"TOLLGATE_GATEWAY_ALLOW_PRIVATE"`
	WebhookAllowPrivate bool `help:"Let webhooks go to private and loopback addresses." env:"TOLLGATE_WEBHOOK_ALLOW_PRIVATE"`
	WebhookAllowHTTP    bool `name:"webhook-allow-http" help:"Let URLs of webhooks be http://." env:"TOLLGATE_WEBHOOK_ALLOW_HTTP"`

	RateLimit   float64  `help:"Requests a second that each API key may send; 0 is 500, a negative number no limit." default:"0" env:"TOLLGATE_RATE_LIMIT"`
	RateBurst   int      `help:"Requests that each API key may send at once; 0 is 5000." default:"0" env:"TOLLGATE_RATE_BURST"`
	CORSOrigins []string `name:"cors-origins" help:"Origins whose scripts may call the API from a browser, as in https://console.example.com; none by default." env:"TOLLGATE_CORS_ORIGINS"`
}

// Validate refuses what must not be seen in the arguments; kong calls it.
func (f serverFlags) Validate() error {
	if hasPassword(f.DatabaseURL) {
		return errPasswordSeen
	}
	return nil
}

func (f serverFlags) config() app.Config {
	c := app.Default()
	c.DataDir, c.HTTPAddr, c.SIPAddr, c.StopLimit = f.DataDir, f.HTTPAddr, f.SIPAddr, f.StopLimit
	c.HTTP = f.http()
	c.SIPTLS, c.NameServers, c.MaxCall = f.tls(), f.NameServers, f.MaxCall
	c.SIPSourceRate, c.SIPSourceCalls = f.SIPSourceRate, f.SIPSourceCalls
	c.SIPSourceConnections = f.SIPSourceConnections
	c.SIPStrangerRate, c.SIPStrangerConnections = f.SIPStrangerRate, f.SIPStrangerConnections
	c.SecretsKeyFile, c.ForgetCallerPasswords = f.SecretsKeyFile, f.ForgetCallerPasswords
	c.NodeName, c.MetricsAddr = f.NodeName, f.MetricsAddr
	c.OTLP, c.OTLPRatio = f.OTLP, f.OTLPRatio
	c.TraceMemory, c.HEP, c.HEPKey = f.TraceMemory, f.HEP, os.Getenv("TOLLGATE_HEP_KEY")
	c.Media, c.MediaAnchor, c.MediaAddresses = f.Media, f.MediaAnchor, f.MediaAddresses
	c.MediaPorts, c.MediaTimeout, c.MediaAnySource = f.MediaPorts, f.MediaTimeout, f.MediaAnySource
	c.RateLimit, c.RateBurst, c.CORSOrigins = f.RateLimit, f.RateBurst, f.CORSOrigins
	c.PublicURL, c.RecordingDir, c.RecordingKeyFile = f.PublicURL, f.RecordingDir, f.RecordingKeyFile
	c.GatewayAllowPrivate = f.GatewayAllowPrivate
	c.WebhookAllowPrivate, c.WebhookAllowHTTP = f.WebhookAllowPrivate, f.WebhookAllowHTTP
	c.RecordingAnnouncement = f.RecordingAnnouncement
	c.RecordingS3, c.RecordingS3Region = f.RecordingS3, f.RecordingS3Region
	// A secret is never a flag: arguments are visible to every user of the machine.
	c.DatabaseURL = cmp.Or(f.DatabaseURL, os.Getenv("TOLLGATE_DATABASE_URL"))
	c.APIKey = os.Getenv("TOLLGATE_API_KEY")
	c.RecordingS3AccessKey, c.RecordingS3SecretKey = os.Getenv("TOLLGATE_RECORDING_S3_ACCESS_KEY"), os.Getenv("TOLLGATE_RECORDING_S3_SECRET_KEY")
	c.Version = version()
	return c
}

type serveCommand struct{ serverFlags }

// Run serves until the context ends, then stops cleanly.
func (c *serveCommand) Run(ctx context.Context, logger *slog.Logger, again reread) error {
	config := c.config()
	server, err := app.New(ctx, config, logger)
	if err != nil {
		return err
	}
	if key := server.NewKey(); key != "" {
		fmt.Printf("API key of the first account, shown this once:\n\n    %s\n\n", key)
	}
	if err := server.Start(ctx); err != nil {
		return errors.Join(err, server.Stop(context.WithoutCancel(ctx)))
	}
	if address := server.MetricsURL(); address != "" {
		fmt.Printf("Metrics on %s\n", address)
	}
	secured := ""
	if address := server.SIPTLSAddr(); address != "" {
		secured = ", " + address + " (TLS)"
	}
	fmt.Printf("API on %s, SIP on %s (UDP and TCP)%s\n", server.HTTPURL(), server.SIPAddr(), secured)
	defer reloadOnHangup(server, logger, again)()
	failed := server.Wait(ctx)
	return errors.Join(failed, server.Stop(context.WithoutCancel(ctx)))
}

type checkConfigCommand struct{ serverFlags }

// Run checks the settings.
func (c *checkConfigCommand) Run() error {
	if err := c.config().Validate(); err != nil {
		return err
	}
	fmt.Println("The configuration is valid.")
	return nil
}

// version is the version of the module, or of the checkout it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && (version == "" || version == "(devel)") {
			return "devel " + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return version
}
