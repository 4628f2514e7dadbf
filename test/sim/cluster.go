package sim

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/routing"
)

// Defect is something that a broken Tollgate would do. Each breaks an invariant,
// and a simulation that does not find it is worth nothing.
type Defect int

// The defects.
const (
	None               Defect = iota
	AcknowledgesFirst         // answers before the commit, and takes a failed one for done: I5
	KeepsMemory               // goes on with its memory after a commit whose outcome is unknown
	ForgetsEnded              // does not look for the record of a call that is named again: I4, I7
	TakesNoLocks              // two nodes load, apply and write the same rows: I1, I2, I6
	IgnoresOpenedDay          // begins the day by its own clock: I8
	DecidesByOldPolicy        // reads the configuration now and then: I9
	LiftsChannels             // counts one channel too few: I1
	LiftsMoney                // allows a cent more than the limit: I2
	ExpiresEarly              // ends leases before their time: I3b
	FailsOpen                 // lets calls through when the store does not answer: I13
	RefusesEmergency          // and emergency calls not: I12
	NeverExpires              // leaves the leases of the dead: I3
)

// The ids of the simulated installation: two profiles of one account and of one billing
// group, each with a connection. The first ends calls at its limit, the second blocks
// new ones.
const (
	accountID id.ID = 1
	deckID    id.ID = 4
	groupLock id.ID = 5 // what is locked for the billing group
)

var groupID = uuid.UUID{15: 6}

var (
	profiles    = []id.ID{11, 12}
	connections = []id.ID{21, 22}
	numbers     = []string{"+12125550123", "+18765551234", "+12125550199", "+33142685300"}
)

// cluster is all nodes and what they share.
type cluster struct {
	w      *world
	disk   *disk
	nodes  []*node
	shared bool // by one store; otherwise one node embeds it
	faulty bool // things go wrong now
	defect Defect

	groupSize   int
	downUntil   int64 // the store itself
	locked      map[id.ID]*group
	inflight    map[*group]struct{}
	configuring int // a change of the configuration waits for the groups under way
	decided     map[uuid.UUID]admission.Decision
	talking     map[uuid.UUID]*peerCall
	settings    [2]profile.Profile
	channels    int32 // of the account
	spending    policy.SpendLimit
	grouped     policy.SpendLimit // of the billing group
	deck        *rating.Deck
	lifted      map[*policy.Snapshot]*policy.Snapshot
	mirror      *mirror // nil mostly
}

func newCluster(w *world, defect Defect) *cluster {
	c := &cluster{
		w: w, defect: defect, faulty: true, groupSize: 1 + w.chance.IntN(4)*w.chance.IntN(8),
		locked: map[id.ID]*group{}, inflight: map[*group]struct{}{}, decided: map[uuid.UUID]admission.Decision{},
		talking: map[uuid.UUID]*peerCall{}, lifted: map[*policy.Snapshot]*policy.Snapshot{},
	}
	c.deck = decks[w.chance.IntN(len(decks))]
	c.spending = policy.SpendLimit{On: w.odds(2), EndCalls: true}
	c.grouped = policy.SpendLimit{On: w.odds(2), EndCalls: true}
	c.draw()
	c.disk = newDisk(w, c.compile())
	c.disk.ended = c.checkAlive
	return c
}

// decks are price lists with increments of all kinds, made of deckRows.
var (
	deckRows = [][]rating.Row{
		rowsOf(60, 60, "0.01", "0.60", "3.00"), rowsOf(1, 1, "0", "0.017", "0.99"),
		rowsOf(30, 6, "0.005", "0.10", "0.333333"),
	}
	decks = []*rating.Deck{deckOf(deckRows[0]), deckOf(deckRows[1]), deckOf(deckRows[2])}
)

func rowsOf(first, increment int32, fee string, near, far string) (rows []rating.Row) {
	for _, r := range []struct{ prefix, price string }{{"1", near}, {"1876", far}} {
		rows = append(rows, rating.Row{Prefix: r.prefix, Rate: rating.Rate{
			PerMinute: money.MustParse(r.price), ConnectFee: money.MustParse(fee), FirstIncrement: first, Increment: increment,
		}})
	}
	return rows
}

func deckOf(rows []rating.Row) *rating.Deck {
	d, err := rating.NewDeck(rows, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		panic(err) // the rows are constants
	}
	return d
}

