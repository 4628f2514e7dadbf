package admission

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

// helping is a bench whose connection is in the US and whose deck prices 911 itself.
func helping(t *testing.T, set func(*connection.IPConnection)) *bench {
	t.Helper()
	deck := deckOf(t, 60, 60, "0", map[string]string{"1": "0.60", "1911": "1.20", "19110": "9"})
	b := newBench(t, profile.New(), deck)
	c := attachedConnection()
	c.Outbound.Localization = new("US")
	set(&c)
	b.policy = snapshotOf(t, testAccountPolicy(), profile.New(), c, deck)
	return b
}

func (b *bench) audit() Audit {
	a := NewAuditor()
	changes := b.state.TakeChanges()
	for l := range b.state.Leases {
		a.Lease(l)
	}
	for _, r := range changes.Records {
		a.Record(r)
	}
	for key, day := range changes.Emergencies {
		a.EmergencyDay(key, day)
	}
	for key, spend := range changes.Spends {
		a.Day(key, spend)
	}
	return a.Finish(func(SpendKey, int64) (money.Amount, bool) { return 0, false })
}

// TestPriceOfAnEmergencyCall: by the number itself, and by nothing around it.
func TestPriceOfAnEmergencyCall(t *testing.T) {
	for to, want := range map[string]string{"911": "1.20", "9-1-1": "1.20", "+1911": "1.20", "112": "0"} {
		b := helping(t, func(*connection.IPConnection) {})
		call := callTo(to)
		b.apply(Reserve{Call: call, Owner: owner})
		b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()})
		b.now = b.now.Add(time.Minute)
		if r := b.settle(call.ID, time.Minute); r.Cost != money.MustParse(want) || r.BilledSecs != 60 && want != "0" {
			t.Errorf("%s costs %v for %d s, want %s", to, r.Cost, r.BilledSecs, want)
		}
		b.wantSpend(today, "0", "0")
		if audit := b.audit(); !audit.Holds() || audit.Emergencies.Posted != money.MustParse(want) {
			t.Errorf("%s: audit %+v", to, audit)
		}
	}
}

// TestALostEmergencyCall: it is billed until it was last known to be up.
func TestALostEmergencyCall(t *testing.T) {
	b := helping(t, func(*connection.IPConnection) {})
	call := callTo("911")
	b.apply(Reserve{Call: call, Owner: owner})
	b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()})
	b.now = b.now.Add(2 * time.Minute)
	b.apply(Renew{ID: call.ID, Elapsed: 2 * time.Minute})
	b.now = b.now.Add(24 * time.Hour)
	expired := b.apply(Expire{}).Expired
	if len(expired) != 1 || expired[0].Outcome != record.OutcomeLost || expired[0].BilledSecs != 120 {
		t.Fatalf("expired %+v", expired)
	}
	if audit := b.audit(); !audit.Holds() || audit.Emergencies != (EmergencyDay{Started: 1, Ended: 1, BilledSecs: 120, Posted: money.MustParse("2.40")}) {
		t.Errorf("audit %+v", audit)
	}
}

// TestAuditOfEmergencies: a day that is not what its calls are is found.
func TestAuditOfEmergencies(t *testing.T) {
	for name, spoil := range map[string]func(*EmergencyDay){
		"a call too few":  func(d *EmergencyDay) { d.Started-- },
		"one that ended":  func(d *EmergencyDay) { d.Ended = 0 },
		"a second":        func(d *EmergencyDay) { d.BilledSecs++ },
		"a nano-dollar":   func(d *EmergencyDay) { d.Posted-- },
		"the day is gone": func(d *EmergencyDay) { *d = EmergencyDay{} },
	} {
		b := helping(t, func(*connection.IPConnection) {})
		call := callTo("911")
		b.apply(Reserve{Call: call, Owner: owner})
		b.apply(Answer{ID: call.ID, AtMicros: b.now.UnixMicro()})
		b.now = b.now.Add(time.Minute)
		r := b.settle(call.ID, time.Minute)
		a := NewAuditor()
		a.Record(r)
		for key, day := range b.state.TakeChanges().Emergencies {
			spoil(&day)
			a.EmergencyDay(key, day)
		}
		audit := a.Finish(func(SpendKey, int64) (money.Amount, bool) { return 0, false })
		if audit.Broken[Conservation] != 1 || !strings.HasPrefix(audit.Breaches[0].Row, "emergency calls of day ") {
			t.Errorf("%s: %+v", name, audit)
		}
	}
	held := NewAuditor()
	held.Lease(&Lease{Account: testAccount, Connection: testConnection, Emergency: true, ReservedMicros: noon.UnixMicro(),
		Held: []Hold{{ToSecs: 60, Day: today, Cost: 1}}})
	if audit := held.Finish(func(SpendKey, int64) (money.Amount, bool) { return 0, false }); audit.Broken[Limit] != 1 {
		t.Errorf("an emergency call that holds money: %+v", audit)
	}
}

