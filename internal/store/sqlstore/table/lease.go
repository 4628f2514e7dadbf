package table

import (
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/packed"
)

// LeaseColumns are those of leases that both databases have.
const LeaseColumns = "account_id, id, body"

// AppendLease packs what a lease has beside its account and id.
func AppendLease(dst []byte, l *admission.Lease) []byte {
	return packed.Append(dst, leaseForm, l, packLease)
}

// DecodeLease reads a row of leases back.
func DecodeLease(account id.ID, call uuid.UUID, body []byte) (*admission.Lease, error) {
	l := &admission.Lease{ID: call, Account: account}
	return l, packed.Read(body, leaseForm, "lease", l, packLease)
}

// ScanLease reads a row of LeaseColumns.
func ScanLease(scan func(...any) error) (*admission.Lease, error) {
	var account id.ID
	var call uuid.UUID
	var body []byte
	if err := scan(&account, &call, &body); err != nil {
		return nil, err
	}
	return DecodeLease(account, call, body)
}
