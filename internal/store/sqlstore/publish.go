package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

// announceCalls writes the events of what a group of commands has changed, for those
// who want them. An event that cannot be made is left out: no call fails for it.
func (t *txn) announceCalls(ctx context.Context, c *admission.Changes) error {
	var events []webhook.Event
	add := func(account, connection id.ID, kind string, make func(key uuid.UUID) (webhook.Event, error)) {
		if !wanted(t.Snapshot, account, connection, kind) {
			return
		}
		e, err := newEvent(make)
		if err != nil {
			t.store.log.Error("webhook event cannot be made", "event_type", kind, "error", err)
			return
		}
		events = append(events, e)
	}
	for i := range c.Events {
		e := &c.Events[i]
		switch e.Kind {
		case admission.EventInitiated:
			add(e.Account, e.Connection, webhook.CallInitiated, t.liveCall(e, (*webhook.LiveCall).Initiated))
		case admission.EventAnswered:
			add(e.Account, e.Connection, webhook.CallAnswered, t.liveCall(e, (*webhook.LiveCall).Answered))
		case admission.EventEmergency:
			add(e.Account, e.Connection, webhook.CallEmergency,
				func(key uuid.UUID) (webhook.Event, error) { return emergencyEvent(key, e) })
		case admission.EventEmergencyAlert:
			t.warnOfEmergencies(e)
			alert := webhook.EmergencyAlert{Call: e.Call, Account: e.Account, Connection: e.Connection, Day: e.Day,
				Calls: e.Count, Threshold: e.Threshold, AtMicros: e.AtMicros}
			add(e.Account, e.Connection, webhook.ConnectionEmergencies, alert.Event)
		case admission.EventHangUp:
			add(e.Account, e.Connection, webhook.CallHangUpRequested,
				func(key uuid.UUID) (webhook.Event, error) { return hangUpEvent(key, e) })
		case admission.EventSpendThreshold, admission.EventSpendLimitReached:
			spend := spendEvent(e)
			add(e.Account, 0, spend.Type(), spend.Event)
		}
	}
	for _, r := range c.Records {
		if r.Outcome == record.OutcomeRefused {
			add(r.AccountID, r.ConnectionID, webhook.CallRefused,
				func(key uuid.UUID) (webhook.Event, error) { return webhook.CallEvent(key, r) })
			continue
		}
		tags, cost := t.shownOf(r.ConnectionID)
		add(r.AccountID, r.ConnectionID, webhook.CallHangup,
			func(key uuid.UUID) (webhook.Event, error) { return webhook.HangupEvent(key, r, tags) })
		add(r.AccountID, r.ConnectionID, webhook.CallEnded,
			func(key uuid.UUID) (webhook.Event, error) { return webhook.CallEvent(key, r) })
		if cost {
			add(r.AccountID, r.ConnectionID, webhook.CallCost,
				func(key uuid.UUID) (webhook.Event, error) { return webhook.CostEvent(key, r) })
		}
	}
	if len(events) == 0 {
		return nil
	}
	_, err := t.publish(ctx, t.store.now(), events)
	return err
}

// shownOf is what a connection has events show of it: its tags, and whether they tell
// what a call costs.
func (t *txn) shownOf(connection id.ID) (tags []string, cost bool) {
	if c := t.Snapshot.Connection(connection); c != nil {
		return c.Tags, c.Cost
	}
	return nil, false
}

// liveCall is what makes an event of a call that was let through.
func (t *txn) liveCall(e *admission.Event, make func(*webhook.LiveCall, uuid.UUID) (webhook.Event,
	error)) func(uuid.UUID) (webhook.Event, error) {
	return func(key uuid.UUID) (webhook.Event, error) {
		d, err := admission.DecodeDecision(e.Decision)
		if err != nil {
			return webhook.Event{}, err
		}
		tags, _ := t.shownOf(e.Connection)
		return make(&webhook.LiveCall{
			ID: e.Call, Account: e.Account, Connection: e.Connection, From: d.Facts.From, To: d.Facts.To,
			Caller: d.Facts.Caller, Callee: d.Facts.Callee, StartedMicros: e.StartedMicros, AtMicros: e.AtMicros, Tags: tags,
		}, key)
	}
}

