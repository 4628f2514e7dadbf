package sqlstore_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

func TestVariableKey(t *testing.T) {
	twoDatabases(t, func(t *testing.T, open func(v *secret.Vault) (*sqlstore.Store, error), _ func() string) {
		s, err := open(nil)
		check(t, err)
		defer func() { check(t, s.Close()) }()
		account, _, err := s.EnsureFirst(t.Context())
		check(t, err)
		keyOf := func(text string) store.Key {
			return store.Key{Head: collection.Head[id.ID]{AccountID: account.ID},
				Name: text, Hash: sha256.Sum256([]byte(text)), Scopes: []string{"read"}}
		}
		// start is a start of the server with the variable; want are the keys afterwards.
		start := func(text string, state sqlstore.VariableState, want ...string) {
			t.Helper()
			did, err := s.SetVariableKey(t.Context(), keyOf(text))
			if err != nil || did.State != state {
				t.Errorf("start with %s: %+v, %v", text, did, err)
			}
			page, err := s.Keys().List(t.Context(), account.ID,
				collection.Query{Number: 1, Size: 50, Sort: []collection.Order{{Field: "name"}}})
			check(t, err)
			var names []string
			for _, k := range page.Items {
				names = append(names, k.Name)
			}
			if !slices.Equal(names, want) {
				t.Errorf("after a start with %s: keys %q, want %q", text, names, want)
			}
		}
		find := func(text string) id.ID {
			t.Helper()
			k, err := s.KeyByHash(t.Context(), sha256.Sum256([]byte(text)))
			check(t, err)
			return k.ID
		}
		_, err = s.PutKey(t.Context(), keyOf("own")) // made through the API
		check(t, err)
		start("a", sqlstore.VariableTaken, "a", "own")
		start("a", sqlstore.VariableTaken, "a", "own")
		start("b", sqlstore.VariableTaken, "b", "own") // a was retired
		if _, err := s.KeyByHash(t.Context(), sha256.Sum256([]byte("a"))); !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("the key of before: %v", err)
		}
		// A node that still has the old value neither brings it back nor takes the new one away.
		start("a", sqlstore.VariableGone, "b", "own")
		start("b", sqlstore.VariableTaken, "b", "own")
		// One that was deleted stays so.
		_, err = s.Keys().Delete(t.Context(), account.ID, find("b"))
		check(t, err)
		start("b", sqlstore.VariableGone, "own")
		start("c", sqlstore.VariableTaken, "c", "own")
		// Someone who knew the old value may have rotated it: it is retired by what it is.
		_, err = s.Keys().Update(t.Context(), account.ID, find("c"), func(k store.Key) (store.Key, error) {
			k.PreviousHash, k.Hash = new(k.Hash), sha256.Sum256([]byte("c2"))
			return k, nil
		})
		check(t, err)
		start("c", sqlstore.VariableRotated, "c", "own")
		start("d", sqlstore.VariableTaken, "d", "own")
		// A key that was there before is not the variable's to delete.
		start("own", sqlstore.VariableTaken, "own")
		start("e", sqlstore.VariableTaken, "e", "own")
		_, err = s.Keys().Delete(t.Context(), account.ID, find("own"))
		check(t, err)
		start("own", sqlstore.VariableGone, "e")
		// Another account's key is refused, as before.
		tenant, err := s.CreateTenant(t.Context(), store.Account{Name: "tenant", Active: true},
			store.Key{Name: "theirs", Hash: sha256.Sum256([]byte("theirs"))})
		check(t, err)
		if _, err := s.SetVariableKey(t.Context(), keyOf("theirs")); !errors.Is(err, collection.ErrDuplicate) {
			t.Errorf("a key of account %s: %v", tenant.Account.ID, err)
		}
		start("e", sqlstore.VariableTaken, "e")
		page, err := s.ListAudit(t.Context(), account.ID,
			collection.Query{Number: 1, Size: 50, Sort: []collection.Order{{Field: "sequence"}}})
		check(t, err)
		deleted := 0
		for _, e := range page.Items {
			if e.RecordType == "api_key" && e.ChangeType == "delete" && e.Reason != "" {
				deleted++
			}
		}
		if deleted != 3 {
			t.Errorf("%d keys retired in the audit, want 3", deleted)
		}
	})
}
