package admission

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
)

// numberCase is a number as dialled, and how it must be judged.
type numberCase struct {
	dialled, home string
	callee        string // "" for no number
	reason        Reason // by the usual profile, which blocks premium rate
	rate          string // a minute, where the profile blocks nothing
}

func numberDeck(t *testing.T) *rating.Deck {
	return deckOf(t, 1, 1, "0", map[string]string{
		"49": "0.01", "4915": "0.05", "49900": "1.99", "4990012345678": "2.50", "4930": "0.02", "493012": "0.04",
		"33": "0.015", "590": "0.30", "262": "0.40", "39": "0.02", "378": "0.90", "1": "0.01", "1212976": "3.00", "44": "0.02",
	})
}

func TestNumbersAreJudgedAsTheyRing(t *testing.T) {
	cases := []numberCase{
		{"+49 900 1234567", "", "+499001234567", ReasonNumberTypeBlocked, "1.99"},
		{"+49 0 900 1234567", "", "+499001234567", ReasonNumberTypeBlocked, "1.99"},
		{"0049 0 900 1234567", "DE", "+499001234567", ReasonNumberTypeBlocked, "1.99"},
		{"+49 (0) 900 1234567", "DE", "+499001234567", ReasonNumberTypeBlocked, "1.99"},
		{"0900 1234567", "DE", "+499001234567", ReasonNumberTypeBlocked, "1.99"},
		{"+49 900 1234567 8", "", "+4990012345678", ReasonNumberTypeBlocked, "2.50"},
		{"+49 0 900 1234567 99", "", "+49900123456799", ReasonNumberTypeBlocked, "1.99"},
		{"+49 900 12345", "", "+4990012345", ReasonNumberTypeBlocked, "2.50"}, // what longer numbers cost
		{"+49 0151 23456789", "", "+4915123456789", ReasonNone, "0.05"},
		{"+49 30 12345678901", "", "+493012345678901", ReasonNone, "0.04"},
		{"+49 11833", "", "+4911833", ReasonNumberTypeBlocked, "0.01"},
		{"+44 7700 900123", "", "+447700900123", ReasonNone, "0.02"},
		{"0690 123456", "FR", "+590690123456", ReasonNotWhitelisted, "0.30"},
		{"+33 690 123456", "", "+590690123456", ReasonNotWhitelisted, "0.30"},
		{"0692 123456", "FR", "+262692123456", ReasonNotWhitelisted, "0.40"},
		{"06 12 34 56 78", "FR", "+33612345678", ReasonNone, "0.015"},
		{"0549 886377", "IT", "+3780549886377", ReasonNotWhitelisted, "0.90"},
		{"+39 06 12345678", "", "+390612345678", ReasonNone, "0.02"},
		{"+1 212 976 1234", "", "+12129761234", ReasonNumberTypeBlocked, "3.00"},
		{"+1 1 212 976 1234", "", "+12129761234", ReasonNumberTypeBlocked, "3.00"},
		{"+1 212 540 1234", "", "+12125401234", ReasonNumberTypeBlocked, "0.01"},
		{"+1 212 555 0123", "", "+12125550123", ReasonNone, "0.01"},
	}
	deck := numberDeck(t)
	for _, c := range cases {
		t.Run(c.dialled+" from "+c.home, func(t *testing.T) {
			p := profile.New()
			p.WhitelistedDestinations = []string{"DE", "GB", "FR", "IT", "US"}
			d := decideNumber(t, p, deck, c)
			if d.Facts.Callee.String() != c.callee || d.Reason != c.reason {
				t.Errorf("read as %s, %s; want %s, %s", d.Facts.Callee, d.Reason, c.callee, c.reason)
			}
			p.BlockedNumberTypes = []string{}
			d = decideNumber(t, p, deck, c)
			if d.Facts.Rate.PerMinute != money.MustParse(c.rate) {
				t.Errorf("costs %s, want %s", d.Facts.Rate.PerMinute, c.rate)
			}
			// A stored decision judges the same.
			again, err := DecodeDecision(d.Append(nil))
			if err != nil || again.Facts != d.Facts || again.Verdicts != d.Verdicts {
				t.Errorf("stored and read again: %v, %+v", err, again.Verdicts)
			}
		})
	}
}

