package api

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// Why a request was not let in, as the log and the metrics call it.
const (
	loginMissing     = "missing"     // it shows no key
	loginMalformed   = "malformed"   // what it shows can be no key
	loginUnknown     = "unknown"     // there is no such key
	loginExpired     = "expired"     // the key, or its secret of before a rotation, has expired
	loginScope       = "scope"       // the key may not do this
	loginDeactivated = "deactivated" // the account is
	loginSignature   = "signature"   // of the address of a recording
)

// LoginFailures are the reasons for which a request is not let in.
func LoginFailures() []string {
	return []string{loginMissing, loginMalformed, loginUnknown, loginExpired, loginScope, loginDeactivated, loginSignature}
}

const (
	// loginInterval is how often one source is logged for one reason.
	loginInterval = 10 * time.Second
	// maxFailedSources bounds the sources that are remembered.
	maxFailedSources = 1024
)

// failedLogins bounds what failed logins write into the log: a line for a source and a
// reason, and then no other for a while; and all of them together a few a second.
type failedLogins struct {
	lines rest.Lines

	mu   sync.Mutex // guards seen
	seen map[failedLogin]*loginCount
}

type failedLogin struct {
	source netip.Addr // of IPv6 the /64
	why    string
}

type loginCount struct {
	told time.Time
	more int // since then
}

// take reports whether a line may be written, and how many there were since the last one.
func (f *failedLogins) take(one failedLogin, now time.Time) (write bool, more int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.seen[one]
	if c != nil && now.Sub(c.told) < loginInterval {
		c.more++
		return false, 0
	}
	if write, _ = f.lines.Take(now); !write {
		return false, 0
	}
	if c == nil {
		if f.seen == nil || len(f.seen) >= maxFailedSources {
			f.seen = make(map[failedLogin]*loginCount)
		}
		c = &loginCount{}
		f.seen[one] = c
	}
	more, c.told, c.more = c.more, now, 0
	return true, more
}

// loginFailed counts a request that is not let in and logs it: never with the key
// that it showed. The key is nil when there is none.
func (s *server) loginFailed(r *http.Request, why string, key *store.Key) {
	if s.LoginFailed != nil {
		s.LoginFailed(why)
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	source, err := netip.ParseAddr(address)
	if err == nil && source.Unmap().Is6() {
		if network, err := source.WithZone("").Prefix(64); err == nil {
			source = network.Addr()
		}
	}
	write, more := s.logins.take(failedLogin{source.Unmap(), why}, s.Clock())
	if !write {
		return
	}
	attributes := []any{"address", address, "reason", why, "route", r.Pattern, "request_id", rest.RequestIDOf(r)}
	if key != nil {
		attributes = append(attributes, "key_id", key.ID.String(), "account", key.AccountID.String())
	}
	if more > 0 {
		attributes = append(attributes, "more_since_the_last_line", more)
	}
	s.Logger.Warn("api: login failed", attributes...)
}
