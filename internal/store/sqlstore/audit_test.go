package sqlstore_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// ledgerRows is a database with calls in every state, and how to read and spoil it.
type ledgerRows struct {
	*sqlstore.Store
	ended, live uuid.UUID
	leases      string // the columns of the table
	exec        func(text string, args ...any)
	audit       func() admission.Audit // as beside a running server
}

// fill makes one call that has ended, one that overran its grant, and three live
// ones, in a profile of five channels and a daily limit that ends calls.
func (l *ledgerRows) fill(t *testing.T) {
	t.Helper()
	account, connectionID := configure(t, l.Store)
	changeProfile(t, l.Store, account, func(p *profile.Profile) {
		p.ConcurrentCallLimit = new(int32(5))
		p.DailySpendLimit = new(10 * money.Cent)
		p.DailySpendLimitEnabled = true
		p.SpendLimitAction = profile.EndCalls
	})
	group, err := l.BillingGroups().Create(t.Context(), account,
		store.BillingGroup{Name: "group", SpendLimit: endingAt(20 * money.Cent)})
	check(t, err)
	changeProfile(t, l.Store, account, func(p *profile.Profile) { p.BillingGroupID = &group.ID })
	_, err = l.Accounts().Update(t.Context(), account, account, func(a store.Account) (store.Account, error) {
		a.SpendLimit = endingAt(30 * money.Cent)
		return a, nil
	})
	check(t, err)
	reserve := func() uuid.UUID {
		call := uuid.Must(uuid.NewV7())
		r := do(t, l.Store, admission.Reserve{Owner: uuid.New(), Call: admission.Call{
			ID: call, Connection: connectionID, From: "+12125550100", To: "+12125550199",
		}})
		if !r.Decision.Allow {
			t.Fatal(r.Decision.Reason)
		}
		return call
	}
	for i := range 5 {
		call := reserve()
		if i == 1 || i == 4 { // one rings, one is answered without more, one has been renewed
			continue
		}
		now := time.Now().UnixMicro()
		do(t, l.Store, admission.Answer{ID: call, AtMicros: now})
		elapsed := 31 * time.Second
		if i == 3 {
			do(t, l.Store, admission.Renew{ID: call, Elapsed: elapsed, GrantedSecs: 30})
			l.live = call
			continue
		}
		if i == 2 {
			elapsed = 5 * time.Minute // far beyond its grant
		}
		do(t, l.Store, admission.Settle{ID: call, Ending: admission.Ending{Elapsed: elapsed, EndedMicros: now}})
		l.ended = call
	}
}

// endingAt is a limit at which calls are ended.
func endingAt(limit money.Amount) profile.SpendLimit {
	l := profile.NewSpendLimit()
	l.DailySpendLimit = &limit
	l.DailySpendLimitEnabled = true
	l.SpendLimitAction = profile.EndCalls
	return l
}

func onBoth(t *testing.T, test func(*testing.T, *ledgerRows)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "tollgate.db")
		s, _ := openStore(t, path, 0)
		db := openRaw(t, "file:"+path+"?_pragma=busy_timeout(30000)")
		test(t, &ledgerRows{
			Store: s, leases: "account_id, id, body",
			exec: func(text string, args ...any) {
				_, err := db.ExecContext(t.Context(), text, args...)
				check(t, err)
			},
			audit: func() admission.Audit {
				audit, err := sqlstore.AuditFile(t.Context(), path)
				check(t, err)
				return audit
			},
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		url, name := newDatabase(t)
		s := openNode(t, url, "node")
		test(t, &ledgerRows{
			Store: s, leases: "account_id, profile_id, connection_id, owner, emergency, expires_at, hung_up, id, body",
			exec: func(text string, args ...any) {
				check(t, postgresServer(t).Exec(name, text, args...))
			},
			audit: func() admission.Audit {
				audit, err := sqlstore.AuditServer(t.Context(), url)
				check(t, err)
				return audit
			},
		})
	})
}

