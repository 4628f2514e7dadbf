package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

// newRecording is a recording of a minute that ended at a time.
func newRecording(account id.ID, ended time.Time) record.Recording {
	return record.Recording{
		ID: uuid.Must(uuid.NewV7()), AccountID: account, ProfileID: 5, ConnectionID: 6, CallID: uuid.Must(uuid.NewV7()),
		SIPCallID: "a@b", From: "+12125550100", To: "+12125550199", Channels: 2, Format: record.FormatMP3,
		StartedMicros: ended.Add(-time.Minute).UnixMicro(), EndedMicros: ended.UnixMicro(), DurationMillis: 60_000,
		Bytes: 1 << 40, SHA256: [32]byte{1, 2, 3}, Place: record.PlaceDisk, Volume: "v", Name: "2026/a.mp3", Sealed: true,
	}
}

func testRecordings(t *testing.T, open Opener) {
	b := newBed(t, open)
	account, other := b.account.ID, b.other.ID
	first, second, theirs := newRecording(account, noon.Add(-time.Hour)), newRecording(account, noon),
		newRecording(other, noon)
	second.Interrupted, second.From = true, ""
	for _, r := range []record.Recording{first, second, theirs, first} { // adding one twice does nothing
		must(t, b.AddRecording(ctx, r, ""))
	}
	got := value(b.Recording(ctx, account, first.ID))(t)
	first.CreatedMicros = noon.UnixMicro()
	first.UpdatedMicros = noon.UnixMicro()
	if diff := cmp.Diff(first, got); diff != "" {
		t.Errorf("recording (-want +got):\n%s", diff)
	}
	for what, err := range map[string]error{
		"another's":    errOf(b.Recording(ctx, account, theirs.ID)),
		"none":         errOf(b.Recording(ctx, account, uuid.New())),
		"their delete": errOf(b.DeleteRecording(ctx, account, theirs.ID)),
	} {
		if !errors.Is(err, collection.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	list := func(account id.ID, filters ...collection.Filter) []uuid.UUID {
		t.Helper()
		page := value(b.ListRecordings(ctx, account,
			collection.Query{Filters: filters, Size: 10, Sort: []collection.Order{{Field: "started_at", Descending: true}}}))(t)
		var ids []uuid.UUID
		for _, r := range page.Items {
			ids = append(ids, r.ID)
		}
		if page.Total != len(ids) {
			t.Errorf("total %d of %d", page.Total, len(ids))
		}
		return ids
	}
	for _, c := range []struct {
		filters []collection.Filter
		want    []uuid.UUID
	}{
		{nil, []uuid.UUID{second.ID, first.ID}},
		{[]collection.Filter{{Field: "call_id", Value: first.CallID.String()}}, []uuid.UUID{first.ID}},
		{[]collection.Filter{{Field: "from", Value: "+12125550100"}, {Field: "to", Value: "+12125550199"}},
			[]uuid.UUID{first.ID}},
		{[]collection.Filter{{Field: "ended_at", Op: collection.AtLeast, Value: noon.UnixMicro()}}, []uuid.UUID{second.ID}},
		{[]collection.Filter{{Field: "started_at", Op: collection.AtMost, Value: noon.Add(-time.Hour).UnixMicro()}},
			[]uuid.UUID{first.ID}},
		{[]collection.Filter{{Field: "connection_id", Value: "7"}}, nil},
		{[]collection.Filter{{Field: "sip_call_id", Value: "a@b"}, {Field: "profile_id", Value: "5"}},
			[]uuid.UUID{second.ID, first.ID}},
	} {
		if diff := cmp.Diff(c.want, list(account, c.filters...)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.filters, diff)
		}
	}
	// A page of calls learns of its recordings at once, of its own account only.
	byCall := value(b.RecordingsOf(ctx, account, []uuid.UUID{first.CallID, uuid.New(), theirs.CallID}))(t)
	if diff := cmp.Diff(map[uuid.UUID][]uuid.UUID{first.CallID: {first.ID}}, byCall); diff != "" {
		t.Errorf("recordings by call (-want +got):\n%s", diff)
	}
	if none := value(b.RecordingsOf(ctx, account, nil))(t); len(none) != 0 {
		t.Errorf("no call has the recordings %v", none)
	}
	moved := second
	moved.Place = record.PlaceS3
	moved.Volume = "bucket"
	moved.Name = "x/y"
	must(t, b.MoveRecording(ctx, moved))
	if r := value(b.Recording(ctx, account, second.ID))(t); r.Place != record.PlaceS3 || r.Volume != "bucket" ||
		r.Name != "x/y" {
		t.Errorf("moved to %+v", r)
	}
	places := func(deleted bool) (n int) {
		for place, volume := range map[string]string{record.PlaceDisk: "v", record.PlaceS3: "bucket"} {
			n += len(value(b.RecordingsAt(ctx, place, volume, deleted, 10))(t))
		}
		return n
	}
	if n := places(false); n != 3 {
		t.Errorf("%d recordings are somewhere", n)
	}

	// Deleted: gone for everybody, remembered until the file is gone, never added anew.
	gone := value(b.DeleteRecording(ctx, account, first.ID))(t)
	if deleted := value(b.DeleteRecordings(ctx, account,
		[]uuid.UUID{first.ID, second.ID, second.ID, theirs.ID, uuid.New()}))(t); gone.ID != first.ID || deleted.Count != 1 {
		t.Errorf("deleted %v and %d more", gone.ID, deleted.Count)
	}
	must(t, b.AddRecording(ctx, first, ""))
	if byCall := value(b.RecordingsOf(ctx, account, []uuid.UUID{first.CallID, second.CallID}))(t); len(byCall) != 0 {
		t.Errorf("calls still have the deleted recordings %v", byCall)
	}
	if left := list(account); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
	if n := places(true); n != 2 {
		t.Errorf("%d files are to be removed", n)
	}
	must(t, b.ForgetRecording(ctx, account, first.ID))
	must(t, b.ForgetRecording(ctx, account, second.ID))
	must(t, b.ForgetRecording(ctx, other, theirs.ID)) // it is not deleted, so it stays
	if n := places(true) + len(list(other)); n != 1 {
		t.Errorf("%d are left", n)
	}
	if err := b.MoveRecording(ctx, first); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("moved what was forgotten: %v", err)
	}
	audit := value(b.ListAudit(ctx, account, collection.Query{Size: 100}))(t)
	kept := 0
	for _, e := range audit.Items {
		if e.RecordType == "recording" && e.ChangeType == "delete" {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("%d deletions are in the audit", kept)
	}
}

func testRetention(t *testing.T, open Opener) {
	b := newBed(t, open)
	_, err := b.Accounts().Update(ctx, b.account.ID, b.account.ID, func(a store.Account) (store.Account, error) {
		a.RecordingRetentionDays = new(int32(30))
		return a, nil
	})
	must(t, err)
	const day = 24 * time.Hour
	for _, age := range []time.Duration{0, 30*day - time.Minute, 30*day + time.Minute, 31 * day, 400 * day} {
		must(t, b.AddRecording(ctx, newRecording(b.account.ID, noon.Add(-age)), ""))
		must(t, b.AddRecording(ctx, newRecording(b.other.ID, noon.Add(-age)), ""))
	}
	for _, want := range []int{2, 1, 0} { // two at a time
		if got := value(b.ExpireRecordings(ctx, noon, 2))(t); got != want {
			t.Errorf("%d expired, want %d", got, want)
		}
	}
	for account, want := range map[id.ID]int{b.account.ID: 2, b.other.ID: 5} {
		if page := value(b.ListRecordings(ctx, account, collection.Query{Size: 10}))(t); page.Total != want {
			t.Errorf("%d are left, want %d", page.Total, want)
		}
	}
}

func testSavedEvent(t *testing.T, open Opener) {
	b := newBed(t, open)
	e := webhook.NewEndpoint()
	e.URL, e.Events = "https://hooks.example/", []string{webhook.CallRecordingSaved}
	value(b.WebhookEndpoints().Create(ctx, b.account.ID, e))(t)
	r := newRecording(b.account.ID, noon)
	must(t, b.AddRecording(ctx, r, "https://here/x"))
	must(t, b.AddRecording(ctx, r, "https://here/x"))
	claimed, _, err := b.Webhooks().Claim(ctx, noon, webhook.ClaimLimits{Total: 10, PerEndpoint: 10, Lease: time.Minute})
	must(t, err)
	if len(claimed) != 1 || claimed[0].Event.Type != webhook.CallRecordingSaved {
		t.Fatalf("claimed %+v", claimed)
	}
	want := `{"call_control_id":"` + r.CallID.String() + `","call_leg_id":"` + r.CallID.String() +
		`","call_session_id":"` +
		r.CallID.String() +
		`","connection_id":"6","channels":"dual","recording_started_at":"2026-11-24T11:59:00.000000Z","recording_ended_at":"2026-11-24T12:00:00.000000Z",` +
		`"recording_urls":{"mp3":"https://here/x"},"public_recording_urls":{},"recording_id":"` + r.ID.String() +
		`","format":"mp3","duration_millis":60000,` +
		`"sha256":"0102030000000000000000000000000000000000000000000000000000000000","interrupted":false,"from":"+12125550100","to":"+12125550199",` +
		`"outbound_profile_id":"5","sip_call_id":"a@b"}`
	if diff := cmp.Diff(want, string(claimed[0].Event.Payload)); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}
