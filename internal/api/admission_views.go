package api

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/shaken"
)

// admissionView is the answer to a question for admission.
type admissionView struct {
	ID         uuid.UUID `json:"id" doc:"The id of the admission, and of the call's detail record. Events are best sent to it: it is never that of another call."`
	RecordType string    `json:"record_type" enum:"admission"`
	CallID     string    `json:"call_id"`
	Decision   string    `json:"decision" enum:"allow,deny"`
	DecisionID uuid.UUID `json:"decision_id" doc:"Names the explanation under /tollgate/v1/decisions."`
	Status     string    `json:"status" title:"AdmissionStage" enum:"ringing,answered,ended,denied" doc:"What is known of the call: a repeated question may be about one that is further on."`
	Emergency  bool      `json:"emergency" doc:"The number is an emergency number: no limit ends the call."`

	CallerID          *string `json:"caller_id" doc:"The caller id to show, +E.164: that of the call, or what replaces it; null for none and when denied."`
	CallerIDConfirmed bool    `json:"caller_id_confirmed" doc:"Whether it is confirmed for the connection. Only then assert it to the carrier: P-Asserted-Identity, screen=yes."`

	Attestation *string `json:"attestation" enum:"A,B,C" doc:"What the call may be signed with (STIR/SHAKEN): A, the customer may use the caller id; B, only the customer is known; C, only where the call came in. null without a caller id and when denied."`

	GrantSecs      *int64          `json:"grant_secs" doc:"How many seconds after its answer the call may last, unless the grant is renewed; null without limit and when denied."`
	ExpiresAt      *time.Time      `json:"expires_at" doc:"When the call must have been answered or, once it is, must have ended, unless the grant is renewed."`
	MaxCallSecs    *int64          `json:"max_call_secs" doc:"How many seconds after its answer the call ends whatever is granted, by the limits of the server, the profile and the connection; null without limit and when denied."`
	Rate           *money.Amount   `json:"rate" doc:"Price per minute in USD."`
	ConnectFee     *money.Amount   `json:"connect_fee"`
	FirstIncrement *int32          `json:"first_increment"`
	Increment      *int32          `json:"increment"`
	Routes         []admittedRoute `json:"routes" doc:"The account's gateways in the order in which to try them, without those of the state forbidden."`
	Recording      *recordingOrder `json:"recording" doc:"Whether and how the profile wants the call recorded; null when denied."`

	Reason    *string `json:"reason" doc:"Why the call is denied: one of a fixed list."`
	SIPCode   *int32  `json:"sip_code" doc:"The SIP status to refuse the call with."`
	SIPReason *string `json:"sip_reason" doc:"The reason phrase to refuse it with, ending in the code."`
}

// admittedRoute is a gateway that an admitted call may be sent to.
type admittedRoute struct {
	GatewayID id.ID  `json:"gateway_id"`
	Address   string `json:"address"`
	Transport string `json:"transport"`
	Number    string `json:"number" doc:"The user part to send: prefix and number in the gateway's form."`
	CallerID  string `json:"caller_id" doc:"The caller id in the gateway's form; empty for none."`

	Identity       string  `json:"identity" enum:"pass,sign,strip" doc:"What the gateway wants of Identity (STIR/SHAKEN): pass what the caller signed if its numbers are unchanged, add identity_header where the caller signed nothing, or send none."`
	IdentityHeader *string `json:"identity_header" doc:"The value of the header Identity to add, which networks take for a minute; null where the gateway wants no signature or none could be made."`
	DateHeader     *string `json:"date_header" doc:"The value of the header Date that goes with identity_header."`
}

// recordingOrder is what a profile wants of the recording of a call.
type recordingOrder struct {
	Record   bool   `json:"record"`
	Channels string `json:"channels" title:"RecordingChannels" enum:"single,dual"`
	Format   string `json:"format" title:"RecordingFormat" enum:"wav,mp3"`
}

// admissionState is the state of a call after an event.
type admissionState struct {
	ID          uuid.UUID  `json:"id"`
	RecordType  string     `json:"record_type" enum:"admission_state"`
	Status      string     `json:"status" title:"AdmissionStage" enum:"ringing,answered,ended,denied"`
	GrantSecs   *int64     `json:"grant_secs" doc:"How many seconds after its answer the call may last, unless the grant is renewed; null without limit and when it has ended."`
	ExpiresAt   *time.Time `json:"expires_at" doc:"When the call must have been answered or, once it is, must have ended, unless the grant is renewed; null when it has ended."`
	MaxCallSecs *int64     `json:"max_call_secs" doc:"How many seconds after its answer the call ends whatever is granted; null without limit and when it has ended."`

	Outcome      *string       `json:"outcome" doc:"Of a call that has ended: answered, cancelled, failed, refused, or lost when its end was not told in time."`
	DurationSecs *seconds      `json:"duration_secs" doc:"Of a call that has ended: from the answer to the end."`
	BilledSecs   *int64        `json:"billed_secs"`
	Cost         *money.Amount `json:"cost"`
	OverrunSecs  *int64        `json:"overrun_secs" doc:"Seconds beyond what was granted. They are not charged."`
	Reason       *string       `json:"reason" doc:"Of a call that is denied: one of a fixed list. Of one that goes on: hung_up when it is to end at once, because its hang-up was requested; expires_at is when that was."`
	SIPCode      *int32        `json:"sip_code"`
	SIPReason    *string       `json:"sip_reason"`
}

