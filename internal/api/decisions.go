package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
)

// decisionView is a decision with every rule explained.
type decisionView struct {
	ID         *uuid.UUID `json:"id" doc:"The id of the attempt; null for a number that was not dialled."`
	RecordType string     `json:"record_type" enum:"decision"`
	DecidedAt  time.Time  `json:"decided_at"`
	Allowed    bool       `json:"allowed"`
	Reason     string     `json:"reason" doc:"One of a fixed list: allowed, or why not."`
	Code       *string    `json:"code" doc:"What the SIP reason phrase ends with: Telnyx's D and TM codes, and TG codes of Tollgate's own."`
	Fix        *string    `json:"fix" doc:"What would let the call through."`
	SIPStatus  int32      `json:"sip_status"`
	SIPPhrase  string     `json:"sip_phrase"`

	From        string       `json:"from"`
	To          string       `json:"to"`
	CLI         *e164.Number `json:"cli"`
	CLD         *e164.Number `json:"cld"`
	CountryCode *string      `json:"country_code"`
	NumberRange *string      `json:"number_range"`
	TNType      string       `json:"tn_type"`
	Emergency   bool         `json:"emergency"`
	Attestation *string      `json:"attestation" enum:"A,B,C" doc:"What the call may be signed with (STIR/SHAKEN); null without a caller id."`

	ConnectionID           id.ID `json:"connection_id"`
	ConnectionVersion      int64 `json:"connection_version"`
	OutboundVoiceProfileID id.ID `json:"outbound_voice_profile_id"`
	ProfileVersion         int64 `json:"outbound_voice_profile_version"`
	RateDeckID             id.ID `json:"rate_deck_id"`
	RouteID                id.ID `json:"route_id" doc:"The route that chose the gateways, or refuses the call; null for none."`

	Rate           *money.Amount `json:"rate" doc:"Price per minute in USD; null without a rate."`
	ConnectFee     *money.Amount `json:"connect_fee"`
	FirstIncrement *int32        `json:"first_increment"`
	Increment      *int32        `json:"increment"`
	FirstGrantSec  int64         `json:"first_grant_sec"`
	FirstGrantCost money.Amount  `json:"first_grant_cost"`

	Rules []admission.Step `json:"rules"`

	Attempts []record.GatewayAttempt `json:"attempts" doc:"The gateways that were tried, as in the detail record; empty before the call has ended."`
}

func viewDecision(d *admission.Decision) decisionView {
	f := &d.Facts
	v := decisionView{
		RecordType: "decision", DecidedAt: time.UnixMicro(f.AtMicros), Allowed: d.Allow, Reason: d.Reason.String(),
		Code: textOrNull(d.Reason.Code()), Fix: textOrNull(d.Reason.Fix()), SIPStatus: int32(d.Reason.Status()),
		SIPPhrase: d.Phrase(), From: f.From, To: f.To, CLI: numberOrNull(f.Caller), CLD: numberOrNull(f.Callee),
		CountryCode: textOrNull(f.Class.Country.Alpha2()), NumberRange: textOrNull(f.Class.Range),
		TNType: f.Class.Type.String(), Emergency: f.Emergency,
		Attestation: textOrNull(f.Attestation.String()), ConnectionID: f.Connection,
		ConnectionVersion: f.ConnectionVersion, OutboundVoiceProfileID: f.Profile, ProfileVersion: f.ProfileVersion,
		RateDeckID: f.Deck, RouteID: f.Route, FirstGrantSec: f.FirstGrantSecs, FirstGrantCost: f.FirstGrantCost,
		Rules:    d.Explain(),
		Attempts: []record.GatewayAttempt{},
	}
	if d.ID != uuid.Nil {
		v.ID = new(d.ID)
	}
	if f.HasRate {
		v.Rate = new(f.Rate.PerMinute)
		v.ConnectFee = new(f.Rate.ConnectFee)
		v.FirstIncrement = new(max(1, f.Rate.FirstIncrement))
		v.Increment = new(max(1, f.Rate.Increment))
	}
	return v
}

// forecastView is the decision on a number that was not dialled.
type forecastView struct {
	decisionView
	BudgetSecs *int64     `json:"budget_sec" doc:"How many seconds the day's budget allows this call; null when nothing limits it."`
	Gateways   []huntStep `json:"gateways" doc:"The gateways that the call would try, in their order; empty when it is refused. An order by weight is one draw of many."`
	WaysIn     []string   `json:"ways_in" enum:"digest,ip_address" doc:"By what a SIP request is recognised as one of the connection. Where there is nothing, only a switch that names the connection brings its calls."`
}

