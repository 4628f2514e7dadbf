package admission

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// Invariant is one of the statements that hold in every state of the ledger.
type Invariant uint8

// The invariants that an Auditor recomputes.
const (
	// Channels (I1): no call was admitted beyond a limit of channels in force.
	Channels Invariant = iota
	// Limit (I2): with end_calls posted and held are within the largest limit of the
	// day, and no call was admitted whose first grant did not fit.
	Limit
	// OneRecord (I4): each call is either live or has exactly one record.
	OneRecord
	// Conservation (I6): what is posted is what the calls were charged, within what
	// they were granted; what is held is what live calls hold.
	Conservation
	NumInvariants
)

// String is the invariant's number in the documentation.
func (i Invariant) String() string { return [...]string{"I1", "I2", "I4", "I6"}[i] }

// Says is what the invariant promises, in words.
func (i Invariant) Says() string {
	return [...]string{
		"no call was admitted beyond the channels in force",
		"charges and holds are within the daily limits in force, and emergency calls are in neither",
		"each call is live or has exactly one record",
		"posted is the sum of the charges, held the sum of what live calls hold, of emergency calls for themselves",
	}[i]
}

// Breach is a row of the ledger that breaks an invariant.
type Breach struct {
	Invariant Invariant
	Row       string // which row it is, for people
	Problem   string
}

// Audit is what an Auditor has found.
type Audit struct {
	Leases, Records, Days int
	// Emergencies is what is posted outside the limits.
	Emergencies EmergencyDay
	// Broken counts the breaches of each invariant, and Breaches has the first of each.
	Broken   [NumInvariants]int
	Breaches []Breach
}

// Holds means that nothing is broken.
func (a *Audit) Holds() bool { return len(a.Breaches) == 0 }

// keptBreaches is how many breaches of one invariant are reported one by one.
const keptBreaches = 100

// Auditor recomputes the invariants from the rows of a ledger: first all leases,
// then all records by id, then all days, all of them of one moment.
type Auditor struct {
	audit   Audit
	live    map[uuid.UUID]struct{}
	scopes  map[id.ID][]admitted
	names   map[id.ID]string
	days    map[SpendKey]*auditedDay
	urgent  map[EmergencyKey]*auditedEmergencies
	limits  map[id.ID][]*policy.Limit // by account
	byScope map[Scope]*policy.Limit   // the same by their scopes
	swept   map[id.ID]record.Day      // see Swept
	last    uuid.UUID                 // the record before
	counted bool                      // there is a record before
}

// admitted is a live call in a scope whose channels were limited when it was admitted.
type admitted struct {
	call uuid.UUID
	seen int32 // other calls that were live then
}

type auditedDay struct {
	account                        id.ID
	found                          bool // there is a row
	row                            Spend
	charged, holding, overrunCosts money.Amount
	firstMicros                    int64 // when the first of its calls was admitted
	unlimited                      bool  // one was admitted while calls did not end at a limit
}

// call notes a call that has money on the day.
func (d *auditedDay) call(spend *ScopeFacts, reservedMicros int64) {
	d.firstMicros = min(d.firstMicros, reservedMicros)
	if spend != nil && !(spend.Limited && spend.EndCalls) {
		d.unlimited = true
	}
}

// charge is money of a call on a day.
type charge struct {
	payer                  Payer
	spender                policy.Spender
	atMicros               int64
	posted, holds, overrun money.Amount
	reservedMicros         int64
	decided                *Decision // nil when it cannot be read, or does not matter
}

// book adds a charge to every scope that it may be counted in.
func (a *Auditor) book(c *charge) {
	for scope := range c.payer.Scopes {
		d := a.charge(c, scope.On(record.DayOf(c.atMicros)))
		if c.decided == nil {
			continue
		}
		d.call(c.decided.Facts.spendOf(scope.Kind), c.reservedMicros)
	}
	for _, limit := range a.limits[c.payer.Account] {
		if limit.Counts(&c.spender) {
			d := a.charge(c, LimitKey(limit, c.atMicros))
			d.firstMicros = min(d.firstMicros, c.reservedMicros)
		}
	}
}

