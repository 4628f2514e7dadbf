package policy

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/webhook"
)

func endpointOf(key, account, connection id.ID) *webhook.Endpoint {
	e := webhook.NewEndpoint()
	e.ID, e.AccountID, e.ConnectionID, e.URL = key, account, connection, "https://hooks.example.com/"
	return &e
}

// listening lists the endpoints that may want events.
func listening(s *Snapshot, account, connection id.ID) []id.ID {
	found := []id.ID{}
	s.Webhooks(account, connection, func(e *webhook.Endpoint) bool {
		found = append(found, e.ID)
		return true
	})
	slices.Sort(found)
	return found
}

func TestWebhooks(t *testing.T) {
	var s *Snapshot = new(Snapshot)
	apply := func(changes ...Change) {
		t.Helper()
		next, err := s.With(changes...)
		if err != nil {
			t.Fatal(err)
		}
		s = next
	}
	want := func(when string, account, connection id.ID, ids ...id.ID) {
		t.Helper()
		if diff := cmp.Diff(append([]id.ID{}, ids...), listening(s, account, connection)); diff != "" {
			t.Errorf("%s: endpoints (-want +got):\n%s", when, diff)
		}
		if s.Listens(account, connection) != (len(ids) > 0) {
			t.Errorf("%s: Listens is %v", when, len(ids) == 0)
		}
	}
	want("empty", 1, 20)
	apply(PutWebhook(endpointOf(30, 1, 0)), PutWebhook(endpointOf(31, 1, 20)), PutWebhook(endpointOf(32, 2, 0)))
	before := s
	want("of the account", 1, 0, 30)
	want("of the connection too", 1, 20, 30, 31)
	want("of another connection", 1, 21, 30)
	want("of another account", 2, 22, 32)
	apply(PutWebhook(endpointOf(31, 1, 21)))
	want("moved away", 1, 20, 30)
	want("moved here", 1, 21, 30, 31)

	c := connection.NewIPConnection()
	c.ID, c.AccountID, c.WebhookEventURL = 20, 1, new("https://pbx.example.com/")
	c.WebhookEventFailoverURL, c.WebhookTimeoutSecs = new("https://spare.example.com/"), new(int32(7))
	apply(PutIPConn(&c))
	want("a connection's own", 1, 20, 20, 30)
	own := s.Webhook(20)
	if own == nil || own.URL != "https://pbx.example.com/" || own.FailoverURL != "https://spare.example.com/" ||
		own.TimeoutSecs != 7 || own.ConnectionID != 20 {
		t.Errorf("the endpoint of the connection is %+v", own)
	}
	for _, event := range webhook.EventTypes() {
		e := webhook.Event{AccountID: 1, ConnectionID: 20, Type: event.Name}
		if own.Wants(&e) != (event.Name[:5] == "call.") {
			t.Errorf("the endpoint of a connection wants %s: %v", event.Name, own.Wants(&e))
		}
	}
	c.WebhookEventURL = nil
	apply(PutIPConn(&c))
	want("cleared", 1, 20, 30)
	c.WebhookEventURL = new("https://pbx.example.com/")
	apply(PutIPConn(&c))
	apply(DropConnection(20), DropWebhook(30), DropWebhook(30))
	want("dropped", 1, 20)
	if s.Webhook(20) != nil || s.Webhook(30) != nil {
		t.Error("dropped endpoints are still there")
	}
	s = before
	want("the snapshot of before", 1, 20, 30, 31)
}
