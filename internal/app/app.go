package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/api"
	"github.com/tollgate/tollgate/internal/certificate"
	"github.com/tollgate/tollgate/internal/httpd"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/recording"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/setting"
	"github.com/tollgate/tollgate/internal/shaken"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/sipgw"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
	"github.com/tollgate/tollgate/internal/telemetry"
	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/webhook/deliver"
)

// DatabaseFile is the name of the SQLite database in the data folder.
const DatabaseFile = "tollgate.db"

// httpStopLimit is how long a stop waits for running requests.
const httpStopLimit = 5 * time.Second

// App is a whole Tollgate server.
type App struct {
	config Config
	logger *slog.Logger
	newKey string
	store  *sqlstore.Store
	vault  *secret.Vault
	// auditHead is what auditHeadFile has; it is watchAudit's.
	auditHead trail.Head
	sip       *sipgw.Server
	recorder  *recording.Recorder
	http      *httpd.Server
	metrics   *telemetry.Metrics
	reach     *reach.Guard // of gateways, Contacts and media
	// advertised are the addresses that peers see instead of our own.
	advertised []transport.Advertised
	webhooks   *deliver.Client // which has a guard of its own
	// certificate is that of HTTPS; nil without TLS.
	certificate *certificate.Files
	// signing is the certificate by which shaken signs calls; nil without one.
	signing *certificate.Files
	shaken  *shaken.Signer
	// deliverer is set before the store gives anything out to be delivered, but the
	// store exists before it.
	deliverer atomic.Pointer[deliver.Deliverer]
	// ending is the SIP server, once the store may tell it of calls that end.
	ending atomic.Pointer[sipgw.Server]

	listener net.Listener
	serving  sync.WaitGroup
	failed   chan error // one entry for each HTTP server that failed

	newBans   chan store.Ban // made by the gateway, to be stored
	strays    chan webhook.Stray
	staleBans chan struct{} // has a token when the list has changed

	metricsListener net.Listener // nil when there is none
	metricsSecured  bool         // it speaks TLS

	stopLimit atomic.Int64 // nanoseconds, of the last configuration

	stopOnce sync.Once
	stopErr  error
	cleanups []cleanup // undone in reverse order
}

// cleanup undoes one step of New or Start.
type cleanup struct {
	what string
	stop func(context.Context) error
}

