package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tollgate/tollgate/test/postgres"
)

// bench is one run.
type bench struct {
	window   time.Duration
	deck     deck
	folder   string
	program  string
	database *postgres.Server // started when the first section wants it
	report   report
	empties  map[int]outcome // of the empty handler, by connections
	folders  int
}

func (b *bench) close() error {
	var failed error
	if b.database != nil {
		failed = b.database.Remove()
	}
	return errors.Join(failed, os.RemoveAll(b.folder))
}

// section is one table of the report.
type section struct {
	name    string
	measure func(context.Context, *bench) error
}

var sections = []section{
	{"spread", measureSpread},
	{"hot", measureHot},
	{"increments", measureIncrements},
	{"nodes", measureNodes},
	{"profiles", measureProfiles},
	{"leases", measureLeases},
	{"memory", measureMemory},
	{"deck", measureDeck},
}

// stores are the databases that servers are measured on.
var stores = []string{"SQLite", "PostgreSQL"}

// customers is the number of profiles, unless a section is about that.
const customers = 100

// fullMinute is the increment of the deck, in seconds, unless a section is about that.
const fullMinute = 60

// empty runs the empty handler with so many connections, once in a run.
func (b *bench) empty(connections int) (outcome, error) {
	if found, ok := b.empties[connections]; ok {
		return found, nil
	}
	self, err := os.Executable()
	if err != nil {
		return outcome{}, err
	}
	server, err := start(self, nil, "empty")
	if err != nil {
		return outcome{}, err
	}
	defer server.kill()
	w := &world{servers: []*process{server}, deck: b.deck, connections: []string{"1293384261075731499"}}
	result, err := load(w.addresses(), apiKey, connections, end{after: b.window},
		empty(w.caller(connections, w.connections)))
	if b.empties == nil {
		b.empties = map[int]outcome{}
	}
	b.empties[connections] = result
	return result, err
}

// serve starts so many nodes on a new database, and returns what to call them with.
func (b *bench) serve(ctx context.Context, store string, nodes, profiles, increment int) (*world, error) {
	environment := []string{"TOLLGATE_API_KEY=" + apiKey}
	if store == "PostgreSQL" {
		url, err := b.newDatabase()
		if err != nil {
			return nil, err
		}
		environment = append(environment, "TOLLGATE_DATABASE_URL="+url)
	}
	w := &world{deck: b.deck}
	for i := range nodes {
		b.folders++
		data := filepath.Join(b.folder, fmt.Sprint("data", b.folders))
		server, err := start(b.program, environment, "serve", "--data-dir", data, "--http-addr", "127.0.0.1:0", "--sip-addr",
			"127.0.0.1:0",
			"--rate-limit=-1", "--secrets-key-file", filepath.Join(b.folder, "secrets.key"),
			"--node-name", fmt.Sprint("node", i), "--log-level", "error")
		if err != nil {
			w.close()
			return nil, err
		}
		w.servers = append(w.servers, server)
	}
	if err := w.setUp(ctx, profiles, increment); err != nil {
		w.close()
		return nil, fmt.Errorf("set up: %w", err)
	}
	return w, nil
}

func (b *bench) newDatabase() (url string, err error) {
	if b.database == nil {
		if b.database, err = postgres.Start(); err != nil {
			return "", err
		}
	}
	url, _, err = b.database.CreateDatabase()
	return url, err
}

func (w *world) close() {
	for _, server := range w.servers {
		server.kill()
	}
}

