package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/webhook"
)

// received is one webhook as a receiver sees it.
type received struct {
	header http.Header
	body   []byte
}

// receiver is a customer's endpoint.
func receiver(t *testing.T) (url string, got <-chan received) {
	t.Helper()
	arrived := make(chan received, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- received{r.Header, body}
	}))
	t.Cleanup(server.Close)
	return server.URL, arrived
}

// connect makes a profile, a deck and a connection whose webhooks go to url.
func connect(t *testing.T, a *App, url string) *connection.IPConnection {
	t.Helper()
	ctx := t.Context()
	account, _, err := a.store.EnsureFirst(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows := []rating.Row{{Prefix: "1", Rate: rating.Rate{PerMinute: 600_000_000, FirstIncrement: 1, Increment: 1}}}
	deck, err := a.store.ImportDeck(ctx, account.ID, "deck", rows)
	if err == nil {
		_, err = a.store.ActivateDeck(ctx, account.ID, deck.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := profile.New()
	p.Name = "office"
	p, err = a.store.Profiles().Create(ctx, account.ID, p)
	if err != nil {
		t.Fatal(err)
	}
	c := connection.NewIPConnection()
	c.ConnectionName = "pbx"
	c.Outbound.OutboundVoiceProfileID = p.ID
	c.WebhookEventURL = &url
	c, err = a.store.IPConnections().Create(ctx, account.ID, c)
	if err != nil {
		t.Fatal(err)
	}
	return &c
}

// call places a call through the ledger and ends it after seven seconds.
func (a *App) call(t *testing.T, c *connection.IPConnection) {
	t.Helper()
	attempt := admission.Call{
		ID: uuid.Must(uuid.NewV7()), Connection: c.ID, Identity: policy.IdentityKnown,
		From: "+13125550100", To: "+12125550123", SIPCallID: "call",
	}
	now := time.Now().UnixMicro()
	for _, command := range []admission.Command{
		admission.Reserve{Call: attempt}, admission.Answer{ID: attempt.ID, AtMicros: now},
		admission.Settle{ID: attempt.ID, Ending: admission.Ending{
			EndedMicros: now, Elapsed: 7 * time.Second, SIPStatus: 200, Cause: "normal_clearing",
		}},
	} {
		if r, err := a.store.Do(t.Context(), command); err != nil || r.Err != nil {
			t.Fatalf("%T: %v, %v", command, err, r.Err)
		}
	}
}

func TestACallEndedReachesTheCustomerSigned(t *testing.T) {
	url, got := receiver(t)
	config := testConfig(t.TempDir())
	config.WebhookAllowPrivate, config.WebhookAllowHTTP = true, true
	a := start(t, config)
	a.call(t, connect(t, a, url))
	seed, err := loadSeed(config.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := webhook.NewSigner(seed)
	if err != nil {
		t.Fatal(err)
	}
	for {
		var w received
		select {
		case w = <-got:
		case <-time.After(20 * time.Second):
			t.Fatal("no call.ended arrived")
		}
		signature := webhook.Signature{
			Timestamp: w.header.Get(webhook.HeaderTimestamp), Value: w.header.Get(webhook.HeaderSignature),
		}
		if err := signature.Verify(signer.PublicKey(), w.body, time.Now()); err != nil {
			t.Fatalf("the signature does not hold: %v", err)
		}
		var event struct {
			Data struct {
				EventType string         `json:"event_type"`
				Payload   map[string]any `json:"payload"`
			} `json:"data"`
		}
		if err := json.Unmarshal(w.body, &event); err != nil {
			t.Fatal(err)
		}
		if event.Data.EventType != "call.ended" {
			continue
		}
		if text := fmt.Sprint(event.Data.Payload); !strings.Contains(text, "0.07") {
			t.Errorf("7 s at a cent a second: %s", text)
		}
		return
	}
}

func TestWebhooksDoNotReachIntoTheServersNetwork(t *testing.T) {
	url, got := receiver(t)
	a := start(t, testConfig(t.TempDir()))
	c := connect(t, a, url)
	a.call(t, c)
	// The delivery has been tried and refused once its log says so.
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for refused := false; !refused; {
		select {
		case <-got:
			t.Fatal("a webhook went to a loopback address")
		case <-deadline:
			t.Fatal("no attempt was made")
		case <-tick.C:
			page, err := a.store.Webhooks().Deliveries(t.Context(), c.AccountID, collection.Query{Number: 1, Size: 1})
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Items) == 0 {
				continue
			}
			entry, err := a.store.Webhooks().Entry(t.Context(), c.AccountID, page.Items[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			refused = len(entry.Attempts) > 0
		}
	}
}

func TestABrokenWebhookKeyIsNamed(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, webhookKeyFile), []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(t.Context(), testConfig(folder), silent())
	if err == nil || !strings.Contains(err.Error(), webhookKeyFile) {
		t.Errorf("New: %v, want an error that names %s", err, webhookKeyFile)
	}
}

func TestTheWebhookKeyStays(t *testing.T) {
	folder := t.TempDir()
	first, err := loadSeed(folder)
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadSeed(folder)
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("two keys: %v", err)
	}
	info, err := os.Stat(filepath.Join(folder, webhookKeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}
