package table

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/packed"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

var fullLease = admission.Lease{
	ID: uuid.UUID{1}, Owner: uuid.UUID{2}, Account: 3, Profile: 4, Connection: 5,
	BillingGroup: &uuid.UUID{6}, SIPCallID: "a@b", Emergency: true,
	Rate:     rating.Rate{PerMinute: money.Cent, ConnectFee: money.Nano, FirstIncrement: 30, Increment: 6},
	Decision: []byte("decision"), ReservedMicros: 1, AnsweredMicros: 2, ExpiresMicros: 3, Gateway: 7,
	Teardown: []byte("teardown"), GrantedSecs: 60, PostedSecs: 30,
	Posted: []record.Slice{{Day: 1, Secs: 2, Cost: 3}, {Day: 4, Secs: 5, Cost: 6}},
	Held:   []admission.Hold{{FromSecs: 30, ToSecs: 60, Day: 4, Cost: 9}},
}

func decodeLease(account id.ID, call uuid.UUID, body []byte) (*admission.Lease, error) {
	l := &admission.Lease{ID: call, Account: account}
	return l, packed.Read(body, leaseForm, "lease", l, packLease)
}

func TestLeaseCodec(t *testing.T) {
	for _, l := range []admission.Lease{fullLease, {ID: uuid.UUID{1}, Account: 3}} {
		got, err := decodeLease(l.Account, l.ID, AppendLease(nil, &l))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&l, got); diff != "" {
			t.Errorf("lease (-want +got):\n%s", diff)
		}
	}
}

// FuzzLease reads whatever may be in a damaged file: it is read and written back
// alike, or refused.
func FuzzLease(f *testing.F) {
	f.Add(AppendLease(nil, &fullLease))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := decodeLease(3, uuid.UUID{1}, body)
		if err != nil {
			return
		}
		again, err := decodeLease(3, uuid.UUID{1}, AppendLease(nil, l))
		if err != nil || !cmp.Equal(l, again) {
			t.Errorf("%v; %s", err, cmp.Diff(l, again))
		}
	})
}
