package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

// subject is one collection as the common tests see it: objects made from a
// number, which is in their name or port.
type subject[T any, K comparable] struct {
	of     func(Store) collection.Of[T, K]
	create func(n int) T
	set    func(o *T, n int)
	field  string // holds the number, and sorts by it
	value  func(n int) any
	head   func(*T) (key *K, account *id.ID, version *int64, created, updated *time.Time)
}

func numbered(n int) string { return fmt.Sprintf("Number %04d", n) }
func nameValue(n int) any   { return numbered(n) }

func profiles() subject[profile.Profile, id.ID] {
	type T = profile.Profile
	return subject[T, id.ID]{
		of:     Store.Profiles,
		create: func(n int) T { return newProfile(numbered(n)) },
		set:    func(p *T, n int) { p.Name = numbered(n) },
		field:  "name", value: nameValue,
		head: func(p *T) (*id.ID, *id.ID, *int64, *time.Time, *time.Time) {
			return &p.ID, &p.AccountID, &p.Version, &p.CreatedAt, &p.UpdatedAt
		},
	}
}

func ipConnections() subject[connection.IPConnection, id.ID] {
	type T = connection.IPConnection
	return subject[T, id.ID]{
		of:     Store.IPConnections,
		create: func(n int) T { return newPBX(numbered(n), 0) },
		set:    func(c *T, n int) { c.ConnectionName = numbered(n) },
		field:  "connection_name", value: nameValue,
		head: func(c *T) (*id.ID, *id.ID, *int64, *time.Time, *time.Time) {
			return &c.ID, &c.AccountID, &c.Version, &c.CreatedAt, &c.UpdatedAt
		},
	}
}

func credentialConnections() subject[connection.CredentialConnection, id.ID] {
	type T = connection.CredentialConnection
	return subject[T, id.ID]{
		of: Store.CredentialConnections,
		create: func(n int) T {
			c := newPhone(fmt.Sprintf("user%06d", n), 0)
			c.ConnectionName = numbered(n)
			return c
		},
		set:   func(c *T, n int) { c.ConnectionName = numbered(n) },
		field: "connection_name", value: nameValue,
		head: func(c *T) (*id.ID, *id.ID, *int64, *time.Time, *time.Time) {
			return &c.ID, &c.AccountID, &c.Version, &c.CreatedAt, &c.UpdatedAt
		},
	}
}

func ips() subject[connection.IP, id.ID] {
	type T = connection.IP
	return subject[T, id.ID]{
		of: Store.IPs,
		create: func(n int) T {
			ip := newIP("2001:db8::1", 0)
			ip.Port = int32(10_000 + n)
			return ip
		},
		set:   func(ip *T, n int) { ip.Port = int32(10_000 + n) },
		field: "port", value: func(n int) any { return int64(10_000 + n) },
		head: func(ip *T) (*id.ID, *id.ID, *int64, *time.Time, *time.Time) {
			return &ip.ID, &ip.AccountID, &ip.Version, &ip.CreatedAt, &ip.UpdatedAt
		},
	}
}

func newGateway(name string) routing.Gateway {
	g := routing.NewGateway()
	g.Name, g.Address = name, "sip.carrier.example"
	g.UserName, g.Password = new("user"), new("secret")
	return g
}

func gateways() subject[routing.Gateway, id.ID] {
	type T = routing.Gateway
	return subject[T, id.ID]{
		of:     Store.Gateways,
		create: func(n int) T { return newGateway(numbered(n)) },
		set:    func(g *T, n int) { g.Name = numbered(n) },
		field:  "name", value: nameValue,
		head: func(g *T) (*id.ID, *id.ID, *int64, *time.Time, *time.Time) {
			return &g.ID, &g.AccountID, &g.Version, &g.CreatedAt, &g.UpdatedAt
		},
	}
}

