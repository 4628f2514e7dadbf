package admission

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

// told are the percentages of the events of spend that were made since last asked.
func (b *bench) told() []int32 {
	b.t.Helper()
	percents := []int32{}
	for _, e := range b.state.TakeChanges().Events {
		if want := map[bool]EventKind{false: EventSpendThreshold, true: EventSpendLimitReached}[e.Percent == 100]; e.Kind != want {
			b.t.Errorf("an event of %d %% has kind %d, want %d", e.Percent, e.Kind, want)
		}
		percents = append(percents, e.Percent)
	}
	return percents
}

func (b *bench) wantTold(when string, want ...int32) {
	b.t.Helper()
	if diff := cmp.Diff(append([]int32{}, want...), b.told()); diff != "" {
		b.t.Errorf("%s: told (-want +got):\n%s", when, diff)
	}
}

// TestThresholdsAreToldOnce spends a dollar a day in parts.
func TestThresholdsAreToldOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		spend []int // cents, each a call of its own that is settled
		want  [][]int32
	}{
		{"each in turn", []int{49, 1, 29, 1, 14, 1, 4, 1, 1}, [][]int32{{}, {50}, {}, {80}, {}, {95}, {}, {100}, {}}},
		{"several at once", []int{81, 5, 14}, [][]int32{{50, 80}, {}, {95, 100}}},
		{"all at once", []int{100, 1}, [][]int32{{50, 80, 95, 100}, {}}},
		{"a refusal close below the limit", []int{96, 5, 4}, [][]int32{{50, 80, 95}, {100}, {}}},
		{"a refusal far below the limit", []int{60, 41, 40}, [][]int32{{50}, {}, {80, 95, 100}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := limited("1")
			b := newBench(t, p, standardDeck(t))
			for i, cents := range c.spend {
				// One minute is the first increment, so a call holds its whole cost at once.
				price := money.Amount(cents) * money.Cent
				b.policy = snapshotOf(t, testAccountPolicy(), p, attachedConnection(), deckOf(t, 60, 60, "0", map[string]string{"1": price.String()}))
				call := callTo("+12125550123")
				if r := b.apply(Reserve{Call: call, Owner: owner}); r.Decision.Allow {
					b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()})
					b.settle(call.ID, time.Minute)
				}
				b.wantTold(c.name, c.want[i]...)
			}
		})
	}
}

// TestARunningCallIsToldOf passes the thresholds by renewals, and the limit by
// the renewal that finds nothing left.
func TestARunningCallIsToldOf(t *testing.T) {
	b := newBench(t, limited("1"), deckOf(t, 7, 7, "0", map[string]string{"1": "0.60"})) // 14 increments of 7 s fit
	call := b.admit("+12125550123")
	granted, told := b.state.Lease(call).GrantedSecs, map[int32]time.Duration{}
	for elapsed := time.Duration(0); elapsed <= 100*time.Second; elapsed += time.Second {
		granted = b.apply(Renew{ID: call, Elapsed: elapsed, GrantedSecs: granted}).GrantedSecs
		for _, percent := range b.told() {
			if _, again := told[percent]; again {
				t.Errorf("%d %% is told again after %v", percent, elapsed)
			}
			told[percent] = elapsed
		}
	}
	if granted != 98 || len(told) != 4 {
		t.Errorf("granted %d s, told %v; want 98 s, and all of 50, 80, 95 and 100", granted, told)
	}
}

func TestNothingIsToldWithoutALimit(t *testing.T) {
	b := newBench(t, profile.New(), standardDeck(t))
	b.settle(b.admit("+12125550123"), time.Hour)
	b.wantTold("a profile without a limit")
}

func TestALimitOfNothingIsReachedByTheFirstCall(t *testing.T) {
	b := newBench(t, limited("0"), standardDeck(t))
	for _, want := range [][]int32{{100}, nil} {
		if r := b.apply(Reserve{Call: callTo("+12125550123"), Owner: owner}); r.Decision.Reason != ReasonDailySpendLimit {
			t.Fatalf("let through with a limit of 0: %v", r.Decision.Reason)
		}
		b.wantTold("a limit of 0", want...)
	}
}

func TestEachDayAndEachLimitIsToldOf(t *testing.T) {
	deck := deckOf(t, 60, 60, "0", map[string]string{"1": "1"})
	b := newBench(t, limited("1"), deck)
	spend := func() {
		b.settle(b.admit("+12125550123"), time.Minute)
	}
	spend()
	b.wantTold("the first limit", 50, 80, 95, 100)
	b.policy = snapshotOf(t, testAccountPolicy(), limited("2"), attachedConnection(), deck)
	spend()
	b.wantTold("a raised limit", 100)
	b.now = b.now.Add(24 * time.Hour)
	spend()
	b.wantTold("the next day", 50)
	spend()
	b.wantTold("the next day's limit", 80, 95, 100)
}