// wanted says whether anybody wants an event. Without listeners it costs a look
// into one or two maps.
func wanted(s *policy.Snapshot, account, connection id.ID, kind string) bool {
	if account == 0 || !s.Listens(account, connection) {
		return false
	}
	e := webhook.Event{AccountID: account, ConnectionID: connection, Type: kind}
	found := false
	s.Webhooks(account, connection, func(endpoint *webhook.Endpoint) bool {
		found = endpoint.Wants(&e)
		return !found
	})
	return found
}

func newEvent(make func(key uuid.UUID) (webhook.Event, error)) (webhook.Event, error) {
	key, err := uuid.NewV7()
	if err != nil {
		return webhook.Event{}, err
	}
	e, err := make(key)
	if err != nil {
		return webhook.Event{}, err
	}
	return e, e.Validate()
}

func emergencyEvent(key uuid.UUID, e *admission.Event) (webhook.Event, error) {
	d, err := admission.DecodeDecision(e.Decision)
	if err != nil {
		return webhook.Event{}, err
	}
	call := webhook.Emergency{
		Call: e.Call, Account: e.Account, Connection: e.Connection, Profile: e.Profile, SIPCallID: e.SIPCallID,
		From: d.Facts.From, To: d.Facts.To, Caller: d.Facts.Caller, StartedMicros: e.AtMicros,
	}
	return call.Event(key)
}

func hangUpEvent(key uuid.UUID, e *admission.Event) (webhook.Event, error) {
	d, err := admission.DecodeDecision(e.Decision)
	if err != nil {
		return webhook.Event{}, err
	}
	f := &d.Facts
	call := webhook.HangUp{
		Call: e.Call, Account: e.Account, Connection: e.Connection, Profile: e.Profile, SIPCallID: e.SIPCallID,
		From: f.From, To: f.To, Caller: f.Caller, Callee: f.Callee, Emergency: f.Emergency,
		StartedMicros: f.AtMicros, AnsweredMicros: e.Answered, AtMicros: e.AtMicros,
	}
	return call.Event(key)
}

func spendEvent(e *admission.Event) *webhook.Spend {
	spend := &webhook.Spend{
		Account: e.Account, Day: e.Day, Percent: e.Percent, Limit: e.Limit,
		Posted: e.Posted, Held: e.Held, AtMicros: e.AtMicros, ForecastMicros: e.ForecastMicros, HoldAfter: e.HoldAfter,
	}
	switch e.Scope.Kind {
	case admission.ScopeProfile:
		spend.Profile = e.Scope.ID.Number()
	case admission.ScopeGroup:
		spend.Group = uuid.UUID(e.Scope.ID)
	}
	return spend
}

// announce publishes a write of configuration, in its own transaction.
func (t *txn) announce(ctx context.Context, c webhook.Change) error {
	if !wanted(t.Snapshot, c.Account, 0, webhook.ConfigurationChanged) {
		return nil
	}
	c.At = t.store.now()
	e, err := newEvent(c.Event)
	if err != nil {
		return fmt.Errorf("tell of the change: %w", err)
	}
	_, err = t.publish(ctx, c.At, []webhook.Event{e})
	return err
}