func billingGroups() subject[store.BillingGroup, uuid.UUID] {
	type T = store.BillingGroup
	return subject[T, uuid.UUID]{
		of:     Store.BillingGroups,
		create: func(n int) T { return T{Name: numbered(n), SpendLimit: profile.NewSpendLimit()} },
		set:    func(g *T, n int) { g.Name = numbered(n) },
		field:  "name", value: nameValue,
		head: func(g *T) (*uuid.UUID, *id.ID, *int64, *time.Time, *time.Time) {
			return &g.ID, &g.AccountID, &g.Version, &g.CreatedAt, &g.UpdatedAt
		},
	}
}

func webhookEndpoints() subject[webhook.Endpoint, id.ID] {
	type T = webhook.Endpoint
	address := func(n int) string { return fmt.Sprintf("https://hooks.example.com/Number %04d", n) }
	return subject[T, id.ID]{
		of: Store.WebhookEndpoints,
		create: func(n int) T {
			e := webhook.NewEndpoint()
			e.URL, e.Events = address(n), []string{webhook.CallEnded}
			return e
		},
		set:   func(e *T, n int) { e.URL = address(n) },
		field: "url", value: func(n int) any { return address(n) },
		head: func(e *T) (*id.ID, *id.ID, *int64, *time.Time, *time.Time) {
			return &e.ID, &e.AccountID, &e.Version, &e.CreatedAt, &e.UpdatedAt
		},
	}
}

func testCollections(t *testing.T, open Opener) {
	b := newBed(t, open)
	t.Run("Profiles", func(t *testing.T) { testCollection(t, open, b, profiles()) })
	t.Run("IPConnections", func(t *testing.T) { testCollection(t, open, b, ipConnections()) })
	t.Run("FQDNConnections", func(t *testing.T) { testCollection(t, open, b, fqdnConnections()) })
	t.Run("CredentialConnections", func(t *testing.T) { testCollection(t, open, b, credentialConnections()) })
	t.Run("IPs", func(t *testing.T) { testCollection(t, open, b, ips()) })
	t.Run("Gateways", func(t *testing.T) { testCollection(t, open, b, gateways()) })
	t.Run("BillingGroups", func(t *testing.T) { testCollection(t, open, b, billingGroups()) })
	t.Run("WebhookEndpoints", func(t *testing.T) { testCollection(t, open, b, webhookEndpoints()) })
}

func testCollection[T any, K comparable](t *testing.T, open Opener, b *bed, s subject[T, K]) {
	account := value(b.Accounts().Create(ctx, 0, store.Account{Name: "collection", Active: true}))(t).ID
	t.Run("Life", func(t *testing.T) { s.testLife(t, b, account) })
	t.Run("Pages", func(t *testing.T) { s.testPages(t, b, account) })
	t.Run("Update", func(t *testing.T) { s.testUpdate(t, b, account) })
	t.Run("LostUpdates", func(t *testing.T) { s.testLostUpdates(t, b, account) })
	t.Run("Reopen", func(t *testing.T) { s.testReopen(t, open, b, account) })
}

