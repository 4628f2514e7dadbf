package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/tollgate/tollgate/internal/certificate"
	"github.com/tollgate/tollgate/internal/httpd"
	"github.com/tollgate/tollgate/internal/setting"
)

// HTTPSettings are the settings of the API and of its listener. The certificate and the
// proxies are those of the metrics too.
type HTTPSettings struct {
	HTTPAddr           string   `name:"http-addr" default:"127.0.0.1:8080" form:"host:port" help:"Address of the API, host:port."`
	HTTPTLSCert        string   `name:"http-tls-cert" help:"PEM file of the certificate of the API, with those between it and its root, for TLS 1.2 and later; metrics beyond loopback are served with it too. Read again when it changes, and on SIGHUP."`
	HTTPTLSKey         string   `name:"http-tls-key" help:"PEM file of the key of that certificate, which only its owner and group may read."`
	HTTPPlain          bool     `name:"http-plain" help:"Serve plain HTTP beyond loopback, since TLS ends in a proxy before the server, or its network is your own. Without it, and without a certificate, that is an error."`
	HTTPTrustedProxies []string `name:"http-trusted-proxies" help:"Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, as in 192.0.2.10 or 192.0.2.0/28; of others they are ignored."`
	HTTPConnections    int      `name:"http-connections" default:"0" min:"0" help:"Connections of the API at once, of which strangers may have half; 0 is an eighth of the descriptors that the process may have, 4096 at most."`
	PublicURL          string   `name:"public-url" help:"Where clients reach the API, as in https://tollgate.example.com, for the addresses of recordings and of error pages; without it they are on the host that is asked, and webhooks have none."`
	RateLimit          float64  `name:"rate-limit" default:"0" help:"Requests a second that each API key may send; 0 is 500, a negative number no limit."`
	RateBurst          int      `name:"rate-burst" default:"0" min:"0" help:"Requests that each API key may send at once; 0 is 5000."`
	CORSOrigins        []string `name:"cors-origins" help:"Origins whose scripts may call the API from a browser, as in https://console.example.com; none by default."`
	APIKey             string   `name:"api-key" kong:"-" secret:"" help:"API key of the first account, of at least 16 characters. Without it one is made at the first start and printed once."`
}

// minKeyLength is the shortest API key that an operator may choose. A random key
// of this length cannot be guessed through the API.
const minKeyLength = 16

// secured reports whether HTTP is served over TLS.
func (s *HTTPSettings) secured() bool { return s.HTTPTLSCert != "" || s.HTTPTLSKey != "" }

func (s *HTTPSettings) files() certificate.Config {
	return certificate.Config{What: "HTTPS", Cert: s.HTTPTLSCert, Key: s.HTTPTLSKey}
}

// resolveLimit bounds how long the name of a host to listen on is looked up.
const resolveLimit = 5 * time.Second

// loopback reports whether host:port is reached from this machine alone. A host that is
// left out, or is any address, is reached from everywhere.
func loopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, err
	}
	if host == "" {
		return false, nil
	}
	if one, err := netip.ParseAddr(host); err == nil {
		return one.Unmap().IsLoopback(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveLimit)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false, fmt.Errorf("%s cannot be resolved: %w", host, err)
	}
	for _, one := range addresses {
		if !one.Unmap().IsLoopback() {
			return false, nil
		}
	}
	return len(addresses) > 0, nil
}

// waysOut ends the messages about plain HTTP beyond loopback.
const waysOut = "Give --http-tls-cert and --http-tls-key (http_tls_cert, http_tls_key) to serve TLS," +
	" listen on 127.0.0.1, or set --http-plain (http_plain) if a proxy before the server terminates TLS," +
	" or if the network is your own"

// checkHTTP reports what is wrong with how the API and the metrics are served.
func (c *Config) checkHTTP() []error {
	var problems []error
	if c.APIKey != "" && len(c.APIKey) < minKeyLength {
		problems = append(problems, c.wrong(&c.APIKey, "must have at least %d characters", minKeyLength))
	}
	for _, origin := range c.CORSOrigins {
		parsed, err := url.Parse(origin)
		if err != nil || parsed.Scheme == "" || parsed.Host == "" || origin != parsed.Scheme+"://"+parsed.Host {
			problems = append(problems,
				c.wrong(&c.CORSOrigins, "%q is not an origin such as https://console.example.com", origin))
		}
	}
	if parsed, err := url.Parse(c.PublicURL); c.PublicURL != "" &&
		(err != nil || !isURL(c.PublicURL) || parsed.RawQuery != "" || parsed.Fragment != "") {
		problems = append(problems,
			c.wrong(&c.PublicURL, "%q is not an address such as https://tollgate.example.com", c.PublicURL))
	}
	if _, err := c.proxies(); err != nil {
		problems = append(problems, err)
	}
	return append(problems, c.checkTransport()...)
}

