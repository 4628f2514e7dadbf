package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// testEmergencies: emergency calls are counted and charged on days of their own, which no
// limit counts, through a restart and over midnight; and no more run at once than the
// operator allows.
func testEmergencies(t *testing.T, open Opener) {
	b := newBed(t, open)
	rows := append(standardRows(), rating.Row{Prefix: "1911",
		Rate: rating.Rate{PerMinute: money.Dollar, ConnectFee: 75 * money.Dollar, FirstIncrement: 60, Increment: 60}})
	deck := value(b.ImportDeck(ctx, b.account.ID, "help", rows))(t).ID
	must(t, b.changeProfile(func(p *profile.Profile) {
		p.RateDeckID = deck
		p.DailySpendLimit = new(money.Dollar)
		p.DailySpendLimitEnabled = true
		p.SpendLimitAction = profile.EndCalls
	}))
	phone := value(b.CredentialConnections().Update(ctx, b.account.ID, b.phone.ID,
		func(c connection.CredentialConnection) (connection.CredentialConnection, error) {
			c.EmergencyCallLimit = new(int32(3))
			return c, nil
		}))(t)
	const asked = 20
	var mu sync.Mutex
	var live []uuid.UUID
	var group sync.WaitGroup
	for range asked {
		group.Go(func() {
			r, err := b.Do(ctx, b.emergency())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if r.Decision.Allow {
				live = append(live, r.Decision.ID)
			} else if r.Decision.Reason != admission.ReasonEmergencyLimit || !r.Record.Emergency {
				t.Errorf("refused for %v", r.Decision.Reason)
			}
		})
	}
	group.Wait()
	if len(live) != 3 {
		t.Fatalf("%d emergency calls at once, want 3", len(live))
	}
	today := record.DayOf(noon.UnixMicro())
	day := func(d record.Day, want *admission.EmergencyDay) {
		t.Helper()
		page := value(b.EmergencyDays(ctx, b.account.ID,
			store.EmergencyQuery{From: d, To: d, Connection: phone.ID, Size: 10}))(t)
		switch {
		case want == nil && len(page.Items) == 0:
		case want == nil || len(page.Items) != 1:
			t.Errorf("day %d has %+v", d, page.Items)
		default:
			if diff := cmp.Diff(*want, page.Items[0].EmergencyDay); diff != "" {
				t.Errorf("day %d (-want +got):\n%s", d, diff)
			}
		}
	}
	day(today, &admission.EmergencyDay{Started: 3})
	for _, call := range live {
		b.do(t, admission.Answer{ID: call, AtMicros: b.clock.Now().UnixMicro()})
	}
	b.clock.advance(90 * time.Second)
	settle := func(call uuid.UUID, elapsed time.Duration) *record.Call {
		t.Helper()
		return b.do(t, admission.Settle{ID: call,
			Ending: admission.Ending{Elapsed: elapsed, EndedMicros: b.clock.Now().UnixMicro()}}).Record
	}
	if r := settle(live[0], 90*time.Second); r.BilledSecs != 120 || r.Cost != 77*money.Dollar || r.RatePrefix != "1911" {
		t.Errorf("90 s cost %v for %d s by %q", r.Cost, r.BilledSecs, r.RatePrefix)
	}
	day(today, &admission.EmergencyDay{Started: 3, Ended: 1, BilledSecs: 120, Posted: 77 * money.Dollar})
	b.reopen(t, open)
	b.clock.advance(12*time.Hour - 90*time.Second + 30*time.Second) // 30 s past midnight
	if r := settle(live[1], 12*time.Hour+30*time.Second); len(r.Slices) != 2 || r.Slices[0].Secs != 12*3600 ||
		r.Slices[1].Secs != 60 {
		t.Errorf("over midnight it is booked as %+v", r.Slices)
	}
	hours := 12 * 60 * money.Dollar
	day(today, &admission.EmergencyDay{Started: 3, Ended: 2, BilledSecs: 120 + 12*3600,
		Posted: (77+75)*money.Dollar + hours})
	day(today+1, &admission.EmergencyDay{BilledSecs: 60, Posted: money.Dollar})
	// Nothing of it is in what the limit counts.
	for d := today; d <= today+1; d++ {
		if use := value(b.Spend(ctx, b.account.ID, admission.ProfileScope(b.profile.ID)))(t); use.Posted != 0 ||
			use.Held != 0 {
			t.Errorf("the profile has %+v", use)
		}
	}
	if other := value(b.EmergencyDays(ctx, b.other.ID,
		store.EmergencyQuery{To: today + 9, Size: 10}))(t); other.Total != 0 {
		t.Errorf("another account sees %+v", other)
	}
}

func (b *bed) emergency() admission.Reserve {
	r := b.reserve()
	r.Call.To = "911"
	return r
}
