package table

import (
	"bytes"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/packed"
)

// leaseRead are the columns of leases that say it all, in both databases.
var leaseRead = column.List[LeaseRow]{leaseAccount, leaseCall, leaseBody}

// LeaseColumns are the columns of ScanLease.
var LeaseColumns = leaseRead.Names()

// leaseRepeated are the columns on a server that repeat what is in the body.
var leaseRepeated = append(column.List[LeaseRow]{leaseExpires, leaseHungUp}, leaseOwners...)

// AllLeaseColumns are the columns of ScanLeaseWhole.
var AllLeaseColumns = LeaseColumns + ", " + leaseRepeated.Names()

// AppendLease packs what a lease has beside its account and id.
func AppendLease(dst []byte, l *admission.Lease) []byte {
	return packed.Append(dst, leaseForm, l, packLease)
}

// ScanLease reads a row of LeaseColumns.
func ScanLease(scan func(...any) error) (*admission.Lease, error) {
	row := &LeaseRow{}
	return &row.Lease, scan(leaseRead.Into(make([]any, 0, len(leaseRead)), row)...)
}

// ScanLeaseWhole reads a row of AllLeaseColumns, and reports whether all of them are what
// the body says.
func ScanLeaseWhole(scan func(...any) error) (l *admission.Lease, agree bool, err error) {
	row := &LeaseRow{}
	stored := make([]any, len(leaseRepeated))
	places := leaseRead.Into(nil, row)
	for i := range stored {
		places = append(places, &stored[i])
	}
	err, agree = scan(places...), true
	for i, value := range leaseRepeated.Append(nil, row) {
		if text, ok := value.([]byte); ok {
			other, _ := stored[i].([]byte)
			agree = agree && bytes.Equal(text, other)
			continue
		}
		agree = agree && value == stored[i]
	}
	return &row.Lease, agree, err
}
