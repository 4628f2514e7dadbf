package api

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// recordingView is the recording of a call. Source: Telnyx v2, RecordingResponseData;
// the last group of fields is Tollgate's own.
type recordingView struct {
	ID         uuid.UUID `json:"id"`
	RecordType string    `json:"record_type" enum:"recording"`
	// the call's id, as in detail records
	CallControlID string `json:"call_control_id"`
	// the call's id
	CallLegID uuid.UUID `json:"call_leg_id"`
	// the call's id
	CallSessionID uuid.UUID `json:"call_session_id"`
	Channels      string    `json:"channels" title:"RecordingChannels" enum:"single,dual"`
	// null
	ConferenceID *uuid.UUID `json:"conference_id" doc:"Always null: there are no conferences."`
	ConnectionID id.ID      `json:"connection_id"`
	CreatedAt    time.Time  `json:"created_at"`
	// the format that the file has
	DownloadURLs   downloadURLs `json:"download_urls"`
	DurationMillis int64        `json:"duration_millis"`
	// the caller in E.164, after localisation
	From string `json:"from"`
	// `Trunking`
	InitiatedBy      string    `json:"initiated_by"`
	RecordingEndedAt time.Time `json:"recording_ended_at"`
	// the answer, or the end of the announcement where the server has one
	RecordingStartedAt time.Time `json:"recording_started_at"`
	// `call`
	Source    string    `json:"source" enum:"conference,call"`
	Status    string    `json:"status" enum:"completed"`
	To        string    `json:"to"`
	UpdatedAt time.Time `json:"updated_at"`

	// of the file as it is downloaded
	SHA256    string `json:"sha256" doc:"Tollgate's own: of the file as it is downloaded, in hex."`
	SizeBytes int64  `json:"size_bytes" doc:"Tollgate's own: of the file as it is downloaded."`
	// the server died during the call, so the end is missing
	Interrupted       bool   `json:"interrupted" doc:"Tollgate's own: the server died during the call, so its end is missing."`
	OutboundProfileID id.ID  `json:"outbound_profile_id" doc:"Tollgate's own."`
	SIPCallID         string `json:"sip_call_id" doc:"Tollgate's own: Call-ID of the caller's leg."`
}

type downloadURLs struct {
	MP3 string `json:"mp3,omitzero" doc:"Signed, and good for ten minutes."`
	WAV string `json:"wav,omitzero" doc:"Signed, and good for ten minutes."`
}

// deleteRecordingsRequest names recordings. Source: Telnyx v2, /recordings/actions/delete.
type deleteRecordingsRequest struct {
	IDs []string `json:"ids" maxItems:"250" minLength:"1" maxLength:"64"`
}

type deletedRecordingsView struct {
	Status string `json:"status" enum:"ok"`
}

const recordingPageSize = 20

func (s *server) viewRecording(in *rest.Request, r *record.Recording) recordingView {
	v := recordingView{
		ID: r.ID, RecordType: "recording", CallControlID: r.CallID.String(), CallLegID: r.CallID, CallSessionID: r.CallID,
		Channels: r.ChannelWord(), ConnectionID: r.ConnectionID, CreatedAt: time.UnixMicro(r.CreatedMicros),
		UpdatedAt: time.UnixMicro(r.UpdatedMicros), DurationMillis: r.DurationMillis, From: r.From, To: r.To,
		InitiatedBy: "Trunking", Source: "call", Status: "completed", RecordingStartedAt: time.UnixMicro(r.StartedMicros),
		RecordingEndedAt: time.UnixMicro(r.EndedMicros), SHA256: hex.EncodeToString(r.SHA256[:]), SizeBytes: r.Bytes,
		Interrupted: r.Interrupted, OutboundProfileID: r.ProfileID, SIPCallID: r.SIPCallID,
	}
	address := s.Downloads.Address(in.Base, r, s.Clock())
	if r.Format == record.FormatMP3 {
		v.DownloadURLs.MP3 = address
	} else {
		v.DownloadURLs.WAV = address
	}
	return v
}

func (s *server) recordingOperations() []rest.Operation {
	view := schemaOf[recordingView]()
	body := schemaOf[deleteRecordingsRequest]().Request(false, []string{"ids"}, true)
	return []rest.Operation{
		{Method: http.MethodGet, Path: "/v2/recordings", ID: "list_recording", Tag: "Recordings", Scope: ScopeRead,
			Params: recordingParams(), Summary: "List recordings, the newest first.", Status: http.StatusOK, Answer: view,
			Shape: rest.List, Handle: s.listRecordings},
		{Method: http.MethodGet, Path: "/v2/recordings/{id}", ID: "get_recording", Tag: "Recordings", Scope: ScopeRead,
			Summary: "Get a recording, with an address for downloading it.", Status: http.StatusOK, Answer: view,
			Handle: s.getRecording},
		{Method: http.MethodDelete, Path: "/v2/recordings/{id}", ID: "delete_recording", Tag: "Recordings", Scope: ScopeWrite,
			Effect: rest.Configures, Summary: "Delete a recording. Its file is removed soon after.", Status: http.StatusOK,
			Answer: view, Handle: s.deleteRecording},
		{Method: http.MethodPost, Path: "/v2/recordings/actions/delete", ID: "delete_recordings", Noun: "deleted_recordings",
			Tag:   "Recordings",
			Scope: ScopeWrite, Effect: rest.Configures, Body: body,
			Summary: "Delete recordings by their ids. Unknown ids are ignored.", Status: http.StatusOK,
			Answer: schemaOf[deletedRecordingsView](), Shape: rest.Plain,
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.deleteRecordings(ctx, in, body)
			}},
	}
}

