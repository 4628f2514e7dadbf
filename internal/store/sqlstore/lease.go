package sqlstore

import (
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// appendLease encodes what a lease has beside its account and id.
func appendLease(dst []byte, l *admission.Lease) []byte {
	e := encoder{out: dst}
	e.int(leaseForm)
	e.uuid(l.Owner)
	e.id(l.Profile)
	e.id(l.Connection)
	e.bool(l.BillingGroup != nil)
	if l.BillingGroup != nil {
		e.uuid(*l.BillingGroup)
	}
	e.text(l.SIPCallID)
	e.bool(l.Emergency)
	e.rate(l.Rate)
	e.bytes(l.Decision)
	e.int(l.ReservedMicros)
	e.int(l.AnsweredMicros)
	e.int(l.ExpiresMicros)
	e.id(l.Gateway)
	e.bytes(l.Teardown)
	e.int(l.GrantedSecs)
	e.int(l.PostedSecs)
	e.slices(l.Posted)
	e.int(int64(len(l.Held)))
	for _, h := range l.Held {
		e.int(h.FromSecs)
		e.int(h.ToSecs)
		e.int(int64(h.Day))
		e.amount(h.Cost)
	}
	e.int(l.MaxSecs)
	e.int(l.HungUpMicros)
	e.text(l.HungUpBy)
	return e.out
}

// decodeLease reads a row of leases back.
func decodeLease(account id.ID, call uuid.UUID, body []byte) (*admission.Lease, error) {
	d, form := newDecoderUpTo(body, leaseForm)
	l := &admission.Lease{ID: call, Account: account, Owner: d.uuid(), Profile: d.id(), Connection: d.id()}
	if d.bool() {
		l.BillingGroup = new(d.uuid())
	}
	l.SIPCallID, l.Emergency, l.Rate, l.Decision = d.text(), d.bool(), d.rate(), d.bytes()
	l.ReservedMicros, l.AnsweredMicros, l.ExpiresMicros = d.int(), d.int(), d.int()
	l.Gateway, l.Teardown = d.id(), d.bytes()
	l.GrantedSecs, l.PostedSecs, l.Posted = d.int(), d.int(), d.slices()
	for range d.count() {
		l.Held = append(l.Held, admission.Hold{
			FromSecs: d.int(), ToSecs: d.int(), Day: record.Day(d.int()), Cost: d.amount(),
		})
	}
	if form >= 2 {
		l.MaxSecs = d.int()
	}
	if form >= 3 {
		l.HungUpMicros, l.HungUpBy = d.int(), d.text()
	}
	return l, d.finish("lease")
}
