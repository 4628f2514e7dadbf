package ledger

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func put(t *testing.T, queue *Queue, w *Work) {
	t.Helper()
	if err := queue.Put(w); err != nil {
		t.Fatal(err)
	}
}

// A group waits a millisecond at most for those who are expected, and when few of
// them come the groups after it do not wait at all. Who waits for an answer has it
// before that.
func TestCompany(t *testing.T) {
	const third = 300 * time.Microsecond
	for _, c := range []struct {
		name     string
		expected int
		after    []time.Duration // of each arrival after the one before
		want     string          // sizes of groups, when they were complete, and whether answers were given before
	}{
		{"no command is expected", 0, []time.Duration{0, third}, "1@0s 1@300µs idle "},
		{"all come", 3, []time.Duration{0, third, third}, "3@600µs idle "},
		{"half of them come", 4, []time.Duration{0, third, companyWait, 0, 0, 0}, "2@1ms idle 4@1.3ms idle "},
		{"few come", 4, []time.Duration{0, 2 * companyWait, 0}, "1@1ms idle 2@2ms idle "},
		{"more come", 2, []time.Duration{0, 0, 0}, "3@0s "},
		{"enough are there", 100, append(make([]time.Duration, companyEnough), third), "24@0s 1@1.3ms idle "},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				queue := NewQueue(len(c.after))
				var got strings.Builder
				done := make(chan struct{})
				arrive := func(after time.Duration) {
					if after > 0 {
						<-time.After(after) // of the test's own time
						synctest.Wait()
					}
					put(t, queue, &Work{})
				}
				first := 0
				for ; first < len(c.after) && c.after[first] == 0; first++ {
					arrive(0)
				}
				go func() {
					defer close(done)
					idle := false
					g := newGatherer(queue.waiting, 32, func() { idle = true })
					defer g.timer.Stop()
					for g.expected = c.expected; g.next(); idle = false {
						fmt.Fprintf(&got, "%d@%v ", len(g.group), time.Since(began))
						if idle {
							got.WriteString("idle ")
						}
					}
				}()
				for _, after := range c.after[first:] {
					arrive(after)
				}
				synctest.Wait()
				<-time.After(companyWait)
				queue.Close()
				<-done
				if got.String() != c.want {
					t.Errorf("groups %q, want %q", got.String(), c.want)
				}
			})
		})
	}
}

// A command that no one waits for waits for company, and never longer than its patience; one that
// someone waits for is committed at once, with all that is there.
func TestGathering(t *testing.T) {
	type arrival struct {
		after   time.Duration
		patient bool
	}
	for _, c := range []struct {
		name     string
		arrivals []arrival
		want     string // sizes of groups, and when they were committed
	}{
		{"urgent", []arrival{{0, false}, {time.Millisecond, false}}, "1@0s 1@1ms "},
		{"patient", []arrival{{0, true}, {time.Millisecond, true}, {patience, true}}, "2@5ms 1@11ms "},
		{"company", []arrival{{0, true}, {time.Millisecond, true}, {time.Millisecond, false}, {time.Millisecond, true}},
			"3@2ms 1@8ms "},
		{"full", []arrival{{0, true}, {0, true}, {0, true}, {0, true}, {0, true}}, "4@0s 1@5ms "},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var got strings.Builder
				queue := NewQueue(len(c.arrivals))
				done := make(chan struct{})
				go func() {
					defer close(done)
					queue.Groups(4, func() {}, func(group []*Work) int {
						got.WriteString(string(rune('0'+len(group))) + "@" + time.Since(began).String() + " ")
						return 0
					})
				}()
				for _, a := range c.arrivals {
					if a.after > 0 {
						<-time.After(a.after) // of the test's own time
						synctest.Wait()
					}
					put(t, queue, &Work{Patient: a.patient})
				}
				synctest.Wait()
				<-time.After(patience)
				queue.Close()
				<-done
				if got.String() != c.want {
					t.Errorf("groups %q, want %q", got.String(), c.want)
				}
			})
		})
	}
}