// charge adds a charge to what is counted under a key.
func (a *Auditor) charge(c *charge, key SpendKey) *auditedDay {
	d := a.day(c.payer.Account, key)
	d.charged = money.Add(d.charged, c.posted)
	d.holding = money.Add(d.holding, c.holds)
	d.overrunCosts = money.Add(d.overrunCosts, c.overrun)
	return d
}

// SpendLimit means that a spend limit counts. All of them come before leases and records.
func (a *Auditor) SpendLimit(l *policy.Limit) {
	a.limits[l.Account] = append(a.limits[l.Account], l)
	a.byScope[LimitScope(l.ID)] = l
}

// NewAuditor returns one that has seen no rows.
func NewAuditor() *Auditor {
	return &Auditor{
		live: make(map[uuid.UUID]struct{}), scopes: make(map[id.ID][]admitted),
		names: make(map[id.ID]string), days: make(map[SpendKey]*auditedDay),
		urgent: make(map[EmergencyKey]*auditedEmergencies),
		limits: make(map[id.ID][]*policy.Limit), byScope: make(map[Scope]*policy.Limit),
	}
}

// Broken notes a row that breaks an invariant in a way that only its reader sees.
func (a *Auditor) Broken(invariant Invariant, row, format string, args ...any) {
	a.audit.Broken[invariant]++
	if a.audit.Broken[invariant] <= keptBreaches {
		a.audit.Breaches = append(a.audit.Breaches, Breach{invariant, row, fmt.Sprintf(format, args...)})
	}
}

func (a *Auditor) day(account id.ID, key SpendKey) *auditedDay {
	d := a.days[key]
	if d == nil {
		d = &auditedDay{account: account, firstMicros: math.MaxInt64}
		a.days[key] = d
	}
	return d
}

// Lease takes a live call in.
func (a *Auditor) Lease(l *Lease) {
	a.audit.Leases++
	row := LeaseRow(l.Account, l.ID)
	if _, twice := a.live[l.ID]; twice {
		a.Broken(OneRecord, row, "is there twice")
	}
	a.live[l.ID] = struct{}{}
	if l.Emergency {
		a.emergencyLease(row, l)
		return
	}
	decided := a.decision(row, l.Decision)
	c := charge{payer: l.Payer(), spender: l.Spender(), reservedMicros: l.ReservedMicros, decided: decided}
	for _, s := range l.Posted {
		c.atMicros, c.posted = s.AtMicros(), s.Cost
		a.book(&c)
	}
	c.posted = 0
	for _, h := range l.Held {
		c.atMicros, c.holds = h.AtMicros(), h.Cost
		a.book(&c)
	}
	if decided != nil {
		f := &decided.Facts
		a.seen(l.Account, "account", l.ID, f.AccountLive, f.AccountMax)
		a.seen(l.Profile, "profile", l.ID, f.ProfileLive, f.ProfileMax)
		a.seen(l.Connection, "connection", l.ID, f.ConnectionLive, f.ConnectionMax)
	}
}

func (a *Auditor) seen(scope id.ID, kind string, call uuid.UUID, live, most int32) {
	if most != policy.NoLimit {
		a.scopes[scope] = append(a.scopes[scope], admitted{call, live})
		a.names[scope] = kind + " " + scope.String()
	}
}

// decision judges again the facts on which a call was admitted.
func (a *Auditor) decision(row string, encoded []byte) *Decision {
	d, err := DecodeDecision(encoded)
	if err != nil {
		a.Broken(OneRecord, row, "has a decision that cannot be read: %v", err)
		return nil
	}
	f := &d.Facts
	if d.Verdicts[RuleChannels] == Refuse {
		a.Broken(Channels, row,
			"was admitted with account %d of %s, profile %d of %s, connection %d of %s channels taken",
			f.AccountLive, limitText(f.AccountMax), f.ProfileLive, limitText(f.ProfileMax), f.ConnectionLive,
			limitText(f.ConnectionMax))
	}
	if d.Verdicts[RuleSpend] == Refuse {
		a.Broken(Limit, row, "was admitted with %s posted, %s held and a first grant of %s under a limit of %s",
			f.Spends[0].Posted, f.Spends[0].Held, f.FirstGrantCost, f.Spends[0].Limit)
	}
	return &d
}

