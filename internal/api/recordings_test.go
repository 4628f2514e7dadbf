package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/record"
)

// soundOf is what the file of a recording holds in these tests.
func soundOf(r *record.Recording) []byte { return bytes.Repeat([]byte(r.ID.String()), 1000) }

// nameless is the name of a file that cannot be reached.
const nameless = "nowhere"

type openFile struct{ *bytes.Reader }

func (openFile) Close() error { return nil }

func openSound(_ context.Context, r *record.Recording) (io.ReadSeekCloser, error) {
	if r.Name == nameless {
		return nil, fmt.Errorf("open: %w", fs.ErrNotExist)
	}
	return openFile{bytes.NewReader(soundOf(r))}, nil
}

// recording adds a recording of a minute of the first account.
func (h *harness) recording(changes ...func(*record.Recording)) record.Recording {
	h.t.Helper()
	now := h.clock.Now().UnixMicro()
	r := record.Recording{
		ID: uuid.Must(uuid.NewV7()), AccountID: h.first.ID, ProfileID: 5, ConnectionID: 6, CallID: uuid.Must(uuid.NewV7()),
		SIPCallID: "a@b", From: "+13125550100", To: "+13125550199", Channels: 2, Format: record.FormatMP3,
		StartedMicros: now - 60_000_000, EndedMicros: now, DurationMillis: 60_000, Place: record.PlaceDisk, Name: "a",
	}
	for _, change := range changes {
		change(&r)
	}
	sound := soundOf(&r)
	r.SHA256, r.Bytes = sha256.Sum256(sound), int64(len(sound))
	if err := h.store.AddRecording(h.t.Context(), r, ""); err != nil {
		h.t.Fatal(err)
	}
	return r
}

func TestRecordings(t *testing.T) {
	h := newHarness(t)
	first := h.recording()
	h.clock.Advance(time.Hour)
	second := h.recording(func(r *record.Recording) {
		r.Channels = 1
		r.Format = record.FormatWAV
		r.From = ""
		r.ConnectionID = 7
	})
	got := h.do("GET", "/v2/recordings/"+first.ID.String(), "").want(http.StatusOK)
	urls := got["download_urls"].(map[string]any)
	if link, _ := urls["mp3"].(string); len(urls) != 1 ||
		!strings.HasPrefix(link, h.url+"/tollgate/v1/downloads/"+first.ID.String()+".mp3?") {
		t.Errorf("download_urls %v", urls)
	}
	delete(got, "download_urls")
	call := first.CallID.String()
	want := map[string]any{
		"id": first.ID.String(), "record_type": "recording", "call_control_id": call, "call_leg_id": call,
		"call_session_id": call, "channels": "dual", "conference_id": nil, "connection_id": "6",
		"created_at": "2026-03-11T15:04:05.678Z", "updated_at": "2026-03-11T15:04:05.678Z",
		"recording_started_at": "2026-03-11T15:03:05.678Z", "recording_ended_at": "2026-03-11T15:04:05.678Z",
		"duration_millis": 60000.0, "from": "+13125550100", "to": "+13125550199", "initiated_by": "Trunking",
		"source": "call", "status": "completed", "sha256": fmt.Sprintf("%x", first.SHA256), "size_bytes": 36000.0,
		"interrupted": false, "outbound_profile_id": "5", "sip_call_id": "a@b",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("recording (-want +got):\n%s", diff)
	}
	one, both := []string{first.ID.String()}, []string{second.ID.String(), first.ID.String()}
	for query, want := range map[string][]string{
		"": both, "filter[sip_call_id]=a@b": both, "page[size]=1&page[number]=2": one, "filter[from]=%2B13125550100": one,
		"filter[to]=%2B1": nil, "filter[call_leg_id]=" + call: one, "filter[call_session_id]=" + call: one,
		"filter[call_control_id]=" + call: one, "filter[call_leg_id]=x": nil, "filter[connection_id]=6": one,
		"filter[connection_id]=x": nil, "filter[conference_id]=x": nil, "filter[conference_region]=x": nil,
		"filter[created_at][lte]=2026-03-11T15:30:00Z": one, "filter[created_at][gte]=2026-03-11T15:00:00Z": both,
		"filter[start_time][gte]=2026-03-11T15:03:06Z": {second.ID.String()},
		"filter[end_time][lte]=2026-03-11T15:04:06Z":   one, "filter[start_time][lte]=2026-03-11T15:03:06Z": one,
		"filter[end_time][gte]=2026-03-11T17:00:00Z": nil,
	} {
		var ids []string
		for _, item := range h.do("GET", "/v2/recordings?"+query, "").list() {
			ids = append(ids, item["id"].(string))
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s: %v, want %v", query, ids, want)
		}
	}
	h.do("DELETE", "/v2/recordings/"+first.ID.String(), "").want(http.StatusOK)
	h.do("DELETE", "/v2/recordings/"+first.ID.String(), "").wantError(http.StatusNotFound, "10005 /")
	h.do("POST", "/v2/recordings/actions/delete", fmt.Sprintf(`{"ids":[%q,%q,"x"]}`, first.ID, second.ID)).
		want(http.StatusOK)
	if left := h.do("GET", "/v2/recordings", "").list(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

func (h *harness) link(r *record.Recording) string {
	h.t.Helper()
	urls := h.do("GET", "/v2/recordings/"+r.ID.String(), "").want(http.StatusOK)["download_urls"].(map[string]any)
	return urls[r.Format].(string)
}

// fetch gets an address without any key.
func (h *harness) fetch(address string, header ...string) (*http.Response, []byte) {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response, text
}

func TestDownloads(t *testing.T) {
	h := newHarness(t)
	r := h.recording()
	address := h.link(&r)
	response, text := h.fetch(address)
	if response.StatusCode != http.StatusOK || !bytes.Equal(text, soundOf(&r)) ||
		response.Header.Get("Content-Type") != "audio/mpeg" ||
		response.Header.Get("Content-Disposition") != `attachment; filename="`+r.ID.String()+`.mp3"` ||
		response.Header.Get("Content-Encoding") != "" {
		t.Errorf("status %d, %d bytes, %v", response.StatusCode, len(text), response.Header)
	}
	response, text = h.fetch(address, "Range", "bytes=100-199")
	if response.StatusCode != http.StatusPartialContent || !bytes.Equal(text, soundOf(&r)[100:200]) {
		t.Errorf("a part: status %d, %d bytes", response.StatusCode, len(text))
	}
	response, _ = h.fetch(address, "If-None-Match", response.Header.Get("Etag"))
	if response.StatusCode != http.StatusNotModified {
		t.Errorf("the same again: status %d", response.StatusCode)
	}
	if strings.Contains(h.log.String(), "signature") || strings.Contains(h.log.String(), r.ID.String()) {
		t.Error("the log has the address")
	}

	lost := h.recording(func(r *record.Recording) { r.Name = nameless })
	if response, _ := h.fetch(h.link(&lost)); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a file out of reach: status %d", response.StatusCode)
	}
	for _, method := range []string{"POST", "DELETE"} {
		if status := h.do(method, strings.TrimPrefix(address, h.url), "").status; status != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", method, status)
		}
	}
	h.do("DELETE", "/v2/recordings/"+r.ID.String(), "").want(http.StatusOK)
	if response, _ := h.fetch(address); response.StatusCode != http.StatusNotFound {
		t.Errorf("deleted: status %d", response.StatusCode)
	}
}