// draw draws new limits, small enough to be reached.
func (c *cluster) draw() {
	w := c.w
	for i := range c.settings {
		p := profile.New()
		p.ID = profiles[i]
		p.AccountID = accountID
		p.Version = 1
		p.BillingGroupID = &groupID
		p.WhitelistedDestinations = []string{"US", "JM"}
		p.DailySpendLimit = new(money.Amount(w.chance.IntN(40)) * money.Dollar / 5)
		p.DailySpendLimitEnabled = !w.odds(8)
		if !w.odds(4) {
			p.ConcurrentCallLimit = new(int32(w.chance.IntN(6)))
		}
		p.Enabled = !w.odds(8)
		if i == 0 {
			p.SpendLimitAction = profile.EndCalls
		}
		c.settings[i] = p
	}
	c.channels = 2 + int32(w.chance.IntN(8))
	c.spending.Limit = money.Amount(w.chance.IntN(60)) * money.Dollar / 5
	c.grouped.Limit = money.Amount(w.chance.IntN(50)) * money.Dollar / 5
}

// compile makes the policy of the present settings.
func (c *cluster) compile() *policy.Snapshot {
	changes := []policy.Change{
		policy.PutAccount(&policy.Account{ID: accountID, Active: true, ChannelLimit: c.channels, DefaultDeck: deckID, Spending: c.spending}),
		policy.PutGroup(&policy.Group{ID: groupID, Account: accountID, Spending: c.grouped}),
		policy.PutDeck(&policy.Deck{ID: deckID, Account: accountID, Rates: c.deck}),
	}
	for i := range c.settings {
		p := c.settings[i]
		from := connection.NewIPConnection()
		from.ID = connections[i]
		from.AccountID = accountID
		from.Outbound.OutboundVoiceProfileID = p.ID
		carrier := routing.NewGateway()
		carrier.ID = id.ID(31 + i)
		carrier.AccountID = accountID
		carrier.Priority = int32(i)
		changes = append(changes, policy.PutProfile(&p), policy.PutIPConn(&from), policy.PutGateway(&carrier))
	}
	p, err := (&policy.Snapshot{}).With(changes...)
	if err != nil {
		c.w.failf("simulation", "policy: %v", err)
	}
	return p
}

// configure changes the limits when no group is under way, as the lock of the
// configuration has it.
func (c *cluster) configure() {
	c.configuring++
	c.w.Counts.ConfigChanges++
	var try func()
	try = func() {
		if len(c.inflight) > 0 {
			c.w.after(time.Millisecond, try)
			return
		}
		c.configuring--
		c.draw()
		c.disk.policy = c.compile()
		if c.mirror != nil {
			c.mirror.configure(c)
		}
		c.w.logf("new limits: %s and %s", limits(&c.settings[0]), limits(&c.settings[1]))
	}
	try()
}

func limits(p *profile.Profile) string {
	text := fmt.Sprintf("{enabled %v, money %v %v, channels", p.Enabled, p.DailySpendLimitEnabled, *p.DailySpendLimit)
	if p.ConcurrentCallLimit == nil {
		return text + " any}"
	}
	return fmt.Sprintf("%s %d}", text, *p.ConcurrentCallLimit)
}

func (c *cluster) release(g *group) {
	delete(c.inflight, g)
	for _, scope := range g.locks {
		if c.locked[scope] == g {
			delete(c.locked, scope)
		}
	}
}

// abort undoes what is open of a group.
func (c *cluster) abort(g *group) {
	g.aborted = true
	c.release(g)
}

// policyNow is what a group decides by: the configuration itself.
func (n *node) policyNow() *policy.Snapshot {
	if n.defect == DecidesByOldPolicy && n.own != nil && !n.w.odds(20) {
		return n.own
	}
	n.own = n.disk.policy
	return n.own
}

// warped is the policy as a ledger with a defect takes it.
func (c *cluster) warped(p *policy.Snapshot) *policy.Snapshot {
	if c.defect != LiftsChannels && c.defect != LiftsMoney {
		return p
	}
	if c.lifted[p] == nil {
		before, channels := c.settings, c.channels
		for i := range c.settings {
			s := &c.settings[i]
			if c.defect == LiftsMoney {
				s.DailySpendLimit = new(*s.DailySpendLimit + money.Cent)
			} else if s.ConcurrentCallLimit != nil {
				s.ConcurrentCallLimit = new(*s.ConcurrentCallLimit + 1)
			}
		}
		c.lifted[p] = c.compile()
		c.settings, c.channels = before, channels
	}
	return c.lifted[p]
}

// hurry is how far ahead of time a defect carries a command out.
func (c *cluster) hurry(command admission.Command) int64 {
	if _, ok := command.(admission.Expire); !ok {
		return 0
	}
	switch c.defect {
	case ExpiresEarly:
		return (45 * time.Second).Microseconds()
	case NeverExpires:
		return -(24 * time.Hour).Microseconds()
	}
	return 0
}
