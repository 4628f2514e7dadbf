package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/spendlimit"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

func amount(nanos int64) money.Amount { return money.Amount(nanos) }

// Grants of a day are made while its part of the call is near: not earlier than
// this before the day begins, and not later than this after it ends. The longest
// billing increment that decks are known to have is an hour.
const (
	grantsBefore = 2 * time.Hour
	grantsAfter  = 5 * time.Minute
)

// limitHistory is which daily limits profiles, billing groups and accounts have had.
type limitHistory map[admission.Scope][]limitSpan

// limitSpan is a daily limit and since when it was in force, until the next span.
type limitSpan struct {
	sinceMicros int64
	exists      bool
	ends        bool // calls end at the limit
	limit       money.Amount
	shape       string // of a spend limit: what it counts
	rolling     bool   // a spend limit whose steps count for a day
}

// readLimits walks back from what is configured now by what was recorded of changes.
func readLimits(ctx context.Context, tx table.Querier, d *dialect) (limitHistory, error) {
	changes := make(map[admission.Scope][]store.AuditEvent)
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		e, _, err := trail.Scan(rows.Scan)
		if err != nil {
			return err
		}
		scope, ok, err := admission.ParseScope(e.RecordType, e.ResourceID)
		if ok {
			changes[scope] = append(changes[scope], e)
		}
		return err
	}, "SELECT doc, hash FROM audit_events ORDER BY id")
	if err != nil {
		return nil, err
	}
	now, err := limitsNow(ctx, tx, d)
	if err != nil {
		return nil, err
	}
	history := make(limitHistory)
	for p := range changes {
		if now[p] == nil {
			now[p] = map[string]jsontext.Value{} // it was deleted
		}
	}
	for p, fields := range now {
		if history[p], err = walkBack(fields, changes[p]); err != nil {
			return nil, err
		}
	}
	return history, nil
}

// limitsNow reads the fields of everything that may have a limit.
func limitsNow(ctx context.Context, tx table.Querier,
	d *dialect) (map[admission.Scope]map[string]jsontext.Value, error) {
	now := make(map[admission.Scope]map[string]jsontext.Value)
	for _, limited := range limitedTables {
		err := table.Query(ctx, tx, func(rows *sql.Rows) error {
			scope := admission.Scope{Kind: limited.kind}
			var doc []byte
			err := rows.Scan((*uuid.UUID)(&scope.ID), &doc)
			if err == nil {
				now[scope], err = trail.Fields(jsontext.Value(doc))
			}
			return err
		}, "SELECT "+limited.scopeID(d)+", doc FROM "+limited.name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", limited.name, err)
		}
	}
	return now, nil
}

// walkBack undoes changes, of which the last led to fields, and returns the spans in order.
func walkBack(fields map[string]jsontext.Value, changes []store.AuditEvent) (spans []limitSpan, err error) {
	for i := len(changes); ; i-- {
		span, err := spanOf(fields)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			span.sinceMicros = math.MinInt64
			spans = append(spans, span)
			slices.Reverse(spans)
			return spans, nil
		}
		e := &changes[i-1]
		span.sinceMicros = e.CreatedAt.UnixMicro()
		spans = append(spans, span)
		for _, c := range e.Changes {
			fields[c.Field] = c.From
		}
	}
}

func spanOf(fields map[string]jsontext.Value) (limitSpan, error) {
	if fields["scope_type"] != nil {
		return limitSpanOf(fields)
	}
	var enabled *bool
	var limit *money.Amount
	var action *string
	for name, into := range map[string]any{
		"daily_spend_limit_enabled": &enabled, "daily_spend_limit": &limit, "spend_limit_action": &action,
	} {
		if text := fields[name]; text != nil {
			if err := json.Unmarshal(text, into); err != nil {
				return limitSpan{}, err
			}
		}
	}
	span := limitSpan{exists: enabled != nil}
	if enabled != nil && *enabled && limit != nil && action != nil && *action == profile.EndCalls {
		span.ends, span.limit = true, *limit
	}
	return span, nil
}

// limitSpanOf is spanOf for a spend limit. It counts from when it has its shape.
func limitSpanOf(fields map[string]jsontext.Value) (limitSpan, error) {
	l := spendlimit.New()
	for name, into := range map[string]any{
		"enabled": &l.Enabled, "scope_type": &l.ScopeType, "scope_value": &l.ScopeValue, "period": &l.Period,
		"time_zone": &l.TimeZone, "amount": &l.Amount, "action": &l.Action,
	} {
		if text := fields[name]; text != nil {
			if err := json.Unmarshal(text, into); err != nil {
				return limitSpan{}, err
			}
		}
	}
	span := limitSpan{exists: true, shape: l.Shape(), rolling: l.Period == policy.PeriodRollingDay.String()}
	if l.Enabled && l.Action == spendlimit.EndCalls {
		span.ends, span.limit = true, l.Amount
	}
	return span, nil
}

// largestOf is largest for a spend limit. Nothing is promised of a period in which it
// was made or came to count something else: what was spent before is in it too.
func (h limitHistory) largestOf(key admission.SpendKey, fromMicros int64) (limit money.Amount, ok bool) {
	spans := h[key.Scope]
	if len(spans) == 0 {
		return 0, false
	}
	from := max(fromMicros, key.StepMicros-grantsBefore.Microseconds())
	if spans[len(spans)-1].rolling {
		from = key.StepMicros - (24*time.Hour + grantsBefore).Microseconds()
	}
	for i, s := range spans {
		until := int64(math.MaxInt64)
		if i+1 < len(spans) {
			until = spans[i+1].sinceMicros
		}
		switch {
		case until <= from:
			continue
		case !s.exists || !s.ends || s.shape != spans[len(spans)-1].shape:
			return 0, false
		}
		limit, ok = max(limit, s.limit), true
	}
	return limit, ok
}

// largest is the largest limit in force while grants of a day could be made to calls
// that were admitted from a time on. ok is false when at some time of it calls
// did not end at a limit, or nothing is known.
func (h limitHistory) largest(key admission.SpendKey, fromMicros int64) (limit money.Amount, ok bool) {
	if key.Kind == admission.ScopeLimit {
		return h.largestOf(key, fromMicros)
	}
	from := max(fromMicros, key.Day.StartMicros()-grantsBefore.Microseconds())
	to := key.Day.StartMicros() + record.MicrosPerDay + grantsAfter.Microseconds()
	spans := h[key.Scope]
	for i, s := range spans {
		until := int64(math.MaxInt64)
		if i+1 < len(spans) {
			until = spans[i+1].sinceMicros
		}
		switch {
		case s.sinceMicros >= to || until <= from || !s.exists:
			continue
		case !s.ends:
			return 0, false
		}
		limit, ok = max(limit, s.limit), true
	}
	return limit, ok
}
