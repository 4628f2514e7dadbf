package app

import (
	"time"

	"github.com/tollgate/tollgate/internal/sip/transport"

	"github.com/tollgate/tollgate/internal/sipgw"
)

// SIPSettings are the settings of the SIP gateway.
type SIPSettings struct {
	SIPAddr                string        `name:"sip-addr" default:"127.0.0.1:5060" form:"host:port" help:"Address of the SIP gateway, UDP and TCP, host:port."`
	SIPTLSListen           string        `name:"sip-tls-listen" form:"host:port" help:"Address of the SIP gateway for TLS, host:port, as in 127.0.0.1:5061; none by default."`
	SIPListen              []string      `name:"sip-listen" help:"Further addresses of the SIP gateway: host:port for UDP and TCP, with udp=, tcp= or tls= before it for one of them, as in [2001:db8::1]:5060 or tls=192.0.2.1:5061. A peer is spoken to from the address that it has spoken to, else from the one that the system routes by."`
	SIPTLSCert             string        `name:"sip-tls-cert" help:"PEM file of the certificate of SIP over TLS, with those between it and its root. Read again when it changes, and on SIGHUP."`
	SIPTLSKey              string        `name:"sip-tls-key" help:"PEM file of the key of that certificate, which only its owner and group may read."`
	SIPTLSCA               string        `name:"sip-tls-ca" help:"PEM file of the roots that certificates of gateways must lead to; by default those of the system."`
	SIPAdvertise           []string      `name:"sip-advertise" help:"Address or name that peers are told instead of the one that is listened on, as behind a translator or in a container: 203.0.113.5, [2001:db8::5]:15060, sip.example.com. An address is for the peers of its family. Before it udp=, tcp=, tls= or an address with its port that is listened on, as in 10.0.0.5:5060=203.0.113.5, for that alone; after it @10.0.0.0/8 for the peers of that network alone."`
	MaxCall                time.Duration `name:"max-call" default:"0" min:"0" reload:"" help:"How long any call may last; 0 is no limit. Emergency calls have none."`
	StopLimit              time.Duration `name:"stop-limit" default:"10s" min:"0" reload:"" help:"How long running calls may go on after SIGTERM."`
	SIPSourceRate          int           `name:"sip-source-rate" default:"20000" min:"0" help:"SIP requests a second that are taken from one address, known or not; 0 is no limit. What belongs to running calls has as much again. Emergency calls pass."`
	SIPSourceCalls         int           `name:"sip-source-calls" default:"0" min:"0" help:"Calls that one address may have at once; 0 is no limit. Emergency calls pass."`
	SIPSourceConnections   int           `name:"sip-source-connections" default:"256" min:"1" help:"SIP connections over TCP and TLS that one known address may have at once; an unknown one may have a 16th of it. More where all come through a load balancer."`
	SIPStrangerRate        int           `name:"sip-stranger-rate" default:"1000" min:"1" help:"SIP answers a second to all sources together that have not proved who they are, of 1 KiB on average."`
	SIPStrangerConnections int           `name:"sip-stranger-connections" default:"512" min:"1" help:"SIP connections over TCP and TLS that all sources together may have which have not proved who they are; above it the one that was silent the longest ends."`
	NameServers            []string      `name:"name-servers" form:"host:port" help:"DNS servers for the names of gateways, host:port; by default those of the system."`
	GatewayAllowPrivate    bool          `name:"gateway-allow-private" help:"Let gateways be in private networks and on this machine, and media go to private networks. On this machine alone they may be without it while the SIP gateway listens on loopback."`
}

// listens reads SIPTLSListen and SIPListen: where TLS is listened for first, and all further
// addresses.
func (c *Config) listens() (secure string, more []transport.Listen, err error) {
	secure = c.SIPTLSListen
	for _, text := range c.SIPListen {
		l, err := transport.ParseListen(text)
		if err != nil {
			return "", nil, c.wrong(&c.SIPListen, "%q: %w", text, err)
		}
		if l.Transport == "tls" && secure == "" {
			secure = l.Addr
			continue
		}
		more = append(more, l)
	}
	return secure, more, nil
}

// sipAddresses are all addresses, host:port, that SIP is listened on.
func (c *Config) sipAddresses() []string {
	list := []string{c.SIPAddr}
	secure, more, err := c.listens()
	if err != nil {
		return list // Check says so
	}
	if secure != "" {
		list = append(list, secure)
	}
	for _, l := range more {
		list = append(list, l.Addr)
	}
	return list
}

// tls is what SIP over TLS needs.
func (c *Config) tls() transport.TLS {
	secure, _, err := c.listens()
	if err != nil {
		secure = c.SIPTLSListen // Check says so
	}
	return transport.TLS{Addr: secure, CertFile: c.SIPTLSCert, KeyFile: c.SIPTLSKey, CAFile: c.SIPTLSCA}
}

// advertised reads SIPAdvertise.
func (c *Config) advertised() ([]transport.Advertised, error) {
	var list []transport.Advertised
	for _, text := range c.SIPAdvertise {
		a, err := transport.ParseAdvertised(text)
		if err != nil {
			return nil, c.wrong(&c.SIPAdvertise, "%q: %w", text, err)
		}
		list = append(list, a)
	}
	return list, nil
}

// limits are the limits of SIP sources that are settings.
func (s *SIPSettings) limits() sipgw.Limits {
	return sipgw.Limits{
		SourcePerSecond: float64(s.SIPSourceRate), SourceCalls: s.SIPSourceCalls,
		Limits: transport.Limits{
			ConnectionsPerHost: s.SIPSourceConnections,
			StrangerAnswers:    float64(s.SIPStrangerRate), StrangerConnections: s.SIPStrangerConnections,
		},
	}
}