// testLife makes, reads, changes and deletes one object.
func (s subject[T, K]) testLife(t *testing.T, b *bed, account id.ID) {
	c := s.of(b.Store)
	made := value(c.Create(ctx, account, s.create(1)))(t)
	key, owner, version, created, updated := s.head(&made)
	var none K
	if *key == none || *owner != account || *version != 1 || !created.Equal(b.clock.Now()) || !updated.Equal(*created) {
		t.Fatalf("created %v of %v at version %d, %v, %v", *key, *owner, *version, *created, *updated)
	}
	if diff := cmp.Diff(made, value(c.Get(ctx, account, *key))(t), compare...); diff != "" {
		t.Errorf("Get after Create (-created +got):\n%s", diff)
	}
	b.clock.advance(time.Minute)
	changed := value(c.Update(ctx, account, *key, func(o T) (T, error) {
		s.set(&o, 2)
		return o, nil
	}))(t)
	key2, _, version2, created2, updated2 := s.head(&changed)
	if *key2 != *key || *version2 != 2 || !created2.Equal(*created) || !updated2.Equal(b.clock.Now()) {
		t.Errorf("updated %v at version %d, %v, %v", *key2, *version2, *created2, *updated2)
	}
	if diff := cmp.Diff(changed, value(c.Get(ctx, account, *key))(t), compare...); diff != "" {
		t.Errorf("Get after Update (-updated +got):\n%s", diff)
	}
	gone := value(c.Delete(ctx, account, *key))(t)
	if k, _, _, _, _ := s.head(&gone); *k != *key {
		t.Errorf("deleted %v, want %v", *k, *key)
	}
	for what, err := range map[string]error{
		"Get":    errOf(c.Get(ctx, account, *key)),
		"Delete": errOf(c.Delete(ctx, account, *key)),
		"Update": errOf(c.Update(ctx, account, *key, func(o T) (T, error) { return o, nil })),
	} {
		if !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("%s after Delete: %v", what, err)
		}
	}
	if err := errOf(c.Create(ctx, 12345, s.create(1))); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("Create in an account that is not there: %v", err)
	}
}

// testPages reads a list in every order and page size.
func (s subject[T, K]) testPages(t *testing.T, b *bed, account id.ID) {
	c := s.of(b.Store)
	const total = 23
	for n := range total {
		value(c.Create(ctx, account, s.create(100+(n*7)%total)))(t)
	}
	for _, descending := range []bool{false, true} {
		for _, size := range []int{1, 5, total, 250} {
			q := collection.Query{Size: size, Sort: []collection.Order{{Field: s.field, Descending: descending}}}
			var seen []T
			for q.Number = 1; ; q.Number++ {
				page := value(c.List(ctx, account, q))(t)
				if page.Total != total {
					t.Fatalf("total %d, want %d", page.Total, total)
				}
				if len(page.Items) == 0 {
					break
				}
				seen = append(seen, page.Items...)
			}
			s.checkOrder(t, seen, total, descending)
		}
	}
	beyond := value(c.List(ctx, account, collection.Query{Number: 1 << 40, Size: 10}))(t)
	if beyond.Items == nil || len(beyond.Items) != 0 || beyond.Total != total {
		t.Errorf("page beyond the end: %d of %d", len(beyond.Items), beyond.Total)
	}
	one := value(c.List(ctx, account, collection.Query{Number: 1, Size: 10,
		Filters: []collection.Filter{{Field: s.field, Op: collection.Equal, Value: s.value(105)}}}))(t)
	if one.Total != 1 || len(one.Items) != 1 {
		t.Errorf("filter for one: %d of %d", len(one.Items), one.Total)
	}
	few := value(c.List(ctx, account, collection.Query{Number: 1, Size: 10, Filters: []collection.Filter{
		{Field: s.field, Op: collection.AtLeast, Value: s.value(103)},
		{Field: s.field, Op: collection.Below, Value: s.value(107)},
	}}))(t)
	if few.Total != 4 {
		t.Errorf("filter for a range: %d, want 4", few.Total)
	}
	s.testBadQueries(t, c, account)
}

func (s subject[T, K]) checkOrder(t *testing.T, seen []T, total int, descending bool) {
	t.Helper()
	if len(seen) != total {
		t.Fatalf("%d objects on all pages, want %d", len(seen), total)
	}
	for i := range seen {
		want := s.create(100 + i)
		if descending {
			want = s.create(100 + total - 1 - i)
		}
		// All but the number is of no interest here.
		key, owner, version, created, updated := s.head(&seen[i])
		wkey, wowner, wversion, wcreated, wupdated := s.head(&want)
		*wkey, *wowner, *wversion, *wcreated, *wupdated = *key, *owner, *version, *created, *updated
		if diff := cmp.Diff(want, seen[i], append(compare, ignoreOrganization)...); diff != "" {
			t.Fatalf("object %d (-want +got):\n%s", i, diff)
		}
	}
}

