package storetest

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/registration"
	"github.com/tollgate/tollgate/internal/store"
)

// testRegistrations: contacts are there after a restart, the later of two wins in whatever
// order they are written, and other processes find what has changed.
func testRegistrations(t *testing.T, open Opener) {
	s := newBed(t, open)
	contact := func(name, callID string, seq uint32, since, life time.Duration) registration.Binding {
		at := noon.Add(since)
		return registration.Binding{
			Account: s.account.ID, Connection: s.phone.ID, Contact: "sip:" + name + "@192.0.2.7", CallID: callID, Seq: seq,
			At: at, RegisteredAt: at, Until: at.Add(life), Source: netip.MustParseAddrPort("[2001:db8::1]:5060"),
			Transport: "UDP", UserAgent: "phone 1.0 \"ü\"",
		}
	}
	save := func(list ...registration.Binding) {
		t.Helper()
		must(t, s.SaveRegistrations(ctx, list))
	}
	since := func(mark int64, want ...registration.Binding) (next int64) {
		t.Helper()
		got, next, err := s.RegistrationsSince(ctx, mark)
		must(t, err)
		byContact := func(a, b registration.Binding) int { return strings.Compare(a.Contact, b.Contact) }
		slices.SortFunc(got, byContact)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
			t.Errorf("contacts (-want +got):\n%s", diff)
		}
		return next
	}
	since(0)
	save()
	a, b := contact("a", "c1", 5, 0, time.Minute), contact("b", "c1", 6, time.Second, time.Hour)
	save(b, a)
	mark := since(0, a, b)
	since(mark) // its own

	// What is older in one Call-ID or by time is left out, what is later replaces it.
	older, other := contact("a", "c1", 4, time.Second, time.Minute), contact("b", "c2", 1, 0, time.Minute)
	save(older, other)
	since(0, a, b)
	afterEnd := contact("a", "c1", 1, registration.LongestDelay, time.Minute)
	gone := b
	gone.Seq, gone.At, gone.Until, gone.Removed = 7, noon.Add(time.Minute), noon.Add(time.Minute), true
	save(afterEnd, gone)
	since(0, afterEnd, gone)

	// Another process finds all of it, and from then on what the first one writes.
	s.reopen(t, open, func(o *Options) { o.Owner = uuid.New() })
	mark = since(0, afterEnd, gone)
	since(mark)
	save(b) // was removed
	since(0, afterEnd, gone)

	for list := range slices.Chunk(manyContacts(contact), store.MaxRegistrationsSaved) {
		save(list...)
	}
	if got, _, err := s.RegistrationsSince(ctx, 0); err != nil || len(got) != 2+manyRegistrations {
		t.Errorf("%d contacts, %v", len(got), err)
	}
	if err := s.SaveRegistrations(ctx, make([]registration.Binding, store.MaxRegistrationsSaved+1)); err == nil {
		t.Error("more than may be are saved at once")
	}
}

// manyRegistrations are more than are saved at once.
const manyRegistrations = 2*store.MaxRegistrationsSaved + 7

func manyContacts(make func(name, callID string, seq uint32, since, life time.Duration) registration.Binding,
) (list []registration.Binding) {
	for n := range manyRegistrations {
		b := make("many", "c3", 1, 0, time.Hour)
		b.Connection = id.ID(1_000 + n)
		list = append(list, b)
	}
	return list
}

// testRegistrationsOfTheDeleted: contacts go with their connection, and with time.
func testRegistrationsOfTheDeleted(t *testing.T, open Opener) {
	s := newBed(t, open)
	other := value(s.CredentialConnections().Create(ctx, s.account.ID, newPhone("phone0002", s.profile.ID)))(t)
	count := func(want int) {
		t.Helper()
		if got, _, err := s.RegistrationsSince(ctx, 0); err != nil || len(got) != want {
			t.Errorf("%d contacts, want %d, %v", len(got), want, err)
		}
	}
	put := func(c id.ID, contact string, at time.Time) {
		t.Helper()
		must(t, s.SaveRegistrations(ctx, []registration.Binding{{
			Account: s.account.ID, Connection: c, Contact: contact, CallID: "c", Seq: 1, At: at, RegisteredAt: at,
			Until: at.Add(time.Minute), Source: netip.MustParseAddrPort("192.0.2.7:5060"), Transport: "TLS",
		}}))
	}
	put(s.phone.ID, "sip:a@h", noon)
	put(s.phone.ID, "sip:b@h", noon.Add(time.Second))
	put(other.ID, "sip:a@h", noon)
	count(3)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{
		{registration.EndedKept, 3}, {registration.EndedKept + time.Minute, 2}, // the latest of each
		{registration.LatestKept, 2}, {registration.LatestKept + 2*time.Minute, 0},
	} {
		must(t, s.PruneRegistrations(ctx, noon.Add(step.after)))
		count(step.want)
	}
	put(s.phone.ID, "sip:a@h", noon)
	put(other.ID, "sip:a@h", noon)
	if _, err := s.CredentialConnections().Delete(ctx, s.account.ID, other.ID); err != nil {
		t.Fatal(err)
	}
	count(1)
}
