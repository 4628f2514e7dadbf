package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/client"
	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// sink takes webhooks, and refuses those whose signature does not hold.
type sink struct {
	*httptest.Server
	mu     sync.Mutex
	key    string
	events []client.WebhookEvent
	wrong  []error
}

func startSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		var e client.WebhookEvent
		if err == nil {
			e, err = client.ReadWebhook(s.key, r.Header, body, time.Now())
		}
		if err != nil {
			s.wrong = append(s.wrong, err)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		s.events = append(s.events, e)
	}))
	t.Cleanup(s.Close)
	return s
}

// of are the events of a call that have come, by their type. A type that came twice
// with different ids is an error.
func (s *sink) of(t *testing.T, call string) map[string]object {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	got, ids := map[string]object{}, map[string]string{}
	for _, e := range s.events {
		var payload object
		if err := e.Decode(&payload); err != nil {
			t.Fatal(err)
		}
		if payload["call_session_id"] != call && call != "" {
			continue
		}
		if id := ids[e.Type]; id != "" && id != e.ID {
			t.Errorf("two different %s of a call", e.Type)
		}
		got[e.Type], ids[e.Type] = payload, e.ID
	}
	for _, err := range s.wrong {
		t.Error(err)
	}
	return got
}

// await waits for types of events of one call; "" is of whichever.
func (s *sink) await(t *testing.T, call string, types ...string) map[string]object {
	t.Helper()
	var got map[string]object
	process.Eventually(t, fmt.Sprint(types), 30*time.Second, func() bool {
		got = s.of(t, call)
		for _, name := range types {
			if got[name] == nil {
				return false
			}
		}
		return true
	})
	return got
}

// hooked makes a profile and a phone's connection to it that tells the sink of its calls.
func (s *server) hooked(hooks *sink, user string, more object) {
	s.T.Helper()
	hooks.key = s.Must(http.MethodGet, "/tollgate/v1/webhook_public_key", nil)["public_key"].(string)
	profile := s.Must(http.MethodPost, "/v2/outbound_voice_profiles", object{"name": user})["id"]
	c := object{"connection_name": user, "user_name": user, "password": "correct-horse", "webhook_event_url": hooks.URL, "tags": []string{"gold"},
		"call_cost_in_webhooks": true, "outbound": object{"outbound_voice_profile_id": profile}}
	for name, value := range more {
		c[name] = value
	}
	s.Must(http.MethodPost, "/v2/credential_connections", c)
}

var ofOneCall = []string{"call.initiated", "call.answered", "call.hangup", "call.cost", "call.ended"}

