package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/test/postgres"
)

// TestStandbyPromoted kills the primary of two PostgreSQL servers under load and
// promotes its synchronous standby. The nodes find it by themselves, and nothing
// that was answered is lost: fault F7, invariants I2, I4, I5 and I6.
func TestStandbyPromoted(t *testing.T) {
	primary, err := postgres.Start()
	check(t, err)
	t.Cleanup(func() { check(t, primary.Remove()) })
	_, name, err := primary.CreateDatabase()
	check(t, err)
	standby, err := primary.Standby()
	check(t, err)
	t.Cleanup(func() { check(t, standby.Remove()) })

	url := fmt.Sprintf("host=%s,%s dbname=%s user=%s target_session_attrs=read-write", primary.Dir(), standby.Dir(), name,
		postgres.User)
	a, b := openNode(t, url, "a"), openNode(t, url, "b")
	account, connectionID := configure(t, a)
	l := startLoad(t, connectionID, a, b)
	l.await(t, 1000)
	check(t, primary.Stop(syscall.SIGQUIT))
	if _, err := a.Do(context.Background(), admission.Expire{}); !errors.Is(err, collection.ErrUnavailable) {
		t.Errorf("without a primary: %v", err) // the standby does not do for one
	}
	check(t, standby.Promote())
	promoted := time.Now()
	for _, node := range []store.Ledger{a, b} {
		for err := collection.ErrUnavailable; errors.Is(err, collection.ErrUnavailable); {
			_, err = node.Do(context.Background(), admission.Reserve{Call: admission.Call{
				ID: uuid.Must(uuid.NewV7()), Connection: connectionID, From: "+12125550100", To: "+12125550199"}})
			if time.Since(promoted) > 30*time.Second {
				t.Fatalf("a node does not find the promoted server: %v", err)
			}
		}
	}
	t.Logf("both nodes admit %v after the promotion", time.Since(promoted))
	l.await(t, 1000)
	l.verify(t, b, account)
}
