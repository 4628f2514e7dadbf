package sim

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// defaultRuns is how many seeds a run of the tests covers with the race detector;
// make simulation runs thousands without it.
const defaultRuns = 50

// number reads an environment variable.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: a whole number is wanted", name, text)
	}
	return n
}

// TestSimulation runs seeds 1, 2, 3 and so on. TOLLGATE_SIM_SEED=n runs one of them
// again, TOLLGATE_SIM_RUNS says how many there are and TOLLGATE_SIM_FIRST which is
// the first.
func TestSimulation(t *testing.T) {
	if os.Getenv("TOLLGATE_SIM_SEED") != "" {
		counts, err := Run(number(t, "TOLLGATE_SIM_SEED", 0), None)
		t.Logf("%+v", counts)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	first, runs := number(t, "TOLLGATE_SIM_FIRST", 1), number(t, "TOLLGATE_SIM_RUNS", defaultRuns)
	var next atomic.Uint64
	var mu sync.Mutex
	var total Counts
	var failed atomic.Bool
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for !failed.Load() {
				n := next.Add(1) - 1
				if n >= runs {
					return
				}
				counts, err := Run(first+n, None)
				if err != nil {
					failed.Store(true)
					t.Errorf("%v\nagain: TOLLGATE_SIM_SEED=%d go test ./test/sim -run TestSimulation", err, first+n)
				}
				mu.Lock()
				add(&total, counts)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	t.Logf("%d runs: %+v", runs, total)
	// A simulation in which something never happens shows nothing about it.
	sum := reflect.ValueOf(total)
	for i := range sum.NumField() {
		if sum.Field(i).Int() == 0 {
			t.Errorf("%s: 0", sum.Type().Field(i).Name)
		}
	}
}

// add adds up what happened in runs.
func add(total *Counts, one Counts) {
	sum, part := reflect.ValueOf(total).Elem(), reflect.ValueOf(one)
	for i := range sum.NumField() {
		sum.Field(i).SetInt(sum.Field(i).Int() + part.Field(i).Int())
	}
}

// TestTheRealStoreAgrees gives a real store on SQLite all that the simulated one gets.
func TestTheRealStoreAgrees(t *testing.T) {
	runs := number(t, "TOLLGATE_SIM_MIRRORED", 4)
	for seed := uint64(1); seed <= runs; seed++ {
		counts, err := RunMirrored(seed, None, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if counts.Calls == 0 || counts.Admitted == 0 {
			t.Errorf("seed %d: %+v", seed, counts)
		}
	}
	if _, err := RunMirrored(1, LiftsChannels, t.TempDir()); err == nil || !strings.Contains(err.Error(), "mirror at") {
		t.Errorf("a simulated store with a defect agrees with the real one: %v", err)
	}
}

// TestSameSeedSameRun holds that a seed is all there is to a run.
func TestSameSeedSameRun(t *testing.T) {
	for seed := range uint64(6) {
		first, err := Run(seed, None)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := Run(seed, None); again != first {
			t.Errorf("seed %d: %+v, then %+v", seed, first, again)
		}
	}
}

// TestDefectsAreFound breaks Tollgate on purpose: the simulation must find each
// defect, and within few runs.
func TestDefectsAreFound(t *testing.T) {
	const atMost = 200
	for defect, name := range map[Defect]string{
		AcknowledgesFirst: "acknowledges first", KeepsMemory: "keeps memory", ForgetsEnded: "forgets ended calls",
		TakesNoLocks: "takes no locks", IgnoresOpenedDay: "ignores the opened day",
		DecidesByOldPolicy: "decides by an old policy",
		LiftsChannels:      "lifts channels", LiftsMoney: "lifts money", ExpiresEarly: "expires early", FailsOpen: "fails open",
		RefusesEmergency: "refuses emergency calls", NeverExpires: "never expires",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= atMost; seed++ {
				if _, err := Run(seed, defect); err != nil {
					t.Logf("found after %d runs: %s", seed, firstLine(err))
					return
				}
			}
			t.Errorf("not found in %d runs", atMost)
		})
	}
}

func firstLine(err error) string {
	text := fmt.Sprint(err)
	for i, c := range text {
		if c == '\n' {
			return text[:i]
		}
	}
	return text
}
