package table

import (
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

const LeaseColumns = "account_id, id, body"

// appendLease encodes what a lease has beside its account and id.
func AppendLease(dst []byte, l *admission.Lease) []byte {
	e := Encoder{Out: dst}
	e.Int(leaseForm)
	e.uuid(l.Owner)
	e.id(l.Profile)
	e.id(l.Connection)
	e.Bool(l.BillingGroup != nil)
	if l.BillingGroup != nil {
		e.uuid(*l.BillingGroup)
	}
	e.Text(l.SIPCallID)
	e.Bool(l.Emergency)
	e.Rate(l.Rate)
	e.bytes(l.Decision)
	e.Int(l.ReservedMicros)
	e.Int(l.AnsweredMicros)
	e.Int(l.ExpiresMicros)
	e.id(l.Gateway)
	e.bytes(l.Teardown)
	e.Int(l.GrantedSecs)
	e.Int(l.PostedSecs)
	e.slices(l.Posted)
	e.Int(int64(len(l.Held)))
	for _, h := range l.Held {
		e.Int(h.FromSecs)
		e.Int(h.ToSecs)
		e.Int(int64(h.Day))
		e.amount(h.Cost)
	}
	e.Int(l.MaxSecs)
	e.Int(l.HungUpMicros)
	e.Text(l.HungUpBy)
	return e.Out
}

// decodeLease reads a row of leases back.
func DecodeLease(account id.ID, call uuid.UUID, body []byte) (*admission.Lease, error) {
	d, form := newDecoderUpTo(body, leaseForm)
	l := &admission.Lease{ID: call, Account: account, Owner: d.uuid(), Profile: d.id(), Connection: d.id()}
	if d.Bool() {
		l.BillingGroup = new(d.uuid())
	}
	l.SIPCallID, l.Emergency, l.Rate, l.Decision = d.Text(), d.Bool(), d.Rate(), d.bytes()
	l.ReservedMicros, l.AnsweredMicros, l.ExpiresMicros = d.Int(), d.Int(), d.Int()
	l.Gateway, l.Teardown = d.id(), d.bytes()
	l.GrantedSecs, l.PostedSecs, l.Posted = d.Int(), d.Int(), d.slices()
	for range d.Count() {
		l.Held = append(l.Held, admission.Hold{
			FromSecs: d.Int(), ToSecs: d.Int(), Day: record.Day(d.Int()), Cost: d.amount(),
		})
	}
	if form >= 2 {
		l.MaxSecs = d.Int()
	}
	if form >= 3 {
		l.HungUpMicros, l.HungUpBy = d.Int(), d.Text()
	}
	return l, d.Finish("lease")
}

// scanLease reads a row of leaseColumns.
func ScanLease(scan func(...any) error) (*admission.Lease, error) {
	var account id.ID
	var call uuid.UUID
	var body []byte
	if err := scan(&account, &call, &body); err != nil {
		return nil, err
	}
	return DecodeLease(account, call, body)
}
