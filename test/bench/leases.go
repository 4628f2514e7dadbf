package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"
)

// The load of calls that are up: each is renewed in every round, in batches.
const (
	liveCalls    = 50_000
	renewEvery   = 30 * time.Second
	renewRounds  = 3
	renewBatch   = 500
	renewClients = 4
)

// measureLeases holds calls up and renews each of them every 30 s, and says what
// that takes of a core, and how much memory a call has.
func measureLeases(ctx context.Context, b *bench) error {
	w, err := b.serve(ctx, "SQLite", 1, customers, fullMinute)
	if err != nil {
		return err
	}
	defer w.close()
	before, err := w.servers[0].memory()
	if err != nil {
		return err
	}
	held := make([][]string, renewClients)
	var mu sync.Mutex // guards held
	k := w.caller(64, w.connections)
	_, err = load(w.addresses(), apiKey, 64, end{rounds: liveCalls}, func(c *connection, client, n int) error {
		path, err := k.admit(c, client, n)
		if err != nil {
			return err
		}
		if _, err := c.post(path+"/answer", []byte(`{}`)); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		held[client%renewClients] = append(held[client%renewClients], path[len("/tollgate/v1/admissions/"):])
		return nil
	})
	if err != nil {
		return err
	}
	count := 0
	for _, ids := range held {
		count += len(ids)
	}
	after, err := w.servers[0].memory()
	if err != nil {
		return err
	}
	share, slowest, err := w.renewAll(ctx, held)
	if err != nil {
		return err
	}
	b.report.printf("### %s live calls, SQLite\n\n"+
		"- Renewed every %v in batches of %d: %.0f %% of one core; the slowest round of all took %.2f s.\n"+
		"- Memory: %d bytes a call above the server before the calls, garbage included.\n\n",
		thousands(float64(count)), renewEvery, renewBatch, share*100, slowest.Seconds(), (after-before)/int64(count))
	return nil
}

// renewAll renews all calls in several rounds, and returns the share of one core that
// the server used over that time and how long the slowest round took.
func (w *world) renewAll(ctx context.Context, held [][]string) (share float64, slowest time.Duration, err error) {
	used, err := w.cpu()
	if err != nil {
		return 0, 0, err
	}
	started := time.Now()
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for range renewRounds {
		begun := time.Now()
		_, err := load(w.addresses(), apiKey, len(held), end{rounds: len(held)}, func(c *connection, client, _ int) error {
			for ids := held[client]; len(ids) > 0; ids = ids[min(renewBatch, len(ids)):] {
				if err := renew(c, ids[:min(renewBatch, len(ids))]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, 0, err
		}
		slowest = max(slowest, time.Since(begun))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
	}
	now, err := w.cpu()
	return float64(now-used) / float64(time.Since(started)), slowest, err
}

// renew sends one batch; each of its calls must be renewed.
func renew(c *connection, ids []string) error {
	out := append(c.scratch[:0], `{"events":[`...)
	for i, id := range ids {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, `{"event":"renew","id":"`...)
		out = append(out, id...)
		out = append(out, `"}`...)
	}
	c.scratch = append(out, `]}`...)
	answer, err := c.post("/tollgate/v1/admissions/batch", c.scratch)
	if err == nil && bytes.Count(answer, []byte(`"grant_secs"`)) < len(ids) {
		err = fmt.Errorf("not every call of a batch was renewed: %.2000s", answer)
	}
	return err
}
