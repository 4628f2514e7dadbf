package storetest

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

// testTenancy asks with the other account for everything that the first one has.
func testTenancy(t *testing.T, open Opener) {
	b := newBed(t, open)
	gateway := value(b.Gateways().Create(ctx, b.account.ID, newGateway("carrier")))(t)
	group := value(b.BillingGroups().Create(ctx, b.account.ID, store.BillingGroup{Name: "group"}))(t)
	r := b.do(t, b.reserve())
	b.do(t, admission.Settle{ID: r.Decision.ID, Ending: ending(b, 0)})
	live := b.do(t, b.reserve())

	foreign(t, b, b.Profiles(), b.profile.ID)
	foreign(t, b, b.WebhookEndpoints(), value(b.WebhookEndpoints().Create(ctx, b.account.ID, newWebhook(0)))(t).ID)
	foreign(t, b, b.CredentialConnections(), b.phone.ID)
	foreign(t, b, b.IPConnections(), b.pbx.ID)
	foreign(t, b, b.IPs(), b.ip.ID)
	foreign(t, b, b.Gateways(), gateway.ID)
	foreign(t, b, b.BillingGroups(), group.ID)

	other := b.other.ID
	for what, err := range map[string]error{
		"Deck":          errOf(b.Deck(ctx, other, b.deck.ID)),
		"DeckRows":      errOf(b.DeckRows(ctx, other, b.deck.ID, collection.Query{Size: 1})),
		"ActivateDeck":  errOf(b.ActivateDeck(ctx, other, b.deck.ID)),
		"DeleteDeck":    errOf(b.DeleteDeck(ctx, other, b.deck.ID)),
		"Record":        errOf(b.Record(ctx, other, r.Decision.ID)),
		"Decision":      errOf(b.Decision(ctx, other, r.Decision.ID)),
		"live Decision": errOf(b.Decision(ctx, other, live.Decision.ID)),
	} {
		if !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("%s of another account: %v", what, err)
		}
	}
	if calls := value(b.LiveCalls(ctx, other))(t); len(calls) != 0 {
		t.Errorf("%d live calls of another account", len(calls))
	}
	if page := value(b.ListRecords(ctx, other, collection.Query{Size: 10}))(t); page.Total != 0 {
		t.Errorf("%d records of another account", page.Total)
	}
	if page := value(b.ListDecks(ctx, other, collection.Query{Size: 10}))(t); page.Total != 0 {
		t.Errorf("%d decks of another account", page.Total)
	}
	if n := value(b.CountByProfile(ctx, other, []id.ID{b.profile.ID}))(t)[b.profile.ID]; n != 0 {
		t.Errorf("%d connections of another account", n)
	}
	if n := value(b.CountByProfile(ctx, b.account.ID, []id.ID{b.profile.ID}))(t)[b.profile.ID]; n != 2 {
		t.Errorf("%d connections of the profile, want 2", n)
	}
}

func foreign[T any, K comparable](t *testing.T, b *bed, c collection.Of[T, K], key K) {
	t.Helper()
	for what, err := range map[string]error{
		"Get":    errOf(c.Get(ctx, b.other.ID, key)),
		"Update": errOf(c.Update(ctx, b.other.ID, key, func(o T) (T, error) { return o, nil })),
		"Delete": errOf(c.Delete(ctx, b.other.ID, key)),
	} {
		if !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("%s of another account's %T: %v", what, *new(T), err)
		}
	}
	if page := value(c.List(ctx, b.other.ID, collection.Query{Size: 10}))(t); page.Total != 0 {
		t.Errorf("List of another account's %T: %d", *new(T), page.Total)
	}
	if page := value(c.List(ctx, b.account.ID, collection.Query{Size: 10}))(t); page.Total == 0 {
		t.Errorf("List of %T is empty", *new(T))
	}
}

// refused fails unless err is a ReferenceError with the sentinel and the field.
func refused(t *testing.T, what string, err, sentinel error, field string) {
	t.Helper()
	var r *collection.ReferenceError
	if !errors.As(err, &r) || !errors.Is(err, sentinel) || r.Field != field {
		t.Errorf("%s: %v, want %v at %s", what, err, sentinel, field)
	}
}