// TestWebhooksOfACall places a call whose media are anchored, and finds it by the same
// id in its webhooks, among the active calls, in its record and in the delivery log.
func TestWebhooksOfACall(t *testing.T) {
	t.Parallel()
	hooks := startSink(t)
	s := serve(t, t.TempDir(), "--webhook-allow-private", "--webhook-allow-http", "--metrics-addr", "127.0.0.1:0")
	v := voices(t)[0]
	s.setUp(nil, startTalker(t, v).Addr())
	s.hooked(hooks, "hooked", object{"anchor_media": true})
	call, err := phone.Dial(t.Context(), s.talk("hooked", 0, v))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(call.Close)
	begun := hooks.await(t, "", "call.initiated", "call.answered")
	id, _ := begun["call.answered"]["call_control_id"].(string)
	connection := begun["call.initiated"]["connection_id"]
	_, live := s.Call(http.MethodGet, fmt.Sprintf("/v2/connections/%v/active_calls", connection), nil)
	if calls := live["data"].([]any); len(calls) != 1 || calls[0].(object)["call_control_id"] != id {
		t.Errorf("active calls %v, want %s", live, id)
	}
	process.Eventually(t, "a second of audio", 30*time.Second, func() bool { return s.Scrape()["tollgate_media_packets_relayed_total"] > 100 })
	call.HangUp()
	call.Wait()
	got := hooks.await(t, id, ofOneCall...)
	hangup, cost := got["call.hangup"], got["call.cost"]
	want := object{"call_control_id": id, "call_leg_id": id, "call_session_id": id, "client_state": nil, "connection_id": connection, "from": "+13125550100",
		"to": "+12125550123", "tags": []any{"gold"}, "start_time": got["call.initiated"]["start_time"], "end_time": hangup["end_time"], "state": "hangup",
		"hangup_cause": "normal_clearing", "hangup_source": "caller", "sip_hangup_cause": "200", "call_quality_stats": hangup["call_quality_stats"]}
	if diff := cmp.Diff(want, hangup); diff != "" {
		t.Errorf("call.hangup (-want +got):\n%s", diff)
	}
	checkQuality(t, hangup["call_quality_stats"])
	record := s.records()[0]
	if record["id"] != id || cost["total_cost"] != record["cost"] || cost["call_control_id"] != id {
		t.Errorf("record %v, cost %v", record, cost)
	}
	if mos := hangup["call_quality_stats"].(object)["inbound"].(object)["mos"]; mos == nil || record["mos"] != mos {
		t.Errorf("the record has a mos of %v, call.hangup of %v", record["mos"], mos)
	}
	var log []any
	process.Eventually(t, "the log of deliveries", 30*time.Second, func() bool {
		_, answer := s.Call(http.MethodGet, "/v2/webhook_deliveries?filter[status][eq]=delivered&filter[webhook][contains]="+id, nil)
		log = answer["data"].([]any)
		return len(log) == len(ofOneCall)
	})
	if _, failed := s.Call(http.MethodGet, "/v2/webhook_deliveries?filter[status][eq]=failed", nil); len(failed["data"].([]any)) != 0 {
		t.Errorf("failed: %v", failed)
	}
	s.Kill()
	s = &server{s.Again()}
	if diff := cmp.Diff([]object{record}, s.records()); diff != "" {
		t.Errorf("records after a restart (-want +got):\n%s", diff)
	}
}

func checkQuality(t *testing.T, stats any) {
	t.Helper()
	text, err := json.Marshal(stats)
	var q client.QualityStats
	if err == nil {
		err = json.Unmarshal(text, &q)
	}
	in, _ := strconv.Atoi(q.Inbound.PacketCount)
	out, _ := strconv.Atoi(q.Outbound.PacketCount)
	jitter, _ := strconv.Atoi(q.Inbound.JitterPacketCount)
	mos, _ := strconv.ParseFloat(q.Inbound.MOS, 64)
	if err != nil || in < 25 || out < 25 || jitter < 20 || mos < 1 || mos > 4.41 || q.Inbound.SkipPacketCount == "" || q.Inbound.JitterMaxVariance == "" {
		t.Errorf("call_quality_stats %s, %v", text, err)
	}
}

// TestWebhooksSurviveKills kills the server between the answer and the end of a call:
// what was told stays told, and the end is told by the next process.
func TestWebhooksSurviveKills(t *testing.T) {
	t.Parallel()
	hooks := startSink(t)
	s := serve(t, t.TempDir(), "--webhook-allow-private", "--webhook-allow-http")
	v := voices(t)[0]
	s.setUp(nil, startTalker(t, v).Addr())
	s.hooked(hooks, "hooked", nil)
	call, err := phone.Dial(t.Context(), s.talk("hooked", 0, v))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(call.Close)
	id, _ := hooks.await(t, "", "call.answered")["call.answered"]["call_control_id"].(string)
	s.Kill()
	s = &server{s.Again()}
	got := hooks.await(t, id, ofOneCall...)
	hangup := got["call.hangup"]
	if hangup["hangup_cause"] != "unspecified" || hangup["hangup_source"] != "unknown" || hangup["call_quality_stats"] != nil ||
		hangup["start_time"] != got["call.initiated"]["start_time"] || got["call.ended"]["outcome"] != "lost" {
		t.Errorf("after the kill: %v", got)
	}
	if record := s.records()[0]; record["id"] != id || record["cost"] != got["call.cost"]["total_cost"] {
		t.Errorf("record %v, cost %v", record, got["call.cost"])
	}
}
