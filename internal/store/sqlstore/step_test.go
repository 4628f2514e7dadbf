package sqlstore_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// TestTimeOfDayIsSetForward has calls up while the clock of the machine is set: no
// lease ends before its call can have, also when the first commit after it fails.
// Fault F11 on SQLite.
func TestTimeOfDayIsSetForward(t *testing.T) {
	ctx := context.Background()
	var passed, set atomic.Int64
	var fail atomic.Bool
	clock := func() time.Time { return noon.Add(time.Duration(passed.Load() + set.Load())) }
	s, err := sqlstore.Open(ctx, sqlstore.Config{
		Path: filepath.Join(t.TempDir(), "tollgate.db"), Live: policy.NewLive(), Clock: clock, IDs: id.NewSource(1, clock),
		Owner: uuid.New(),
		Ticks: make(chan time.Time), Monotonic: func() time.Duration { return time.Duration(passed.Load()) },
		AroundCommit: func(commit func() error) error {
			if fail.Swap(false) {
				return errors.New("fails on purpose")
			}
			return commit()
		},
	})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	account, connectionID := configure(t, s)
	call := uuid.New()
	do(t, s, admission.Reserve{Call: admission.Call{ID: call, Connection: connectionID, From: "+12125550100",
		To: "+12125550199"}})
	granted := do(t, s, admission.Answer{ID: call, AtMicros: clock().UnixMicro()}).GrantedSecs
	live := func() int {
		calls, err := s.LiveCalls(ctx, account)
		check(t, err)
		return len(calls)
	}
	set.Store(int64(time.Hour))
	fail.Store(true)
	if _, err := s.Do(ctx, admission.Expire{}); !errors.Is(err, collection.ErrUnavailable) {
		t.Fatalf("a commit that fails: %v", err)
	}
	do(t, s, admission.Expire{})
	if live() != 1 {
		t.Fatal("the lease ended with the step of the clock")
	}
	passed.Store(int64(time.Duration(granted)*time.Second + admission.ExpiryGrace - time.Millisecond))
	if do(t, s, admission.Expire{}); live() != 1 {
		t.Fatal("the lease ended before its call can have")
	}
	passed.Add(int64(time.Second))
	if do(t, s, admission.Expire{}); live() != 0 {
		t.Error("the lease does not end")
	}
	audited(t, s)
}
