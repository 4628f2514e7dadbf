package sim

import (
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// nodeRow is what the others know of a node.
type nodeRow struct {
	name      string
	heartbeat int64
	expired   bool
}

// disk is what is durable. Each commit is held against the invariants, by sums of
// its own over leases and records and not by what the ledger says of itself.
type disk struct {
	w       *world
	leases  map[uuid.UUID]*admission.Lease
	spends  map[admission.SpendKey]admission.Spend
	callees map[admission.CalleeKey]int32
	records map[uuid.UUID]*record.Call
	nodes   map[uuid.UUID]*nodeRow
	opened  map[id.ID]int64 // by profile: when its present day was opened
	policy  *policy.Snapshot

	charged map[admission.SpendKey]money.Amount // by the slices of records and leases
	holding map[admission.SpendKey]money.Amount // by the holds of leases
	lastDay map[id.ID]record.Day                // by profile: of its last decision
	ended   func(call uuid.UUID)                // is told of a call that ends for want of its owner
}

func newDisk(w *world, p *policy.Snapshot) *disk {
	return &disk{
		w: w, policy: p,
		leases: map[uuid.UUID]*admission.Lease{}, spends: map[admission.SpendKey]admission.Spend{},
		callees: map[admission.CalleeKey]int32{}, records: map[uuid.UUID]*record.Call{},
		nodes: map[uuid.UUID]*nodeRow{}, opened: map[id.ID]int64{},
		charged: map[admission.SpendKey]money.Amount{}, holding: map[admission.SpendKey]money.Amount{},
		lastDay: map[id.ID]record.Day{},
	}
}

// copied is a lease that its next owner may change.
func copied(l *admission.Lease) *admission.Lease {
	c := *l
	c.Held, c.Posted = slices.Clone(l.Held), slices.Clone(l.Posted)
	return &c
}

func (d *disk) leaseIDs() []uuid.UUID { return sortedIDs(d.leases) }

func sortedIDs[T any](m map[uuid.UUID]T) []uuid.UUID {
	return slices.SortedFunc(maps.Keys(m), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
}

// live counts the leases of a scope.
func (d *disk) live(scope id.ID) (n int32) {
	for _, l := range d.leases {
		if !l.Emergency && (l.Account == scope || l.Profile == scope || l.Connection == scope) {
			n++
		}
	}
	return n
}

// book adds what a lease has posted and holds to the sums, or takes it off.
func (d *disk) book(l *admission.Lease, sign money.Amount) {
	for _, scope := range d.scopes(l.Account, l.Profile, l.BillingGroup) {
		for _, s := range l.Posted {
			d.charged[scope.On(s.Day)] += sign * s.Cost
		}
		for _, h := range l.Held {
			d.holding[scope.On(h.Day)] += sign * h.Cost
		}
	}
}

// scopes are those in which the money of a call is counted.
func (d *disk) scopes(account, profile id.ID, group *uuid.UUID) []admission.Scope {
	scopes := []admission.Scope{admission.ProfileScope(profile)}
	if group != nil && d.policy.Group(*group).Spending.On {
		scopes = append(scopes, admission.GroupScope(*group))
	}
	if d.policy.Account(account).Spending.On { // for the whole run, or never
		scopes = append(scopes, admission.AccountScope(account))
	}
	return scopes
}

// limit is the daily limit of a scope.
func (d *disk) limit(s admission.Scope) policy.SpendLimit {
	switch s.Kind {
	case admission.ScopeAccount:
		return d.policy.Account(s.ID.Number()).Spending
	case admission.ScopeGroup:
		return d.policy.Group(uuid.UUID(s.ID)).Spending
	}
	return d.policy.Profile(s.ID.Number()).Spending
}

// commit makes a group's changes durable. commands are those of the group.
func (d *disk) commit(c *admission.Changes, commands []admission.Command) {
	before := maps.Clone(d.holding)
	for key, cost := range d.charged {
		before[key] += cost
	}
	for _, r := range c.Records {
		d.addRecord(r, c.Gone)
		if r.Outcome == record.OutcomeLost {
			d.ended(r.ID)
		}
	}
	for _, call := range c.Gone {
		if d.records[call] == nil {
			d.w.failf("I4", "the lease of call %s is deleted and it has no record", short(call))
		}
		if l := d.leases[call]; l != nil { // otherwise it came and went in this group
			d.book(l, -1)
			delete(d.leases, call)
		}
	}
	var admitted []*admission.Lease
	for _, l := range c.Leases {
		if old := d.leases[l.ID]; old != nil {
			d.book(old, -1)
		} else {
			admitted = append(admitted, l)
		}
		d.leases[l.ID] = copied(l)
		d.book(l, 1)
	}
	maps.Copy(d.spends, c.Spends)
	maps.Copy(d.callees, c.Callees)
	for _, l := range admitted {
		d.checkAdmission(l)
	}
	d.checkMoney(before, admitted, commands)
}

// addRecord holds a record against I2b, I4 and I12.
func (d *disk) addRecord(r *record.Call, gone []uuid.UUID) {
	w := d.w
	if d.records[r.ID] != nil {
		w.failf("I4", "call %s has a second record", short(r.ID))
	}
	if lease := d.leases[r.ID]; lease != nil && !slices.Contains(gone, r.ID) {
		w.failf("I4", "call %s is live and has a record", short(r.ID))
	}
	if !r.Emergency && r.BilledSecs > r.GrantedSecs {
		w.failf("I2b", "call %s is billed for %d s and was granted %d s", short(r.ID), r.BilledSecs, r.GrantedSecs)
	}
	var cost money.Amount
	for _, s := range r.Slices {
		cost += s.Cost
		for _, scope := range d.scopes(r.AccountID, r.ProfileID, r.BillingGroup) {
			d.charged[scope.On(s.Day)] += s.Cost
		}
	}
	if cost != r.Cost || r.Emergency && cost != 0 {
		w.failf("I6", "call %s costs %v, its slices %v, emergency %v", short(r.ID), r.Cost, cost, r.Emergency)
	}
	d.checkDecision(r.ID, r.Decision)
	switch r.Outcome {
	case record.OutcomeRefused:
		w.Counts.Refused++
		d.checkDay(r.ID, r.ProfileID, record.DayOf(r.StartedMicros))
		if r.Reason == admission.ReasonDailySpendLimit.String() {
			w.Counts.LimitReached++
		}
	case record.OutcomeLost:
		w.Counts.Lost++
	case record.OutcomeAnswered:
		w.Counts.Settled++
	}
	d.records[r.ID] = r
}

// checkDecision judges a stored decision again: I10, and I12.
func (d *disk) checkDecision(call uuid.UUID, encoded []byte) {
	decision, err := admission.DecodeDecision(encoded)
	if err != nil || decision.ID != call {
		d.w.failf("I10", "decision of call %s: %v", short(call), err)
	}
	if reason, _ := admission.Rejudge(&decision.Facts); reason != decision.Reason {
		d.w.failf("I10", "call %s was decided %v and is judged again %v", short(call), decision.Reason, reason)
	}
	if decision.Facts.Emergency && !decision.Allow {
		d.w.failf("I12", "emergency call %s was refused: %v", short(call), decision.Reason)
	}
}

// checkAdmission holds a new lease against I1, I8, I9 and I10.
func (d *disk) checkAdmission(l *admission.Lease) {
	w := d.w
	w.Counts.Admitted++
	d.checkDecision(l.ID, l.Decision)
	if d.records[l.ID] != nil {
		w.failf("I4", "call %s was admitted after it had ended", short(l.ID))
	}
	if l.Emergency {
		return
	}
	p := d.policy.Profile(l.Profile)
	if !p.Enabled {
		w.failf("I9", "call %s was admitted by a profile that is disabled", short(l.ID))
	}
	for scope, limit := range map[id.ID]int32{
		l.Profile: p.ChannelLimit, l.Account: d.policy.Account(l.Account).ChannelLimit,
		l.Connection: d.policy.Connection(l.Connection).ChannelLimit,
	} {
		if n := d.live(scope); limit != policy.NoLimit && n > limit {
			w.failf("I1", "call %s makes %d live calls of scope %d, whose limit is %d", short(l.ID), n, scope, limit)
		}
	}
	d.checkDay(l.ID, l.Profile, record.DayOf(l.ReservedMicros))
}

// checkDay holds the day of a decision against those of the profile before it.
func (d *disk) checkDay(call uuid.UUID, profile id.ID, day record.Day) {
	if day < d.lastDay[profile] {
		d.w.failf("I8", "call %s was decided on day %d after one on day %d", short(call), day, d.lastDay[profile])
	}
	d.lastDay[profile] = day
}

// checkMoney holds the money of a commit against I2 and I6.
func (d *disk) checkMoney(before map[admission.SpendKey]money.Amount, admitted []*admission.Lease,
	commands []admission.Command) {
	w := d.w
	keys := maps.Clone(d.charged)
	maps.Copy(keys, d.holding)
	for key := range keys {
		spend := d.spends[key]
		if spend.Posted != d.charged[key] || spend.Held != d.holding[key] {
			w.failf("I6", "%s, day %d: posted %v and held %v, by the calls %v and %v", key.Scope, key.Day,
				spend.Posted, spend.Held, d.charged[key], d.holding[key])
		}
		limit := d.limit(key.Scope)
		after := d.charged[key] + d.holding[key]
		if limit.On && limit.EndCalls && after > before[key] && after > limit.Limit {
			w.failf("I2", "%s, day %d: posted %v and held %v, limit %v", key.Scope, key.Day, d.charged[key], d.holding[key],
				limit.Limit)
		}
	}
	// A profile that lets running calls go on passes its limit by their renewals, so
	// that only a group of attempts alone shows what an admission made of it.
	for _, c := range commands {
		if _, attempt := c.(admission.Reserve); !attempt {
			return
		}
	}
	for _, l := range admitted {
		if l.Emergency {
			continue
		}
		for _, scope := range d.scopes(l.Account, l.Profile, l.BillingGroup) {
			key, limit := scope.On(record.DayOf(l.ReservedMicros)), d.limit(scope)
			if after := d.charged[key] + d.holding[key]; limit.On && after > limit.Limit {
				w.failf("I2", "call %s was admitted with %v posted and held in all by %s, limit %v", short(l.ID), after, scope,
					limit.Limit)
			}
		}
	}
}

// audit adds everything up anew at the end of a run: no call is live, each has its
// one record, and the money of each day is that of its calls.
func (d *disk) audit() {
	w := d.w
	if len(d.leases) > 0 {
		for _, call := range d.leaseIDs() {
			w.failf("I3", "call %s still has its lease: %+v", short(call), *d.leases[call])
		}
	}
	charged := make(map[admission.SpendKey]money.Amount)
	for _, r := range d.records {
		for _, s := range r.Slices {
			for _, scope := range d.scopes(r.AccountID, r.ProfileID, r.BillingGroup) {
				charged[scope.On(s.Day)] += s.Cost
			}
		}
	}
	for key, spend := range d.spends {
		if spend.Posted != charged[key] || spend.Held != 0 {
			w.failf("I6", "%s, day %d at the end: posted %v and held %v, by the calls %v", key.Scope, key.Day, spend.Posted,
				spend.Held, charged[key])
		}
		delete(charged, key)
	}
	for key, cost := range charged {
		if cost != 0 {
			w.failf("I6", "%s, day %d: calls were charged %v and the day knows nothing of it", key.Scope, key.Day, cost)
		}
	}
}
