package admission

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/numberlist"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/spendlimit"
)

// decisionCase is one entry of testdata/decisions.json. Profile and connection
// are merged onto the API's defaults.
type decisionCase struct {
	NumberLists     []numberlist.List `json:"number_lists"`
	Routes          []jsontext.Value  `json:"routes"` // ids from 800 on
	Name            string            `json:"name"`
	Unknown         bool              `json:"unknown"`
	Identity        int               `json:"identity"`
	AccountInactive bool              `json:"account_inactive"`
	AccountChannels *int32            `json:"account_channels"`
	AccountLimit    jsontext.Value    `json:"account_limit"` // a profile.SpendLimit
	GroupLimit      jsontext.Value    `json:"group_limit"`
	SpendLimits     []jsontext.Value  `json:"spend_limits"`
	Profile         jsontext.Value    `json:"profile"`
	Connection      jsontext.Value    `json:"connection"`
	Usage           fixedUsage        `json:"usage"`
	From            *string           `json:"from"`
	To              string            `json:"to"`
	At              time.Time         `json:"at"`
	EdgeRefusal     string            `json:"edge_refusal"`
	IDUse           IDUse             `json:"id_use"`
	AllowedSources  []string          `json:"allowed_sources"` // of a credential connection, in the place of the other
	Source          string            `json:"source"`

	Allow     bool   `json:"allow"`
	Emergency bool   `json:"emergency"`
	Reason    string `json:"reason"`
	Status    int    `json:"status"`
	Phrase    string `json:"phrase"`
}

// fixedUsage is a Usage that says the same of everything.
type fixedUsage struct {
	Account, Profile, Connection int32
	CallsToNumber                int32        `json:"calls"`
	CallsBegun                   int32        `json:"begun"`
	Emergencies                  int32        `json:"emergencies"`
	PostedToday                  money.Amount `json:"posted"`
	HeldToday                    money.Amount `json:"held"`
	GroupPosted                  money.Amount `json:"group_posted"`
	AccountPosted                money.Amount `json:"account_posted"`
	LimitPosted                  money.Amount `json:"limit_posted"` // of every spend limit
	HeldBack                     string       `json:"held_back"`    // profile, group or account
}

func (u *fixedUsage) LiveCalls(_, _, _ id.ID) (a, p, c int32) {
	return u.Account, u.Profile, u.Connection
}
func (u *fixedUsage) LiveEmergencies(id.ID) int32 { return u.Emergencies }
func (u *fixedUsage) SpendIn(scope Scope, _ record.Day) ScopeSpend {
	switch scope.Kind {
	case ScopeProfile:
		return ScopeSpend{Posted: u.PostedToday, Held: u.HeldToday, HeldBack: u.HeldBack == "profile"}
	case ScopeAccount:
		return ScopeSpend{Posted: u.AccountPosted, HeldBack: u.HeldBack == "account"}
	}
	return ScopeSpend{Posted: u.GroupPosted, HeldBack: u.HeldBack == "group"}
}
func (u *fixedUsage) SpendUnder(*policy.Limit, int64) ScopeSpend {
	return ScopeSpend{Posted: u.LimitPosted}
}
func (u *fixedUsage) Calls(id.ID, e164.Number, int32) int32 { return u.CallsToNumber }
func (u *fixedUsage) Begun(id.ID, int32) int32              { return u.CallsBegun }

