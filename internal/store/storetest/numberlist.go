package storetest

import (
	"errors"
	"testing"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/numberlist"
	"github.com/tollgate/tollgate/internal/store"
)

// testNumberLists: a list is in force when it is answered, stays so when the store is opened
// again, and is one account's.
func testNumberLists(t *testing.T, open Opener) {
	b := newBed(t, open)
	other := value(b.Accounts().Create(ctx, 0, store.Account{Name: "another", Active: true}))(t).ID
	c := store.Of[numberlist.List](b)
	refused := func() (n int) {
		for _, l := range b.options.Live.Snapshot().NumberLists(b.account.ID) {
			if prefix, allow := l.Find(442079460000, b.clock.Now().UnixMicro()); prefix != 0 && !allow {
				n++
			}
		}
		return n
	}
	entries := []numberlist.Entry{{Prefix: "+4420", Action: numberlist.Refuse, Comment: "abused"}}
	list := numberlist.List{Name: "fraud", Matches: numberlist.Callee, Entries: entries}
	made := value(c.Create(ctx, b.account.ID, list))(t)
	if refused() != 1 {
		t.Error("not in force")
	}
	if _, err := c.Get(ctx, other, made.ID); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
	b.reopen(t, open)
	c = store.Of[numberlist.List](b)
	if again := value(c.Get(ctx, b.account.ID, made.ID))(t); refused() != 1 || again.Entries[0] != entries[0] {
		t.Errorf("opened again: %+v", again)
	}
	value(c.Update(ctx, b.account.ID, made.ID, func(l numberlist.List) (numberlist.List, error) {
		l.Entries = []numberlist.Entry{}
		return l, nil
	}))(t)
	if refused() != 0 {
		t.Error("an entry that was taken out is in force")
	}
	value(c.Delete(ctx, b.account.ID, made.ID))(t)
	if lists := b.options.Live.Snapshot().NumberLists(b.account.ID); len(lists) != 0 {
		t.Errorf("%d lists after the last was deleted", len(lists))
	}
}
