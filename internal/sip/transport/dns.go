package transport

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// resolvConf names the system's name servers.
const resolvConf = "/etc/resolv.conf"

// nameServers asks for the records that the standard library has no question for.
type nameServers struct {
	servers []string // host:port; without any, only addresses are found
	// hosts finds addresses, and knows the system's hosts file; nil asks servers.
	hosts *net.Resolver
}

// newNameServers takes the servers given as host:port, or those of the system.
func newNameServers(servers []string) *nameServers {
	if len(servers) > 0 {
		return &nameServers{servers: servers}
	}
	n := &nameServers{hosts: net.DefaultResolver}
	if config, err := dns.ClientConfigFromFile(resolvConf); err == nil {
		for _, server := range config.Servers {
			n.servers = append(n.servers, net.JoinHostPort(server, config.Port))
		}
	}
	return n
}

// ask sends a question to one server after the other. A name that does not exist is
// an answer without records.
func (n *nameServers) ask(ctx context.Context, name string, kind uint16) []dns.RR {
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(name), kind)
	question.SetEdns0(1232, false)
	for _, server := range n.servers {
		answer, err := n.exchange(ctx, question, server)
		if err != nil || (answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError) {
			continue
		}
		return answer.Answer
	}
	return nil
}

func (n *nameServers) exchange(ctx context.Context, question *dns.Msg, server string) (*dns.Msg, error) {
	// Each server has its share of the time, so that a silent one does not use it up.
	client := dns.Client{Timeout: resolveTimeout / 3}
	answer, _, err := client.ExchangeContext(ctx, question, server)
	if err == nil && answer.Truncated {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(ctx, question, server)
	}
	return answer, err
}

// addresses finds the addresses of a host, IPv4 first.
func (n *nameServers) addresses(ctx context.Context, host string) (list []netip.Addr) {
	if n.hosts != nil {
		list, _ = n.hosts.LookupNetIP(ctx, "ip", host)
		return list
	}
	for _, kind := range [...]uint16{dns.TypeA, dns.TypeAAAA} {
		for _, rr := range n.ask(ctx, host, kind) {
			var ip net.IP
			switch rr := rr.(type) {
			case *dns.A:
				ip = rr.A
			case *dns.AAAA:
				ip = rr.AAAA
			}
			if address, ok := netip.AddrFromSlice(ip); ok {
				list = append(list, address)
			}
		}
	}
	return list
}

// serviceRecord is one SRV record (RFC 2782).
type serviceRecord struct {
	priority, weight, port uint16
	host                   string
}

func (n *nameServers) services(ctx context.Context, name string) (records []serviceRecord, ttl time.Duration) {
	ttl = ResolvedFor
	for _, rr := range n.ask(ctx, name, dns.TypeSRV) {
		srv, ok := rr.(*dns.SRV)
		// A target of "." says that the service is not there.
		if !ok || srv.Target == "." || srv.Port == 0 || len(records) >= maxTargets {
			continue
		}
		ttl = min(ttl, time.Duration(srv.Hdr.Ttl)*time.Second)
		records = append(records, serviceRecord{srv.Priority, srv.Weight, srv.Port, strings.TrimSuffix(srv.Target, ".")})
	}
	return records, ttl
}

// pointer is one NAPTR record (RFC 3403), best first.
type pointer struct {
	order, preference           uint16
	flags, service, replacement string
}

func (n *nameServers) pointers(ctx context.Context, host string) (list []pointer) {
	for _, rr := range n.ask(ctx, host, dns.TypeNAPTR) {
		if naptr, ok := rr.(*dns.NAPTR); ok && len(list) < maxTargets {
			list = append(list, pointer{naptr.Order, naptr.Preference, naptr.Flags, naptr.Service,
				strings.TrimSuffix(naptr.Replacement, ".")})
		}
	}
	slices.SortStableFunc(list, func(a, b pointer) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.preference, b.preference))
	})
	return list
}
