package sim

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// mirror is a real store on SQLite that is given every command that the simulated
// one carries out, at the same time of its clock and with the same faults, and must
// answer each alike. So what the simulation shows of its own store holds for the
// real one.
type mirror struct {
	w    *world
	path string
	*sqlstore.Store
	now  int64 // the time of its clock
	fate fate  // of the next commit

	behind bool // the limits have changed since it was open

	account     store.Account
	group       uuid.UUID
	profiles    [2]id.ID
	connections [2]id.ID
}

// errFate is the error of a commit that was made to fail.
var errFate = errors.New("the commit was made to fail")

// newMirror makes the store and what the simulation is configured with.
func newMirror(c *cluster, dir string) *mirror {
	m := &mirror{w: c.w, path: filepath.Join(dir, fmt.Sprintf("%d.db", c.w.seed)), now: c.w.now}
	m.open(uuid.UUID{15: 1})
	ctx := context.Background()
	account, _, err := m.EnsureFirst(ctx)
	m.must(err)
	m.account = account
	deck, err := m.ImportDeck(ctx, account.ID, "standard", deckRows[slices.Index(decks, c.deck)])
	m.must(err)
	_, err = m.ActivateDeck(ctx, account.ID, deck.ID)
	m.must(err)
	group, err := m.BillingGroups().Create(ctx, account.ID, store.BillingGroup{Name: "both"})
	m.must(err)
	m.group = group.ID
	for i := range c.settings {
		p := c.settings[i]
		p.ID = 0
		p.Name = fmt.Sprint("profile ", i)
		p.BillingGroupID = &m.group
		p, err = m.Profiles().Create(ctx, account.ID, p)
		m.must(err)
		from := connection.NewIPConnection()
		from.ConnectionName = fmt.Sprint("connection ", i)
		from.Outbound.OutboundVoiceProfileID = p.ID
		from, err = m.IPConnections().Create(ctx, account.ID, from)
		m.must(err)
		carrier := routing.NewGateway()
		carrier.Name = fmt.Sprint("carrier ", i)
		carrier.Address = fmt.Sprintf("192.0.2.%d:5060", 1+i)
		_, err = m.Gateways().Create(ctx, account.ID, carrier)
		m.must(err)
		m.profiles[i], m.connections[i] = p.ID, from.ID
	}
	m.configure(c)
	m.close()
	return m
}

func (m *mirror) must(err error) {
	if err != nil {
		m.w.failf("mirror", "the real store: %v", err)
	}
}

// open is the start of a process. It ends the calls of the one before.
func (m *mirror) open(owner uuid.UUID) {
	clock := func() time.Time { return time.UnixMicro(m.now).UTC() }
	s, err := sqlstore.Open(context.Background(), sqlstore.Config{
		Path: m.path, Live: policy.NewLive(), Clock: clock, IDs: id.NewSource(1, clock), Owner: owner,
		Ticks: make(chan time.Time), AroundCommit: m.around,
	})
	m.must(err)
	m.Store = s
}

func (m *mirror) close() {
	if m.Store != nil {
		m.must(m.Store.Close())
		m.Store = nil
	}
}

// around has a commit fail as that of the simulated store does.
func (m *mirror) around(commit func() error) error {
	switch m.fate {
	case failsBefore, crashesBefore:
		return errFate
	case failsAfter, crashesAfter:
		return errors.Join(commit(), errFate)
	}
	return commit()
}