// huntStep is a gateway that a call would try.
type huntStep struct {
	GatewayID id.ID  `json:"gateway_id"`
	Name      string `json:"name"`
	Address   string `json:"address"`
	Number    string `json:"number" doc:"The called number as the gateway would get it."`
}

// hunt are the gateways of an allowed call.
func hunt(snapshot *policy.Snapshot, d *admission.Decision) []huntStep {
	f, steps := &d.Facts, []huntStep{}
	if !d.Allow {
		return steps
	}
	for _, g := range f.Gateways(routing.Order(snapshot.Gateways(f.Account), admission.Seed(d.ID))) {
		switch {
		case !f.Emergency:
			steps = append(steps, huntStep{g.ID, g.Name, g.Address, g.UserPart(f.Callee)})
		case g.EmergencyRoute:
			steps = append(steps, huntStep{g.ID, g.Name, g.Address, f.Urgent.Number})
		}
	}
	return steps
}

// forecastRequest asks about a number that was not dialled.
type forecastRequest struct {
	ConnectionID           id.ID      `json:"connection_id" doc:"The connection that the call would come from. This or outbound_voice_profile_id."`
	OutboundVoiceProfileID id.ID      `json:"outbound_voice_profile_id" doc:"The profile alone: as a call of a connection without localisation or a limit of its own."`
	From                   string     `json:"from" maxLength:"128" doc:"The caller id as it would be presented."`
	To                     string     `json:"to" minLength:"1" maxLength:"128" doc:"The number as it would be dialled."`
	At                     *time.Time `json:"at" doc:"When; null for now. A moment that has passed is not accepted."`
}

func (s *server) decisionOperations() []rest.Operation {
	body := schemaOf[forecastRequest]().Request(true, []string{"from", "to"}, true)
	return []rest.Operation{
		{Method: http.MethodGet, Path: "/tollgate/v1/decisions/{id}", ID: "get_decision", Tag: "Decisions",
			Scope:   ScopeRead,
			Status:  http.StatusOK,
			Summary: "Explain the decision on an attempt: every rule with the value seen and the value allowed.",
			Answer:  schemaOf[decisionView](), Handle: s.getDecision},
		{Method: http.MethodPost, Path: "/tollgate/v1/decisions/explain", ID: "explain_decision", Noun: "forecast",
			Tag: "Decisions", Scope: ScopeRead, Status: http.StatusOK,
			Summary: "Decide a call without making it. Nothing is reserved.", Body: body,
			Answer: schemaOf[forecastView](),
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.explain(ctx,
					in, body)
			}},
	}
}

func (s *server) getDecision(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	if rest.ParseUUID(in.ID) != nil {
		return nil, rest.InvalidPathID()
	}
	attempt, err := uuid.Parse(in.ID)
	if err != nil {
		return nil, rest.InvalidPathID()
	}
	d, err := s.Calls.Decision(ctx, in.Account, attempt)
	if err != nil {
		return nil, err
	}
	view := viewDecision(&d)
	switch r, err := s.Calls.Record(ctx, in.Account, attempt); {
	case err == nil:
		view.Attempts = r.GatewayAttempts()
	case !errors.Is(err, collection.ErrNotFound): // which it is before the call has ended
		return nil, err
	}
	return &rest.Response{Data: view}, nil
}

// pastGrace forgives the clocks of clients.
const pastGrace = time.Minute

// noConnection stands in for the connection of a forecast that names only a profile. Ids that
// are given out are far larger.
const noConnection id.ID = 1

func (s *server) explain(ctx context.Context, in *rest.Request, shape *rest.Schema) (*rest.Response, error) {
	body, problems := in.Checked(shape, nil, nil)
	var asked forecastRequest
	now := s.Clock()
	if len(problems) == 0 {
		if err := rest.Decode(body, &asked); err != nil {
			return nil, err
		}
		problems = asked.problems(now)
	}
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	if asked.At != nil && asked.At.After(now) {
		now = *asked.At
	}
	snapshot, call, err := s.imagine(in.Account, &asked)
	if err != nil {
		return nil, err
	}
	use, err := s.usage(ctx, in.Account, snapshot, call, now)
	if err != nil {
		return nil, err
	}
	d := admission.Decide(snapshot, call, use, now)
	view := forecastView{decisionView: viewDecision(&d), BudgetSecs: budgetSecs(&d), WaysIn: []string{},
		Gateways: hunt(snapshot, &d)}
	if call.Connection == noConnection {
		view.ConnectionID = 0
	} else if c := snapshot.Connection(call.Connection); c != nil {
		view.WaysIn = waysIn(snapshot, c)
	}
	return &rest.Response{Data: view}, nil
}

