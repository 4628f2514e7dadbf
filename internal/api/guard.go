package api

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
)

// Guard bounds what strangers take of the server, so that those with a key never wait
// behind them. The server of the API implements it; it must not block.
type Guard interface {
	// Enter counts a request that is not known to show a valid key, and returns how
	// long its sender is to wait; 0 if it may be served. Those that show what may be a
	// key are counted apart, so that requests without one keep no key out.
	Enter(r *http.Request, shows bool) time.Duration
	// Known means that a request showed a valid key, or an address signed for the account.
	Known(r *http.Request, account id.ID)
}

// maxLookups bounds how many strangers' requests ask the store at once: for keys that
// are not in memory, and whether it answers.
const maxLookups = 8

// lookups has a token for each that asks.
type lookups chan struct{}

// begin waits for a token. end gives it back.
func (l lookups) begin(ctx context.Context) (end func(), err error) {
	select {
	case l <- struct{}{}:
		return func() { <-l }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// bearer is the key that a request shows; ok says that it can be one.
func bearer(r *http.Request) (secret string, ok bool) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return secret, strings.EqualFold(scheme, "Bearer") && plausible(secret)
}

// enter counts a stranger's request, and refuses it when there are too many. A client
// with a key that was valid once is no stranger; whether the key still is valid is
// decided later.
func (s *server) enter(r *http.Request) error {
	if s.Guard == nil {
		return nil
	}
	secret, shows := bearer(r)
	if shows && s.keys.remembers(HashKey(secret)) {
		return nil
	}
	wait := s.Guard.Enter(r, shows)
	if wait <= 0 {
		return nil
	}
	f := rest.Fail(http.StatusTooManyRequests, rest.CodeTooMany,
		"Requests without a valid API key are limited, and these are too many.")
	f.Header = http.Header{"Retry-After": {strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))}, "Connection": {"close"}}
	return f
}

// known tells the guard whose request it is.
func (s *server) known(r *http.Request, account id.ID) {
	rest.SetKnown(r)
	if s.Guard != nil {
		s.Guard.Known(r, account)
	}
}