func loadDecisionCases(t *testing.T) []decisionCase {
	t.Helper()
	text, err := os.ReadFile("testdata/decisions.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []decisionCase
	if err := json.Unmarshal(text, &cases, json.RejectUnknownMembers(true), json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	return cases
}

func (c *decisionCase) decide(t *testing.T) Decision {
	t.Helper()
	p, conn, account := profile.New(), attachedConnection(), testAccountPolicy()
	if c.Profile != nil {
		if err := json.Unmarshal(c.Profile, &p, json.RejectUnknownMembers(true)); err != nil {
			t.Fatal(err)
		}
	}
	if c.Connection != nil {
		if err := json.Unmarshal(c.Connection, &conn, json.RejectUnknownMembers(true)); err != nil {
			t.Fatal(err)
		}
	}
	account.Active = !c.AccountInactive
	if c.AccountChannels != nil {
		account.ChannelLimit = *c.AccountChannels
	}
	call := callTo(c.To)
	call.IDUse = c.IDUse
	if c.From != nil {
		call.From = *c.From
	}
	if c.Unknown {
		call.Connection, call.Identity = 0, policy.Identity(c.Identity)
		call.Source = netip.MustParseAddr("198.51.100.9")
	}
	for _, reason := range Reasons() {
		if c.EdgeRefusal != "" && reason.String() == c.EdgeRefusal {
			call.EdgeRefusal = reason
		}
	}
	at := c.At
	if at.IsZero() {
		at = noon
	}
	group := policy.Group{ID: testGroup, Account: testAccount}
	for text, into := range map[string]*policy.SpendLimit{string(c.AccountLimit): &account.Spending, string(c.GroupLimit): &group.Spending} {
		limit := profile.NewSpendLimit()
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), &limit, json.RejectUnknownMembers(true)); err != nil {
			t.Fatal(err)
		}
		limit.DailySpendLimitEnabled = true
		*into = policy.CompileSpendLimit(&limit)
	}
	if group.Spending.On {
		p.BillingGroupID = &group.ID
	}
	changes := []policy.Change{policy.PutGroup(&group)}
	for i := range c.NumberLists {
		list := &c.NumberLists[i]
		list.ID, list.AccountID = id.ID(900+i), testAccount
		changes = append(changes, policy.PutNumberList(list))
	}
	snapshot, err := snapshotOf(t, account, p, conn, standardDeck(t)).With(changes...)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range c.SpendLimits {
		l := spendlimit.New()
		if err := json.Unmarshal(text, &l, json.RejectUnknownMembers(true)); err != nil {
			t.Fatal(err)
		}
		l.ID, l.AccountID = id.ID(100+i), testAccount
		if snapshot, err = snapshot.With(policy.PutLimit(&l)); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range c.Routes {
		r := routing.NewRoute()
		if err := json.Unmarshal(text, &r, json.RejectUnknownMembers(true)); err != nil {
			t.Fatal(err)
		}
		r.ID, r.AccountID = id.ID(800+i), testAccount
		if snapshot, err = snapshot.With(policy.PutRoute(&r)); err != nil {
			t.Fatal(err)
		}
	}
	if c.AllowedSources != nil {
		snapshot, err = snapshot.With(policy.PutCredential(c.credential(t)))
		if err != nil {
			t.Fatal(err)
		}
	}
	if c.Source != "" {
		call.Source = netip.MustParseAddr(c.Source)
	}
	return Decide(snapshot, &call, &c.Usage, at)
}

// credential is a credential connection in the place of the one that calls.
func (c *decisionCase) credential(t *testing.T) *connection.CredentialConnection {
	t.Helper()
	user := connection.NewCredentialConnection()
	user.ID = testConnection
	user.AccountID = testAccount
	user.UserName = "alice"
	user.Password = "correct-horse"
	user.Outbound.OutboundVoiceProfileID = testProfile
	networks := []connection.Network{}
	for _, text := range c.AllowedSources {
		n, err := connection.ParseNetwork(text)
		if err != nil {
			t.Fatal(err)
		}
		networks = append(networks, n)
	}
	user.AllowedSources = &networks
	return &user
}

func TestDecisions(t *testing.T) {
	for _, c := range loadDecisionCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			d := c.decide(t)
			got := []any{d.Allow, d.Facts.Emergency, d.Reason.String(), d.Reason.Status(), d.Phrase()}
			want := []any{c.Allow, c.Emergency, c.Reason, c.Status, c.Phrase}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			checkStoredForm(t, &d)
			checkExplanation(t, &d)
		})
	}
}

// checkStoredForm holds that a decision stores what it saw and that judging it
// again gives the same verdict.
func checkStoredForm(t *testing.T, d *Decision) {
	t.Helper()
	stored, err := DecodeDecision(d.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*d, stored, cmp.Comparer(func(a, b e164.CountrySet) bool { return a == b })); diff != "" {
		t.Errorf("the stored decision differs (-made +read):\n%s", diff)
	}
	if reason, _ := Rejudge(&stored.Facts); reason != d.Reason {
		t.Errorf("judged again: %v, want %v", reason, d.Reason)
	}
}

