package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/e164"
)

// deckRows is the size of the rate deck.
const deckRows = 100_000

// deck is a rate deck of prefixes as carriers sell the United States: area code,
// exchange and the next digit. The same seed makes the same deck.
type deck struct {
	prefixes []string
}

func newDeck(rows int) deck {
	random := rand.New(rand.NewPCG(1, 1))
	seen := map[string]bool{}
	for len(seen) < rows {
		prefix := fmt.Sprintf("1%d%d%d", 201+random.IntN(788), 200+random.IntN(800), random.IntN(10))
		if number, err := e164.Parse("+" + prefix + "123"); err == nil && !seen[prefix] && fixedLine(number) {
			seen[prefix] = true
		}
	}
	d := deck{}
	for prefix := range seen {
		d.prefixes = append(d.prefixes, prefix)
	}
	slices.Sort(d.prefixes)
	random.Shuffle(len(d.prefixes), func(i, j int) { d.prefixes[i], d.prefixes[j] = d.prefixes[j], d.prefixes[i] })
	return d
}

var unitedStates, _ = e164.CountryByAlpha2("US")

// fixedLine reports whether a number is an ordinary one of the United States.
func fixedLine(n e164.Number) bool {
	class := e164.Classify(n)
	return e164.Valid(n) && class.Country == unitedStates && class.Type != e164.TypePremiumRate &&
		class.Type != e164.TypeTollFree
}

// csv is the deck with one increment for all rows, in seconds.
func (d deck) csv(increment int) string {
	var text strings.Builder
	text.WriteString("prefix,rate,first_increment,increment\n")
	for i, prefix := range d.prefixes {
		fmt.Fprintf(&text, "%s,0.%04d,%d,%d\n", prefix, 40+i%200, increment, increment)
	}
	return text.String()
}

// number is one that the deck has a price for.
func (d deck) number() string { return "+" + d.prefixes[0] + "123" }

// world is a server that calls can be asked of.
type world struct {
	servers     []*process
	deck        deck
	connections []string // one of each profile
	http        *http.Client
}

func (w *world) addresses() []string {
	var all []string
	for _, server := range w.servers {
		all = append(all, server.address)
	}
	return all
}

// setUp loads the deck and makes the profiles, each with a connection and a daily
// limit that is counted at every call and never reached.
func (w *world) setUp(ctx context.Context, profiles, increment int) error {
	if err := w.price(ctx, increment); err != nil {
		return err
	}
	if _, err := w.create(ctx, "/tollgate/v1/gateways",
		map[string]any{"name": "carrier", "address": "192.0.2.50:5060"}); err != nil {
		return err
	}
	w.connections = make([]string, profiles)
	var next atomic.Int64
	var work sync.WaitGroup
	failures := make([]error, 64)
	for i := range failures {
		work.Go(func() {
			for n := int(next.Add(1)) - 1; n < profiles && failures[i] == nil; n = int(next.Add(1)) - 1 {
				w.connections[n], failures[i] = w.customer(ctx, n)
			}
		})
	}
	work.Wait()
	return errors.Join(failures...)
}

// price loads the deck and makes it the one in force.
func (w *world) price(ctx context.Context, increment int) error {
	w.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	imported, err := w.create(ctx, "/tollgate/v1/rate_decks?name=default", w.deck.csv(increment))
	if err != nil {
		return err
	}
	_, err = w.create(ctx, "/tollgate/v1/rate_decks/"+imported+"/activate", nil)
	return err
}

// customer makes a profile and its connection, whose id it returns.
func (w *world) customer(ctx context.Context, n int) (string, error) {
	profile, err := w.create(ctx, "/v2/outbound_voice_profiles", map[string]any{
		"name": fmt.Sprintf("customer %d", n), "whitelisted_destinations": []string{"US", "CA"}, "max_destination_rate": 0.1,
		"daily_spend_limit": "1000000.00", "daily_spend_limit_enabled": true, "spend_limit_action": "end_calls",
	})
	if err != nil {
		return "", err
	}
	return w.create(ctx, "/v2/credential_connections", map[string]any{
		"connection_name": fmt.Sprintf("pbx %d", n), "user_name": fmt.Sprintf("pbx%d", n), "password": "correct-horse",
		"outbound": map[string]any{"outbound_voice_profile_id": profile},
	})
}

// create makes one request of the set-up and returns the id of what it made.
func (w *world) create(ctx context.Context, path string, body any) (string, error) {
	contentType, text := "application/json", []byte(nil)
	switch body := body.(type) {
	case nil:
	case string:
		contentType, text = "text/csv", []byte(body)
	default:
		var err error
		if text, err = json.Marshal(body); err != nil {
			return "", err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.servers[0].address+path,
		bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+apiKey)
	request.Header.Set("Content-Type", contentType)
	answer, err := w.http.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err = io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		return "", fmt.Errorf("POST %s: status %d: %s", path, answer.StatusCode, text)
	}
	var made struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	err = json.Unmarshal(text, &made)
	return made.Data.ID, err
}