// New opens the database, loads the policy and builds the gateway and the API.
// Nothing listens yet. When it fails, what it had done is undone.
func New(ctx context.Context, config Config, logger *slog.Logger) (*App, error) {
	if err := config.Check(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	advertised, err := config.advertised()
	if err != nil {
		return nil, err
	}
	a := &App{config: config, advertised: advertised, logger: logger, metrics: telemetry.New(config.Version),
		failed:  make(chan error, 2),
		newBans: make(chan store.Ban, bansQueue), strays: make(chan webhook.Stray, straysQueue),
		staleBans: make(chan struct{}, 1)}
	a.stopLimit.Store(int64(config.StopLimit))
	if err := a.build(ctx); err != nil {
		return nil, errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
	}
	return a, nil
}

func (a *App) build(ctx context.Context) error {
	if err := os.MkdirAll(a.config.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	owner, live := uuid.New(), policy.NewLive()
	if err := a.buildStore(ctx, live, owner); err != nil {
		return err
	}
	seed, signer, err := loadSigner(a.config.DataDir)
	if err != nil {
		return err
	}
	client := a.buildWebhooks(signer)
	a.webhooks = client
	a.buildReach()
	downloads, err := a.buildRecording(live, seed)
	if err != nil {
		return err
	}
	anchor, err := a.buildMedia()
	if err != nil {
		return err
	}
	tracer, err := a.buildTracer(ctx)
	if err != nil {
		return err
	}
	journey, err := a.buildTracing(ctx)
	if err != nil {
		return err
	}
	if err := a.buildShaken(); err != nil {
		return err
	}
	_, more, err := a.config.listens()
	if err != nil {
		return err
	}
	a.sip = sipgw.New(sipgw.Config{
		Shaken:    a.shaken,
		Advertise: a.advertised, Reach: a.reach, Media: anchor, AnchorAll: a.config.MediaAnchor, Recorder: a.recorderFor(anchor),
		Addr: a.config.SIPAddr, More: more, TLS: a.config.tls(), NameServers: a.config.NameServers, MaxCall: a.config.MaxCall,
		Live: live, Ledger: a.store, Owner: owner, Clock: time.Now, Logger: a.logger,
		Limits: a.config.limits(),
		// Ids that grow with time are written next to each other.
		NewID: func() uuid.UUID { return uuid.Must(uuid.NewV7()) },
		Rang:  a.metrics.Rang, Tracer: tracer, Journey: journey, Banned: a.banned, Strayed: a.strayed,
	})
	a.ending.Store(a.sip)
	a.metrics.Watch(telemetry.Sources{SIPStats: a.sip.Stats, SIPLoad: a.sip.Load, Totals: a.store.Totals})
	if err := a.loadCertificate(); err != nil {
		return err
	}
	if a.http, err = a.newHTTP("api", a.certificate != nil, true, a.connectionBudget()); err != nil {
		return err
	}
	a.http.Handler = api.New(api.Config{
		Guard:  a.http,
		Stores: StoresOf(a.store), Live: live, Clock: time.Now, Logger: a.logger, Version: a.config.Version,
		Vault: a.vault, GatewayHealth: a.sip.Health, TryGateway: a.sip.Check, CheckGateway: a.checkGateway, GatewayForbidden: a.sip.Forbidden,
		MaxCall:          a.sip.MaxCall,
		WebhookPublicKey: signer.PublicKey(), CheckWebhook: client.Validate, Downloads: downloads,
		Rejected: a.metrics.EventRejected, LoginFailed: a.metrics.LoginFailed,
		SayCode: a.codeSayer(anchor), Registrations: a.sip, Shaken: a.shaken,
		Trace: tracer.Call, BansChanged: a.bansChanged, CORSOrigins: a.config.CORSOrigins,
		RateLimit: rest.RateLimit{PerSecond: a.config.RateLimit, Burst: a.config.RateBurst},
	})
	return nil
}

// buildStore opens the database and loads the policy.
func (a *App) buildStore(ctx context.Context, live *policy.Live, owner uuid.UUID) error {
	node, err := a.config.nodeName()
	if err != nil {
		return err
	}
	store, err := a.openStore(ctx, sqlstore.Config{
		Path: filepath.Join(a.config.DataDir, DatabaseFile), DatabaseURL: a.config.DatabaseURL, NodeName: node,
		Live: live, Clock: time.Now, Monotonic: sinceStart(), IDs: id.NewSource(a.config.idNode(node), time.Now),
		Owner: owner, Logger: a.logger,
		Published: a.published, HungUp: a.hungUp, Observe: a.observe,
	})
	if err != nil {
		return err
	}
	a.store = store
	a.undo("database", func(context.Context) error { return store.Close() })
	return a.ensureAccount(ctx)
}

// hungUp has the gateway end calls whose hang-up was requested.
func (a *App) hungUp(calls []uuid.UUID) {
	if server := a.ending.Load(); server != nil {
		server.HangUp(calls)
	}
}

// NewKey is the key that New made, to be shown once; "" when there was one already.
func (a *App) NewKey() string { return a.newKey }

// Start listens for SIP and HTTP. The calls of a process that died are ended
// first, on the wire too.
func (a *App) Start(ctx context.Context) error {
	if err := a.watchAudit(ctx); err != nil {
		return err
	}
	a.startWebhooks(ctx)
	if err := a.recorder.Start(ctx); err != nil {
		return err
	}
	if err := a.startRegistrations(ctx); err != nil {
		return err
	}
	if err := a.sip.Start(ctx); err != nil {
		return err
	}
	a.undo("gateway", a.stopGateway)
	a.sip.TearDown(a.store.Orphans())
	if err := a.startBans(ctx); err != nil {
		return err
	}
	a.startStrays(ctx)
	a.watchShaken(ctx)
	listener, err := a.listenHTTP(ctx, &a.config.HTTPAddr, "API keys", a.certificate != nil)
	if err != nil {
		return err
	}
	a.listener = listener
	a.undo("HTTP", a.stopHTTP)
	a.serving.Go(func() {
		if err := a.http.Serve(listener); err != nil {
			a.failed <- fmt.Errorf("serve HTTP: %w", err)
		}
	})
	if err := a.startMetrics(ctx); err != nil {
		return err
	}
	a.lookAround()
	return nil
}

// HTTPAddr is the address on which the API listens, once started.
func (a *App) HTTPAddr() string { return a.listener.Addr().String() }

// SIPAddr is the address on which the gateway listens, once started.
func (a *App) SIPAddr() string { return a.sip.Addr() }

// SIPListening are all sockets of the gateway in words, once started, as 192.0.2.1:5060 (UDP and TCP).
func (a *App) SIPListening() []string { return a.sip.Listening() }

// Reload applies what may change while the server runs: the files of TLS, the
// addresses of this machine, StopLimit and MaxCall. Calls continue; those that are up keep the limit that they
// began with. later says that other settings have changed, which takes effect at the
// next start. On an error everything stays as it was.
func (a *App) Reload(config Config) (later bool, err error) {
	if err := config.Check(); err != nil {
		return false, err
	}
	if err := a.sip.Reload(); err != nil {
		return false, err
	}
	if a.certificate != nil {
		if err := a.certificate.Load(); err != nil {
			return false, err
		}
	}
	if a.signing != nil {
		if err := a.signing.Load(); err != nil {
			return false, err
		}
	}
	a.stopLimit.Store(int64(config.StopLimit))
	a.sip.LimitCalls(config.MaxCall)
	a.lookAround()
	setting.CopyReloadable(&config, &a.config)
	return !reflect.DeepEqual(config, a.config), nil
}

// Wait returns when ctx ends, or with the error with which a server failed.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}

// Stop ends everything in reverse order of its start: no new calls, running ones
// finish or are ended and settled within the stop limit, then the database is
// closed. It may be called more than once.
func (a *App) Stop(ctx context.Context) error {
	a.stopOnce.Do(func() {
		var problems []error
		for i := len(a.cleanups) - 1; i >= 0; i-- {
			if err := a.cleanups[i].stop(ctx); err != nil {
				problems = append(problems, fmt.Errorf("stop %s: %w", a.cleanups[i].what, err))
			}
		}
		a.stopErr = errors.Join(problems...)
	})
	return a.stopErr
}

func (a *App) undo(what string, stop func(context.Context) error) {
	a.cleanups = append(a.cleanups, cleanup{what, stop})
}

func (a *App) stopGateway(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, time.Duration(a.stopLimit.Load()))
	defer cancel()
	return a.sip.Stop(limited)
}

func (a *App) stopHTTP(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, httpStopLimit)
	defer cancel()
	err := a.http.Shutdown(limited)
	a.serving.Wait()
	return err
}

// sinceStart is a clock that is never set.
func sinceStart() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
