package storetest

import (
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

func newFQDNConnection(name string, profile id.ID) connection.FQDNConnection {
	c := connection.NewFQDNConnection()
	c.ConnectionName = name
	c.Outbound.OutboundVoiceProfileID = profile
	return c
}

func fqdnConnections() subject[connection.FQDNConnection, id.ID] {
	type T = connection.FQDNConnection
	return subject[T, id.ID]{
		of:     Store.FQDNConnections,
		create: func(n int) T { return newFQDNConnection(numbered(n), 0) },
		set:    func(c *T, n int) { c.ConnectionName = numbered(n) },
		field:  "connection_name", value: nameValue,
		head: func(c *T) (*id.ID, *id.ID, *int64, *time.Time, *time.Time) {
			return &c.ID, &c.AccountID, &c.Version, &c.CreatedAt, &c.UpdatedAt
		},
	}
}

// testFQDNs has connections of two accounts share a domain name.
func testFQDNs(t *testing.T, open Opener) {
	b := newBed(t, open)
	account, other := b.account.ID, b.other.ID
	mine := value(b.FQDNConnections().Create(ctx, account, newFQDNConnection("mine", b.profile.ID)))(t)
	p := value(b.Profiles().Create(ctx, other, newProfile("other")))(t)
	theirs := value(b.FQDNConnections().Create(ctx, other, newFQDNConnection("theirs", p.ID)))(t)
	fqdn := func(name string, c id.ID) connection.FQDN {
		return connection.FQDN{FQDN: name, ConnectionID: c, DNSRecordType: "a"}
	}
	name := value(b.FQDNs().Create(ctx, account, fqdn("sip.example.com", mine.ID)))(t)
	foreign(t, b, b.FQDNs(), name.ID)
	refused(t, "profile", errOf(b.FQDNConnections().Create(ctx, other, newFQDNConnection("x", b.profile.ID))),
		collection.ErrNoReference, "/outbound/outbound_voice_profile_id")
	for what, c := range map[string]id.ID{"another account's": theirs.ID, "another kind's": b.pbx.ID, "none": 0} {
		refused(t, "a name of "+what, errOf(b.FQDNs().Create(ctx, account, fqdn("b.example", c))), collection.ErrNoReference,
			"/connection_id")
	}
	refused(t, "the same name of another account",
		errOf(b.FQDNs().Create(ctx, other, fqdn("SIP.example.com.", theirs.ID))), store.ErrTaken, "/fqdn")
	q := value(b.Profiles().Create(ctx, account, newProfile("second")))(t)
	second := value(b.FQDNConnections().Create(ctx, account, newFQDNConnection("second", q.ID)))(t)
	refused(t, "the same name", errOf(b.FQDNs().Create(ctx, account, fqdn("SIP.example.com.", second.ID))),
		collection.ErrDuplicate, "/fqdn")
	change := func(change func(*connection.FQDNConnection)) error {
		return errOf(b.FQDNConnections().Update(ctx, account, second.ID,
			func(c connection.FQDNConnection) (connection.FQDNConnection, error) {
				change(&c)
				return c, nil
			}))
	}
	for what, tell := range map[string]func(*connection.FQDNConnection){
		"a prefix":   func(c *connection.FQDNConnection) { c.Outbound.TechPrefix = "1234" },
		"a token":    func(c *connection.FQDNConnection) { c.Outbound.IPAuthenticationToken = new("secret") },
		"no profile": func(c *connection.FQDNConnection) { c.Outbound.OutboundVoiceProfileID = 0 },
		"a user": func(c *connection.FQDNConnection) {
			c.Outbound.IPAuthenticationMethod = "credential-authentication"
			c.UserName = new("user1")
		},
	} {
		must(t, change(tell))
		made, err := b.FQDNs().Create(ctx, account, fqdn("SIP.example.com.", second.ID))
		if err != nil {
			t.Errorf("told apart by %s: %v", what, err)
			continue
		}
		plain := func(c *connection.FQDNConnection) { c.Outbound = newFQDNConnection("", q.ID).Outbound }
		refused(t, "without "+what, change(plain), collection.ErrDuplicate, "/outbound/tech_prefix")
		value(b.FQDNs().Delete(ctx, account, made.ID))(t)
		must(t, change(plain))
	}
	if n := value(b.CountByProfile(ctx, account, []id.ID{b.profile.ID}))(t)[b.profile.ID]; n != 3 {
		t.Errorf("%d connections of the profile, want 3", n)
	}
	refused(t, "delete profile", errOf(b.Profiles().Delete(ctx, other, p.ID)), collection.ErrInUse, "/")
	if c := b.options.Live.Snapshot().Connection(mine.ID); c == nil || c.Kind != connection.KindFQDN ||
		c.Profile != b.profile.ID {
		t.Errorf("in the policy: %+v", c)
	}
	// Its user is one of the server's, and its addresses are recognised and go with it.
	must(t, change(func(c *connection.FQDNConnection) { c.UserName, c.Password = new("named1"), new("correct horse") }))
	refused(t, "user name of another kind", errOf(b.CredentialConnections().Create(ctx, other, newPhone("named1", 0))),
		collection.ErrDuplicate, "/user_name")
	refused(t, "user name of a phone", change(func(c *connection.FQDNConnection) { c.UserName = new(b.phone.UserName) }),
		collection.ErrDuplicate, "/user_name")
	must(t, change(func(c *connection.FQDNConnection) { c.Outbound.FQDNAuthenticationMethod = new(connection.MethodIP) }))
	address := value(b.IPs().Create(ctx, account, newIP("198.51.100.77", second.ID)))(t)
	refused(t, "a plain one at its address", errOf(b.IPs().Create(ctx, account, newIP("198.51.100.77", b.pbx.ID))),
		collection.ErrDuplicate, "/ip_address")
	refused(t, "its address by another account", errOf(b.IPs().Create(ctx, other, newIP("198.51.100.77", 0))),
		store.ErrTaken, "/ip_address")
	b.reopen(t, open)
	at := address.IPAddress.Prefix().Addr()
	if c, _, _ := b.options.Live.Snapshot().BySource(at, "+12125550123", "", 0); c == nil || c.ID != second.ID {
		t.Errorf("found by its address: %+v", c)
	}
	if c := b.options.Live.Snapshot().ByUser("named1"); c == nil || c.HA1 != connection.HA1Of("named1", "correct horse") {
		t.Errorf("found by its user: %+v", c)
	}
	value(b.FQDNConnections().Delete(ctx, account, second.ID))(t)
	if err := errOf(b.IPs().Get(ctx, account, address.ID)); !errors.Is(err, collection.ErrNotFound) ||
		b.options.Live.Snapshot().Known(at) {
		t.Errorf("address of a deleted connection: %v", err)
	}
	if c := b.options.Live.Snapshot().Connection(mine.ID); c == nil || c.Kind != connection.KindFQDN {
		t.Errorf("in the policy after opening again: %+v", c)
	}
	value(b.FQDNConnections().Delete(ctx, account, mine.ID))(t)
	if err := errOf(b.FQDNs().Get(ctx, account, name.ID)); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("name of a deleted connection: %v", err)
	}
	for _, q := range []collection.Query{
		{Size: 1, Filters: []collection.Filter{{Field: "fqdn", Op: collection.Contains, Value: "x"}}},
		{Size: 1, Filters: []collection.Filter{{Field: "fqdn", Value: int64(7)}}},
	} {
		if err := errOf(b.FQDNConnections().List(ctx, account, q)); !errors.Is(err, collection.ErrBadValue) {
			t.Errorf("%v: %v", q, err)
		}
	}
	if err := errOf(b.FQDNConnections().List(ctx, account,
		collection.Query{Size: 1, Sort: []collection.Order{{Field: "fqdn"}}})); !errors.Is(err, collection.ErrUnknownField) {
		t.Errorf("sorted by a field that is no column: %v", err)
	}
}