// Record takes a call that has ended in. Records come in the order of their ids.
func (a *Auditor) Record(r *record.Call) {
	a.audit.Records++
	row := RecordRow(r.AccountID, r.ID)
	if a.counted && a.last == r.ID {
		a.Broken(OneRecord, row, "is a second record of the call")
	}
	a.last, a.counted = r.ID, true
	if _, live := a.live[r.ID]; live {
		a.Broken(OneRecord, row, "is there, and the call still holds a lease")
	}
	var decided *Decision
	if r.Outcome != record.OutcomeRefused && !r.Emergency {
		decided = a.decision(row, r.Decision)
	}
	a.charges(row, r)
	if r.Emergency {
		a.emergencyRecord(r)
		return
	}
	payer := PayerOf(r.AccountID, r.ProfileID, r.ConnectionID, r.BillingGroup)
	spender := policy.Spender{
		Account: r.AccountID, Profile: r.ProfileID, Connection: r.ConnectionID, Group: payer.Group,
		Caller: r.Caller, Callee: r.Callee, Country: r.Country,
	}
	c := charge{payer: payer, spender: spender, reservedMicros: r.StartedMicros, decided: decided}
	for _, s := range r.Slices {
		c.atMicros, c.posted = s.AtMicros(), s.Cost
		a.book(&c)
	}
	if r.OverrunCost != 0 {
		a.book(&charge{payer: payer, spender: spender, atMicros: r.EndedMicros, overrun: r.OverrunCost,
			reservedMicros: math.MaxInt64})
	}
}

// charges holds the charge of one call against its slices, its rate and its grants.
func (a *Auditor) charges(row string, r *record.Call) {
	var cost money.Amount
	var secs int64
	for _, s := range r.Slices {
		cost, secs = money.Add(cost, s.Cost), secs+s.Secs
	}
	switch {
	case cost != r.Cost:
		a.Broken(Conservation, row, "costs %s, its slices sum to %s", r.Cost, cost)
	case cost != r.Rate.Cost(r.BilledSecs):
		a.Broken(Conservation, row, "costs %s, %d s at its rate are %s", r.Cost, r.BilledSecs,
			r.Rate.Cost(r.BilledSecs))
	case secs != r.BilledSecs:
		a.Broken(Conservation, row, "bills %d s, its slices sum to %d s", r.BilledSecs, secs)
	case r.BilledSecs > r.GrantedSecs:
		a.Broken(Conservation, row, "bills %d s of %d s granted", r.BilledSecs, r.GrantedSecs)
	}
}

// Day takes what a scope has spent on a day in.
func (a *Auditor) Day(key SpendKey, spend Spend) {
	a.audit.Days++
	d := a.day(spend.Account, key)
	d.found, d.row = true, spend
}

// Swept means that records of calls of an account that ended before a day were deleted,
// as its retention wants it. What was posted on those days is then more than what the
// records that are left were charged, and must not be less.
func (a *Auditor) Swept(account id.ID, before record.Day) {
	if a.swept == nil {
		a.swept = make(map[id.ID]record.Day)
	}
	a.swept[account] = before
}

// Finish compares what belongs together. largest is the largest limit that was in
// force while grants of a day could be made to calls that were admitted from a
// time on, if calls were ended at a limit all the while.
func (a *Auditor) Finish(largest func(key SpendKey, fromMicros int64) (limit money.Amount, ok bool)) Audit {
	a.finishScopes()
	a.finishDays(largest)
	a.finishEmergencies()
	slices.SortStableFunc(a.audit.Breaches, func(x, y Breach) int { return cmp.Compare(x.Invariant, y.Invariant) })
	return a.audit
}