// out writes JSON objects member by member. These answers are written for every
// call, so they do not go through reflection.
type out struct {
	b     []byte
	comma bool
	// forbidden says which gateways nothing is sent to; nil: none.
	forbidden func(gateway id.ID) bool
	sign      func(*admission.Facts) shaken.Signed // the call, or nothing
}

func (o *out) name(name string) {
	if o.comma {
		o.b = append(o.b, ',')
	}
	o.comma = true
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *out) text(name, value string) {
	o.name(name)
	o.b, _ = jsontext.AppendQuote(o.b, value) // what is not UTF-8 becomes U+FFFD
}

func (o *out) textOrNull(name, value string) {
	if value == "" {
		o.null(name)
		return
	}
	o.text(name, value)
}

func (o *out) int(name string, n int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, n, 10)
}

func (o *out) bool(name string, v bool) {
	o.name(name)
	o.b = strconv.AppendBool(o.b, v)
}

func (o *out) null(names ...string) {
	for _, name := range names {
		o.name(name)
		o.b = append(o.b, "null"...)
	}
}

func (o *out) uuid(name string, u uuid.UUID) {
	o.name(name)
	o.b = append(o.b, '"')
	text, _ := u.MarshalText() // never fails
	o.b = append(o.b, text...)
	o.b = append(o.b, '"')
}

func (o *out) amount(name string, a money.Amount) {
	o.name(name)
	o.b = append(o.b, '"')
	o.b = a.AppendText(o.b)
	o.b = append(o.b, '"')
}

func (o *out) open(name string, with byte) {
	o.name(name)
	o.begin(with)
}

func (o *out) begin(with byte) {
	if o.comma && with == '{' && len(o.b) > 0 && o.b[len(o.b)-1] == '}' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, with)
	o.comma = false
}

func (o *out) close(with byte) {
	o.b = append(o.b, with)
	o.comma = true
}

// grant writes how long the call may last.
func (o *out) grant(r *admission.Result) {
	if r.Record != nil || r.DueMicros == 0 {
		o.null("grant_secs", "expires_at", "max_call_secs")
		return
	}
	o.int("grant_secs", r.GrantedSecs)
	o.name("expires_at")
	o.b = append(o.b, '"')
	o.b = append(o.b, rest.WireTime(time.UnixMicro(r.DueMicros))...)
	o.b = append(o.b, '"')
	if r.MaxSecs == 0 {
		o.null("max_call_secs")
		return
	}
	o.int("max_call_secs", r.MaxSecs)
}

// statusOf is a value of admissionView.Status.
func statusOf(r *admission.Result) string {
	switch {
	case r.Record != nil && r.Record.Outcome == record.OutcomeRefused:
		return "denied"
	case r.Record != nil:
		return "ended"
	case r.Answered:
		return "answered"
	}
	return "ringing"
}

// appendAdmission writes an admissionView in its envelope.
func (s *server) appendAdmission(b []byte, snapshot *policy.Snapshot, a *attempt, r *admission.Result) []byte {
	o := out{b: b, forbidden: s.GatewayForbidden, sign: s.sign}
	o.begin('{')
	o.open("data", '{')
	o.admission(snapshot, a, r)
	o.close('}')
	o.close('}')
	return o.b
}

// admission writes the members of an admissionView.
func (o *out) admission(snapshot *policy.Snapshot, a *attempt, r *admission.Result) {
	d := &r.Decision
	f := &d.Facts
	o.uuid("id", d.ID)
	o.text("record_type", "admission")
	o.text("call_id", a.CallID)
	o.uuid("decision_id", d.ID)
	o.bool("emergency", f.Emergency)
	if !d.Allow {
		o.text("decision", "deny")
		if d.Reason == admission.ReasonCallEnded {
			o.text("status", "ended")
		} else {
			o.text("status", "denied")
		}
		o.null("caller_id")
		o.bool("caller_id_confirmed", false)
		o.null("attestation")
		o.null("grant_secs", "expires_at", "max_call_secs", "rate", "connect_fee", "first_increment", "increment",
			"recording")
		o.open("routes", '[')
		o.close(']')
		o.text("reason", d.Reason.String())
		o.int("sip_code", int64(d.Reason.Status()))
		o.text("sip_reason", d.Phrase())
	} else {
		o.text("decision", "allow")
		o.text("status", statusOf(r))
		o.grant(r)
		o.textOrNull("caller_id", f.Caller.String())
		o.bool("caller_id_confirmed", f.CallerID.Confirmed)
		o.textOrNull("attestation", f.Attestation.String())
		o.rate(f)
		o.routes(snapshot, f, d.ID)
		o.recording(snapshot, f)
		o.null("reason", "sip_code", "sip_reason")
	}
}

