package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/sipgw"
)

// sipFlags are the settings of the SIP gateway beyond its address.
type sipFlags struct {
	SIPTLSListen string `name:"sip-tls-listen" help:"Address of the SIP gateway for TLS, host:port, as in 127.0.0.1:5061; none by default." env:"TOLLGATE_SIP_TLS_LISTEN"`
	SIPTLSCert   string `name:"sip-tls-cert" help:"PEM file of the certificate of SIP over TLS, with those between it and its root. Read again when it changes, and on SIGHUP." env:"TOLLGATE_SIP_TLS_CERT"`
	SIPTLSKey    string `name:"sip-tls-key" help:"PEM file of its key." env:"TOLLGATE_SIP_TLS_KEY"`
	SIPTLSCA     string `name:"sip-tls-ca" help:"PEM file of the roots that certificates of gateways must lead to; by default those of the system." env:"TOLLGATE_SIP_TLS_CA"`

	MaxCall time.Duration `help:"How long any call may last; 0 is no limit. Emergency calls have none." default:"0" env:"TOLLGATE_MAX_CALL"`

	SIPSourceRate  int `name:"sip-source-rate" help:"SIP requests a second that are taken from one address, known or not; 0 is no limit. What belongs to running calls has as much again. Emergency calls pass." default:"20000" env:"TOLLGATE_SIP_SOURCE_RATE"`
	SIPSourceCalls int `name:"sip-source-calls" help:"Calls that one address may have at once; 0 is no limit. Emergency calls pass." default:"0" env:"TOLLGATE_SIP_SOURCE_CALLS"`

	SIPSourceConnections   int `name:"sip-source-connections" help:"SIP connections over TCP and TLS that one known address may have at once; an unknown one may have a 16th of it. More where all come through a load balancer." default:"256" env:"TOLLGATE_SIP_SOURCE_CONNECTIONS"`
	SIPStrangerRate        int `name:"sip-stranger-rate" help:"SIP answers a second to all sources together that have not proved who they are, of 1 KiB on average." default:"1000" env:"TOLLGATE_SIP_STRANGER_RATE"`
	SIPStrangerConnections int `name:"sip-stranger-connections" help:"SIP connections over TCP and TLS that they may have at once; above it the one that was silent the longest ends." default:"512" env:"TOLLGATE_SIP_STRANGER_CONNECTIONS"`

	NameServers []string `name:"name-servers" help:"DNS servers for the names of gateways, host:port; by default those of the system." env:"TOLLGATE_NAME_SERVERS"`
}

func (f sipFlags) tls() sipgw.TLS {
	return sipgw.TLS{Addr: f.SIPTLSListen, CertFile: f.SIPTLSCert, KeyFile: f.SIPTLSKey, CAFile: f.SIPTLSCA}
}

// reloadOnHangup makes the server read its settings and files again on each SIGHUP,
// until the function that it returns is called.
func reloadOnHangup(server *app.App, logger *slog.Logger, again reread) (stop func()) {
	signals, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range signals {
			flags, err := again()
			later := false
			if err == nil {
				later, err = server.Reload(flags.config())
			}
			if err != nil {
				logger.Error("reload on SIGHUP; what was in force stays so", "err", err)
				continue
			}
			logger.Info("reloaded on SIGHUP", "more_at_next_start", later)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-done
	}
}