// TestEmergencyAlerts: at the threshold and at each doubling, by the day.
func TestEmergencyAlerts(t *testing.T) {
	b := helping(t, func(c *connection.IPConnection) { c.EmergencyAlertCalls = new(int32(3)) })
	var told []int64
	for i := range 25 {
		if i == 13 {
			b.now = b.now.Add(24 * time.Hour)
		}
		call := callTo("911")
		b.apply(Reserve{Call: call, Owner: owner})
		b.apply(Reserve{Call: call, Owner: owner}) // repeated: it is counted once
		b.apply(Release{ID: call.ID})
	}
	for _, e := range b.state.TakeChanges().Events {
		if e.Kind == EventEmergencyAlert {
			told = append(told, e.Count)
		}
	}
	if len(told) != 6 || told[0] != 3 || told[1] != 6 || told[2] != 12 || told[3] != 3 || told[5] != 12 {
		t.Errorf("told at %v", told)
	}
}

// TestWhichCallerIDIsShown: the facts of a decision, by which both edges go.
func TestWhichCallerIDIsShown(t *testing.T) {
	const own, other, foreign = "+13125550100", "+13125550101", "+12028290922"
	number := func(text string) e164.Number {
		n, err := e164.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []struct {
		mismatch, override, overrideType, from, to string
		caller                                     string
		confirmed                                  bool
	}{
		{"pass", "", "", own, "+12125550123", own, true},
		{"pass", "", "", foreign, "+12125550123", foreign, false},
		{"pass", foreign, "always", own, "+12125550123", foreign, false},
		{"pass", other, "always", foreign, "+12125550123", other, true},
		{"replace", "", "", foreign, "+12125550123", own, true},
		{"replace", other, "emergency", foreign, "+12125550123", other, true},
		{"replace", foreign, "emergency", "+12025550100", "+12125550123", foreign, false},
		{"pass", "", "", foreign, "911", own, true},
		{"pass", "", "", other, "911", other, true},
		{"pass", foreign, "always", other, "911", own, true},
		{"pass", other, "emergency", foreign, "911", other, true},
		{"pass", other, "normal", foreign, "911", other, true},
		{"refuse", "", "", "", "911", own, true},
	} {
		b := helping(t, func(p *connection.IPConnection) {
			p.CallerIDs.Numbers = []e164.Number{number(own), number(other)}
			p.CallerIDs.Confirm(&connection.CallerIDs{}, true, true)
			p.CallerIDs.OnMismatch = c.mismatch
			if c.override != "" {
				p.Outbound.ANIOverride = c.override
				p.Outbound.ANIOverrideType = c.overrideType
			}
		})
		call := callTo(c.to)
		call.From = c.from
		d := b.apply(Reserve{Call: call, Owner: owner}).Decision
		if !d.Allow || d.Facts.Caller.String() != c.caller || d.Facts.CallerID.Confirmed != c.confirmed {
			t.Errorf("%+v: %v, shows %s, confirmed %v", c, d.Reason, d.Facts.Caller, d.Facts.CallerID.Confirmed)
		}
		checkStoredForm(t, &d)
	}
}
