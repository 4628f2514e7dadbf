package sqlstore_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/registration"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// BenchmarkRegistrations is what one contact costs of 50,000 that are written again and
// again, in the batches in which a node writes them. cpu-ns is that of this process. A
// command that is committed beside them waits for wait-p99-us, and without them for
// alone-p99-us.
func BenchmarkRegistrations(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		s, _ := openStore(b, filepath.Join(b.TempDir(), "tollgate.db"), 0)
		benchmarkRegistrations(b, s)
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		url, _ := newDatabase(b)
		benchmarkRegistrations(b, openNode(b, url, "a"))
	})
}

func benchmarkRegistrations(b *testing.B, s *sqlstore.Store) {
	const contacts = 50_000
	account, connection := configure(b, s)
	list := make([]registration.Binding, contacts)
	now := time.Now()
	for i := range list {
		list[i] = registration.Binding{
			Account: account, Connection: connection + id.ID(i), Contact: fmt.Sprintf("sip:desk%05d@10.1.2.3:5060", i),
			CallID: fmt.Sprintf("call-of-desk%05d", i), At: now, RegisteredAt: now, Until: now.Add(2 * time.Minute),
			Source: netip.MustParseAddrPort("192.0.2.7:5060"), Transport: "UDP", UserAgent: "Desk Phone 4.2.1",
		}
	}
	for batch := range slices.Chunk(list, store.MaxRegistrationsSaved) {
		check(b, s.SaveRegistrations(b.Context(), batch))
	}
	alone := waits(b, s, func() bool { return true }, 300)
	saving, ended := make(chan struct{}), make(chan struct{})
	var beside []time.Duration
	go func() {
		defer close(ended)
		beside = waits(b, s, func() bool {
			select {
			case <-saving:
				return false
			default:
				return true
			}
		}, 1<<20)
	}()
	b.ResetTimer()
	before, n := processorTime(b), 0
	for b.Loop() {
		at := n * store.MaxRegistrationsSaved % contacts
		batch := list[at : at+store.MaxRegistrationsSaved]
		for i := range batch {
			batch[i].Seq++
			batch[i].At = batch[i].At.Add(time.Minute)
			batch[i].RegisteredAt, batch[i].Until = batch[i].At, batch[i].At.Add(2*time.Minute)
		}
		check(b, s.SaveRegistrations(b.Context(), batch))
		n++
	}
	spent := processorTime(b) - before
	close(saving)
	<-ended
	b.ReportMetric(float64(spent.Nanoseconds())/float64(n*store.MaxRegistrationsSaved), "cpu-ns/contact")
	b.ReportMetric(float64(alone[len(alone)*99/100].Microseconds()), "alone-p99-us")
	b.ReportMetric(float64(beside[len(beside)*99/100].Microseconds()), "wait-p99-us")
}

// waits commits commands one after the other, and returns how long each took, sorted.
func waits(b *testing.B, s *sqlstore.Store, more func() bool, most int) (list []time.Duration) {
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for len(list) < 2 || len(list) < most && more() {
		<-pace.C
		begun := time.Now()
		_, err := s.Do(b.Context(), admission.Expire{})
		if err != nil {
			b.Error(err)
			break
		}
		list = append(list, time.Since(begun))
	}
	slices.Sort(list)
	return list
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	check(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