func (s subject[T, K]) testBadQueries(t *testing.T, c collection.Of[T, K], account id.ID) {
	for _, bad := range []struct {
		q    collection.Query
		want error
	}{
		{collection.Query{Size: 10, Sort: []collection.Order{{Field: "doc; DROP TABLE ips"}}}, collection.ErrUnknownField},
		{collection.Query{Size: 10, Filters: []collection.Filter{{Field: "colour", Value: "red"}}},
			collection.ErrUnknownField},
		{collection.Query{Size: 10, Filters: []collection.Filter{{Field: s.field, Value: 1.5}}}, collection.ErrBadValue},
		{collection.Query{Size: 10, Filters: []collection.Filter{{Field: s.field, Op: 99, Value: s.value(1)}}},
			collection.ErrBadValue},
		{collection.Query{Size: 10, Filters: []collection.Filter{{Field: "id", Value: "not an id"}}}, collection.ErrBadValue},
		{collection.Query{Size: 0}, collection.ErrBadValue},
		{collection.Query{Size: 1 << 30}, collection.ErrBadValue},
		{collection.Query{Size: 10, Filters: make([]collection.Filter, 1000)}, collection.ErrBadValue},
	} {
		if err := errOf(c.List(ctx, account, bad.q)); !errors.Is(err, bad.want) {
			t.Errorf("%+v: %v, want %v", bad.q, err, bad.want)
		}
	}
}

// testUpdate looks at what the function may and may not do.
func (s subject[T, K]) testUpdate(t *testing.T, b *bed, account id.ID) {
	c := s.of(b.Store)
	made := value(c.Create(ctx, account, s.create(200)))(t)
	key, _, _, _, _ := s.head(&made)
	refusal := errors.New("not like this")
	if err := errOf(c.Update(ctx, account, *key, func(o T) (T, error) { return o, refusal })); !errors.Is(err, refusal) {
		t.Errorf("Update whose function fails: %v", err)
	}
	updated := value(c.Update(ctx, account, *key, func(T) (T, error) {
		// A function that returns another object altogether changes neither key nor account.
		return s.create(201), nil
	}))(t)
	key2, owner, version, _, _ := s.head(&updated)
	if *key2 != *key || *owner != account || *version != 2 {
		t.Errorf("after Update: %v of %v at version %d", *key2, *owner, *version)
	}
	value(c.Delete(ctx, account, *key))(t)
}

// testLostUpdates has many add to a number at once; none may be lost.
func (s subject[T, K]) testLostUpdates(t *testing.T, b *bed, account id.ID) {
	c := s.of(b.Store)
	const writers, times = 10, 5
	made := value(c.Create(ctx, account, s.create(300)))(t)
	key, _, _, _, _ := s.head(&made)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range times {
				_, err := c.Update(ctx, account, *key, func(o T) (T, error) {
					_, _, version, _, _ := s.head(&o)
					s.set(&o, 300+int(*version))
					return o, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	final := value(c.Get(ctx, account, *key))(t)
	want := final
	s.set(&want, 300+writers*times)
	if _, _, version, _, _ := s.head(&final); *version != 1+writers*times || !cmp.Equal(want, final, compare...) {
		t.Errorf("version %d, want %d: updates were lost", *version, 1+writers*times)
	}
	value(c.Delete(ctx, account, *key))(t)
}

// testReopen looks for the objects of testPages in a store that was opened again.
func (s subject[T, K]) testReopen(t *testing.T, open Opener, b *bed, account id.ID) {
	q := collection.Query{Number: 1, Size: 250, Sort: []collection.Order{{Field: "created_at"}, {Field: s.field}}}
	before := value(s.of(b.Store).List(ctx, account, q))(t)
	b.reopen(t, open)
	after := value(s.of(b.Store).List(ctx, account, q))(t)
	if diff := cmp.Diff(before, after, compare...); diff != "" || before.Total == 0 {
		t.Errorf("after opening again (-before +after):\n%s", diff)
	}
}

func errOf[T any](_ T, err error) error { return err }