func (a *forecastRequest) problems(now time.Time) []rest.Problem {
	var problems []rest.Problem
	switch {
	case a.ConnectionID == 0 && a.OutboundVoiceProfileID == 0:
		problems = append(problems, missingField("/connection_id",
			"Neither connection_id nor outbound_voice_profile_id is given. Give one of them."))
	case a.ConnectionID != 0 && a.OutboundVoiceProfileID != 0:
		problems = append(problems, rest.Problem{Code: field.Malformed, Pointer: "/outbound_voice_profile_id",
			Detail: "Both connection_id and outbound_voice_profile_id are given. " +
				"Give one of them; a connection has its own profile."})
	}
	if a.At != nil && a.At.Before(now.Add(-pastGrace)) {
		problems = append(problems, rest.Problem{Code: field.OutOfRange, Pointer: "/at",
			Detail: "at has passed: what was in use then is not known. Give a time from now on, or null for now."})
	}
	return problems
}

// imagine returns the attempt that a forecast is about, and a snapshot in which
// its connection exists. The snapshot in force is not changed.
func (s *server) imagine(account id.ID, asked *forecastRequest) (*policy.Snapshot, *admission.Call, error) {
	snapshot := s.Live.Snapshot()
	call := &admission.Call{Connection: asked.ConnectionID, Identity: policy.IdentityKnown, From: asked.From,
		To:      asked.To,
		MaxSecs: admission.WholeSecs(s.MaxCall())}
	if asked.ConnectionID != 0 {
		c := snapshot.Connection(asked.ConnectionID)
		if c == nil || c.Account != account {
			return nil, nil, rest.FailAt(http.StatusUnprocessableEntity, "/connection_id", field.NoAssociation,
				"connection_id names a connection that does not exist in this account. Give the id of an existing one.")
		}
		call.Source = c.AnySource()
		// An IP connection without an address may be one of another switch, which names it. One
		// with a domain name would be taken for reachable by that.
		call.NoWayIn = c.Kind == connection.KindFQDN && len(waysIn(snapshot, c)) == 0
		return snapshot, call, nil
	}
	p := snapshot.Profile(asked.OutboundVoiceProfileID)
	if p == nil || p.Account != account {
		return nil, nil, rest.FailAt(http.StatusUnprocessableEntity, "/outbound_voice_profile_id",
			field.NoAssociation, "outbound_voice_profile_id names a profile that "+
				"does not exist in this account. Give the id of an existing one.")
	}
	imagined := connection.NewIPConnection()
	imagined.ID = noConnection
	imagined.AccountID = account
	imagined.Outbound.OutboundVoiceProfileID = p.ID
	next, err := snapshot.With(policy.PutIPConn(&imagined))
	if err != nil {
		return nil, nil, fmt.Errorf("imagine a connection of profile %s: %w", p.ID, err)
	}
	call.Connection = noConnection
	return next, call, nil
}

func waysIn(snapshot *policy.Snapshot, c *policy.Connection) []string {
	ways := []string{}
	byUser, byAddress := snapshot.WaysIn(c)
	if byUser {
		ways = append(ways, "digest")
	}
	if byAddress {
		ways = append(ways, "ip_address")
	}
	return ways
}

// budgetSecs is how long the call may last within what is left of the day's
// budget, or nil when the profile has no limit or the call no price.
func budgetSecs(d *admission.Decision) *int64 {
	f := &d.Facts
	left := f.SpendLeft()
	if !f.HasRate || left == money.Max || f.Emergency {
		return nil
	}
	secs := f.Rate.GrantWithin(0, math.MaxInt64, left)
	if f.Rate.Cost(secs) == 0 && secs > 0 {
		return nil // free of charge
	}
	return &secs
}

// usage is what a forecast's rules ask about, read beforehand.
type usage struct {
	calls       []store.LiveCall
	spends      map[admission.Scope]store.SpendUse
	limits      map[id.ID]store.SpendUse // of spend limits
	day         record.Day
	calleeCalls int32
}

// LiveCalls implements admission.Usage.
func (u *usage) LiveCalls(account, profile, connection id.ID) (a, p, c int32) {
	for i := range u.calls {
		l := &u.calls[i].Lease
		if l.Emergency {
			continue
		}
		a++
		if l.Profile == profile {
			p++
		}
		if l.Connection == connection {
			c++
		}
	}
	return a, p, c
}

// LiveEmergencies implements admission.Usage.
func (u *usage) LiveEmergencies(connection id.ID) (n int32) {
	for i := range u.calls {
		if l := &u.calls[i].Lease; l.Emergency && l.Connection == connection {
			n++
		}
	}
	return n
}