// cpu is what all servers have used.
func (w *world) cpu() (sum time.Duration, err error) {
	for _, server := range w.servers {
		used, err := server.cpu()
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// kind is a load by name.
type kind struct {
	name string
	work func(*caller) step
}

var kinds = []kind{{"admit", admitOnly}, {"admit + end", admitAndEnd},
	{"admit + answer + end, with its record", wholeCall}}

// measure runs one load and returns its row.
func (b *bench) measure(w *world, k kind, connections int, of []string) (row, error) {
	before, err := w.cpu()
	if err != nil {
		return row{}, err
	}
	result, err := load(w.addresses(), apiKey, connections, end{after: b.window}, k.work(w.caller(connections, of)))
	if err != nil {
		return row{}, err
	}
	after, err := w.cpu()
	if err != nil {
		return row{}, err
	}
	// The processor time covers the warm-up too, a tenth more rounds than are counted.
	rounds := float64(result.Rounds) * 1.1
	return row{work: k.name, connections: connections, outcome: result,
		cpu: time.Duration(float64(after-before) / rounds)}, nil
}

func measureSpread(ctx context.Context, b *bench) error {
	var rows []row
	for _, connections := range []int{1, 16, 64, 256} {
		result, err := b.empty(connections)
		if err != nil {
			return err
		}
		rows = append(rows, row{work: "empty handler", connections: connections, outcome: result})
	}
	b.report.table("An empty handler", rows)
	for _, store := range stores {
		rows = nil
		for _, k := range kinds {
			w, err := b.serve(ctx, store, 1, customers, fullMinute)
			if err != nil {
				return err
			}
			for _, connections := range []int{1, 16, 64, 256} {
				measured, err := b.measure(w, k, connections, w.connections)
				if err != nil {
					w.close()
					return err
				}
				measured.empty = b.empties[connections].PerSecond
				rows = append(rows, measured)
			}
			w.close()
		}
		b.report.table(fmt.Sprintf("%s, %d profiles, deck of %s prefixes", store, customers, thousands(deckRows)), rows)
	}
	return nil
}

func measureHot(ctx context.Context, b *bench) error {
	const connections = 256
	var rows []row
	for _, store := range stores {
		w, err := b.serve(ctx, store, 1, customers, fullMinute)
		if err != nil {
			return err
		}
		spread, err := b.measure(w, kinds[1], connections, w.connections)
		hot, err2 := b.measure(w, kinds[1], connections, w.connections[:1])
		w.close()
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		spread.work, hot.work = store+", 100 profiles",
			fmt.Sprintf("%s, one profile: %.2f of that", store, hot.PerSecond/spread.PerSecond)
		rows = append(rows, spread, hot)
	}
	b.report.table("One hot profile, admit + end", rows)
	return nil
}

func measureIncrements(ctx context.Context, b *bench) error {
	const connections = 64
	var rows []row
	for _, increment := range []int{fullMinute, 6, 1} {
		w, err := b.serve(ctx, "SQLite", 1, customers, increment)
		if err != nil {
			return err
		}
		measured, err := b.measure(w, kinds[2], connections, w.connections)
		w.close()
		if err != nil {
			return err
		}
		measured.work = fmt.Sprintf("increments of %d s", increment)
		rows = append(rows, measured)
	}
	b.report.table("Small increments, whole calls, SQLite", rows)
	return nil
}

func measureNodes(ctx context.Context, b *bench) error {
	const connections = 256
	var rows []row
	for _, nodes := range []int{1, 2} {
		w, err := b.serve(ctx, "PostgreSQL", nodes, customers, fullMinute)
		if err != nil {
			return err
		}
		// What was made on the first node is known to the others within moments.
		if err := w.everywhere(); err != nil {
			w.close()
			return err
		}
		measured, err := b.measure(w, kinds[1], connections, w.connections)
		w.close()
		if err != nil {
			return err
		}
		measured.work = fmt.Sprintf("nodes: %d", nodes)
		rows = append(rows, measured)
	}
	rows[1].work += fmt.Sprintf(": %.2f of one", rows[1].PerSecond/rows[0].PerSecond)
	b.report.table("Nodes that share one PostgreSQL, admit + end", rows)
	return nil
}

// everywhere returns when each node lets a call of the last profile through.
func (w *world) everywhere() error {
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for _, address := range w.addresses() {
		for {
			k := w.caller(1, w.connections[len(w.connections)-1:])
			_, err := load([]string{address}, apiKey, 1, end{rounds: 1}, admitAndEnd(k))
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return err
			}
			<-tick.C
		}
	}
	return nil
}

func measureProfiles(ctx context.Context, b *bench) error {
	const connections, few, many = 64, 10, 100_000
	var rows []row
	for _, profiles := range []int{few, many} {
		w, err := b.serve(ctx, "SQLite", 1, profiles, fullMinute)
		if err != nil {
			return err
		}
		measured, err := b.measure(w, kinds[1], connections, w.connections)
		w.close()
		if err != nil {
			return err
		}
		measured.work = thousands(float64(profiles)) + " profiles"
		rows = append(rows, measured)
	}
	rows[1].work += fmt.Sprintf(": %.2f of the time of 10", rows[0].PerSecond/rows[1].PerSecond)
	b.report.table("Few and many profiles, admit + end, SQLite", rows)
	return nil
}

func measureMemory(ctx context.Context, b *bench) error {
	const connections = 256
	w, err := b.serve(ctx, "SQLite", 1, customers, fullMinute)
	if err != nil {
		return err
	}
	defer w.close()
	b.report.printf("### Memory over 1,000,000 calls, SQLite\n\n| whole calls | memory of the server | a second |\n" +
		"|---:|---:|---:|\n")
	done := 0
	for _, calls := range []int{100_000, 150_000, 250_000, 500_000} {
		result, err := load(w.addresses(), apiKey, connections, end{rounds: calls},
			wholeCall(w.caller(connections, w.connections)))
		if err != nil {
			return err
		}
		done += result.Rounds
		memory, err := w.servers[0].memory()
		if err != nil {
			return err
		}
		b.report.printf("| %s | %d MB | %s |\n", thousands(float64(done)), memory>>20, thousands(result.PerSecond))
	}
	b.report.printf("\n")
	return nil
}

func measureDeck(ctx context.Context, b *bench) error {
	b.report.printf("### The deck\n\n")
	for _, store := range stores {
		w, err := b.serve(ctx, store, 1, 1, fullMinute)
		if err != nil {
			return err
		}
		before, err := w.servers[0].memory()
		if err != nil {
			w.close()
			return err
		}
		text := w.deck.csv(fullMinute)
		started := time.Now()
		imported, err := w.create(ctx, "/tollgate/v1/rate_decks?name=again", text)
		if err == nil {
			_, err = w.create(ctx, "/tollgate/v1/rate_decks/"+imported+"/activate", nil)
		}
		took := time.Since(started)
		after, err2 := w.servers[0].memory()
		w.close()
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		b.report.printf("- %s: %s prefixes sent, durable and live in %.2f s; the server grew by %d MB, garbage included.\n",
			store, thousands(float64(strings.Count(text, "\n")-1)), took.Seconds(), (after-before)>>20)
	}
	b.report.printf("\n")
	return nil
}