func decideNumber(t *testing.T, p profile.Profile, deck *rating.Deck, c numberCase) Decision {
	t.Helper()
	conn := attachedConnection()
	if c.home != "" {
		conn.Outbound.Localization = &c.home
	}
	return Decide(snapshotOf(t, testAccountPolicy(), p, conn, deck), new(callTo(c.dialled)), NothingUsed{}, noon)
}

// A type that is only possible is explained.
func TestDoubtfulTypeIsExplained(t *testing.T) {
	p := profile.New()
	p.WhitelistedDestinations = []string{"DE"}
	d := decideNumber(t, p, numberDeck(t), numberCase{dialled: "+49 900 1234567 8"})
	step := d.Explain()[RuleNumberType]
	if step.Verdict != "refuse" || !strings.Contains(step.Seen, "unknown, judged as premium_rate") {
		t.Errorf("explained as %+v", step)
	}
}

// An override decides before the built-in plan, for both numbers, and the decision
// says which one did.
func TestOverrideDecides(t *testing.T) {
	p := profile.New()
	p.MaxDestinationRate = new(money.Rate(money.Dollar))
	built := snapshotOf(t, testAccountPolicy(), p, attachedConnection(), numberDeck(t))
	us, premium := "US", "premium_rate"
	s, err := built.With(
		policy.PutOverride(&numbering.Override{Head: collection.Head[id.ID]{ID: 70},
			Prefix: "1436", Valid: true, Country: &us}),
		policy.PutOverride(&numbering.Override{Head: collection.Head[id.ID]{ID: 71}, Prefix: "12125", Valid: false}),
		policy.PutOverride(&numbering.Override{Head: collection.Head[id.ID]{ID: 72},
			Prefix: "12126", Valid: true, NumberType: &premium}),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to       string
		override id.ID
		before   Reason
		after    Reason
	}{
		{"+14362345678", 70, ReasonNumberInvalid, ReasonNone},
		{"+12125550123", 71, ReasonNone, ReasonNumberInvalid},
		{"+12126550123", 72, ReasonNone, ReasonNumberTypeBlocked},
		{"+12127550123", 0, ReasonNone, ReasonNone},
		{"911", 0, ReasonNone, ReasonNone},
	} {
		if d := Decide(built, new(callTo(c.to)), NothingUsed{}, noon); d.Reason != c.before || d.Facts.Override != 0 {
			t.Errorf("%s without overrides: %s, override %s", c.to, d.Reason, d.Facts.Override)
		}
		d := Decide(s, new(callTo(c.to)), NothingUsed{}, noon)
		if d.Reason != c.after || d.Facts.Override != c.override {
			t.Errorf("%s: %s, override %s; want %s, %s", c.to, d.Reason, d.Facts.Override, c.after, c.override)
		}
		step := d.Explain()[RuleNumber]
		if c.override != 0 && !strings.Contains(step.Seen, "override "+c.override.String()) {
			t.Errorf("%s is explained as %+v", c.to, step)
		}
		if again, err := DecodeDecision(d.Append(nil)); err != nil || again.Facts != d.Facts || again.Verdicts != d.Verdicts {
			t.Errorf("%s stored and read again: %v, %+v", c.to, err, again.Facts)
		}
	}
	call := callTo("+12127550123")
	call.From = "+14362345678"
	if d := Decide(built, &call, NothingUsed{}, noon); d.Reason != ReasonCallerInvalid {
		t.Errorf("a caller that the plan does not know: %s", d.Reason)
	}
	if d := Decide(s, &call, NothingUsed{}, noon); d.Reason != ReasonNone {
		t.Errorf("a caller of the override: %s", d.Reason)
	}
	dropped, err := s.With(policy.DropOverride(70))
	if err != nil {
		t.Fatal(err)
	}
	if d := Decide(dropped, new(callTo("+14362345678")), NothingUsed{}, noon); d.Reason != ReasonNumberInvalid {
		t.Errorf("after it was dropped: %s", d.Reason)
	}
	fix := Decide(built, new(callTo("+14362345678")), NothingUsed{}, noon).Reason.Fix()
	if !strings.Contains(fix, "/tollgate/v1/numbering_plan_overrides") {
		t.Errorf("the way out is not named: %s", fix)
	}
}