// SpendIn implements admission.Usage. On a later day nothing is spent yet.
func (u *usage) SpendIn(scope admission.Scope, day record.Day) admission.ScopeSpend {
	use := u.spends[scope]
	spend := admission.ScopeSpend{HeldBack: use.Hold != nil && use.Hold.On(day)}
	if day == u.day {
		spend.Posted = use.Posted
		spend.Held = use.Held
	}
	return spend
}

// SpendUnder implements admission.Usage.
func (u *usage) SpendUnder(l *policy.Limit, _ int64) admission.ScopeSpend {
	return admission.ScopeSpend{Posted: u.limits[l.ID].Posted, Held: u.limits[l.ID].Held}
}

// readLimits reads what counts now for the spend limits of an account.
func (s *server) readLimits(ctx context.Context, snapshot *policy.Snapshot,
	account id.ID) (map[id.ID]store.SpendUse, error) {
	uses := make(map[id.ID]store.SpendUse)
	for _, l := range snapshot.SpendLimits(account) {
		use, err := s.Spending.SpendUnder(ctx, l)
		if err != nil {
			return nil, err
		}
		uses[l.ID] = use
	}
	return uses, nil
}

// readSpends reads what is used of the scopes in which the money of a call is counted.
func (s *server) readSpends(ctx context.Context, snapshot *policy.Snapshot,
	payer admission.Payer) (map[admission.Scope]store.SpendUse, error) {
	spends := make(map[admission.Scope]store.SpendUse)
	for scope := range payer.Counted(snapshot) {
		use, err := s.Spending.Spend(ctx, payer.Account, scope)
		if err != nil {
			return nil, err
		}
		spends[scope] = use
	}
	return spends, nil
}

// Calls implements admission.Usage.
func (u *usage) Calls(id.ID, e164.Number, int32) int32 { return u.calleeCalls }

// Begun implements admission.Usage. Another server may get the call, and what was begun
// in the past second says nothing of the next.
func (u *usage) Begun(id.ID, int32) int32 { return 0 }

func (s *server) usage(ctx context.Context, account id.ID, snapshot *policy.Snapshot, call *admission.Call,
	now time.Time) (*usage, error) {
	u := &usage{day: record.DayOf(s.Clock().UnixMicro())}
	var err error
	if u.calls, err = s.Calls.LiveCalls(ctx, account); err != nil {
		return nil, err
	}
	c := snapshot.Connection(call.Connection)
	p := snapshot.Profile(c.Profile)
	if p == nil || p.Account != account {
		return u, nil
	}
	if u.spends, err = s.readSpends(ctx, snapshot, admission.PayerOf(account, p.ID, c.ID, p.BillingGroup)); err != nil {
		return nil, err
	}
	if u.limits, err = s.readLimits(ctx, snapshot, account); err != nil {
		return nil, err
	}
	callee, err := snapshot.Numbering(now).Normalise(call.To, c.Home)
	if err != nil || p.Window.CallsPerCLD == policy.NoLimit {
		return u, nil //nolint:nilerr // an invalid number is for the rules to refuse
	}
	u.calleeCalls, err = s.calleeCalls(ctx, account, p, callee, u.calls, now)
	return u, err
}

// calleeCalls counts the profile's calls to one number in the instance of the
// calling window that now falls in: those that ended and those in progress.
func (s *server) calleeCalls(ctx context.Context, account id.ID, p *policy.Profile, callee e164.Number,
	live []store.LiveCall, now time.Time) (int32, error) {
	_, instance := p.Window.Locate(now)
	begin := time.Date(1970, 1, 1+int(instance), 0, 0, 0, int(p.Window.Start), p.Window.Location)
	count := 0
	for i := range live {
		l := &live[i].Lease
		d, err := admission.DecodeDecision(l.Decision)
		if err == nil && l.Profile == p.ID && d.Facts.Callee == callee && l.ReservedMicros >= begin.UnixMicro() {
			count++
		}
	}
	for _, outcome := range []record.Outcome{
		record.OutcomeFailed, record.OutcomeCancelled, record.OutcomeAnswered, record.OutcomeLost,
	} {
		page, err := s.Calls.ListRecords(ctx, account, collection.Query{Number: 1, Size: 1,
			Filters: []collection.Filter{
				{Field: "profile_id", Op: collection.Equal, Value: int64(p.ID)},
				{Field: "callee", Op: collection.Equal, Value: int64(callee)},
				{Field: "outcome", Op: collection.Equal, Value: outcome.String()},
				{Field: "started_at", Op: collection.AtLeast, Value: begin.UnixMicro()},
			}})
		if err != nil {
			return 0, err
		}
		count += page.Total
	}
	return int32(min(count, math.MaxInt32)), nil
}
