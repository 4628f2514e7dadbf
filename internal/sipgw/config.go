package sipgw

import (
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Timers are the times of the protocol. Zero values stand for the defaults.
type Timers struct {
	T1 time.Duration // 500 ms, the estimate of a round trip (RFC 3261 section 17.1.1.1)
	T2 time.Duration // 4 s, the longest interval between repetitions
	T4 time.Duration // 5 s, the longest that a message stays in the network
	// TimerC is how long a gateway may go without a provisional response other than
	// 100; RFC 3261 section 16.6 wants more than 3 minutes. Default 185 s.
	TimerC time.Duration
	// GatewayWait is how long a gateway may take for its first response before the
	// next one is tried. Default 6 s, well before Timer B.
	GatewayWait time.Duration
	// SessionExpires is the session interval asked for on the carrier's leg: low, so
	// that a lost peer costs little. Default 180 s.
	SessionExpires time.Duration
	// CallerSessionExpires is the longest session interval on the caller's leg. Default 600 s.
	CallerSessionExpires time.Duration
	// MinSE is the shortest session interval that is accepted. Default 90 s (RFC 4028 section 5).
	MinSE time.Duration
	// PingWait is how long a gateway may take to answer OPTIONS. Default 4 s.
	PingWait time.Duration
	// PolicyCheck is how often the gateways are brought in line with the policy. Default 1 s.
	PolicyCheck time.Duration
	// RetryAfter goes with every 503. Default 5 s.
	RetryAfter time.Duration
	// EndLimit is how long Stop waits for the calls that it ended. Default 5 s.
	EndLimit time.Duration
}

// Limits bound what the outside can make the server keep. Zero values stand for
// the defaults.
type Limits struct {
	transport.Limits
	Queue         int // messages that wait for one shard; default 8192, some 16 MB
	CallsPerShard int // default 50,000
	// SourcePerSecond is how many requests a second are accepted from one address, known
	// or not, and SourceCalls how many calls it may have at once. 0 is no limit.
	SourcePerSecond float64
	SourceCalls     int

	// An unknown source that sends BanAfter wrong digests within
	// BanWindow is not listened to for BanFor. Default 10 within 10 minutes, for an
	// hour; a negative BanAfter disables bans.
	BanAfter          int
	BanWindow, BanFor time.Duration
}

func (c *Config) setDefaults() {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:5060"
	}
	c.Realm = connection.Realm
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.NewID == nil {
		c.NewID = uuid.New
	}
	if c.Strayed == nil {
		c.Strayed = func(webhook.Stray) {}
	}
	if c.Banned == nil {
		c.Banned = func(store.Ban) {}
	}
	if c.Rang == nil {
		c.Rang = func(id.ID, time.Duration) {}
	}
	if c.Reach == nil {
		c.Reach = reach.New(reach.Rules{Documentation: true, HighPorts: true, Loopback: onLoopback(c.Addr)})
	}
	if c.Shards <= 0 {
		c.Shards = runtime.GOMAXPROCS(0)
	}
	c.Timers.setDefaults()
	c.Limits.setDefaults()
}

// onLoopback reports whether an address to listen on is reached from this machine only.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func (t *Timers) setDefaults() {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.T1, 500 * time.Millisecond}, {&t.T2, 4 * time.Second}, {&t.T4, 5 * time.Second},
		{&t.TimerC, 185 * time.Second}, {&t.GatewayWait, 6 * time.Second},
		{&t.SessionExpires, 180 * time.Second}, {&t.CallerSessionExpires, 600 * time.Second},
		{&t.MinSE, 90 * time.Second}, {&t.PolicyCheck, time.Second}, {&t.PingWait, 4 * time.Second},
		{&t.RetryAfter, 5 * time.Second}, {&t.EndLimit, 5 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
}

func (l *Limits) setDefaults() {
	l.Limits.SetDefaults()
	if l.Queue == 0 {
		l.Queue = 8192
	}
	if l.CallsPerShard == 0 {
		l.CallsPerShard = 50_000
	}
	if l.BanAfter == 0 {
		l.BanAfter = 10
	}
	if l.BanWindow == 0 {
		l.BanWindow = 10 * time.Minute
	}
	if l.BanFor == 0 {
		l.BanFor = time.Hour
	}
}
