package policy

import (
	"slices"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/verification"
)

// verifiedAt is the place of a verified number.
type verifiedAt struct {
	account id.ID
	number  e164.Number
}

// Verified reports whether an account has verified a number.
func (s *Snapshot) Verified(account id.ID, n e164.Number) bool {
	_, found := slices.BinarySearch(s.verified.get(uint64(account), account), n)
	return found
}

func (s *Snapshot) putVerified(n *verification.Number) {
	s.dropVerified(n.ID)
	numbers := s.verified.get(uint64(n.AccountID), n.AccountID)
	at, found := slices.BinarySearch(numbers, n.PhoneNumber)
	if !found {
		numbers = slices.Insert(slices.Clone(numbers), at, n.PhoneNumber)
		s.verified = s.verified.put(hashID, n.AccountID, numbers)
	}
	s.verifiedBy = s.verifiedBy.put(hashID, n.ID, verifiedAt{n.AccountID, n.PhoneNumber})
}

func (s *Snapshot) dropVerified(number id.ID) {
	at := s.verifiedBy.get(uint64(number), number)
	if at.number == 0 {
		return
	}
	s.verifiedBy = s.verifiedBy.remove(hashID, number)
	numbers := slices.DeleteFunc(slices.Clone(s.verified.get(uint64(at.account), at.account)),
		func(n e164.Number) bool { return n == at.number })
	s.verified = s.verified.put(hashID, at.account, numbers)
}
