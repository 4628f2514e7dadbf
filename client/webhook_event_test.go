package client_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/tollgate/tollgate/client"
)

// TestReadWebhook takes what the server signed, and nothing that differs from it.
func TestReadWebhook(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	now := time.Unix(1_900_000_000, 0)
	const body = `{"data":{"event_type":"call.hangup","id":"0198c0de-0000-7000-8000-000000000001","occurred_at":"2026-03-01T12:01:05.500000Z",
		"payload":{"call_control_id":"c","hangup_cause":"user_busy","call_quality_stats":null,"new":1},"record_type":"event"},
		"meta":{"attempt":2,"delivered_to":"https://hooks.example.com/"}}`
	sign := func(at time.Time, body string) http.Header {
		timestamp := strconv.FormatInt(at.Unix(), 10)
		header := http.Header{}
		header.Set("telnyx-timestamp", timestamp)
		header.Set("telnyx-signature-ed25519",
			base64.StdEncoding.EncodeToString(ed25519.Sign(key, []byte(timestamp+"|"+body))))
		return header
	}
	e, err := client.ReadWebhook(public, sign(now, body), []byte(body), now)
	var hangup client.HangupPayload
	if err != nil || e.Decode(&hangup) != nil || e.Type != "call.hangup" || e.Attempt != 2 ||
		hangup.HangupCause != "user_busy" || hangup.CallQualityStats != nil {
		t.Errorf("%+v %+v: %v", e, hangup, err)
	}
	if err := e.Decode(&struct {
		Cause int `json:"hangup_cause"`
	}{}); err == nil {
		t.Error("a payload was read into what it is not")
	}
	moved := sign(now, body)
	moved.Set("telnyx-timestamp", strconv.FormatInt(now.Unix()+1, 10))
	for name, c := range map[string]struct {
		key    string
		header http.Header
		body   string
	}{
		"another body": {public, sign(now, body), body + " "},
		"old":          {public, sign(now.Add(-301*time.Second), body), body},
		"early":        {public, sign(now.Add(301*time.Second), body), body},
		"moved":        {public, moved, body},
		"no headers":   {public, http.Header{}, body},
		"no key":       {"", sign(now, body), body},
	} {
		if _, err := client.ReadWebhook(c.key, c.header, []byte(c.body), now); !errors.Is(err, client.ErrWebhookSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := client.ReadWebhook(public, sign(now, "{"), []byte("{"), now); err == nil ||
		errors.Is(err, client.ErrWebhookSignature) {
		t.Errorf("a body that is no JSON: %v", err)
	}
}