// TestWhatWasToldSurvivesARestart builds the State again from its changes.
func TestWhatWasToldSurvivesARestart(t *testing.T) {
	b := newBench(t, limited("1"), deckOf(t, 60, 60, "0", map[string]string{"1": "0.60"}))
	b.settle(b.admit("+12125550123"), time.Minute)
	changes := b.state.TakeChanges()
	if len(changes.Events) != 1 {
		t.Fatalf("%d events, want the one of 50 %%", len(changes.Events))
	}
	b.state = NewState()
	b.state.Restore(changes.Spends, nil, nil, b.now)
	b.policy = snapshotOf(t, testAccountPolicy(), limited("1"), attachedConnection(), deckOf(t, 60, 60, "0", map[string]string{"1": "0.10"}))
	b.settle(b.admit("+12125550123"), time.Minute)
	b.wantTold("after the restart, at 70 %")
	b.settle(b.admit("+12125550123"), time.Minute)
	b.wantTold("after the restart, at 80 %", 80)
}

func TestAnEmergencyCallIsToldOfAtOnce(t *testing.T) {
	b := newBench(t, limited("0"), standardDeck(t))
	call := callTo("112")
	b.apply(Reserve{Call: call, Owner: owner})
	b.apply(Reserve{Call: call, Owner: owner}) // repeated
	events := b.state.TakeChanges().Events
	if len(events) != 1 || events[0].Kind != EventEmergency || events[0].Call != call.ID || events[0].Account != testAccount ||
		events[0].Connection != testConnection || events[0].AtMicros != noon.UnixMicro() || events[0].SIPCallID != call.SIPCallID {
		t.Fatalf("events %+v, want the one of the call", events)
	}
	if d, err := DecodeDecision(events[0].Decision); err != nil || d.ID != call.ID || d.Facts.To != "112" {
		t.Errorf("the event's decision is %+v, %v", d, err)
	}
	if events := b.state.TakeChanges().Events; len(events) != 0 {
		t.Errorf("the changes are taken twice: %+v", events)
	}
}

func TestForecast(t *testing.T) {
	const hour = 3_600_000_000
	dollars := func(n int64) money.Amount { return money.Amount(n) * money.Dollar }
	for _, c := range []struct {
		name         string
		spent, limit money.Amount
		at, want     int64 // microseconds of the day
		ok           bool
	}{
		{"half by 06:00 is all by 12:00", dollars(50), dollars(100), 6 * hour, 12 * hour, true},
		{"80 of 100 by 12:00 is all by 15:00", dollars(80), dollars(100), 12 * hour, 15 * hour, true},
		{"not on this day", dollars(50), dollars(100), 12 * hour, 0, false},
		{"just on this day", dollars(50), dollars(100), 12*hour - 1, 24*hour - 2, true},
		{"reached", dollars(100), dollars(100), 3 * hour, 3 * hour, true},
		{"passed", dollars(101), dollars(100), 3 * hour, 3 * hour, true},
		{"nothing spent", 0, dollars(100), 3 * hour, 0, false},
		{"at midnight no pace is known", dollars(1), dollars(100), 0, 0, false},
		{"before the day", dollars(1), dollars(100), -1, 0, false},
		{"after the day", dollars(1), dollars(100), 24 * hour, 0, false},
		{"rounded up", 3, 4, 10, 14, true},
		{"largest amounts", money.Max - 1, money.Max, hour, hour + 1, true},
		{"smallest of the largest", 1, money.Max, hour, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := today.StartMicros()
			got, ok := Forecast(c.spent, c.limit, today, start+c.at)
			want := int64(0)
			if c.ok {
				want = start + c.want
			}
			if got != want || ok != c.ok {
				t.Errorf("Forecast is %d, %v; want %d, %v", got-start, ok, c.want, c.ok)
			}
		})
	}
}

// TestForecastIsOnTheLine holds the forecast against the pace in real numbers.
func TestForecastIsOnTheLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spent := rapid.Int64Range(1, math.MaxInt64).Draw(t, "spent")
		limit := rapid.Int64Range(1, math.MaxInt64).Draw(t, "limit")
		elapsed := rapid.Int64Range(1, record.MicrosPerDay-1).Draw(t, "elapsed")
		got, ok := Forecast(money.Amount(spent), money.Amount(limit), today, today.StartMicros()+elapsed)
		at := max(float64(elapsed), float64(elapsed)*float64(limit)/float64(spent))
		switch {
		case ok && math.Abs(float64(got-today.StartMicros())-at) > 2:
			t.Errorf("forecast %d, on the line is %f", got-today.StartMicros(), at)
		case !ok && at < record.MicrosPerDay-2:
			t.Errorf("no forecast, on the line is %f", at)
		}
	})
}

func TestReachesIsExact(t *testing.T) {
	for _, c := range []struct {
		spent, limit money.Amount
		percent      int32
		want         bool
	}{
		{50, 100, 50, true}, {49, 100, 50, false}, {1, 1, 100, true}, {0, 0, 100, true}, {-5, 100, 50, false},
		{money.Max, money.Max, 100, true}, {money.Max - 1, money.Max, 100, false}, {money.Max / 2, money.Max, 50, false}, {money.Max/2 + 1, money.Max, 50, true},
	} {
		if got := reaches(c.spent, c.limit, c.percent); got != c.want {
			t.Errorf("%d is %d %% of %d: %v, want %v", int64(c.spent), c.percent, int64(c.limit), got, c.want)
		}
	}
}