// NoteStray publishes the event connection.source_refused to those who want it.
func (s *Store) NoteStray(ctx context.Context, stray webhook.Stray) error {
	if !wanted(s.live.Snapshot(), stray.Account, stray.Connection, webhook.ConnectionSourceRefused) {
		return nil
	}
	err := s.writeIn(ctx, stray.Account, func(tx *txn) error {
		e, err := newEvent(stray.Event)
		if err == nil {
			_, err = tx.publish(ctx, s.now(), []webhook.Event{e})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("report a password from elsewhere: %w", err)
	}
	return nil
}

// mail is the rows of a publication, and what it does to the accounts' queues.
type mail struct {
	events, deliveries []any
	made               []uuid.UUID
	queues             map[id.ID]*queue
}

type queue struct{ pending, added, refused int64 }

// publish writes events, and a pending delivery of each for every endpoint that
// wants it, as far as the account's queue has room. The events are valid.
func (t *txn) publish(ctx context.Context, now time.Time, events []webhook.Event) ([]uuid.UUID, error) {
	m := &mail{queues: make(map[id.ID]*queue)}
	if err := t.lockQueues(ctx, events); err != nil {
		return nil, fmt.Errorf("publish events: %w", err)
	}
	for i := range events {
		if err := t.address(ctx, m, now, &events[i]); err != nil {
			return nil, err
		}
	}
	err := t.Insert(ctx,
		"INSERT INTO webhook_events (id, account_id, connection_id, type, occurred_at, made_at, payload) VALUES ", 7,
		m.events)
	if err == nil {
		err = t.Insert(ctx, `INSERT INTO webhook_deliveries
			(id, account_id, endpoint_id, event_id, event_type, state, created_at, next_at, ready_at, leased, claim, attempts) VALUES `, 12, m.deliveries)
	}
	for account, q := range m.queues {
		if err == nil {
			err = t.count(ctx, account, q.added, q.refused)
		}
		if q.refused > 0 && q.pending < store.MaxWebhookQueue {
			t.store.log.Warn("webhook queue is full; deliveries are refused and counted", "account", account.String(), "limit",
				store.MaxWebhookQueue)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("publish events: %w", err)
	}
	t.Mailed = t.Mailed || len(m.made) > 0
	return m.made, nil
}

// lockQueues keeps the queues of the accounts of events from other nodes, so that
// none grows beyond its limit. They are locked in the order of their ids, after all
// other locks, and a transaction that counts a queue down has the configuration to itself.
func (t *txn) lockQueues(ctx context.Context, events []webhook.Event) error {
	if !t.store.dialect.shared {
		return nil // there is one writer
	}
	accounts := make([]id.ID, 0, len(events))
	for i := range events {
		if e := &events[i]; wanted(t.Snapshot, e.AccountID, e.ConnectionID, e.Type) {
			accounts = append(accounts, e.AccountID)
		}
	}
	slices.Sort(accounts)
	for _, account := range slices.Compact(accounts) {
		err := t.exec(ctx, `INSERT INTO webhook_queues (account_id, pending, refused) VALUES ($1, 0, 0)
			ON CONFLICT (account_id) DO UPDATE SET pending = webhook_queues.pending`, int64(account))
		if err != nil {
			return err
		}
	}
	return nil
}

// address makes the rows of one event.
func (t *txn) address(ctx context.Context, m *mail, now time.Time, e *webhook.Event) error {
	q := m.queues[e.AccountID]
	if q == nil {
		q = &queue{}
		err := t.QueryRowContext(ctx, "SELECT pending FROM webhook_queues WHERE account_id = $1",
			int64(e.AccountID)).Scan(&q.pending)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		m.queues[e.AccountID] = q
	}
	before := len(m.made)
	var failed error
	t.Snapshot.Webhooks(e.AccountID, e.ConnectionID, func(endpoint *webhook.Endpoint) bool {
		if !endpoint.Wants(e) {
			return true
		}
		if q.pending+q.added >= store.MaxWebhookQueue {
			q.refused++
			return true
		}
		key, err := uuid.NewV7()
		if failed = err; err != nil {
			return false
		}
		q.added++
		m.made = append(m.made, key)
		m.deliveries = appendDelivery(m.deliveries, key, e, endpoint.ID, now)
		return true
	})
	if failed == nil && len(m.made) > before {
		m.events = appendEvent(m.events, e, now)
	}
	return failed
}

func appendEvent(args []any, e *webhook.Event, now time.Time) []any {
	return append(args, e.ID[:], int64(e.AccountID), int64(e.ConnectionID), e.Type, e.OccurredAt.UnixMicro(),
		now.UnixMicro(), string(e.Payload))
}

func appendDelivery(args []any, key uuid.UUID, e *webhook.Event, endpoint id.ID, now time.Time) []any {
	at := now.UnixMicro()
	return append(args, key[:], int64(e.AccountID), int64(endpoint), e.ID[:], e.Type, string(webhook.Pending), at, at, at,
		int64(0), int64(0), int64(0))
}

// count changes the numbers of an account's queue.
func (t *txn) count(ctx context.Context, account id.ID, pending, refused int64) error {
	if pending == 0 && refused == 0 {
		return nil
	}
	return t.exec(ctx, `INSERT INTO webhook_queues (account_id, pending, refused) VALUES ($1, $2, $3)
		ON CONFLICT (account_id) DO UPDATE
		SET pending = webhook_queues.pending + excluded.pending, refused = webhook_queues.refused + excluded.refused`,
		int64(account), pending, refused)
}
