package transport

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/routing"
)

// The limits of name resolution.
const (
	resolveTimeout = 3 * time.Second
	// ResolvedFor is the longest that an answer is used before it is asked for again;
	// an old one is used on when the name servers are silent.
	ResolvedFor = time.Minute
	// resolvedLeast is the shortest, whatever the records say.
	resolvedLeast = 5 * time.Second
	maxNames      = 4096
	maxTargets    = 16 // addresses of one gateway
)

// Target is one address at which a gateway can be reached.
type Target struct {
	Addr      netip.AddrPort
	Transport string // udp, tcp or tls
}

// Resolver finds the addresses of gateways that are given by name: NAPTR, SRV, then
// A and AAAA (RFC 3263 section 4). Addresses given as numbers cost nothing.
type Resolver struct {
	ResolverConfig
	ctx    context.Context
	cancel context.CancelFunc
	random func() float64 // in [0, 1)
	dns    *nameServers
	work   sync.WaitGroup

	mu    sync.Mutex // guards names
	names map[string]resolved
}

// ResolverConfig is what a resolver needs.
type ResolverConfig struct {
	NameServers []string // host:port; by default those of the system
	Clock       func() time.Time
	TLS         bool         // whether TLS may be chosen
	Reach       *reach.Guard // nil: nothing is left out
	// Refused is called with the reason why a target of a gateway is left out, and whether it has no other.
	Refused func(gateway *routing.Gateway, why string, all bool)
}

// NewResolver makes a resolver, which works until it is stopped.
func NewResolver(config ResolverConfig) *Resolver {
	r := &Resolver{ResolverConfig: config, random: rand.Float64, dns: newNameServers(config.NameServers),
		names: make(map[string]resolved)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Stop ends what is being asked, and waits for it.
func (r *Resolver) Stop() {
	r.cancel()
	r.work.Wait()
}

// resolved is what the name servers said of one gateway.
type resolved struct {
	services []service
	until    time.Time
}

// service is one host that serves, with its addresses.
type service struct {
	priority, weight uint16
	transport        string
	addresses        []netip.AddrPort
}

// Resolve calls done once, at once or from another goroutine, with the addresses in
// the order in which they are to be tried; with none when nothing was found.
func (r *Resolver) Resolve(gateway *routing.Gateway, done func([]Target)) {
	transport := gateway.Transport
	host, port := gateway.Target()
	if ip, err := netip.ParseAddr(host); err == nil {
		// Without a name there is nothing to ask which transport it takes.
		done(r.judge(gateway, []Target{{netip.AddrPortFrom(ip.Unmap(), port), orUDP(transport)}}))
		return
	}
	key := host + ":" + strconv.Itoa(int(port)) + transport
	r.mu.Lock()
	known, ok := r.names[key]
	r.mu.Unlock()
	if ok && r.Clock().Before(known.until) {
		done(r.judge(gateway, r.order(known.services)))
		return
	}
	if r.ctx.Err() != nil {
		done(nil)
		return
	}
	r.work.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, resolveTimeout)
		defer cancel()
		services, life := r.lookup(ctx, host, port, transport)
		if len(services) == 0 {
			done(r.judge(gateway, r.order(known.services)))
			return
		}
		r.mu.Lock()
		if len(r.names) >= maxNames {
			clear(r.names)
		}
		r.names[key] = resolved{services, r.Clock().Add(max(min(life, ResolvedFor), resolvedLeast))}
		r.mu.Unlock()
		done(r.judge(gateway, r.order(services)))
	})
}

// judge leaves out the targets to which this server does not send, whatever a name
// leads to today, and reports them.
func (r *Resolver) judge(gateway *routing.Gateway, targets []Target) []Target {
	if r.Reach == nil {
		return targets
	}
	problem := ""
	allowed := targets[:0]
	for _, t := range targets {
		if why, ok := r.Reach.Refuses(t.Addr); ok {
			allowed = append(allowed, t)
		} else if problem == "" {
			problem = routing.Refused(t.Addr.String(), why)
		}
	}
	if problem != "" {
		r.Refused(gateway, problem, len(allowed) == 0)
	}
	return allowed
}

