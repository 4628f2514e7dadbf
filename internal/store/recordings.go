package store

import (
	"context"
	"github.com/tollgate/tollgate/internal/collection"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// Recordings shows an account its finished recordings, and deletes them.
type Recordings interface {
	Recording(ctx context.Context, account id.ID, recording uuid.UUID) (record.Recording, error)
	ListRecordings(ctx context.Context, account id.ID, q collection.Query) (collection.Page[record.Recording], error)
	// RecordingsOf finds the recordings of an account's calls, by call, the oldest
	// first. A call that has none is not in the answer.
	RecordingsOf(ctx context.Context, account id.ID, calls []uuid.UUID) (map[uuid.UUID][]uuid.UUID, error)
	// DeleteRecording fails with ErrNotFound when there is none.
	DeleteRecording(ctx context.Context, account id.ID, recording uuid.UUID) (record.Recording, error)
	// DeleteRecordings deletes several, or none on an error. Unknown ids are ignored.
	DeleteRecordings(ctx context.Context, account id.ID, recordings []uuid.UUID) (Deleted, error)
}

// Deleted is how many recordings were deleted.
type Deleted struct{ Count int }

// RecordingFiles keeps the list of files of finished recordings; their audio is
// elsewhere.
//
// A recording is deleted in two steps, so that no file is forgotten: deleting hides
// it from everybody, and its row is there until ForgetRecording says that the file
// is gone.
type RecordingFiles interface {
	// AddRecording stores a recording whose file is in its place, and publishes
	// call.recording.saved with the address under which it can be downloaded, "" for
	// none. One that was added before is left as it is, deleted or not.
	AddRecording(ctx context.Context, r record.Recording, address string) error
	Recording(ctx context.Context, account id.ID, recording uuid.UUID) (record.Recording, error)
	// ExpireRecordings deletes up to limit recordings that ended longer ago than
	// their account keeps recordings, and says how many.
	ExpireRecordings(ctx context.Context, now time.Time, limit int) (int, error)
	// RecordingsAt lists up to limit recordings whose files are at a place, the
	// oldest first: those that are deleted, or those that are not.
	RecordingsAt(ctx context.Context, place, volume string, deleted bool, limit int) ([]record.Recording, error)
	// MoveRecording means that the file is at the place, volume and name of r now. It
	// fails with ErrNotFound when the recording was forgotten; one that is deleted
	// is moved.
	MoveRecording(ctx context.Context, r record.Recording) error
	// ForgetRecording means that the file of a deleted recording is gone.
	ForgetRecording(ctx context.Context, account id.ID, recording uuid.UUID) error
}