// checkTransport reports what is wrong with TLS, or with its absence.
func (c *Config) checkTransport() []error {
	var problems []error
	if c.secured() {
		if err := c.files().Check("http_tls"); err != nil {
			problems = append(problems, err)
		}
		if c.HTTPPlain {
			problems = append(problems, c.wrong(&c.HTTPPlain, "says that TLS ends elsewhere, and %s that it ends here; "+
				"leave one out", setting.Name(c, &c.HTTPTLSCert)))
		}
	}
	for _, listener := range []struct {
		address *string
		what    string
	}{{&c.HTTPAddr, "API keys"}, {&c.MetricsAddr, "metrics"}} {
		// One that is not an address is refused as such.
		if !isHostPort(*listener.address) || c.HTTPPlain || c.secured() {
			continue
		}
		if err := plainIsLocal(*listener.address, listener.what); err != nil {
			problems = append(problems, c.wrong(listener.address, "%w", err))
		}
	}
	return problems
}

func isHostPort(address string) bool {
	_, _, err := net.SplitHostPort(address)
	return err == nil
}

// plainIsLocal refuses plain HTTP that others than this machine can reach.
func plainIsLocal(address, what string) error {
	local, err := loopback(address)
	if err != nil {
		return fmt.Errorf("%q: %w", address, err)
	}
	if !local {
		return fmt.Errorf("%q is reached from beyond this machine, and plain HTTP would show %s to anyone on "+
			"the way. %s", address, what, waysOut)
	}
	return nil
}

// proxies are HTTPTrustedProxies, parsed.
func (c *Config) proxies() ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range c.HTTPTrustedProxies {
		network, err := netip.ParsePrefix(text)
		if one, failed := netip.ParseAddr(text); failed == nil {
			network, err = netip.PrefixFrom(one, one.BitLen()), nil
		}
		if err != nil || network.Bits() == 0 {
			return nil, c.wrong(&c.HTTPTrustedProxies, "%q is not the network of a proxy, as in "+
				"192.0.2.10 or 192.0.2.0/28", text)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// Descriptors: what the process may open is shared with calls.
const (
	httpDescriptorsShare = 8 // of all, for the connections of the API
	mostHTTPConnections  = 4096
	mostDescriptors      = 1 << 20
	usualDescriptors     = 1024 // where the system does not tell
	metricsConnections   = 64
	sipConnections       = 4096 + 1024 + 512 // of known peers, to carriers, of strangers
	otherDescriptors     = 512               // the database, webhooks, files of recordings
)

// connectionBudget is how many connections the API may have, so that what calls need
// stays free. It warns if the limit of descriptors is too low for the settings.
func (a *App) connectionBudget() int {
	limit := descriptorLimit()
	most := a.config.HTTPConnections
	if most == 0 {
		most = min(limit/httpDescriptorsShare, mostHTTPConnections)
	}
	wanted := most + metricsConnections + sipConnections + otherDescriptors
	if relayed, err := a.config.relayConfig(); err == nil && a.config.Media == MediaRelay {
		wanted += int(relayed.High) - int(relayed.Low) + 1
	}
	if limit < wanted {
		a.logger.Warn("the process may open few files and sockets: at many calls there may be none left for media; raise "+
			"the limit (LimitNOFILE, ulimit -n)",
			"limit", limit, "wanted", wanted)
	}
	return most
}

// newHTTP prepares a server of a listener, without its handler.
func (a *App) newHTTP(name string, secured, keyHolders bool, connections int) (*httpd.Server, error) {
	proxies, err := a.config.proxies()
	if err != nil {
		return nil, err
	}
	c := httpd.Config{Name: name, Connections: connections, KeyHolders: keyHolders, TrustedProxies: proxies,
		Clock: time.Now, Log: a.logger}
	if secured {
		c.TLS = a.certificate.Server()
	}
	server := httpd.New(c)
	a.metrics.WatchHTTP(name, server.Stats)
	return server, nil
}

// loadCertificate reads the certificate of HTTPS, if there is to be one.
func (a *App) loadCertificate() error {
	if !a.config.secured() {
		return nil
	}
	files := a.config.files()
	files.Now, files.Log = time.Now, a.logger
	a.certificate = certificate.New(files)
	return a.certificate.Load()
}

// listenHTTP opens a listener at a setting of the configuration. Where its address must not be reached from elsewhere,
// the opened socket is checked too: a name may have resolved to something else by then.
func (a *App) listenHTTP(ctx context.Context, address *string, what string, secured bool) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *address)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP on %s: %w", *address, err)
	}
	if !secured && !a.config.HTTPPlain {
		if err := plainIsLocal(listener.Addr().String(), what); err != nil {
			return nil, errors.Join(a.config.wrong(address, "%w", err), listener.Close())
		}
	}
	return listener, nil
}

// secureMetrics reports whether the metrics are served over TLS: where others than this
// machine can reach them, and there is a certificate.
func (a *App) secureMetrics() (bool, error) {
	if a.certificate == nil {
		return false, nil
	}
	local, err := loopback(a.config.MetricsAddr)
	return !local, err
}

// urlOf is where a listener is reached.
func urlOf(listener net.Listener, secured bool) string {
	if secured {
		return "https://" + listener.Addr().String()
	}
	return "http://" + listener.Addr().String()
}

// HTTPURL is where the API is reached, once started.
func (a *App) HTTPURL() string { return urlOf(a.listener, a.certificate != nil) }

// MetricsURL is where the metrics are, once started; "" when there is none.
func (a *App) MetricsURL() string {
	if a.metricsListener == nil {
		return ""
	}
	return urlOf(a.metricsListener, a.metricsSecured) + "/metrics"
}
