package admission

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
)

// numberCase is a number as dialled, and what must become of it.
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
