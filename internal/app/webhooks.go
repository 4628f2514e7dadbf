package app

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/webhook/deliver"
)

// webhookKeyFile holds the seed of the key that signs webhooks, in hex. Anyone who
// has it can sign as this server, so only its owner can read the file. Nodes that
// share a database must have the same one, or receivers see two keys.
const webhookKeyFile = "webhook.key"

// loadSeed reads the signing key from the data folder, and makes it at the first
// start.
func loadSeed(folder string) ([]byte, error) {
	path := filepath.Join(folder, webhookKeyFile)
	text, err := secret.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		seed := make([]byte, ed25519.SeedSize)
		_, _ = rand.Read(seed) // it never fails
		text = []byte(hex.EncodeToString(seed) + "\n")
		if err = os.WriteFile(path, text, 0o600); err != nil {
			return nil, fmt.Errorf("make the webhook key: %w", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read the webhook key: %w", err)
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s is not a webhook key: want %d bytes in hex; delete the file to have a new key made",
			path, ed25519.SeedSize)
	}
	return seed, nil
}

// loadSigner makes what signs webhooks with the key of the data folder.
func loadSigner(folder string) ([]byte, *webhook.Signer, error) {
	seed, err := loadSeed(folder)
	if err != nil {
		return nil, nil, err
	}
	signer, err := webhook.NewSigner(seed)
	return seed, signer, err
}

// WebhookSettings are the settings of webhooks. They are for servers whose customers are
// trusted with the server's network.
type WebhookSettings struct {
	WebhookAllowPrivate bool `name:"webhook-allow-private" help:"Let webhooks go to private and loopback addresses."`
	WebhookAllowHTTP    bool `name:"webhook-allow-http" help:"Let URLs of webhooks be http://."`
}

// buildWebhooks makes what delivers webhooks, and begins with startWebhooks. The
// client that it returns tells which URLs the settings allow.
func (a *App) buildWebhooks(signer *webhook.Signer) *deliver.Client {
	client := deliver.NewClient(deliver.ClientSettings{
		AllowPrivate: a.config.WebhookAllowPrivate, AllowPlainHTTP: a.config.WebhookAllowHTTP,
	})
	a.deliverer.Store(deliver.New(deliver.Settings{
		Outbox: a.store.Webhooks(), Signer: signer, Client: client, Logger: a.logger,
		Now: time.Now, Random: mathrand.Float64, Observe: a.metrics.Attempt,
	}))
	return client
}

// published tells the deliverer that there is something new to send.
func (a *App) published() {
	if d := a.deliverer.Load(); d != nil {
		d.Notify()
	}
}

// startWebhooks delivers until Stop.
func (a *App) startWebhooks(ctx context.Context) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.deliverer.Load().Run(running)
	}()
	a.undo("webhooks", func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
}