// finishScopes looks for more live calls than could have been admitted. Each of
// them was alone, or saw those that came before it: sorted by what they saw, the
// one at place n, from 0, must have seen n others. This holds in whatever order they came.
func (a *Auditor) finishScopes() {
	ids := make([]id.ID, 0, len(a.scopes))
	for scope := range a.scopes {
		ids = append(ids, scope)
	}
	slices.Sort(ids)
	for _, scope := range ids {
		calls := a.scopes[scope]
		slices.SortFunc(calls, func(x, y admitted) int {
			return cmp.Or(cmp.Compare(x.seen, y.seen), slices.Compare(x.call[:], y.call[:]))
		})
		for place, c := range calls {
			if int(c.seen) < place {
				a.Broken(Channels, "lease "+c.call.String(), "is one of %d live calls of %s, of which %d saw at most %d others when they were admitted",
					len(calls), a.names[scope], place+1, c.seen)
				break
			}
		}
	}
}

func (a *Auditor) finishDays(largest func(SpendKey, int64) (money.Amount, bool)) {
	keys := make([]SpendKey, 0, len(a.days))
	for key := range a.days {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y SpendKey) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), slices.Compare(x.ID[:], y.ID[:]), cmp.Compare(x.Day, y.Day),
			cmp.Compare(x.StepMicros, y.StepMicros))
	})
	for _, key := range keys {
		d := a.days[key]
		if !d.found && !key.Always() {
			continue // it has no limit, or had none on that day
		}
		row := DayRow(d.account, key)
		problem := func(format string, args ...any) { a.Broken(Conservation, row, format, args...) }
		spend := d.row
		if key.firstDay() < a.swept[d.account] && spend.Posted >= d.charged && spend.Held == d.holding &&
			spend.Overrun >= d.overrunCosts {
			continue
		}
		switch {
		case !d.found && (d.charged != 0 || d.holding != 0):
			problem("is missing: calls were charged %s and hold %s", d.charged, d.holding)
		case spend.Posted != d.charged:
			problem("has %s posted, the calls were charged %s", spend.Posted, d.charged)
		case spend.Held != d.holding:
			problem("has %s held, its live calls hold %s", spend.Held, d.holding)
		case spend.Overrun != d.overrunCosts:
			problem("has an overrun of %s, the calls' sums to %s", spend.Overrun, d.overrunCosts)
		}
		if d.unlimited {
			continue
		}
		posted, held := a.windowOf(key, &spend)
		if limit, ok := largest(key, d.firstMicros); ok && money.Add(posted, held) > limit {
			a.Broken(Limit, row, "has %s posted and %s held, the largest limit in force was %s", posted, held, limit)
		}
	}
}

// windowOf is what counts at the end of a day or step: of a rolling period the steps
// before it too.
func (a *Auditor) windowOf(key SpendKey, row *Spend) (posted, held money.Amount) {
	l := a.byScope[key.Scope]
	if l == nil || l.Period != policy.PeriodRollingDay {
		return row.Posted, row.Held
	}
	for before := range LimitKeys(l, key.StepMicros) {
		if d := a.days[before]; d != nil && before.StepMicros <= key.StepMicros {
			posted, held = money.Add(posted, d.row.Posted), money.Add(held, d.row.Held)
		}
	}
	return posted, held
}

// firstDay is the first UTC day whose money may be counted under the key.
func (k SpendKey) firstDay() record.Day {
	if k.StepMicros != 0 {
		return record.DayOf(k.StepMicros)
	}
	return k.Day
}

// LeaseRow names the row of a live call.
func LeaseRow(account id.ID, call uuid.UUID) string {
	return fmt.Sprintf("lease %s of account %s", call, account)
}

// RecordRow names the record of a call.
func RecordRow(account id.ID, call uuid.UUID) string {
	return fmt.Sprintf("record %s of account %s", call, account)
}

// DayRow names what a scope has spent on a day.
func DayRow(account id.ID, key SpendKey) string {
	day := key.Day.String()
	if key.StepMicros != 0 {
		day = "from " + time.UnixMicro(key.StepMicros).UTC().Format(time.RFC3339)
	}
	if key.Scope == AccountScope(account) {
		return fmt.Sprintf("day %s of account %s", day, account)
	}
	return fmt.Sprintf("day %s of %s of account %s", day, key.Scope, account)
}