// configure gives the store the present limits, or will when it is open.
func (m *mirror) configure(c *cluster) {
	if m.behind = m.Store == nil; m.behind {
		return
	}
	m.now = max(m.now, c.w.now)
	ctx := context.Background()
	for i, key := range m.profiles {
		want := c.settings[i]
		_, err := m.Profiles().Update(ctx, m.account.ID, key, func(p profile.Profile) (profile.Profile, error) {
			p.DailySpendLimit = want.DailySpendLimit
			p.DailySpendLimitEnabled = want.DailySpendLimitEnabled
			p.ConcurrentCallLimit = want.ConcurrentCallLimit
			p.Enabled = want.Enabled
			p.SpendLimitAction = want.SpendLimitAction
			p.WhitelistedDestinations = want.WhitelistedDestinations
			return p, nil
		})
		m.must(err)
	}
	_, err := m.BillingGroups().Update(ctx, m.account.ID, m.group, func(g store.BillingGroup) (store.BillingGroup, error) {
		limit := c.grouped.Limit
		g.DailySpendLimit = &limit
		g.DailySpendLimitEnabled = c.grouped.On
		g.SpendLimitAction = profile.EndCalls
		return g, nil
	})
	m.must(err)
	_, err = m.Accounts().Update(ctx, m.account.ID, m.account.ID, func(a store.Account) (store.Account, error) {
		limit, channels := c.spending.Limit, c.channels
		a.ConcurrentCallLimit = &channels
		a.DailySpendLimit = &limit
		a.DailySpendLimitEnabled = c.spending.On
		a.SpendLimitAction = profile.EndCalls
		return a, nil
	})
	m.must(err)
}

// translated is a command in the words of the real store, whose ids are others.
func (m *mirror) translated(command admission.Command) admission.Command {
	attempt := func(r admission.Reserve) admission.Reserve {
		if i := slices.Index(connections, r.Call.Connection); i >= 0 {
			r.Call.Connection = m.connections[i]
		}
		if r.Call.Account != 0 {
			r.Call.Account = m.account.ID
		}
		return r
	}
	switch c := command.(type) {
	case admission.Reserve:
		return attempt(c)
	case admission.Report:
		c.Account = m.account.ID
		if c.Attempt != nil {
			own := attempt(*c.Attempt)
			c.Attempt = &own
		}
		return c
	case admission.Answer:
		c.Gateway = 0
		return c
	}
	return command
}

// carryOut gives the store the command of a group that the simulated store has
// carried out, and compares the answers.
func (m *mirror) carryOut(n *node, g *group, kind fate) {
	command, want := g.run[0].command, &g.run[0].result
	m.now, m.fate = g.now, kind
	defer func() { m.fate = fine }()
	if _, start := command.(admission.ExpireOwners); start {
		m.fate = fine
		if kind == failsBefore || kind == crashesBefore {
			return
		}
		m.close()
		m.open(n.owner)
		if m.behind {
			m.configure(n.cluster)
		}
		return
	}
	got, err := m.Do(context.Background(), m.translated(command))
	if kind != fine {
		if err == nil {
			m.w.failf("mirror", "%T: the commit failed and the real store says nothing of it", command)
		}
		return
	}
	m.must(err)
	if a, b := outcomeOf(want), outcomeOf(&got); a != b {
		m.w.failf("mirror", "%T %+v:\nsimulated: %s\nreal:      %s", command, command, a, b)
	}
}

// outcomeOf is what both stores must agree on, as text.
func outcomeOf(r *admission.Result) string {
	text := fmt.Sprintf("allow %v, reason %v, granted %d, extended %v, %d ended, error %v", r.Decision.Allow,
		r.Decision.Reason, r.GrantedSecs, r.Extended, len(r.Expired), r.Err)
	if r.Record != nil {
		text += fmt.Sprintf(", record %v of %d s, from %d to %d, %v, overrun %d", r.Record.Outcome, r.Record.BilledSecs,
			r.Record.AnsweredMicros, r.Record.EndedMicros, r.Record.Slices, r.Record.OverrunSecs)
	}
	return text
}

// finish holds what is left in the real store against the simulated one.
func (m *mirror) finish(d *disk) {
	ctx := context.Background()
	if m.Store == nil {
		m.open(uuid.UUID{15: 2})
	}
	page, err := m.ListRecords(ctx, m.account.ID, collection.Query{Number: 1, Size: 1})
	m.must(err)
	if page.Total != len(d.records) {
		m.w.failf("mirror", "%d records in the real store, %d in the simulated one", page.Total, len(d.records))
	}
	audit, err := m.Audit(ctx)
	m.must(err)
	if !audit.Holds() {
		m.w.failf("mirror", "audit: %+v", audit.Breaches)
	}
	m.close()
}
