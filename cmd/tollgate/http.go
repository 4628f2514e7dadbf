package main

import "github.com/tollgate/tollgate/internal/app"

// httpFlags are the settings of the API's listener and that of the metrics beyond their
// addresses.
type httpFlags struct {
	HTTPTLSCert string `name:"http-tls-cert" help:"PEM file of the certificate of the API, with those between it and its root, for TLS 1.2 and later; metrics beyond loopback are served with it too. Read again when it changes, and on SIGHUP." env:"TOLLGATE_HTTP_TLS_CERT"`
	HTTPTLSKey  string `name:"http-tls-key" help:"PEM file of its key, which only its owner and group may read." env:"TOLLGATE_HTTP_TLS_KEY"`
	HTTPPlain   bool   `name:"http-plain" help:"Serve plain HTTP beyond loopback, since TLS ends in a proxy before the server, or its network is your own. Without it, and without a certificate, that is an error." env:"TOLLGATE_HTTP_PLAIN"`

	HTTPTrustedProxies []string `name:"http-trusted-proxies" help:"Addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, as in 192.0.2.10 or 192.0.2.0/28; of others they are ignored." env:"TOLLGATE_HTTP_TRUSTED_PROXIES"`
	HTTPConnections    int      `name:"http-connections" help:"Connections of the API at once, of which strangers may have half; 0 is an eighth of the descriptors that the process may have, 4096 at most." default:"0" env:"TOLLGATE_HTTP_CONNECTIONS"`
}

func (f httpFlags) http() app.HTTP {
	return app.HTTP{CertFile: f.HTTPTLSCert, KeyFile: f.HTTPTLSKey, Plain: f.HTTPPlain,
		TrustedProxies: f.HTTPTrustedProxies, Connections: f.HTTPConnections}
}
