package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/tollgate/tollgate/internal/certificate"
	"github.com/tollgate/tollgate/internal/httpd"
)

// HTTP is how the API and the metrics are served.
type HTTP struct {
	// CertFile and KeyFile are PEM files of a certificate. With them the API is served
	// over TLS, and so are the metrics beyond loopback. They are read again when they
	// change.
	CertFile, KeyFile string
	// Plain lets listeners beyond loopback serve plain HTTP, since TLS ends elsewhere.
	Plain bool
	// TrustedProxies are the networks of proxies whose X-Forwarded-For and -Proto are believed.
	TrustedProxies []string
	// Connections bounds the connections of the API. 0: an eighth of the descriptors
	// that the process may have, and 4096 at most.
	Connections int
}

func (h HTTP) tls() bool { return h.CertFile != "" || h.KeyFile != "" }

func (h HTTP) files() certificate.Config {
	return certificate.Config{What: "HTTPS", Cert: h.CertFile, Key: h.KeyFile}
}

// resolveLimit bounds how long the name of a host to listen on is looked up.
const resolveLimit = 5 * time.Second

// loopback says whether host:port is reached from this machine alone. A host that is
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

// waysOut ends what is said of plain HTTP beyond loopback.
const waysOut = "Give --http-tls-cert and --http-tls-key (http_tls_cert, http_tls_key) to serve TLS," +
	" listen on 127.0.0.1, or say by --http-plain (http_plain) that TLS ends in a proxy before the server," +
	" or that the network is your own"

// validateHTTP says what is wrong with how the API and the metrics are served.
func (c Config) validateHTTP() []error {
	var problems []error
	if c.HTTP.tls() {
		if err := c.HTTP.files().Check("http_tls"); err != nil {
			problems = append(problems, err)
		}
		if c.HTTP.Plain {
			problems = append(problems, errors.New("http_plain: says that TLS ends elsewhere, and http_tls_cert that it ends "+
				"here; leave one out"))
		}
	}
	if _, err := c.HTTP.proxies(); err != nil {
		problems = append(problems, err)
	}
	if c.HTTP.Connections < 0 {
		problems = append(problems, errors.New("http_connections: must not be negative; 0 takes an eighth "+
			"of the descriptors"))
	}
	for _, listener := range []struct{ key, address, what string }{
		{"http_addr", c.HTTPAddr, "API keys"}, {"metrics_addr", c.MetricsAddr, "metrics"},
	} {
		if !isHostPort(listener.address) || c.HTTP.Plain || c.HTTP.tls() { // Validate says that it is no address
			continue
		}
		if err := plainIsLocal(listener.key, listener.address, listener.what); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

func isHostPort(address string) bool {
	_, _, err := net.SplitHostPort(address)
	return err == nil
}

// plainIsLocal refuses plain HTTP that others than this machine can reach.
func plainIsLocal(key, address, what string) error {
	local, err := loopback(address)
	if err != nil {
		return fmt.Errorf("%s: %q: %w", key, address, err)
	}
	if !local {
		return fmt.Errorf("%s: %q is reached from beyond this machine, and plain HTTP would show %s to whoever is on "+
			"the way. %s", key, address, what, waysOut)
	}
	return nil
}

// proxies are TrustedProxies, parsed.
func (h HTTP) proxies() ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range h.TrustedProxies {
		network, err := netip.ParsePrefix(text)
		if one, failed := netip.ParseAddr(text); failed == nil {
			network, err = netip.PrefixFrom(one, one.BitLen()), nil
		}
		if err != nil || network.Bits() == 0 {
			return nil, fmt.Errorf("http_trusted_proxies: %q is not the network of a proxy, as in "+
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
// stays free. It tells when there are too few descriptors for all that may be wanted.
func (a *App) connectionBudget() int {
	limit := descriptorLimit()
	most := a.config.HTTP.Connections
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
	proxies, err := a.config.HTTP.proxies()
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
	if !a.config.HTTP.tls() {
		return nil
	}
	files := a.config.HTTP.files()
	files.Now, files.Log = time.Now, a.logger
	a.certificate = certificate.New(files)
	return a.certificate.Load()
}

// listenHTTP opens a listener. Where its address must not be reached from elsewhere,
// the opened socket is checked too: a name may have resolved to something else by then.
func (a *App) listenHTTP(ctx context.Context, key, address, what string, secured bool) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for HTTP on %s: %w", address, err)
	}
	if !secured && !a.config.HTTP.Plain {
		if err := plainIsLocal(key, listener.Addr().String(), what); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
	}
	return listener, nil
}

// secureMetrics says whether the metrics are served over TLS: where others than this
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
