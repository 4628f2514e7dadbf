package registration

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
)

// The limits of what is kept.
const (
	// MostContacts is how many contacts a connection has at once; a further one takes the
	// place of the one that ends first.
	MostContacts = 10
	// mostEnded is how many ended ones of a connection are in memory.
	mostEnded = MostContacts
	// mostConnections is how many connections have contacts, or had some.
	mostConnections = 200_000
)

// graceForgotten is how long a connection may be unknown to the policy before its contacts
// are forgotten: those that another node has stored can be here before the connection.
const graceForgotten = time.Minute

// Why a REGISTER is not carried out.
var (
	ErrOutOfOrder = errors.New("a later REGISTER of the same Call-ID has come before")
	ErrFull       = errors.New("too many connections are registered")
)

// Wish is what a REGISTER asks for one contact; no time removes it.
type Wish struct {
	Contact string
	Expires time.Duration
}

// Request is a REGISTER as it is read. Fields of From that belong to a single contact are
// not used.
type Request struct {
	All    bool // removes all contacts
	Wishes []Wish
	From   Binding // whose it is, its Call-ID and CSeq, and where it came from
}

// names says whether a request is about a contact.
func (r *Request) names(contact string) bool {
	return r.All || slices.ContainsFunc(r.Wishes, func(w Wish) bool { return w.Contact == contact })
}

// entry is a contact in memory, and how it is stored.
type entry struct {
	Binding
	waits      bool      // for being stored
	later      bool      // differs from what is stored by so little that it can wait
	storedAt   time.Time // zero: it is not
	endsStored time.Time // the Until that is stored
}

// telephones are the contacts of a connection.
type telephones struct {
	account id.ID
	entries []*entry
}

// Registrar keeps the contacts of all connections in memory. What has changed is taken from
// it to be stored, and what other nodes have stored is given to it.
type Registrar struct {
	mu      sync.Mutex // guards all below
	of      map[id.ID]*telephones
	waiting []*entry // each once
	storing int      // how many were taken to be stored
}

// NewRegistrar makes one that knows of none.
func NewRegistrar() *Registrar { return &Registrar{of: make(map[id.ID]*telephones)} }

// Register carries out a REGISTER as a whole or not at all, and returns the contacts that
// are registered afterwards.
func (r *Registrar) Register(q *Request, now time.Time) ([]Binding, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.of[q.From.Connection]
	if t == nil {
		if len(q.Wishes) == 0 {
			return nil, nil
		}
		if len(r.of) >= mostConnections {
			return nil, ErrFull
		}
		t = &telephones{account: q.From.Account}
		r.of[q.From.Connection] = t
	}
	for _, e := range t.entries {
		if e.Live(now) && e.CallID == q.From.CallID && q.From.Seq <= e.Seq && now.Sub(e.At) < LongestDelay &&
			q.names(e.Contact) {
			return nil, ErrOutOfOrder
		}
	}
	if q.All {
		for _, e := range t.entries {
			r.remove(e, &q.From, now)
		}
	}
	for i := range q.Wishes {
		r.grant(t, &q.Wishes[i], &q.From, now)
	}
	return t.live(now), nil
}

// grant does what is asked for one contact.
func (r *Registrar) grant(t *telephones, w *Wish, from *Binding, now time.Time) {
	at := slices.IndexFunc(t.entries, func(e *entry) bool { return e.Contact == w.Contact })
	if w.Expires == 0 {
		if at >= 0 {
			r.remove(t.entries[at], from, now)
		}
		return
	}
	b := *from
	b.Contact, b.At, b.RegisteredAt, b.Until, b.Removed = w.Contact, now, now, now.Add(w.Expires), false
	if at < 0 {
		t.makeRoom(r, from, now)
		e := &entry{Binding: b}
		t.entries = append(t.entries, e)
		r.store(e)
		return
	}
	e := t.entries[at]
	refreshed := e.isRefreshedBy(&b, now)
	e.Binding = b
	if refreshed {
		e.later = !e.waits
		return
	}
	r.store(e)
}

// isRefreshedBy says whether b only prolongs what is stored, and that was lately. A quarter
// of its life is little: a telephone comes again before the half.
func (e *entry) isRefreshedBy(b *Binding, now time.Time) bool {
	return !e.storedAt.IsZero() && e.Live(now) && e.CallID == b.CallID && e.Source == b.Source &&
		e.Transport == b.Transport && e.UserAgent == b.UserAgent && now.Sub(e.storedAt) < b.Until.Sub(now)/4 &&
		!b.Until.Before(e.endsStored)
}

// remove ends a contact that is registered.
func (r *Registrar) remove(e *entry, by *Binding, now time.Time) {
	if !e.Live(now) {
		return
	}
	e.CallID, e.Seq, e.At, e.Until, e.Removed = by.CallID, by.Seq, now, now, true
	r.store(e)
}

// store has an entry wait for being stored.
func (r *Registrar) store(e *entry) {
	e.later = false
	if !e.waits {
		e.waits = true
		r.waiting = append(r.waiting, e)
	}
}

