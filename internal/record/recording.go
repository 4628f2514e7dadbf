package record

import (
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
)

// Formats of recordings, as the API names them.
const (
	FormatWAV = "wav"
	FormatMP3 = "mp3"
)

// Recording is the audio of a call, as it is kept after the call's end. Times are
// Unix microseconds.
type Recording struct {
	ID                           uuid.UUID
	AccountID, ProfileID         id.ID
	ConnectionID                 id.ID
	CallID                       uuid.UUID // of the call's record
	SIPCallID                    string
	From, To                     string // E.164
	Channels                     int    // 1: both sides mixed; 2: the caller left, the callee right
	Format                       string // of the file: FormatWAV or FormatMP3
	StartedMicros, EndedMicros   int64  // the answer, and the end of the audio
	DurationMillis               int64
	Bytes                        int64    // of the file as it is downloaded
	SHA256                       [32]byte // of the file as it is downloaded
	Place                        string   // where the file is: PlaceDisk or PlaceS3
	Key                          string   // the file's name there
	Sealed                       bool     // the file is encrypted there
	CreatedMicros, UpdatedMicros int64
	DeletedMicros                int64 // 0; otherwise it is gone for everybody and its file is to be removed
}

// Places of files.
const (
	PlaceDisk = "disk"
	PlaceS3   = "s3"
)
