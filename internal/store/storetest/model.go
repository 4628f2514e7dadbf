package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
)

// gatewayModel is a collection as a plain map.
type gatewayModel map[id.ID]routing.Gateway

// testModel runs random operations on the gateways of an account and on a map.
func testModel(t *testing.T, open Opener) {
	b := newBed(t, open)
	rapid.Check(t, func(r *rapid.T) {
		account, err := b.Accounts().Create(ctx, 0, store.Account{Name: "model", Active: true})
		if err != nil {
			r.Fatal(err)
		}
		m := gatewayModel{}
		keys := func() []id.ID {
			known := []id.ID{b.account.ID} // an id that is never a gateway
			for key := range m {
				known = append(known, key)
			}
			slices.Sort(known)
			return known
		}
		r.Repeat(map[string]func(*rapid.T){
			"create": func(r *rapid.T) {
				g := drawGateway(r)
				made, err := b.Gateways().Create(ctx, account.ID, g)
				if err != nil {
					r.Fatal(err)
				}
				m[made.ID] = made
			},
			"update": func(r *rapid.T) {
				key, next := rapid.SampledFrom(keys()).Draw(r, "key"), drawGateway(r)
				got, err := b.Gateways().Update(ctx, account.ID, key, func(g routing.Gateway) (routing.Gateway, error) {
					g.Name = next.Name
					g.Enabled = next.Enabled
					g.Priority = next.Priority
					return g, nil
				})
				want, there := m[key]
				m.compareError(r, there, err)
				if there {
					want.Name = next.Name
					want.Enabled = next.Enabled
					want.Priority = next.Priority
					want.Version = want.Version + 1
					m[key] = want
					compareGateways(r, []routing.Gateway{want}, []routing.Gateway{got})
				}
			},
			"delete": func(r *rapid.T) {
				key := rapid.SampledFrom(keys()).Draw(r, "key")
				_, err := b.Gateways().Delete(ctx, account.ID, key)
				_, there := m[key]
				m.compareError(r, there, err)
				delete(m, key)
			},
			"list": func(r *rapid.T) { m.list(r, b, account.ID) },
			"": func(r *rapid.T) {
				if got := len(b.options.Live.Snapshot().Gateways(account.ID)); got != len(m) {
					r.Fatalf("%d gateways in force, want %d", got, len(m))
				}
			},
		})
	})
}

func drawGateway(r *rapid.T) routing.Gateway {
	g := newGateway(rapid.StringMatching(`[aAbB%_É]{1,3}`).Draw(r, "name"))
	g.Enabled = rapid.Bool().Draw(r, "enabled")
	g.Priority = rapid.Int32Range(0, 3).Draw(r, "priority")
	return g
}

func (m gatewayModel) compareError(r *rapid.T, there bool, err error) {
	if there && err != nil || !there && !errors.Is(err, collection.ErrNotFound) {
		r.Fatalf("object is there: %v; error: %v", there, err)
	}
}

// list draws a query and answers it from the map as well.
func (m gatewayModel) list(r *rapid.T, b *bed, account id.ID) {
	part := rapid.StringMatching(`[aAbB%_É]?`).Draw(r, "part")
	least := rapid.Int64Range(0, 3).Draw(r, "least")
	field := rapid.SampledFrom([]string{"name", "priority", "enabled", "created_at"}).Draw(r, "field")
	descending := rapid.Bool().Draw(r, "descending")
	q := collection.Query{
		Number: rapid.IntRange(1, 3).Draw(r, "number"), Size: rapid.IntRange(1, 5).Draw(r, "size"),
		Sort: []collection.Order{{Field: field, Descending: descending}},
		Filters: []collection.Filter{
			{Field: "name", Op: collection.Contains, Value: part},
			{Field: "priority", Op: collection.AtLeast, Value: least},
		},
	}
	var want []routing.Gateway
	for _, g := range m {
		if strings.Contains(strings.ToLower(g.Name), strings.ToLower(part)) && int64(g.Priority) >= least {
			want = append(want, g)
		}
	}
	slices.SortFunc(want, func(x, y routing.Gateway) int {
		order := cmp.Or(compareField(field, x, y), cmp.Compare(x.ID, y.ID))
		if descending {
			return -order
		}
		return order
	})
	total := len(want)
	low := min((q.Number-1)*q.Size, total)
	want = want[low:min(low+q.Size, total)]
	got, err := b.Gateways().List(ctx, account, q)
	if err != nil {
		r.Fatal(err)
	}
	if got.Total != total {
		r.Fatalf("total %d, want %d", got.Total, total)
	}
	compareGateways(r, want, got.Items)
}

func compareField(field string, x, y routing.Gateway) int {
	number := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	switch field {
	case "name":
		return cmp.Compare(x.Name, y.Name)
	case "priority":
		return cmp.Compare(x.Priority, y.Priority)
	case "enabled":
		return cmp.Compare(number(x.Enabled), number(y.Enabled))
	case "created_at":
		return x.CreatedAt.Compare(y.CreatedAt)
	}
	panic(fmt.Sprintf("storetest: no field %q", field))
}

func compareGateways(r *rapid.T, want, got []routing.Gateway) {
	if diff := gocmp.Diff(want, got, compare...); diff != "" {
		r.Fatalf("gateways (-want +got):\n%s", diff)
	}
}