func testTags(t *testing.T, open Opener) {
	b := newBed(t, open)
	tags := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), value(b.Tags(ctx, b.account.ID, ""))(t)); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
	}
	set := func(tags ...string) { must(t, b.changeProfile(func(p *profile.Profile) { p.Tags = tags })) }
	set("Zoo", "Office", "OFFICE")
	tags("Office", "Zoo")
	set("office")
	tags("Office")
	b.reopen(t, open)
	tags("Office")
	if got := value(b.Tags(ctx, b.other.ID, ""))(t); len(got) != 0 {
		t.Errorf("tags of another account: %v", got)
	}
	set()
	tags()
}

func testReports(t *testing.T, open Opener) {
	b := newBed(t, open)
	first := b.do(t, b.reserve())
	b.do(t, admission.Answer{ID: first.Decision.ID, AtMicros: b.clock.Now().UnixMicro()})
	b.clock.advance(30 * time.Second)
	live := b.do(t, b.reserve())
	b.do(t, admission.Answer{ID: live.Decision.ID, AtMicros: b.clock.Now().UnixMicro()})
	b.do(t, admission.Settle{ID: first.Decision.ID, Ending: ending(b, 30*time.Second)})
	today := record.DayOf(noon.UnixMicro())

	q := store.ReportQuery{FromMicros: today.StartMicros(), ToMicros: (today + 1).StartMicros(), Number: 1, Size: 10,
		Dimensions: []string{"outbound_profile_id", "date", "billing_group_id", "country_code"},
		Metrics:    []string{"cost", "attempted", "call_sec"}}
	want := collection.Page[store.ReportRow]{Total: 1, Items: []store.ReportRow{{
		Dimensions: []any{b.profile.ID.String(), noon.UTC().Format(time.DateOnly), nil, "US"},
		Metrics:    []any{money.Dollar, int64(1), int64(30)}}}}
	if diff := cmp.Diff(want, value(b.UsageReport(ctx, b.account.ID, q))(t)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for account, wanted := range map[id.ID]int{b.account.ID: 1, b.other.ID: 0} {
		traffic := value(b.Traffic(ctx, account, q.FromMicros, q.ToMicros, 10))(t)
		if len(traffic) != wanted || wanted > 0 && (traffic[0].Calls != 1 || traffic[0].Secs != 30 ||
			!regexp.MustCompile("^1[2-9][0-9]{6}$").MatchString(traffic[0].Prefix)) {
			t.Errorf("traffic of account %s: %+v", account, traffic)
		}
		if none := value(b.Traffic(ctx, account, q.ToMicros, q.ToMicros+1, 10))(t); len(none) != 0 {
			t.Errorf("traffic of tomorrow: %+v", none)
		}
	}
	if got := value(b.UsageReport(ctx, b.other.ID, q))(t); got.Total != 0 || len(got.Items) != 0 {
		t.Errorf("report of another account: %v", got)
	}
	for what, spoil := range map[string]func(*store.ReportQuery){
		"dimension":          func(q *store.ReportQuery) { q.Dimensions = []string{"account_id"} },
		"metric":             func(q *store.ReportQuery) { q.Metrics = []string{"COUNT(*)"} },
		"order":              func(q *store.ReportQuery) { q.Sort = []collection.Order{{Field: "tn_type"}} },
		"filter":             func(q *store.ReportQuery) { q.Filters = []collection.Filter{{Field: "x"}} },
		"repeated dimension": func(q *store.ReportQuery) { q.Dimensions = []string{"date", "date"} },
	} {
		wrong := q
		spoil(&wrong)
		if err := errOf(b.UsageReport(ctx, b.account.ID, wrong)); !errors.Is(err, collection.ErrUnknownField) {
			t.Errorf("unknown %s: %v", what, err)
		}
	}
	for what, spoil := range map[string]func(*store.ReportQuery){
		"no dimension": func(q *store.ReportQuery) { q.Dimensions = nil },
		"no metric":    func(q *store.ReportQuery) { q.Metrics = nil }, "no size": func(q *store.ReportQuery) { q.Size = 0 },
	} {
		wrong := q
		spoil(&wrong)
		if err := errOf(b.UsageReport(ctx, b.account.ID, wrong)); !errors.Is(err, collection.ErrBadValue) {
			t.Errorf("%s: %v", what, err)
		}
	}

	spend := value(b.SpendSince(ctx, b.account.ID, today))(t)
	profileSpend := b.spendToday(t)
	if spend != profileSpend || spend.Posted < money.Dollar || spend.Held == 0 {
		t.Errorf("spend %+v, of the only profile %+v", spend, profileSpend)
	}
	if later := value(b.SpendSince(ctx, b.account.ID, today+1))(t); later.Posted != 0 || later.Held != spend.Held {
		t.Errorf("spend since tomorrow %+v", later)
	}
	if foreign := value(b.SpendSince(ctx, b.other.ID, 0))(t); foreign != (admission.Spend{}) {
		t.Errorf("spend of another account %+v", foreign)
	}

	events := value(b.CallEvents(ctx, b.account.ID, store.EventQuery{ToMicros: 1 << 62, Size: 10}))(t)
	var kinds []store.EventKind
	for _, e := range events.Items {
		kinds = append(kinds, e.Kind)
		if e.Call.ID != first.Decision.ID || e.Call.Cost != money.Dollar {
			t.Errorf("event of %+v", e.Call)
		}
	}
	if diff := cmp.Diff([]store.EventKind{store.EventInitiated, store.EventAnswered, store.EventHangup, store.EventCost},
		kinds); diff != "" || events.Total != 4 {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if foreign := value(b.CallEvents(ctx, b.other.ID,
		store.EventQuery{ToMicros: 1 << 62, Size: 10}))(t); foreign.Total != 0 {
		t.Errorf("events of another account: %v", foreign)
	}
	if err := errOf(b.CallEvents(ctx, b.account.ID, store.EventQuery{Size: 0})); !errors.Is(err, collection.ErrBadValue) {
		t.Errorf("events of no size: %v", err)
	}
}

// testReportsBySource has callers of two countries and of none, over profiles with
// tags, without, and deleted since; another account's calls and tags stay out.
func testReportsBySource(t *testing.T, open Opener) {
	b := newBed(t, open)
	must(t, b.changeProfile(func(p *profile.Profile) { p.Tags = []string{"night", "Ärger", "day, \"late\""} }))
	attempt := func(connection id.ID, from, to string) record.Call {
		t.Helper()
		c := b.reserve()
		c.Call.Connection = connection
		c.Call.From = from
		c.Call.To = to
		r := b.do(t, c)
		if r.Decision.Allow {
			r = b.do(t, admission.Release{ID: r.Decision.ID,
				Ending: admission.Ending{Cancelled: true, EndedMicros: b.clock.Now().UnixMicro()}})
		}
		return *r.Record
	}
	const us, gb, callee = "+12125550100", "+447400123456", "+12125550199"
	british := attempt(b.phone.ID, gb, callee)
	attempt(b.phone.ID, us, callee)
	attempt(b.phone.ID, us, callee)
	attempt(b.phone.ID, "+881612345678", "+881612345679") // no country on either side
	attempt(b.phone.ID, "anonymous", callee)
	gone := newProfile("gone")
	gone.Tags = []string{"gone"}
	gone = value(b.Profiles().Create(ctx, b.account.ID, gone))(t)
	phone := value(b.CredentialConnections().Create(ctx, b.account.ID, newPhone("phone0002", gone.ID)))(t)
	attempt(phone.ID, us, callee)
	value(b.CredentialConnections().Delete(ctx, b.account.ID, phone.ID))(t)
	value(b.Profiles().Delete(ctx, b.account.ID, gone.ID))(t)
	foreign := newProfile("foreign")
	foreign.Tags = []string{"foreign"}
	foreign = value(b.Profiles().Create(ctx, b.other.ID, foreign))(t)
	theirs := value(b.CredentialConnections().Create(ctx, b.other.ID, newPhone("phone0003", foreign.ID)))(t)
	attempt(theirs.ID, us, callee)

	today := record.DayOf(noon.UnixMicro())
	q := store.ReportQuery{FromMicros: today.StartMicros(), ToMicros: (today + 1).StartMicros(), Number: 1, Size: 10,
		Dimensions: []string{"source_country_code", "source_tn_type", "is_local_calling", "tags", "bundle_id"},
		Metrics:    []string{"attempted"}}
	report := func(account id.ID, filters ...collection.Filter) map[string]int64 {
		t.Helper()
		q.Filters = filters
		got := map[string]int64{}
		page := value(b.UsageReport(ctx, account, q))(t)
		for _, row := range page.Items {
			got[fmt.Sprint(row.Dimensions...)] += row.Metrics[0].(int64)
		}
		if page.Total != len(page.Items) || page.Total != len(got) {
			t.Errorf("total %d of %d rows, %d of them different", page.Total, len(page.Items), len(got))
		}
		return got
	}
	same := func(what string, want, got map[string]int64) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	row := func(country, kind any, local bool, tags any) string {
		return fmt.Sprint(country, kind, local, tags, any(nil))
	}
	tags := `night,Ärger,"day, ""late"""`
	same("report", map[string]int64{
		row("US", "fixed_line_or_mobile", true, tags): 2, row("GB", "mobile", false, tags): 1,
		row(nil, "satellite", false, tags): 1,
		row(nil, nil, false, tags):         1, row("US", "fixed_line_or_mobile", true, nil): 1,
	}, report(b.account.ID))
	same("another account's", map[string]int64{row("US", "fixed_line_or_mobile", true, "foreign"): 1}, report(b.other.ID))
	ofGB, mobile := collection.Filter{Field: "source_country", Value: "GB"},
		collection.Filter{Field: "source_number_type", Value: "mobile"}
	same("filtered", map[string]int64{row("GB", "mobile", false, tags): 1}, report(b.account.ID, ofGB, mobile))
	must(t, b.changeProfile(func(p *profile.Profile) { p.Tags = nil }))
	same("without tags", map[string]int64{row("GB", "mobile", false, nil): 1}, report(b.account.ID, ofGB))

	page := value(b.ListRecords(ctx, b.account.ID, collection.Query{Size: 10,
		Filters: []collection.Filter{ofGB, mobile}}))(t)
	if page.Total != 1 || len(page.Items) != 1 || page.Items[0].ID != british.ID || !page.Items[0].HasSource ||
		page.Items[0].SourceCountry.Alpha2() != "GB" || page.Items[0].SourceType != british.SourceType {
		t.Errorf("records of British mobiles: %+v", page.Items)
	}
}
