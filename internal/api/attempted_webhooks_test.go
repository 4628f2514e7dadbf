package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/tollgate/tollgate/internal/rest"
)

const attemptedPath = "/v2/webhook_deliveries"

// TestAttemptedWebhooks reads the log in Telnyx's shape.
func TestAttemptedWebhooks(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/tollgate/v1/webhook_endpoints", `{"url":"https://hooks.example.com/?token=x"}`).want(http.StatusCreated)
	if got := h.do("GET", attemptedPath, "").list(); len(got) != 0 {
		t.Errorf("what waits is listed: %v", got)
	}
	waits := fmt.Sprint(attemptedPath, "/", h.do("GET", deliveriesPath, "").list()[0]["id"])
	h.do("GET", waits, "").wantError(http.StatusNotFound, "10005 /")
	h.deliver(200)
	h.do("GET", waits, "").want(http.StatusOK)
	h.clock.Advance(time.Minute)
	first := rest.WireTime(h.clock.Now())
	made := h.do("POST", "/v2/billing_groups", `{"name":"100%_group"}`).want(http.StatusOK)
	h.deliver(404)
	page := h.do("GET", attemptedPath, "").list()
	if len(page) != 2 {
		t.Fatalf("%d are listed", len(page))
	}
	got := page[0]
	sent := got["webhook"].(map[string]any)
	want := map[string]any{
		"id": got["id"], "record_type": "webhook_delivery", "user_id": h.first.ID.String(), "status": "failed",
		"started_at": first, "finished_at": rest.WireTime(h.clock.Now().Add(12 * time.Millisecond)),
		"webhook": map[string]any{"id": sent["id"], "record_type": "event", "event_type": "configuration.changed",
			"occurred_at": first,
			"payload": map[string]any{"resource_type": "billing_group",
				"resource_id": made["id"], "action": "created", "version": 1.0}},
		"attempts": []any{map[string]any{
			"status": "failed", "started_at": first, "finished_at": rest.WireTime(h.clock.Now().Add(12 * time.Millisecond)),
			"errors": []any{75499.0}, "error": "it failed", "http": map[string]any{
				"request": map[string]any{"url": "https://hooks.example.com/?token=x", "headers": []any{
					[]any{"Content-Type", "application/json"}, []any{"User-Agent", "Tollgate-Webhook/1"},
					[]any{"Webhook-Id", sent["id"]}, []any{"Telnyx-Timestamp", fmt.Sprint(h.clock.Now().Unix())},
					[]any{"Telnyx-Signature-Ed25519", "********"},
				}},
				"response": map[string]any{"status": 404.0, "headers": []any{}, "body": "said"},
			},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the newest (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(got, h.do("GET", fmt.Sprint(attemptedPath, "/", got["id"]), "").want(http.StatusOK)); diff != "" {
		t.Errorf("alone (-listed +got):\n%s", diff)
	}
	if done := page[1]["attempts"].([]any)[0].(map[string]any); page[1]["status"] != "delivered" ||
		done["status"] != "delivered" || len(done["errors"].([]any)) != 0 {
		t.Errorf("delivered: %v", page[1])
	}
	h.attemptedFilters(t, map[string]int{
		"":                               2,
		"filter[status][eq]=delivered":   1,
		"filter[status][eq]=failed":      1,
		"filter[event_type]=call.hangup": 0,
		"filter[event_type]=configuration.change":                                     0,
		"filter[event_type]=call.hangup,configuration.changed":                        2,
		"filter[event_type][]=call.hangup&filter[event_type][]=configuration.changed": 2,
		"filter[status]=failed":                                                       1,
		"filter[started_at][gt]=" + first:                                             0,
		"filter[started_at][gte]=" + first[:10]:                                       2,
		"filter[webhook][contains]=BILLING_group":                                     1,
		"filter[webhook][contains]=configuration.changed":                             2,
		"filter[webhook][contains]=billing%group":                                     0,
		"filter[webhook][contains]=" + fmt.Sprint(sent["id"]):                         1,
		"filter[webhook][contains]=" + strings.ToUpper(sent["id"].(string)):           1,
		"filter[webhook][contains]=" + made["id"].(string):                            1,
		"filter[webhook][contains]=":                                                  2,
		"filter[attempts][contains]=hooks.EXAMPLE.com":                                2,
		"filter[attempts][contains]=404":                                              1,
		"filter[attempts][contains]=it failed":                                        1,
		"filter[attempts][contains]=fallback":                                         0,
		"filter[started_at][gte]=" + first:                                            1,
		"filter[started_at][lte]=" + first:                                            2,
		"filter[finished_at][gte]=" + first:                                           1,
		"filter[finished_at][lte]=" + first:                                           1,
		"page[size]=1&page[number]=2":                                                 1,
		"filter[status][eq]=failed&filter[attempts][contains]=404&filter[event_type]=configuration.changed&page[size]=1": 1,
	})
	// No other account sees any of it.
	_, other := h.secondAccount()
	if got := h.doWith(other, "GET", attemptedPath, "").list(); len(got) != 0 {
		t.Errorf("another account is shown %v", got)
	}
	h.doWith(other, "GET", fmt.Sprint(attemptedPath, "/", got["id"]), "").wantError(http.StatusNotFound, "10005 /")
	h.do("GET", attemptedPath+"/"+uuid.Must(uuid.NewV7()).String(), "").wantError(http.StatusNotFound, "10005 /")
	h.do("GET", attemptedPath+"?filter[status][eq]=pending", "").
		wantError(http.StatusUnprocessableEntity, "10032 filter[status]")
}

func (h *harness) attemptedFilters(t *testing.T, queries map[string]int) {
	t.Helper()
	for query, want := range queries {
		values, err := url.ParseQuery(strings.ReplaceAll(query, "%", "%25"))
		if err != nil {
			t.Fatal(err)
		}
		if got := h.do("GET", attemptedPath+"?"+values.Encode(), "").list(); len(got) != want {
			t.Errorf("%q lists %d, want %d", query, len(got), want)
		}
	}
}