func orUDP(transport string) string {
	if transport == routing.TransportAuto {
		return "udp"
	}
	return transport
}

// order draws the order of the services: by priority, and within one by weight, as
// RFC 2782 draws it.
func (r *Resolver) order(services []service) []Target {
	left := make([]service, len(services))
	copy(left, services)
	var targets []Target
	for len(left) > 0 {
		i := r.draw(left)
		for _, addr := range left[i].addresses {
			if len(targets) < maxTargets {
				targets = append(targets, Target{addr, left[i].transport})
			}
		}
		left = append(left[:i], left[i+1:]...)
	}
	return targets
}

// draw picks one of the services of the lowest priority. Services of a transport
// that is liked less stand behind those of the first.
func (r *Resolver) draw(services []service) int {
	first, total := services[0], 0
	for _, s := range services {
		if s.transport == first.transport {
			if s.priority < first.priority {
				first = s
			}
		}
	}
	same := func(s service) bool { return s.transport == first.transport && s.priority == first.priority }
	for _, s := range services {
		if same(s) {
			total += int(s.weight)
		}
	}
	lot := int(r.random() * float64(total+1))
	for i, s := range services {
		if !same(s) {
			continue
		}
		if lot -= int(s.weight); lot <= 0 {
			return i
		}
	}
	return 0
}

// lookup asks the name servers (RFC 3263 sections 4.1 and 4.2). life is how long
// the answer may be used.
func (r *Resolver) lookup(ctx context.Context, host string, port uint16,
	transport string) (services []service, life time.Duration) {
	if port != 0 {
		// A port was given, so nothing but addresses is asked for.
		transport = orUDP(transport)
		addresses := r.addresses(ctx, host, port)
		if len(addresses) == 0 {
			return nil, 0
		}
		return []service{{transport: transport, addresses: addresses}}, ResolvedFor
	}
	life = ResolvedFor
	for _, q := range r.questions(ctx, host, transport) {
		records, ttl := r.dns.services(ctx, q.name)
		for _, record := range records {
			addresses := r.addresses(ctx, record.host, record.port)
			if len(addresses) > 0 && len(services) < maxTargets {
				services = append(services, service{record.priority, record.weight, q.transport, addresses})
			}
		}
		if len(records) > 0 {
			life = min(life, ttl)
		}
	}
	if len(services) > 0 {
		return services, life
	}
	transport = orUDP(transport)
	if addresses := r.addresses(ctx, host, routing.DefaultPort(transport)); len(addresses) > 0 {
		return []service{{transport: transport, addresses: addresses}}, life
	}
	return nil, 0
}

// question is a name of SRV records and the transport that they are for.
type question struct{ name, transport string }

// questions lists the SRV names to ask for, best first: that of the transport when
// one is given, otherwise those of the NAPTR records, otherwise those of every
// transport that we have.
func (r *Resolver) questions(ctx context.Context, host, transport string) []question {
	names := map[string]string{"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
	if transport != routing.TransportAuto {
		return []question{{names[transport] + host, transport}}
	}
	var list []question
	for _, pointer := range r.dns.pointers(ctx, host) {
		by := map[string]string{"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}[strings.ToLower(pointer.service)]
		if by != "" && (by != "tls" || r.TLS) && strings.EqualFold(pointer.flags, "s") {
			list = append(list, question{pointer.replacement, by})
		}
	}
	if len(list) > 0 {
		return list
	}
	for _, by := range [...]string{"udp", "tcp"} {
		list = append(list, question{names[by] + host, by})
	}
	return list
}

func (r *Resolver) addresses(ctx context.Context, host string, port uint16) []netip.AddrPort {
	ips := r.dns.addresses(ctx, host)
	list := make([]netip.AddrPort, 0, len(ips))
	for _, ip := range ips[:min(len(ips), maxTargets)] {
		list = append(list, netip.AddrPortFrom(ip.Unmap(), port))
	}
	return list
}