func testReferences(t *testing.T, open Opener) {
	b := newBed(t, open)
	account, other := b.account.ID, b.other.ID
	foreignProfile := value(b.Profiles().Create(ctx, other, newProfile("foreign")))(t)
	foreignDeck := value(b.ImportDeck(ctx, other, "foreign", standardRows()))(t)
	foreignGroup := value(b.BillingGroups().Create(ctx, other, store.BillingGroup{Name: "foreign"}))(t)
	foreignPBX := value(b.IPConnections().Create(ctx, other, newPBX("foreign", 0)))(t)

	const profileField = "/outbound/outbound_voice_profile_id"
	for _, missing := range []id.ID{foreignProfile.ID, 424242} {
		refused(t, "IP connection", errOf(b.IPConnections().Create(ctx, account, newPBX("x", missing))),
			collection.ErrNoReference,
			profileField)
		refused(t, "credential connection", errOf(b.CredentialConnections().Create(ctx, account, newPhone("xxxx", missing))),
			collection.ErrNoReference, profileField)
	}
	refused(t, "IP", errOf(b.IPs().Create(ctx, account, newIP("192.0.2.99", foreignPBX.ID))), collection.ErrNoReference,
		"/connection_id")
	refused(t, "IP", errOf(b.IPs().Create(ctx, account, newIP("192.0.2.99", b.phone.ID))), collection.ErrNoReference,
		"/connection_id")
	for _, missing := range []id.ID{foreignPBX.ID, b.profile.ID, 424242} {
		refused(t, "webhook endpoint", errOf(b.WebhookEndpoints().Create(ctx, account, newWebhook(missing))),
			collection.ErrNoReference, "/connection_id")
	}
	refused(t, "profile's group", b.changeProfile(func(p *profile.Profile) { p.BillingGroupID = &foreignGroup.ID }),
		collection.ErrNoReference, "/billing_group_id")
	refused(t, "profile's deck", b.changeProfile(func(p *profile.Profile) { p.RateDeckID = foreignDeck.ID }),
		collection.ErrNoReference, "/rate_deck_id")
	refused(t, "account's deck", errOf(b.Accounts().Update(ctx, account, account,
		func(a store.Account) (store.Account, error) {
			a.DefaultRateDeckID = foreignDeck.ID
			return a, nil
		})), collection.ErrNoReference, "/default_rate_deck_id")

	// In use.
	group := value(b.BillingGroups().Create(ctx, account, store.BillingGroup{Name: "group"}))(t)
	deck := value(b.ImportDeck(ctx, account, "special", standardRows()))(t)
	must(t, b.changeProfile(func(p *profile.Profile) { p.BillingGroupID, p.RateDeckID = &group.ID, deck.ID }))
	refused(t, "delete profile", errOf(b.Profiles().Delete(ctx, account, b.profile.ID)), collection.ErrInUse, "/")
	refused(t, "delete group", errOf(b.BillingGroups().Delete(ctx, account, group.ID)), collection.ErrInUse, "/")
	refused(t, "delete profile's deck", errOf(b.DeleteDeck(ctx, account, deck.ID)), collection.ErrInUse, "/")
	refused(t, "delete default deck", errOf(b.DeleteDeck(ctx, account, b.deck.ID)), collection.ErrInUse, "/")
	must(t, b.changeProfile(func(p *profile.Profile) { p.BillingGroupID, p.RateDeckID = nil, 0 }))
	if gone := value(b.BillingGroups().Delete(ctx, account, group.ID))(t); gone.DeletedAt == nil {
		t.Error("a deleted billing group has no deleted_at")
	}
	value(b.DeleteDeck(ctx, account, deck.ID))(t)

	// Unique values.
	refused(t, "user name", errOf(b.CredentialConnections().Create(ctx, other, newPhone(b.phone.UserName, 0))),
		collection.ErrDuplicate, "/user_name")
	value(b.CredentialConnections().Create(ctx, other, newPhone("PHONE0001", 0)))(t) // digest user names have case
	refused(t, "group id", errOf(b.BillingGroups().Create(ctx, account,
		store.BillingGroup{Head: collection.Head[uuid.UUID]{ID: foreignGroup.ID}, Name: "x"})),
		collection.ErrDuplicate, "/id")
	given := uuid.New()
	if g := value(b.BillingGroups().Create(ctx, account,
		store.BillingGroup{Head: collection.Head[uuid.UUID]{ID: given}, Name: "moved here"}))(t); g.ID != given ||
		g.OrganizationID != b.account.OrganizationID {
		t.Errorf("group has id %v and organisation %v", g.ID, g.OrganizationID)
	}

	// There is a limit to how many places are told of one event.
	for range store.MaxWebhookEndpoints {
		value(b.WebhookEndpoints().Create(ctx, other, newWebhook(0)))(t)
	}
	refused(t, "one webhook endpoint more", errOf(b.WebhookEndpoints().Create(ctx, other, newWebhook(0))),
		store.ErrTooMany, "/")

	// A connection goes with its addresses and webhooks, and its name is free again.
	hooks := []webhook.Endpoint{
		value(b.WebhookEndpoints().Create(ctx, account, newWebhook(b.pbx.ID)))(t),
		value(b.WebhookEndpoints().Create(ctx, account, newWebhook(b.phone.ID)))(t),
	}
	value(b.IPConnections().Delete(ctx, account, b.pbx.ID))(t)
	if err := errOf(b.IPs().Get(ctx, account, b.ip.ID)); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("address of a deleted connection: %v", err)
	}
	if b.options.Live.Snapshot().Known(b.ip.IPAddress.Prefix().Addr()) {
		t.Error("address of a deleted connection is still let in")
	}
	value(b.CredentialConnections().Delete(ctx, account, b.phone.ID))(t)
	for _, e := range hooks {
		if err := errOf(b.WebhookEndpoints().Get(ctx, account, e.ID)); !errors.Is(err, collection.ErrNotFound) ||
			b.options.Live.Snapshot().Webhook(e.ID) != nil {
			t.Errorf("webhook of a deleted connection: %v", err)
		}
	}
	value(b.CredentialConnections().Create(ctx, other, newPhone(b.phone.UserName, 0)))(t)
	value(b.Profiles().Delete(ctx, account, b.profile.ID))(t)
}

