package outbox

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/webhook"
)

// AnnounceCalls writes the events of what a group of commands has changed, for those
// who want them. An event that cannot be made is left out: no call fails for it.
func (o *Outbox) AnnounceCalls(ctx context.Context, tx *ledger.Tx, c *admission.Changes) error {
	var events []webhook.Event
	add := func(account, connection id.ID, kind string, make func(key uuid.UUID) (webhook.Event, error)) {
		if !wanted(tx.Snapshot, account, connection, kind) {
			return
		}
		e, err := newEvent(make)
		if err != nil {
			o.db.Log.Error("webhook event cannot be made", "event_type", kind, "error", err)
			return
		}
		events = append(events, e)
	}
	for i := range c.Events {
		e := &c.Events[i]
		switch e.Kind {
		case admission.EventInitiated:
			add(e.Account, e.Connection, webhook.CallInitiated, liveCall(tx.Snapshot, e, (*webhook.LiveCall).Initiated))
		case admission.EventAnswered:
			add(e.Account, e.Connection, webhook.CallAnswered, liveCall(tx.Snapshot, e, (*webhook.LiveCall).Answered))
		case admission.EventEmergency:
			add(e.Account, e.Connection, webhook.CallEmergency,
				func(key uuid.UUID) (webhook.Event, error) { return emergencyEvent(key, e) })
		case admission.EventEmergencyAlert:
			o.warnOfEmergencies(e)
			alert := webhook.EmergencyAlert{Call: e.Call, Account: e.Account, Connection: e.Connection, Day: e.Day,
				Calls: e.Count, Threshold: e.Threshold, AtMicros: e.AtMicros}
			add(e.Account, e.Connection, webhook.ConnectionEmergencies, alert.Event)
		case admission.EventHangUp:
			add(e.Account, e.Connection, webhook.CallHangUpRequested,
				func(key uuid.UUID) (webhook.Event, error) { return hangUpEvent(key, e) })
		case admission.EventSpendThreshold, admission.EventSpendLimitReached:
			if e.SpendLimit != nil {
				limit := webhook.SpendLimit{Limit: e.SpendLimit.Source, Percent: e.Percent, Posted: e.Posted, Held: e.Held,
					AtMicros: e.AtMicros, OpensMicros: e.OpensMicros}
				add(e.Account, 0, limit.Type(), limit.Event)
				continue
			}
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
		tags, cost := shownOf(tx.Snapshot, r.ConnectionID)
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
	_, err := o.put(ctx, tx, o.db.Now(), events)
	return err
}

// shownOf is what a connection has events show of it: its tags, and whether they tell
// what a call costs.
func shownOf(s *policy.Snapshot, connection id.ID) (tags []string, cost bool) {
	if c := s.Connection(connection); c != nil {
		return c.Tags, c.Cost
	}
	return nil, false
}

// liveCall is what makes an event of a call that was admitted.
func liveCall(s *policy.Snapshot, e *admission.Event,
	make func(*webhook.LiveCall, uuid.UUID) (webhook.Event, error)) func(uuid.UUID) (webhook.Event, error) {
	return func(key uuid.UUID) (webhook.Event, error) {
		d, err := admission.DecodeDecision(e.Decision)
		if err != nil {
			return webhook.Event{}, err
		}
		tags, _ := shownOf(s, e.Connection)
		return make(&webhook.LiveCall{
			ID: e.Call, Account: e.Account, Connection: e.Connection, From: d.Facts.From, To: d.Facts.To,
			Caller: d.Facts.Caller, Callee: d.Facts.Callee, StartedMicros: e.StartedMicros, AtMicros: e.AtMicros, Tags: tags,
		}, key)
	}
}

// warnOfEmergencies logs for the operator what the customer gets by webhook.
func (o *Outbox) warnOfEmergencies(e *admission.Event) {
	o.db.Log.Warn("a connection has started unusually many emergency calls", "account", e.Account.String(),
		"connection", e.Connection.String(), "day", e.Day.String(),
		"calls", e.Count, "threshold", e.Threshold)
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

// NoteStray publishes the event connection.source_refused to those who want it.
func (o *Outbox) NoteStray(ctx context.Context, stray webhook.Stray) error {
	if !wanted(o.live.Snapshot(), stray.Account, stray.Connection, webhook.ConnectionSourceRefused) {
		return nil
	}
	err := o.db.Write(ctx, stray.Account, func(tx *database.Tx) error {
		return o.Tell(ctx, tx.Tx, stray.Account, stray.Connection, webhook.ConnectionSourceRefused, stray.Event)
	})
	if err != nil {
		return fmt.Errorf("report a password from elsewhere: %w", err)
	}
	return nil
}
