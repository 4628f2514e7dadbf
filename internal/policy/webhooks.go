package policy

import (
	"slices"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Webhook returns an endpoint, or nil. The endpoint of a connection's webhook_event_url
// has the connection's id. Endpoints are shared: read only.
func (s *Snapshot) Webhook(endpoint id.ID) *webhook.Endpoint {
	return s.webhooks.get(uint64(endpoint), endpoint)
}

// Webhooks calls yield for every endpoint of the account and of the connection, which is
// 0 for events of the account itself. The endpoint knows which events it wants.
func (s *Snapshot) Webhooks(account, connection id.ID, yield func(*webhook.Endpoint) bool) {
	for _, scope := range [...]id.ID{account, connection} {
		if scope == 0 {
			continue
		}
		for _, e := range s.listeners.get(uint64(scope), scope) {
			if !yield(e) {
				return
			}
		}
	}
}

// Listens reports whether an endpoint may want events of a connection or, for 0, of the
// account.
func (s *Snapshot) Listens(account, connection id.ID) bool {
	return len(s.listeners.get(uint64(account), account)) > 0 ||
		connection != 0 && len(s.listeners.get(uint64(connection), connection)) > 0
}

// listenerKey is what an endpoint is listed under. Ids do not collide.
func listenerKey(e *webhook.Endpoint) id.ID {
	if e.ConnectionID != 0 {
		return e.ConnectionID
	}
	return e.AccountID
}

func (s *Snapshot) putWebhook(e *webhook.Endpoint) {
	key := listenerKey(e)
	s.webhooks = s.webhooks.put(hashID, e.ID, e)
	s.listeners = s.listeners.put(hashID, key, append(slices.Clone(s.listeners.get(uint64(key), key)), e))
}

func (s *Snapshot) dropWebhook(endpoint id.ID) {
	old := s.Webhook(endpoint)
	if old == nil {
		return
	}
	key := listenerKey(old)
	kept := slices.DeleteFunc(slices.Clone(s.listeners.get(uint64(key), key)),
		func(e *webhook.Endpoint) bool { return e.ID == endpoint })
	s.webhooks = s.webhooks.remove(hashID, endpoint)
	if len(kept) == 0 {
		s.listeners = s.listeners.remove(hashID, key)
		return
	}
	s.listeners = s.listeners.put(hashID, key, kept)
}

// putConnectionWebhook makes an endpoint of a connection's webhook_event_url.
// Source: Telnyx v2, webhook_event_url, webhook_event_failover_url and
// webhook_timeout_secs of a connection.
func (s *Snapshot) putConnectionWebhook(c *connection.Base) {
	s.dropWebhook(c.ID)
	if c.WebhookEventURL == nil || *c.WebhookEventURL == "" {
		return
	}
	e := webhook.NewEndpoint()
	e.ID = c.ID
	e.AccountID = c.AccountID
	e.Version = c.Version
	e.ConnectionID = c.ID
	e.URL, e.Events = *c.WebhookEventURL, webhook.CallEvents()
	e.CreatedAt, e.UpdatedAt = c.CreatedAt, c.UpdatedAt
	if c.WebhookEventFailoverURL != nil {
		e.FailoverURL = *c.WebhookEventFailoverURL
	}
	if c.WebhookTimeoutSecs != nil && *c.WebhookTimeoutSecs > 0 {
		e.TimeoutSecs = *c.WebhookTimeoutSecs
	}
	s.putWebhook(&e)
}
