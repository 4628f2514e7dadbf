// Package webhooktest helps to test what delivers webhooks: the tests that every
// outbox must pass, and an outbox in memory.
package webhooktest

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Memory is an outbox in memory. It forgets everything with the process.
type Memory struct {
	mu         sync.Mutex
	endpoints  map[id.ID]webhook.Endpoint
	published  map[uuid.UUID]bool
	deliveries map[uuid.UUID]*delivery
	made       uint64 // deliveries so far, for their ids
}

type delivery struct {
	entry      webhook.Entry
	event      webhook.Event
	claim      int64
	leased     bool
	leaseUntil time.Time
}

var (
	_ webhook.Outbox = (*Memory)(nil)
	_ webhook.Log    = (*Memory)(nil)
)

// NewMemory returns an empty outbox.
func NewMemory() *Memory {
	return &Memory{
		endpoints: map[id.ID]webhook.Endpoint{}, published: map[uuid.UUID]bool{}, deliveries: map[uuid.UUID]*delivery{},
	}
}

// PutEndpoint creates or replaces an endpoint.
func (m *Memory) PutEndpoint(e webhook.Endpoint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endpoints[e.ID] = e
}

// DeleteEndpoint deletes an endpoint and its deliveries.
func (m *Memory) DeleteEndpoint(endpoint id.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.endpoints, endpoint)
	for key, d := range m.deliveries {
		if d.entry.EndpointID == endpoint {
			delete(m.deliveries, key)
		}
	}
}

// Publish implements webhook.Outbox.
func (m *Memory) Publish(_ context.Context, now time.Time, event webhook.Event) ([]uuid.UUID, error) {
	if err := event.Validate(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.published[event.ID] {
		return nil, nil
	}
	m.published[event.ID] = true
	var ids []uuid.UUID
	for _, e := range m.endpoints {
		if e.Wants(&event) {
			ids = append(ids, m.add(now, e.ID, event))
		}
	}
	return ids, nil
}

func (m *Memory) add(now time.Time, endpoint id.ID, event webhook.Event) uuid.UUID {
	m.made++
	key := uuid.NewSHA1(uuid.Nil, binary.BigEndian.AppendUint64(nil, m.made))
	m.deliveries[key] = &delivery{event: event, entry: webhook.Entry{
		ID: key, EndpointID: endpoint, EventID: event.ID, EventType: event.Type,
		State: webhook.Pending, CreatedAt: now, NextAt: now, Payload: event.Payload, OccurredAt: event.OccurredAt, Attempts: []webhook.Attempt{},
	}}
	return key
}

// Claim implements webhook.Outbox.
func (m *Memory) Claim(_ context.Context, now time.Time, limits webhook.ClaimLimits) ([]webhook.Delivery, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []*delivery
	leases := map[id.ID]int{}
	for _, d := range m.deliveries {
		switch {
		case d.leased && now.Before(d.leaseUntil):
			leases[d.entry.EndpointID]++
		case d.entry.State == webhook.Pending && !now.Before(d.entry.NextAt) && m.endpoints[d.entry.EndpointID].Enabled:
			due = append(due, d)
		}
	}
	slices.SortFunc(due, func(a, b *delivery) int {
		return cmp.Or(a.entry.NextAt.Compare(b.entry.NextAt), cmp.Compare(a.entry.ID.String(), b.entry.ID.String()))
	})
	var claimed []webhook.Delivery
	for _, d := range due {
		endpoint := m.endpoints[d.entry.EndpointID]
		if len(claimed) == limits.Total || leases[endpoint.ID] >= limits.PerEndpoint {
			continue
		}
		leases[endpoint.ID]++
		d.claim++
		d.leased, d.leaseUntil = true, now.Add(limits.Lease)
		claimed = append(claimed, webhook.Delivery{
			ID: d.entry.ID, Endpoint: endpoint, Event: d.event, Attempts: len(d.entry.Attempts), CreatedAt: d.entry.CreatedAt, Claim: d.claim,
		})
	}
	return claimed, m.next(now), nil
}

// next is the earliest instant after now at which a lease ends or a delivery is due.
func (m *Memory) next(now time.Time) time.Time {
	var next time.Time
	for _, d := range m.deliveries {
		at := d.entry.NextAt
		if d.leased && now.Before(d.leaseUntil) {
			at = d.leaseUntil
		}
		if d.entry.State == webhook.Pending && m.endpoints[d.entry.EndpointID].Enabled && at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// Report implements webhook.Outbox.
func (m *Memory) Report(_ context.Context, a webhook.Attempt) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.held(a.DeliveryID, a.Claim)
	if err != nil {
		return fmt.Errorf("report attempt: %w", err)
	}
	d.leased = false
	d.entry.State, d.entry.NextAt = a.State, a.NextAt
	if a.State != webhook.Pending {
		d.entry.NextAt = time.Time{}
	}
	d.entry.Attempts = append(d.entry.Attempts, a)
	d.entry.AttemptCount++
	return nil
}

// Release implements webhook.Outbox.
func (m *Memory) Release(_ context.Context, key uuid.UUID, claim int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.held(key, claim)
	if err != nil {
		return fmt.Errorf("release delivery: %w", err)
	}
	d.leased = false
	return nil
}

func (m *Memory) held(key uuid.UUID, claim int64) (*delivery, error) {
	d := m.deliveries[key]
	if d == nil || !d.leased || d.claim != claim {
		return nil, fmt.Errorf("claim %d of %s: %w", claim, key, webhook.ErrLeaseLost)
	}
	return d, nil
}

// Entry implements webhook.Log.
func (m *Memory) Entry(_ context.Context, account id.ID, key uuid.UUID) (webhook.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.deliveries[key]
	if d == nil || d.event.AccountID != account {
		return webhook.Entry{}, fmt.Errorf("delivery %s: %w", key, webhook.ErrNotFound)
	}
	entry := d.entry
	entry.Attempts = slices.Clone(entry.Attempts)
	return entry, nil
}

// Replay implements webhook.Log.
func (m *Memory) Replay(_ context.Context, now time.Time, account id.ID, key uuid.UUID) (webhook.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.deliveries[key]
	if d == nil || d.event.AccountID != account {
		return webhook.Entry{}, fmt.Errorf("replay delivery %s: %w", key, webhook.ErrNotFound)
	}
	return m.deliveries[m.add(now, d.entry.EndpointID, d.event)].entry, nil
}
