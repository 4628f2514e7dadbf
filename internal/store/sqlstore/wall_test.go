package sqlstore_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// TestForgottenCondition reads and writes whole tables in the name of one account, as
// a query would that forgets its condition. Row-level security is behind it: nothing
// of the other account is seen or changed. Invariant I11.
func TestForgottenCondition(t *testing.T) {
	url, _ := newDatabase(t)
	s := openNode(t, url, "node")
	mine, connectionID := configure(t, s)
	limit := profile.NewSpendLimit()
	limit.DailySpendLimit = new(money.Cent)
	limit.DailySpendLimitEnabled = true
	limit.AfterLimit =
		profile.HoldUntilReleased
	_, err := s.Accounts().Update(t.Context(), mine, mine, func(a store.Account) (store.Account, error) {
		a.SpendLimit = limit
		return a, nil
	})
	check(t, err)
	for range 12 { // one holds the account's cent, and the last are refused
		do(t, s, admission.Reserve{Call: admission.Call{ID: uuid.Must(uuid.NewV7()), Connection: connectionID,
			From: "+12125550100", To: "+12125550199"}})
	}
	other, err := s.Accounts().Create(t.Context(), 0, store.Account{Name: "other", Active: true})
	check(t, err)
	for table, column := range map[string]string{
		"profiles": "name", "credential_connections": "connection_name", "rate_decks": "name", "leases": "body",
		"spend_days": "posted", "spend_holds": "cause", "call_records": "reason", "audit_events": "",
	} {
		count, change := "SELECT COUNT(*) FROM "+table, "UPDATE "+table+" SET "+column+" = "+column
		if column == "" {
			change = "SELECT 1 WHERE FALSE" // audit events are never changed
		}
		if seen, _ := sqlstore.Forge(t, s, mine, count, change); seen == 0 {
			t.Errorf("%s: the account itself sees nothing, so that the test proves nothing", table)
		}
		if seen, changed := sqlstore.Forge(t, s, other.ID, count+" WHERE account_id <> "+other.ID.String(),
			change); seen != 0 || changed != 0 {
			t.Errorf("%s: the other account sees %d rows and changes %d", table, seen, changed)
		}
	}
}