// makeRoom has fewer than MostContacts contacts registered, and forgets ended ones.
func (t *telephones) makeRoom(r *Registrar, by *Binding, now time.Time) {
	for {
		live, ended := 0, 0
		var first, oldest *entry
		for _, e := range t.entries {
			if !e.Live(now) {
				ended++
				if oldest == nil || e.Until.Before(oldest.Until) {
					oldest = e
				}
				continue
			}
			live++
			if first == nil || e.Until.Before(first.Until) {
				first = e
			}
		}
		switch {
		case live >= MostContacts:
			r.remove(first, by, now)
		case ended > mostEnded:
			t.entries = slices.DeleteFunc(t.entries, func(e *entry) bool { return e == oldest })
		default:
			return
		}
	}
}

// live are the contacts that are registered.
func (t *telephones) live(now time.Time) []Binding {
	list := make([]Binding, 0, len(t.entries))
	for _, e := range t.entries {
		if e.Live(now) {
			list = append(list, e.Binding)
		}
	}
	return list
}

// latest is the contact that tells the state of a connection: the latest that is
// registered, else the latest of all. nil if there is no contact.
func (t *telephones) latest(now time.Time) *entry {
	var latest *entry
	for _, e := range t.entries {
		switch {
		case latest == nil, e.Live(now) && !latest.Live(now),
			e.Live(now) == latest.Live(now) && e.RegisteredAt.After(latest.RegisteredAt),
			!e.Live(now) && !latest.Live(now) && e.RegisteredAt.Equal(latest.RegisteredAt) && e.At.After(latest.At):
			latest = e
		}
	}
	return latest
}

// Of is what is known of the registrations with a connection of an account.
func (r *Registrar) Of(account, key id.ID, now time.Time) (connection.Registration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.of[key]
	if t == nil || t.account != account || len(t.entries) == 0 {
		return connection.Registration{}, false
	}
	e := t.latest(now)
	state := connection.Registered
	switch {
	case e.Live(now):
	case e.Removed:
		state = connection.Unregistered
	default:
		state = connection.Expired
	}
	return connection.Registration{
		State: state, Contact: e.Source, Transport: e.Transport, UserAgent: e.UserAgent, At: e.RegisteredAt,
	}, true
}

// Count is how many contacts are registered, and how many are not stored yet.
func (r *Registrar) Count(now time.Time) (live, unsaved int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.of {
		for _, e := range t.entries {
			if e.Live(now) {
				live++
			}
		}
	}
	return live, len(r.waiting) + r.storing
}

// Sweep forgets what has ended long ago and the connections that are gone, and has what
// could wait until now stored before it would look ended to others. all has everything stored.
func (r *Registrar) Sweep(exists func(connection id.ID) bool, now time.Time, all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, t := range r.of {
		latest := t.latest(now)
		known := exists(key)
		t.entries = slices.DeleteFunc(t.entries, func(e *entry) bool {
			ended := now.Sub(e.Until)
			gone := !known && now.Sub(e.At) >= graceForgotten
			return !e.waits && (gone || ended >= LatestKept || ended >= EndedKept && e != latest)
		})
		if len(t.entries) == 0 {
			delete(r.of, key)
			continue
		}
		for _, e := range t.entries {
			if e.later && (all || e.endsStored.Sub(now) < e.Until.Sub(e.RegisteredAt)/2) {
				r.store(e)
			}
		}
	}
}

// Take takes what waits for being stored, so many at most. Stored or PutBack comes after it.
func (r *Registrar) Take(most int, now time.Time) []Binding {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(most, len(r.waiting))
	list := make([]Binding, n)
	for i, e := range r.waiting[:n] {
		list[i] = e.Binding
		e.waits, e.storedAt, e.endsStored = false, now, e.Until
	}
	if r.waiting = slices.Delete(r.waiting, 0, n); len(r.waiting) == 0 {
		r.waiting = nil // those that were many are let go
	}
	r.storing = n
	return list
}

// Stored says that what was taken is durable.
func (r *Registrar) Stored() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.storing = 0
}

// PutBack has what was taken wait again, as it is by now.
func (r *Registrar) PutBack(list []Binding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.storing = 0
	for i := range list {
		if e := r.find(&list[i]); e != nil {
			e.storedAt = time.Time{}
			r.store(e)
		}
	}
}

func (r *Registrar) find(b *Binding) *entry {
	t := r.of[b.Connection]
	if t == nil || t.account != b.Account {
		return nil
	}
	if at := slices.IndexFunc(t.entries, func(e *entry) bool { return e.Contact == b.Contact }); at >= 0 {
		return t.entries[at]
	}
	return nil
}

// Learn takes in what other nodes, or an earlier run of this one, have stored.
func (r *Registrar) Learn(list []Binding, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range list {
		b := &list[i]
		if e := r.find(b); e != nil {
			if b.Supersedes(&e.Binding) {
				e.Binding, e.later, e.storedAt, e.endsStored = *b, false, now, b.Until
			}
			continue
		}
		if now.Sub(b.Until) >= LatestKept {
			continue
		}
		t := r.of[b.Connection]
		if t == nil {
			if len(r.of) >= mostConnections {
				continue
			}
			t = &telephones{account: b.Account}
			r.of[b.Connection] = t
		}
		if t.account == b.Account && len(t.entries) < MostContacts+2*mostEnded {
			t.entries = append(t.entries, &entry{Binding: *b, storedAt: now, endsStored: b.Until})
		}
	}
}