func (s *server) listRecordings(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("-created_at", recordingPageSize)
	if in.Query.Text("filter[conference_id]", "")+in.Query.Text("filter[conference_region]", "") != "" {
		return &rest.Response{Data: []recordingView{}, Meta: rest.MetaOf(q, 0)}, nil // there are no conferences
	}
	page, err := s.Recordings.ListRecordings(ctx, in.Account, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	views := make([]recordingView, 0, len(page.Items))
	for i := range page.Items {
		views = append(views, s.viewRecording(in, &page.Items[i]))
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

// recordingVersion is that of every recording: none ever changes.
const recordingVersion = 1

func (s *server) answerRecording(in *rest.Request) func(context.Context, record.Recording) (*rest.Response, error) {
	return func(_ context.Context, r record.Recording) (*rest.Response, error) {
		return &rest.Response{Data: s.viewRecording(in, &r), Version: recordingVersion}, nil
	}
}

func (s *server) getRecording(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := uuid.Parse(in.ID)
	if err != nil {
		return nil, rest.InvalidPathID()
	}
	r, err := s.Recordings.Recording(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	return s.answerRecording(in)(ctx, r)
}

func (s *server) deleteRecording(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := uuid.Parse(in.ID)
	if err != nil {
		return nil, rest.InvalidPathID()
	}
	return rest.Committed(ctx, in, s.answerRecording(in), func(ctx context.Context) (record.Recording, error) {
		return s.Recordings.DeleteRecording(ctx, in.Account, key)
	})
}

func (s *server) deleteRecordings(ctx context.Context, in *rest.Request, body *rest.Schema) (*rest.Response, error) {
	checked, problems := in.Checked(body, nil, nil)
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	var asked deleteRecordingsRequest
	if err := rest.Decode(checked, &asked); err != nil {
		return nil, err
	}
	var keys []uuid.UUID
	for _, text := range asked.IDs {
		if key, err := uuid.Parse(text); err == nil {
			keys = append(keys, key)
		}
	}
	answer := func(context.Context, store.Deleted) (*rest.Response, error) {
		return &rest.Response{Data: deletedRecordingsView{Status: "ok"}}, nil
	}
	return rest.Committed(ctx, in, answer, func(ctx context.Context) (store.Deleted, error) {
		return s.Recordings.DeleteRecordings(ctx, in.Account, keys)
	})
}

func recordingParams() []rest.Parameter {
	text := func(name, storeField string, value func(string) any) rest.Parameter {
		return rest.Parameter{Name: "filter[" + name + "]",
			Description: "Only recordings with this " + strings.ReplaceAll(name, "_", " ") + ".",
			Schema:      &rest.Schema{Kind: "string", MinLength: 1, MaxLength: 255},
			Filter: func(given string) ([]collection.Filter, *rest.Problem) {
				return []collection.Filter{{Field: storeField, Op: collection.Equal, Value: value(given)}}, nil
			}}
	}
	same := func(given string) any { return given }
	// What is no id is the id of nothing.
	call := func(given string) any {
		key, err := uuid.Parse(given)
		if err != nil {
			key = uuid.Nil
		}
		return key.String()
	}
	connection := func(given string) any {
		key, err := id.Parse(given)
		if err != nil {
			key = -1
		}
		return int64(key)
	}
	ignored := func(name string) rest.Parameter {
		p := text(name, "", same)
		p.Description = "There are no conferences, so no recording is selected."
		p.Filter = nil
		return p
	}
	params := slices.Concat(rest.PageParams(recordingPageSize, rest.MaxPageSize),
		rest.TimeFilters("created_at", "created_at"), rest.TimeFilters("start_time", "started_at"),
		rest.TimeFilters("end_time", "ended_at"))
	return append(params,
		text("call_control_id", "call_id", call), text("call_leg_id", "call_id", call),
		text("call_session_id", "call_id", call),
		text("connection_id", "connection_id", connection), text("from", "from", same),
		text("to", "to", same), text("sip_call_id", "sip_call_id", same),
		ignored("conference_id"), ignored("conference_region"),
	)
}
