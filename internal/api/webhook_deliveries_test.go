package api

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/webhook"
)

const deliveriesPath = "/tollgate/v1/webhook_deliveries"

// deliver tries what is due and notes that the endpoint answered with a status.
func (h *harness) deliver(status int) {
	h.t.Helper()
	box, now := h.store.Webhooks(), h.clock.Now()
	claimed, _, err := box.Claim(h.t.Context(), now, webhook.ClaimLimits{Lease: time.Minute, Total: 100, PerEndpoint: 100})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, d := range claimed {
		a := webhook.Attempt{DeliveryID: d.ID, Claim: d.Claim, Number: d.Attempts + 1, URL: d.Endpoint.URL, StartedAt: now,
			DurationMs: 12, StatusCode: status, Response: "said", State: webhook.Delivered}
		if status >= 300 {
			a.Error, a.State = "it failed", webhook.Dead
		}
		if err := box.Report(h.t.Context(), a); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestWebhookDeliveries(t *testing.T) {
	h := newHarness(t)
	endpoint := h.do("POST", "/tollgate/v1/webhook_endpoints", `{"url":"https://hooks.example.com/"}`).
		want(http.StatusCreated)["id"]
	h.deliver(200) // that the endpoint was made
	h.clock.Advance(time.Second)
	made := h.do("POST", "/v2/billing_groups", `{"name":"group"}`).want(http.StatusOK)
	one := h.do("GET", deliveriesPath, "").list()[0]
	want := map[string]any{"id": one["id"], "record_type": "webhook_delivery", "endpoint_id": endpoint,
		"event_id": one["event_id"], "event_type": "configuration.changed", "state": "pending", "attempt_count": 0.0,
		"created_at": rest.WireTime(h.clock.Now()), "next_attempt_at": rest.WireTime(h.clock.Now())}
	if diff := cmp.Diff(want, one); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	h.deliver(500)
	at := fmt.Sprint(deliveriesPath, "/", one["id"])
	dead := h.do("GET", at, "").want(http.StatusOK)
	want["state"], want["attempt_count"], want["next_attempt_at"] = "dead", 1.0, nil
	want["payload"] = map[string]any{
		"resource_type": "billing_group", "resource_id": made["id"], "action": "created", "version": 1.0,
	}
	want["attempts"] = []any{map[string]any{"attempt": 1.0, "delivered_to": "https://hooks.example.com/",
		"started_at": rest.WireTime(h.clock.Now()), "duration_ms": 12.0, "status_code": 500.0, "error": "it failed",
		"response": "said"}}
	if diff := cmp.Diff(want, dead); diff != "" {
		t.Errorf("dead (-want +got):\n%s", diff)
	}

	h.clock.Advance(time.Second)
	audited := len(h.do("GET", "/v2/audit_events", "").list())
	if tried := h.do("POST", at+"/replay?dry_run=true", "").want(http.StatusCreated); tried["id"] == one["id"] {
		t.Errorf("a dry run answers with the old delivery")
	}
	replay := func() map[string]any {
		return h.with(h.key, "POST", at+"/replay", "", "Idempotency-Key", "once").want(http.StatusCreated)
	}
	again := replay()
	if diff := cmp.Diff(again, replay()); diff != "" {
		t.Errorf("the same idempotency key again (-first +second):\n%s", diff)
	}
	if again["id"] == one["id"] || again["event_id"] != one["event_id"] ||
		again["state"] != "pending" || again["endpoint_id"] != endpoint {
		t.Errorf("replayed as %v", again)
	}
	if n := len(h.do("GET", "/v2/audit_events", "").list()); n != audited {
		t.Errorf("a replay makes %d audit events; it changes no configuration", n-audited)
	}
	h.deliver(204)
	for query, want := range map[string]int{
		"": 3, "?filter[state]=dead": 1, "?filter[state]=delivered": 2, "?filter[state]=pending": 0,
		"?filter[event_type]=call.ended": 0, "?filter[event_type]=configuration.changed": 3,
		fmt.Sprint("?filter[event_id]=", one["event_id"]): 2, fmt.Sprint("?filter[endpoint_id]=", endpoint): 3,
		"?filter[endpoint_id]=1": 0, "?page[size]=2&page[number]=2": 1,
		"?filter[created_at][gte]=" + rest.WireTime(h.clock.Now()): 1,
		"?filter[created_at][lt]=" + rest.WireTime(h.clock.Now()):  2,
	} {
		if got := h.do("GET", deliveriesPath+query, "").list(); len(got) != want {
			t.Errorf("%q lists %d deliveries, want %d", query, len(got), want)
		}
	}
	if oldest := h.do("GET", deliveriesPath+"?sort=created_at", "").list()[2]; oldest["id"] != again["id"] {
		t.Errorf("the last by time is %v", oldest)
	}
}

func TestWebhookDeliveriesRefuse(t *testing.T) {
	h := newHarness(t)
	unknown := uuid.Must(uuid.NewV7()).String()
	h.do("GET", deliveriesPath+"/"+unknown, "").wantError(http.StatusNotFound, "10005 /")
	h.do("POST", deliveriesPath+"/"+unknown+"/replay", "").wantError(http.StatusNotFound, "10005 /")
	h.do("POST", deliveriesPath+"/7/replay", "").wantError(http.StatusNotFound, "10005 /")
	h.do("GET", deliveriesPath+"?filter[state]=lost", "").wantError(http.StatusUnprocessableEntity, "10032 filter[state]")
	h.do("GET", deliveriesPath+"?filter[event_type]=x&filter[url]=y", "").
		wantError(http.StatusUnprocessableEntity, "10032 filter[event_type]", "10031 filter[url]")
	reader := h.newKey(h.first.ID, ScopeRead)
	h.doWith(reader, "POST", deliveriesPath+"/"+unknown+"/replay", "").wantError(http.StatusForbidden, "10010 /")
	// The log of a deleted endpoint can be read until it is swept, and not replayed.
	endpoint := h.do("POST", "/tollgate/v1/webhook_endpoints", `{"url":"https://hooks.example.com/"}`).
		want(http.StatusCreated)["id"]
	h.do("POST", "/v2/billing_groups", `{"name":"group"}`).want(http.StatusOK)
	one := fmt.Sprint(deliveriesPath, "/", h.do("GET", deliveriesPath, "").list()[0]["id"])
	h.do("DELETE", fmt.Sprint("/tollgate/v1/webhook_endpoints/", endpoint), "").want(http.StatusOK)
	h.do("GET", one, "").want(http.StatusOK)
	h.do("POST", one+"/replay", "").wantError(http.StatusNotFound, "10005 /")
}