func (o *out) rate(f *admission.Facts) {
	if !f.HasRate {
		o.null("rate", "connect_fee", "first_increment", "increment")
		return
	}
	o.amount("rate", f.Rate.PerMinute)
	o.amount("connect_fee", f.Rate.ConnectFee)
	o.int("first_increment", int64(max(1, f.Rate.FirstIncrement)))
	o.int("increment", int64(max(1, f.Rate.Increment)))
}

func (o *out) routes(snapshot *policy.Snapshot, f *admission.Facts, call uuid.UUID) {
	var signed *shaken.Signed // the routes have the same numbers to sign
	o.open("routes", '[')
	for _, g := range f.Gateways(routing.Order(snapshot.Gateways(f.Account), admission.Seed(call))) {
		if f.Emergency && !g.EmergencyRoute || o.forbidden != nil && o.forbidden(g.ID) {
			continue
		}
		o.begin('{')
		o.text("gateway_id", g.ID.String())
		o.text("address", g.Address)
		o.text("transport", g.Transport)
		number := f.Urgent.Number
		if !f.Emergency {
			number = g.UserPart(f.Callee)
		}
		o.text("number", number)
		o.text("caller_id", g.CallerPart(f.Caller))
		identity := g.IdentityOf(f.Callee)
		o.text("identity", identity)
		if identity != routing.IdentitySign {
			o.null("identity_header", "date_header")
		} else {
			if signed == nil {
				signed = new(o.sign(f))
			}
			o.textOrNull("identity_header", signed.Identity)
			o.textOrNull("date_header", signed.Date)
		}
		o.close('}')
	}
	o.close(']')
}

// sign signs an admitted call for its switch. What cannot be signed goes out without.
func (s *server) sign(f *admission.Facts) shaken.Signed {
	callee := f.Callee.String()
	if f.Emergency {
		callee = f.Urgent.Number
	}
	signed, _ := s.Shaken.Sign(shaken.Claims{ // which counts what it cannot sign
		Attestation: f.Attestation.String(), Caller: f.Caller.String(), Callee: callee,
		Origin: admission.Origin(f.Connection), At: s.Clock(),
	})
	return signed
}

func (o *out) recording(snapshot *policy.Snapshot, f *admission.Facts) {
	p := snapshot.Profile(f.Profile)
	if p == nil {
		o.null("recording")
		return
	}
	o.open("recording", '{')
	o.bool("record", !f.Emergency && admission.Records(&p.Recording, f.Caller))
	o.text("channels", p.Recording.Channels)
	o.text("format", p.Recording.Format)
	o.close('}')
}

// appendState writes an admissionState in its envelope.
func appendState(b []byte, call uuid.UUID, r *admission.Result) []byte {
	o := out{b: b}
	o.begin('{')
	o.open("data", '{')
	o.state(call, r)
	o.close('}')
	o.close('}')
	return o.b
}

// state writes the members of an admissionState.
func (o *out) state(call uuid.UUID, r *admission.Result) {
	o.uuid("id", call)
	o.text("record_type", "admission_state")
	o.text("status", statusOf(r))
	o.grant(r)
	c := r.Record
	switch {
	case c == nil && r.HungUp:
		d := admission.Decision{Reason: admission.ReasonHungUp}
		o.null("outcome", "duration_secs", "billed_secs", "cost", "overrun_secs")
		o.text("reason", d.Reason.String())
		o.int("sip_code", int64(d.Reason.Status()))
		o.text("sip_reason", d.Phrase())
	case c == nil:
		o.null("outcome", "duration_secs", "billed_secs", "cost", "overrun_secs", "reason", "sip_code", "sip_reason")
	default:
		o.text("outcome", c.Outcome.String())
		o.name("duration_secs")
		o.b = appendSeconds(o.b, c.DurationMicros)
		o.int("billed_secs", c.BilledSecs)
		o.amount("cost", c.Cost)
		o.int("overrun_secs", c.OverrunSecs)
		o.textOrNull("reason", c.Reason)
		if c.SIPStatus == 0 {
			o.null("sip_code")
		} else {
			o.int("sip_code", int64(c.SIPStatus))
		}
		o.textOrNull("sip_reason", c.SIPPhrase)
	}
}
