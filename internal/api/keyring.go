package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

const (
	// keyAge is how long a key is served from memory. A change through this server
	// empties the memory at once; one made elsewhere applies after this time.
	keyAge = 5 * time.Second
	// keyPatience is how long a key that is in memory is looked for in a store that does
	// not answer, and knownKeyAge how old a key in memory may be to be used then:
	// no failure of the store may stop an emergency call, and nothing else goes without it.
	keyPatience = 500 * time.Millisecond
	knownKeyAge = 24 * time.Hour
	// maxCachedKeys bounds the memory. Only keys that exist get into it.
	maxCachedKeys = 10_000
	// useInterval is how coarse last_used_at is.
	useInterval = time.Minute
)

// keyring finds keys by their hashes, mostly in memory.
type keyring struct {
	store store.KeyFinder
	clock func() time.Time
	// lookups bounds how many ask the store for a key that is not in memory.
	lookups lookups

	mu      sync.Mutex // guards the fields below
	changes int        // how often the memory was emptied
	keys    map[[32]byte]cachedKey
	noted   map[id.ID]time.Time // when a key's use was last noted
	// valid are the hashes of keys that were valid when they were last looked for. A
	// change of keys does not empty it: it only decides which requests
	// count as a stranger's.
	valid map[[32]byte]struct{}
}

type cachedKey struct {
	key   store.Key
	at    time.Time // when it was last looked for
	found time.Time // and when it was last found
}

func newKeyring(s store.KeyFinder, clock func() time.Time) *keyring {
	return &keyring{store: s, clock: clock, keys: make(map[[32]byte]cachedKey), noted: make(map[id.ID]time.Time),
		valid: make(map[[32]byte]struct{})}
}

// find returns the key whose present or previous hash this is, or collection.ErrNotFound.
func (k *keyring) find(ctx context.Context, hash [32]byte) (store.Key, error) {
	now := k.clock()
	k.mu.Lock()
	cached, ok := k.keys[hash]
	changes := k.changes
	k.mu.Unlock()
	if age := now.Sub(cached.at); ok && age >= 0 && age < keyAge {
		return cached.key, nil
	}
	if !ok {
		end, err := k.lookups.begin(ctx)
		if err != nil {
			return store.Key{}, err
		}
		defer end()
	}
	looking := ctx
	if ok {
		var cancel context.CancelFunc
		looking, cancel = context.WithTimeout(ctx, keyPatience)
		defer cancel()
	}
	found := now
	key, err := k.store.KeyByHash(looking, hash)
	if errors.Is(err, collection.ErrNotFound) {
		k.mu.Lock()
		delete(k.keys, hash) // it was deleted through another node
		k.mu.Unlock()
	}
	if err != nil {
		if !ok || errors.Is(err, collection.ErrNotFound) || ctx.Err() != nil || now.Sub(cached.found) >= knownKeyAge {
			return store.Key{}, err
		}
		key, found = cached.key, cached.found
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	// What was read before a change must not come into memory after it.
	if changes == k.changes {
		if len(k.keys) >= maxCachedKeys {
			clear(k.keys)
		}
		k.keys[hash] = cachedKey{key, now, found}
	}
	return key, nil
}

// remembers reports whether a key of this hash was valid when it was last looked for.
func (k *keyring) remembers(hash [32]byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.valid[hash]
	return ok
}

// note remembers that a key of this hash is valid, or is not.
func (k *keyring) note(hash [32]byte, valid bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !valid {
		delete(k.valid, hash)
		return
	}
	if _, known := k.valid[hash]; !known && len(k.valid) >= maxCachedKeys {
		clear(k.valid)
	}
	k.valid[hash] = struct{}{}
}

// forget empties the memory: some key has changed.
func (k *keyring) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	clear(k.keys)
}

// use notes that a key was used, at most once in an interval.
func (k *keyring) use(key *store.Key) {
	now := k.clock()
	k.mu.Lock()
	last, known := k.noted[key.ID]
	due := !known || now.Sub(last) >= useInterval
	if due {
		if len(k.noted) >= maxCachedKeys {
			clear(k.noted)
		}
		k.noted[key.ID] = now
	}
	k.mu.Unlock()
	if due {
		k.store.NoteKeyUse(key.AccountID, key.ID, now)
	}
}

// authenticate finds the key of a request, and checks that it may do what is asked.
func (s *server) authenticate(r *http.Request, needed string) (rest.Caller, error) {
	secret, shown := bearer(r)
	if !shown {
		why := loginMalformed
		if r.Header.Get("Authorization") == "" {
			why = loginMissing
		}
		s.loginFailed(r, why, nil)
		return rest.Caller{}, unauthenticated()
	}
	hash := HashKey(secret)
	key, err := s.keys.find(r.Context(), hash)
	now := s.Clock()
	switch {
	case errors.Is(err, collection.ErrNotFound):
		s.keys.note(hash, false)
		s.loginFailed(r, loginUnknown, nil)
		return rest.Caller{}, unauthenticated()
	case err != nil:
		return rest.Caller{}, err
	case !validAt(&key, hash, now):
		s.keys.note(hash, false)
		s.loginFailed(r, loginExpired, &key)
		return rest.Caller{}, unauthenticated()
	}
	if !s.keys.remembers(hash) {
		s.keys.note(hash, true)
	}
	s.known(r, key.AccountID)
	switch {
	case !slices.Contains(key.Scopes, needed):
		s.loginFailed(r, loginScope, &key)
		return rest.Caller{}, rest.Fail(http.StatusForbidden, rest.CodeForbidden,
			"This key has the scopes %s and not %q, which the request needs. %s",
			strings.Join(key.Scopes, ", "), needed, wayToScope(needed))
	}
	if account := s.Live.Snapshot().Account(key.AccountID); account != nil && !account.Active {
		s.loginFailed(r, loginDeactivated, &key)
		return rest.Caller{}, rest.Fail(http.StatusForbidden, codeAccountClosed, "The account is deactivated.")
	}
	s.keys.use(&key)
	return rest.Caller{
		Account: key.AccountID, Key: key.ID, KeyName: key.Name, Scopes: key.Scopes, Until: key.ExpiresAt, Secret: secret,
		Admin: slices.Contains(key.Scopes, ScopeAdmin), Sees: slices.Contains(key.Scopes, ScopeSecrets),
	}, nil
}

// validAt reports whether a key that was found by a hash is to be taken: the previous
// one only for as long as its rotation grants.
func validAt(key *store.Key, hash [32]byte, now time.Time) bool {
	if key.ExpiresAt != nil && !now.Before(*key.ExpiresAt) {
		return false
	}
	return key.Hash == hash || key.PreviousExpiresAt != nil && now.Before(*key.PreviousExpiresAt)
}

// unauthenticated is the same for every kind of bad key, so that nothing is learnt from it.
func unauthenticated() *rest.RefusalError {
	f := rest.Fail(http.StatusUnauthorized, rest.CodeAuth, "Could not understand the "+
		"provided credentials. Send \"Authorization: Bearer KEY\" with a valid API key.")
	f.Header = http.Header{"Www-Authenticate": {"Bearer"}}
	return f
}
