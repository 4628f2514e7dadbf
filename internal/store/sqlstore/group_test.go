package sqlstore

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
				queue := make(chan *work, len(c.after))
				var got strings.Builder
				done := make(chan struct{})
				arrive := func(after time.Duration) {
					if after > 0 {
						<-time.After(after) // of the test's own time
						synctest.Wait()
					}
					queue <- &work{}
				}
				first := 0
				for ; first < len(c.after) && c.after[first] == 0; first++ {
					arrive(0)
				}
				go func() {
					defer close(done)
					idle := false
					g := newGatherer(queue, 32, func() { idle = true })
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
				close(queue)
				<-done
				if got.String() != c.want {
					t.Errorf("groups %q, want %q", got.String(), c.want)
				}
			})
		})
	}
}