func checkExplanation(t *testing.T, d *Decision) {
	t.Helper()
	steps := d.Explain()
	if len(steps) < int(NumRules) {
		t.Fatalf("%d steps, want one for each of the %d rules", len(steps), NumRules)
	}
	refused := false
	for _, step := range steps {
		if step.Verdict == Refuse.String() {
			refused = true
			if step.Seen == "" || step.Allowed == "" || step.Fix == "" || step.Reason == "" {
				t.Errorf("the refusing rule %s leaves something unsaid: %+v", step.Rule, step)
			}
		}
	}
	if refused == d.Allow {
		t.Errorf("allow=%v, yet a rule refuses: %v", d.Allow, refused)
	}
}

func TestEveryReasonHasAnAnswer(t *testing.T) {
	words, produced := map[string]bool{}, map[string]bool{}
	for _, c := range loadDecisionCases(t) {
		produced[c.Reason] = true
	}
	// These come from an edge, which passes them as EdgeRefusal or answers alone, or from the ledger.
	for _, edge := range []Reason{ReasonCallEnded, ReasonHungUp, ReasonNoGateway, ReasonStoreUnavailable, ReasonOverloaded, ReasonGatewaysDown, ReasonGatewayLimit, ReasonCallLength} {
		produced[edge.String()] = true
	}
	for _, r := range Reasons() {
		if r.String() == "" || r.Status() < 200 || r.Status() > 699 || answers[r].phrase == "" {
			t.Errorf("reason %d has no complete answer; the next free number may be lower: %+v", r, answers[r])
		}
		if words[r.String()] {
			t.Errorf("two reasons share the word %q", r)
		}
		words[r.String()] = true
		if r != ReasonNone && (r.Code() == "" || r.Fix() == "") {
			t.Errorf("reason %v lacks its code or its fix", r)
		}
		if !produced[r.String()] {
			t.Errorf("no case of testdata/decisions.json gives %v", r)
		}
	}
}

func TestPhraseStaysShort(t *testing.T) {
	p := profile.New()
	p.WhitelistedDestinations = nil
	for _, country := range e164.Countries() {
		if country.Alpha2() != "FR" {
			p.WhitelistedDestinations = append(p.WhitelistedDestinations, country.Alpha2())
		}
	}
	call := callTo("+33142685300")
	d := Decide(snapshotOf(t, testAccountPolicy(), p, attachedConnection(), standardDeck(t)), &call, &fixedUsage{}, noon)
	if phrase := d.Phrase(); len(phrase) > 400 || !strings.HasSuffix(phrase, "... D13") {
		t.Errorf("phrase of %d bytes: %s", len(phrase), phrase)
	}
	checkStoredForm(t, &d)
}

func TestWindowOnClockChanges(t *testing.T) {
	window := profile.CallingWindow{TimeZone: new("America/New_York")}
	start, _ := profile.ParseTimeOfDay("01:00")
	end, _ := profile.ParseTimeOfDay("03:00")
	window.StartTime, window.EndTime = &start, &end
	compiled, err := window.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   string
		open bool
		why  string
	}{
		{"2026-11-01T05:30:00Z", true, "01:30 EDT, the first time"},
		{"2026-11-01T06:30:00Z", true, "01:30 EST, the second time"},
		{"2026-11-01T08:00:00Z", false, "03:00 EST"},
		{"2027-03-14T06:30:00Z", true, "01:30 EST"},
		{"2027-03-14T07:00:00Z", false, "03:00 EDT, since 02:00 to 03:00 does not occur"},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if open, _ := compiled.Locate(at); open != c.open {
			t.Errorf("%s (%s): open=%v, want %v", c.at, c.why, open, c.open)
		}
	}
}

func FuzzDecodeDecision(f *testing.F) {
	d := Decision{ID: uuid.New()}
	d.Facts.From, d.Facts.To = "+13125550100", "911"
	f.Add(d.Append(nil))
	f.Add([]byte{})
	f.Add([]byte{EncodingVersion})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		d, err := DecodeDecision(encoded)
		if err != nil {
			return
		}
		again, err := DecodeDecision(d.Append(nil))
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if again.Reason != d.Reason || again.Facts != d.Facts {
			t.Fatalf("not stable: %+v then %+v", d, again)
		}
		_ = d.Explain()
		_ = d.Phrase()
	})
}
