package policy

import (
	"slices"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numberlist"
)

// NumberLists returns an account's lists of numbers. The slice is shared: read only.
func (s *Snapshot) NumberLists(account id.ID) []*numberlist.Compiled {
	return s.numberLists.get(uint64(account), account)
}

// PutNumberList adds or replaces a list of numbers.
func PutNumberList(l *numberlist.List) Change {
	return Change{Object{Kind: KindNumberList, ID: l.ID, Account: l.AccountID}, func(s *Snapshot) error {
		compiled, err := l.Compile()
		if err != nil {
			return err
		}
		s.setNumberList(l.AccountID, l.ID, compiled)
		return nil
	}}
}

// DropNumberList removes a list of numbers.
func DropNumberList(o Object) Change {
	return Change{Object{Kind: KindNumberList, ID: o.ID, Account: o.Account}, func(s *Snapshot) error {
		s.setNumberList(o.Account, o.ID, nil)
		return nil
	}}
}

// setNumberList replaces a list, or removes it when there is no next one.
func (s *Snapshot) setNumberList(account, list id.ID, next *numberlist.Compiled) {
	lists := slices.DeleteFunc(slices.Clone(s.NumberLists(account)),
		func(l *numberlist.Compiled) bool { return l.ID == list })
	if next != nil {
		lists = append(lists, next)
	}
	s.numberLists = s.numberLists.put(hashID, account, lists)
}