// TestAuditNamesTheRow spoils one row for each invariant and looks whether the
// audit, beside a store that is open, names the invariant and that row.
func TestAuditNamesTheRow(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledgerRows) {
		l.fill(t)
		check(t, l.Ping(t.Context())) // what is spoiled is in the tables, not in the journal
		tables := []string{"leases", "spend_days", "call_records", "call_slices"}
		for _, table := range tables {
			l.exec("CREATE TABLE saved_" + table + " AS SELECT * FROM " + table)
		}
		for _, c := range spoiled {
			if audit := l.audit(); !audit.Holds() || audit.Leases != 3 || audit.Records != 2 || audit.Days != 3 {
				t.Fatalf("before %s: %+v", c.name, audit)
			}
			c.spoil(l)
			audit := l.audit()
			found := slices.ContainsFunc(audit.Breaches, func(b admission.Breach) bool {
				return b.Invariant == c.invariant && strings.HasPrefix(b.Row, c.row(l)) && strings.Contains(b.Problem, c.problem)
			})
			if !found {
				t.Errorf("%s: found %+v, want %v at %s... %q", c.name, audit, c.invariant, c.row(l), c.problem)
			}
			for _, table := range tables {
				l.exec("DELETE FROM " + table)
				l.exec("INSERT INTO " + table + " SELECT * FROM saved_" + table)
			}
		}
	})
}

// spoiled are ways to break the ledger, and what the audit has to say of each.
var spoiled = []struct {
	name      string
	spoil     func(*ledgerRows)
	invariant admission.Invariant
	row       func(*ledgerRows) string
	problem   string
}{
	{"a lease too many", func(l *ledgerRows) {
		// Every copy claims to have seen what the call it was made from saw.
		for i := range byte(6) {
			call := l.live
			call[15], call[14] = i, 77
			l.copyLease(call)
		}
	}, admission.Channels, func(*ledgerRows) string { return "lease" }, "live calls of profile"},
	{"more posted than the limit", func(l *ledgerRows) {
		l.exec("UPDATE spend_days SET posted = posted + $1 WHERE scope_kind = 1", int64(money.Dollar))
	}, admission.Limit, func(*ledgerRows) string { return "day " }, "the largest limit in force was 0.1"},
	{"a lease of a call that has ended", func(l *ledgerRows) {
		l.copyLease(l.ended)
	}, admission.OneRecord, func(l *ledgerRows) string { return "record " + l.ended.String() }, "still holds a lease"},
	{"a record that is gone", func(l *ledgerRows) {
		l.exec("DELETE FROM call_records WHERE id = $1", l.ended[:])
	}, admission.OneRecord, func(l *ledgerRows) string { return "record " + l.ended.String() }, "is missing"},
	{"more posted than the billing group's limit", func(l *ledgerRows) {
		l.exec("UPDATE spend_days SET posted = posted + $1 WHERE scope_kind > 1", int64(money.Dollar))
	}, admission.Limit, func(*ledgerRows) string { return "day " }, "the largest limit in force was 0.2"},
	{"more posted than the account's limit", func(l *ledgerRows) {
		l.exec("UPDATE spend_days SET posted = posted + $1 WHERE scope_kind > 1", int64(money.Dollar))
	}, admission.Limit, func(*ledgerRows) string { return "day " }, "the largest limit in force was 0.3"},
	{"held of what is shared", func(l *ledgerRows) {
		l.exec("UPDATE spend_days SET held = held - 1 WHERE scope_kind > 1")
	}, admission.Conservation, func(*ledgerRows) string { return "day " }, "held, its live calls hold"},
	{"posted", func(l *ledgerRows) {
		l.exec("UPDATE spend_days SET posted = posted - 1 WHERE scope_kind = 1")
	}, admission.Conservation, func(*ledgerRows) string { return "day " }, "posted, the calls were charged"},
	{"held", func(l *ledgerRows) {
		l.exec("UPDATE spend_days SET held = held - 1 WHERE scope_kind = 1")
	}, admission.Conservation, func(*ledgerRows) string { return "day " }, "held, its live calls hold"},
	{"overrun", func(l *ledgerRows) {
		l.exec("UPDATE spend_days SET overrun = 0 WHERE scope_kind = 1")
	}, admission.Conservation, func(*ledgerRows) string { return "day " }, "overrun"},
	{"a day that is gone", func(l *ledgerRows) {
		l.exec("DELETE FROM spend_days WHERE scope_kind = 1")
	}, admission.Conservation, func(*ledgerRows) string { return "day " }, "is missing"},
	{"a lease that is gone", func(l *ledgerRows) {
		l.exec("DELETE FROM leases WHERE id = $1", l.live[:])
	}, admission.Conservation, func(*ledgerRows) string { return "day " }, "the calls were charged"},
	{"a record's cost", func(l *ledgerRows) {
		l.exec("UPDATE call_records SET cost = cost + 1 WHERE id = $1", l.ended[:])
	}, admission.Conservation, func(l *ledgerRows) string { return "record " + l.ended.String() }, "its slices sum to"},
	{"a slice", func(l *ledgerRows) {
		l.exec("UPDATE call_slices SET cost = cost - 1 WHERE call_id = $1", l.ended[:])
	}, admission.Conservation, func(l *ledgerRows) string { return "record " + l.ended.String() }, "its slices sum to"},
	{"a slice of another profile", func(l *ledgerRows) {
		l.exec("UPDATE call_slices SET profile_id = 7 WHERE call_id = $1", l.ended[:])
	}, admission.Conservation, func(l *ledgerRows) string { return "record " + l.ended.String() }, "booked to profile 7"},
	{"billed seconds", func(l *ledgerRows) {
		l.exec("UPDATE call_records SET billed_secs = billed_secs + 6 WHERE id = $1", l.ended[:])
	}, admission.Conservation, func(l *ledgerRows) string { return "record " + l.ended.String() }, "s at its rate are"},
	{"an unreadable lease", func(l *ledgerRows) {
		l.exec("UPDATE leases SET body = $1 WHERE id = $2", []byte{1}, l.live[:])
	}, admission.Conservation, func(l *ledgerRows) string { return "lease " + l.live.String() }, "cannot be read"},
}

