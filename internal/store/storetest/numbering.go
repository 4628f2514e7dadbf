package storetest

import (
	"errors"
	"testing"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/store"
)

// testNumbering: overrides of the numbering plan belong to the server, are in force
// when they are answered, and never contradict each other.
func testNumbering(t *testing.T, open Opener) {
	b := newBed(t, open)
	other := value(b.Accounts().Create(ctx, 0, store.Account{Name: "another", Active: true}))(t).ID
	c := store.Of[numbering.Override](b)
	valid := func(n e164.Number) bool { return b.options.Live.Snapshot().Numbering(b.clock.Now()).Valid(n) }
	const number e164.Number = 14362345678
	if valid(number) {
		t.Fatal("the built-in plan knows 436: take an area code that it does not know")
	}
	country, from := "US", value(numbering.ParseMoment("2100-01-01"))(t)
	o := numbering.Override{Prefix: "1436", Valid: true, Country: &country, Comment: "in service"}
	made := value(c.Create(ctx, b.account.ID, o))(t)
	if !valid(number) {
		t.Error("not in force")
	}
	if seen := value(c.Get(ctx, other, made.ID))(t); seen.Prefix != "1436" || *seen.Country != "US" {
		t.Errorf("another account sees %+v", seen)
	}
	if _, err := c.Create(ctx, other, numbering.Override{Prefix: "1436"}); !errors.Is(err, collection.ErrDuplicate) {
		t.Errorf("a second one of the prefix: %v", err)
	}
	later := numbering.Override{Prefix: "1436", ValidFrom: &from}
	if _, err := c.Create(ctx, other, later); !errors.Is(err, collection.ErrDuplicate) {
		t.Errorf("one that overlaps: %v", err)
	}
	made = value(c.Update(ctx, other, made.ID, func(o numbering.Override) (numbering.Override, error) {
		o.ValidUntil = &from
		return o, nil
	}))(t)
	second := value(c.Create(ctx, other, later))(t)
	if page := value(c.List(ctx, other,
		collection.Query{Number: 1, Size: 10, Sort: []collection.Order{{Field: "prefix"}}}))(t); page.Total != 2 {
		t.Errorf("%d overrides listed, want 2", page.Total)
	}
	_, err := c.Update(ctx, other, second.ID, func(o numbering.Override) (numbering.Override, error) {
		o.ValidFrom = nil
		return o, nil
	})
	if !errors.Is(err, collection.ErrDuplicate) {
		t.Errorf("changed so that it overlaps: %v", err)
	}
	b.reopen(t, open)
	c = store.Of[numbering.Override](b)
	if !valid(number) {
		t.Error("not in force after a restart")
	}
	value(c.Delete(ctx, b.account.ID, made.ID))(t)
	if valid(number) {
		t.Error("in force after it was deleted")
	}
	if _, err := c.Get(ctx, b.account.ID, made.ID); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("found after it was deleted: %v", err)
	}
}