func newWebhook(connection id.ID) webhook.Endpoint {
	e := webhook.NewEndpoint()
	e.URL, e.ConnectionID = "https://hooks.example.com/", connection
	return e
}

func (b *bed) changeProfile(change func(*profile.Profile)) error {
	return errOf(b.Profiles().Update(ctx, b.account.ID, b.profile.ID, func(p profile.Profile) (profile.Profile, error) {
		change(&p)
		return p, nil
	}))
}

func testAccounts(t *testing.T, open Opener) {
	b := newBed(t, open)
	again, created, err := b.EnsureFirst(ctx)
	if err != nil || created || again.ID != b.account.ID {
		t.Errorf("EnsureFirst again: %v, created %v, %v", again.ID, created, err)
	}
	limit := int32(7)
	updated := value(b.Accounts().Update(ctx, b.account.ID, b.account.ID, func(a store.Account) (store.Account, error) {
		a.Name = "renamed"
		a.ConcurrentCallLimit = &limit
		a.ID = 99
		return a, nil
	}))(t)
	got := value(b.Accounts().Get(ctx, b.account.ID, b.account.ID))(t)
	if updated.ID != b.account.ID || got.Name != "renamed" || *got.ConcurrentCallLimit != 7 ||
		got.DefaultRateDeckID != b.deck.ID {
		t.Errorf("updated %+v", got)
	}
	if b.options.Live.Snapshot().Account(b.account.ID).ChannelLimit != 7 {
		t.Error("the limit is not in force")
	}
	if err := errOf(b.Accounts().Get(ctx, 99, 99)); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("no such account: %v", err)
	}

	k := store.Key{Head: collection.Head[id.ID]{AccountID: b.account.ID},
		Name: "first", Hash: [32]byte{1}, Hint: "tg_1", Scopes: []string{"read"}}
	first := value(b.PutKey(ctx, k))(t)
	k.Name = "second"
	if second := value(b.PutKey(ctx, k))(t); second.ID != first.ID || second.Name != "first" {
		t.Errorf("a key was put twice: %+v", second)
	}
	k.AccountID = b.other.ID
	if err := errOf(b.PutKey(ctx, k)); !errors.Is(err, collection.ErrDuplicate) {
		t.Errorf("a key of two accounts: %v", err)
	}
	if found := value(b.KeyByHash(ctx, [32]byte{1}))(t); found.ID != first.ID || found.AccountID != b.account.ID ||
		len(found.Scopes) != 1 {
		t.Errorf("found %+v", found)
	}
	if err := errOf(b.KeyByHash(ctx, [32]byte{2})); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("no such key: %v", err)
	}
	if n := value(b.CountKeys(ctx))(t); n != 1 {
		t.Errorf("%d keys, want 1", n)
	}
}
