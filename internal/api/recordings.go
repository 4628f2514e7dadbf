package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
)

// recordingView is the recording of a call. Source: Telnyx v2, RecordingResponseData.
type recordingView struct {
	ID                 uuid.UUID    `json:"id"`
	RecordType         string       `json:"record_type" enum:"recording"`
	CallControlID      string       `json:"call_control_id"`
	CallLegID          uuid.UUID    `json:"call_leg_id"`
	CallSessionID      uuid.UUID    `json:"call_session_id"`
	Channels           string       `json:"channels" enum:"single,dual"`
	ConferenceID       *uuid.UUID   `json:"conference_id"`
	ConnectionID       id.ID        `json:"connection_id"`
	CreatedAt          time.Time    `json:"created_at"`
	DownloadURLs       downloadURLs `json:"download_urls"`
	DurationMillis     int32        `json:"duration_millis"`
	From               string       `json:"from"`
	InitiatedBy        string       `json:"initiated_by"`
	RecordingEndedAt   time.Time    `json:"recording_ended_at"`
	RecordingStartedAt time.Time    `json:"recording_started_at"`
	Source             string       `json:"source" enum:"conference,call"`
	Status             string       `json:"status" enum:"completed"`
	To                 string       `json:"to"`
	UpdatedAt          time.Time    `json:"updated_at"`
}

type downloadURLs struct {
	MP3 string `json:"mp3,omitzero"`
	WAV string `json:"wav,omitzero"`
}

// deleteRecordingsRequest names recordings. Source: Telnyx v2, /recordings/actions/delete.
type deleteRecordingsRequest struct {
	IDs []string `json:"ids" maxItems:"250" minLength:"1" maxLength:"64"`
}

type deletedRecordingsView struct {
	Status string `json:"status" enum:"ok"`
}

const recordingPageSize = 20

// recordingOperations answer as for an account that has recorded nothing: this
// version has no recorder.
func (s *server) recordingOperations() []operation {
	view := schemaOf[recordingView]()
	body := schemaOf[deleteRecordingsRequest]().request(false, []string{"ids"}, true)
	none := func(context.Context, *request) (*response, error) { return nil, store.ErrNotFound }
	return []operation{
		{method: http.MethodGet, path: "/v2/recordings", id: "list_recording", tag: "Recordings", scope: ScopeRead, params: recordingParams(),
			summary: "List recordings. There are none: this version has no recorder.", status: http.StatusOK, answer: view, list: true,
			handle: func(_ context.Context, in *request) (*response, error) {
				q := in.query.storeQuery("", recordingPageSize)
				return &response{data: []recordingView{}, meta: metaOf(q, 0)}, nil
			}},
		{method: http.MethodGet, path: "/v2/recordings/{id}", id: "get_recording", tag: "Recordings", scope: ScopeRead,
			summary: "Get a recording.", status: http.StatusOK, answer: view, handle: none},
		{method: http.MethodDelete, path: "/v2/recordings/{id}", id: "delete_recording", idle: true, tag: "Recordings", scope: ScopeWrite,
			summary: "Delete a recording.", status: http.StatusOK, answer: view, handle: none},
		{method: http.MethodPost, path: "/v2/recordings/actions/delete", id: "delete_recordings", idle: true, tag: "Recordings", scope: ScopeWrite, body: body,
			summary: "Delete recordings by their ids. Ids of none are passed over.", status: http.StatusOK, answer: schemaOf[deletedRecordingsView](), bare: true,
			handle: func(_ context.Context, in *request) (*response, error) {
				if _, problems := in.checked(body, nil, nil); len(problems) > 0 {
					return nil, invalid(problems)
				}
				return &response{data: deletedRecordingsView{Status: "ok"}}, nil
			}},
	}
}

func recordingParams() []parameter {
	text := func(name string) parameter {
		return parameter{name: "filter[" + name + "]", description: "Only recordings with this " + strings.ReplaceAll(name, "_", " ") + ".",
			schema: &schema{kind: "string", minLength: 1, maxLength: 255}}
	}
	at := func(name, bound string) parameter {
		return parameter{name: "filter[" + name + "][" + bound + "]", description: "Only recordings by this time.",
			schema: &schema{kind: "string", format: "date-time", parse: parseTime}}
	}
	params := pageParams(recordingPageSize, maxPageSize)
	for _, name := range []string{"call_control_id", "call_leg_id", "call_session_id", "conference_id", "conference_region", "connection_id", "from", "sip_call_id", "to"} {
		params = append(params, text(name))
	}
	for _, name := range []string{"created_at", "start_time", "end_time"} {
		params = append(params, at(name, "gte"), at(name, "lte"))
	}
	return slices.Clip(params)
}