// No client can make an address, or make more of one that he has.
func TestAddressesAreSigned(t *testing.T) {
	h := newHarness(t)
	other, _ := h.secondAccount()
	mine, theirs := h.recording(), h.recording(func(r *record.Recording) { r.AccountID = other.ID })
	address := h.link(&mine)
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	change := func(path string, query func(url.Values)) string {
		next, values := *parsed, parsed.Query()
		if path != "" {
			next.Path = path
		}
		if query != nil {
			query(values)
		}
		next.RawQuery = values.Encode()
		return next.String()
	}
	for what, forged := range map[string]string{
		"another recording": change(downloadsPath+theirs.ID.String()+".mp3", nil),
		"another format":    change(downloadsPath+mine.ID.String()+".wav", nil),
		"another account":   change("", func(v url.Values) { v.Set("account", other.ID.String()) }),
		"their recording, account": change(downloadsPath+theirs.ID.String()+".mp3",
			func(v url.Values) { v.Set("account", other.ID.String()) }),
		"a later end":       change("", func(v url.Values) { v.Set("expires", "99999999999") }),
		"no signature":      change("", func(v url.Values) { v.Del("signature") }),
		"a short signature": change("", func(v url.Values) { v.Set("signature", v.Get("signature")[:20]) }),
		"nothing":           change("", func(v url.Values) { clear(v) }),
	} {
		if response, _ := h.fetch(forged); response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", what, response.StatusCode)
		}
	}
	h.clock.Advance(downloadAge - time.Second)
	if response, _ := h.fetch(address); response.StatusCode != http.StatusOK {
		t.Errorf("a second before its end: status %d", response.StatusCode)
	}
	h.clock.Advance(time.Second)
	if response, text := h.fetch(address); response.StatusCode != http.StatusForbidden ||
		!bytes.Contains(text, []byte("expired")) {
		t.Errorf("at its end: status %d", response.StatusCode)
	}
}