// copyLease adds the lease of the live call again under another id.
func (l *ledgerRows) copyLease(call uuid.UUID) {
	l.exec("INSERT INTO leases ("+l.leases+") SELECT "+strings.Replace(l.leases, " id,", " $1,",
		1)+" FROM leases WHERE id = $2", call[:], l.live[:])
}

// An audit beside a server whose limit is lowered below what was spent, and then
// raised, finds nothing: the largest limit of the day counts.
func TestAuditKnowsOldLimits(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledgerRows) {
		l.fill(t)
		account, _, err := l.EnsureFirst(t.Context())
		check(t, err)
		set := func(limit money.Amount) {
			changeProfile(t, l.Store, account.ID, func(p *profile.Profile) { p.DailySpendLimit = new(limit) })
			if audit := l.audit(); !audit.Holds() {
				t.Errorf("limit %v: %+v", limit, audit)
			}
		}
		set(money.Cent / 10)
		set(money.Dollar)
		set(2 * money.Cent)
		l.exec("UPDATE spend_days SET posted = posted + $1 WHERE scope_kind = 1", int64(9*money.Cent/10))
		if audit := l.audit(); audit.Broken[admission.Limit] != 0 {
			t.Errorf("below the largest limit: %+v", audit)
		}
		l.exec("UPDATE spend_days SET posted = posted + $1 WHERE scope_kind = 1", int64(money.Dollar))
		if audit := l.audit(); audit.Broken[admission.Limit] != 1 {
			t.Errorf("above the largest limit: %+v", audit)
		}
	})
}

func TestAuditWithoutDatabase(t *testing.T) {
	if _, err := sqlstore.AuditFile(t.Context(), filepath.Join(t.TempDir(), "none.db")); err == nil {
		t.Error("audited a file that is not there")
	}
	postgresServer(t)
	url, name := newDatabase(t)
	if _, err := sqlstore.AuditServer(t.Context(), url); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("an empty database: %v", err)
	}
	check(t, postgresServer(t).Exec(name, "SELECT 1")) // it is there anyway
}
