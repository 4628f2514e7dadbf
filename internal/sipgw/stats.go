package sipgw

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// counters count since the start of the process.
type counters struct {
	parseErrors, invalid, shed, panics                      atomic.Uint64
	attempts, refused, answered, forks, ledgerErrors        atomic.Uint64
	challenges, authFailures, authStrays, authReplays, bans atomic.Uint64
	authUnanswered                                          atomic.Uint64
	mediaErrors, paced, crowded                             atomic.Uint64
	guessesHeld, registrations                              atomic.Uint64
}

// Stats is a snapshot of what the server has counted since its start.
type Stats struct {
	Received    uint64 // messages from the network
	Sent        uint64
	SendErrors  uint64
	Filtered    uint64 // dropped in front of the parser
	ParseErrors uint64
	Invalid     uint64 // refused or dropped by validation
	Shed        uint64 // dropped or refused for overload
	Paced       uint64 // dropped or refused because their source sends too many a second
	Crowded     uint64 // calls refused because their source has too many
	Handshakes  uint64 // TLS handshakes that peers did not complete
	Panics      uint64 // messages and timers that made the engine panic

	Attempts       uint64 // new calls that were put to the ledger
	Refused        uint64 // of those, by the rules
	Answered       uint64
	Forks          uint64 // late answers of carriers, which were hung up on
	LedgerErrors   uint64 // reservations that the store did not confirm
	Challenges     uint64
	AuthFailures   uint64 // wrong digests, and right ones from sources that are not allowed
	AuthStrays     uint64 // right digests from sources that are not allowed
	AuthReplays    uint64 // digests used before
	AuthUnanswered uint64 // calls that were challenged and did not come back with credentials
	Bans           uint64 // sources that guessed too often
	GuessesHeld    uint64 // digests that were not checked, since there were too many wrong ones before
	Registrations  uint64 // REGISTERs that were carried out
	Registered     int    // contacts that are registered
	Unsaved        int    // contacts that wait for being stored
	MediaErrors    uint64 // session descriptions that could not be anchored

	Unanswered uint64 // requests that got no answer, above the budgets of strangers and of refusals
	// RefusedConnections are TCP connections above their budget, by transport.ClassNames.
	RefusedConnections [transport.Classes]uint64
	EvictedConnections uint64 // TCP connections that made room for others
}

// Stats returns the counters. It is safe for concurrent use.
func (srv *Server) Stats() Stats {
	c, t := &srv.count, &srv.transport.Count
	s := Stats{
		Received: t.Received.Load(), Sent: t.Sent.Load(), SendErrors: t.SendErrors.Load(),
		Filtered: t.Filtered.Load(), ParseErrors: c.parseErrors.Load(), Invalid: c.invalid.Load(),
		Shed: c.shed.Load(), Panics: c.panics.Load(), Handshakes: t.HandshakeErrors.Load(),
		Attempts: c.attempts.Load(), Refused: c.refused.Load(), Answered: c.answered.Load(),
		Forks: c.forks.Load(), LedgerErrors: c.ledgerErrors.Load(), Challenges: c.challenges.Load(),
		AuthFailures: c.authFailures.Load(), AuthStrays: c.authStrays.Load(), AuthReplays: c.authReplays.Load(),
		AuthUnanswered: c.authUnanswered.Load(),
		Bans:           c.bans.Load(), MediaErrors: c.mediaErrors.Load(),
		Paced: c.paced.Load(), Crowded: c.crowded.Load(), GuessesHeld: c.guessesHeld.Load(),
		Registrations: c.registrations.Load(),
		Unanswered:    t.Unanswered.Load(), EvictedConnections: t.Evicted.Load(),
	}
	s.Registered, s.Unsaved = srv.registrar.Count(srv.config.Clock())
	for class := range s.RefusedConnections {
		s.RefusedConnections[class] = t.RefusedConnections[class].Load()
	}
	return s
}

// Load is how much the server has to do at a moment.
type Load struct {
	Calls       int                    // set up or being set up, or ended and not yet settled
	Queued      int                    // messages that wait for their shards
	Connections int                    // TCP
	ByClass     [transport.Classes]int // the same, by transport.ClassNames
}

// Load returns the load. It is safe for concurrent use, and waits for each shard
// to answer.
func (srv *Server) Load() Load {
	l := Load{Calls: srv.each(func(*shard) {})}
	for _, sh := range srv.shards {
		sh.inbox.mu.Lock()
		l.Queued += len(sh.inbox.packets)
		sh.inbox.mu.Unlock()
	}
	l.ByClass = srv.transport.Connections()
	for _, n := range l.ByClass {
		l.Connections += n
	}
	return l
}

// LiveCall is a call that is being set up or is up.
type LiveCall struct {
	ID                  uuid.UUID
	Account, Connection id.ID
	Gateway             id.ID // 0 until a gateway has answered
	From, To            e164.Number
	Emergency           bool
	StartedAt           time.Time
	AnsweredAt          time.Time     // zero before the answer
	Granted             time.Duration // how long it may last after its answer, as of now
}

// Live lists the calls, oldest first.
func (srv *Server) Live() []LiveCall {
	var live []LiveCall
	srv.each(func(sh *shard) {
		for s := range sh.calls {
			if !s.machine.Alive() {
				continue
			}
			_, emergency := s.machine.Emergency()
			live = append(live, LiveCall{
				ID: s.machine.ID(), Account: s.connected.Account, Connection: s.connection, Gateway: s.gateway,
				From: s.from, To: s.to, Emergency: emergency, StartedAt: s.startedAt,
				AnsweredAt: s.machine.AnsweredAt(), Granted: s.machine.Granted(),
			})
		}
	})
	slices.SortFunc(live, func(a, b LiveCall) int { return a.StartedAt.Compare(b.StartedAt) })
	return live
}
