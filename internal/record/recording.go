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
	ID                      uuid.UUID
	AccountID               id.ID
	ProfileID, ConnectionID id.ID
	CallID                  uuid.UUID // of the call's record
	SIPCallID               string
	From, To                string // E.164, "" when not known
	Channels                int    // 1: both sides mixed; 2: the caller left, the callee right
	Format                  string // of the file: FormatWAV or FormatMP3

	StartedMicros, EndedMicros int64 // the answer, and the end of the audio
	DurationMillis             int64
	// Interrupted means that the process died while it recorded: the call went on,
	// or its last seconds are missing.
	Interrupted bool

	Bytes  int64    // of the file as it is downloaded
	SHA256 [32]byte // of the file as it is downloaded
	Place  string   // where the file is: PlaceDisk or PlaceS3
	Volume string   // which disk, or which bucket
	Name   string   // of the file there
	Sealed bool     // the file is encrypted there

	CreatedMicros, UpdatedMicros int64
}

// Places of files.
const (
	PlaceDisk = "disk"
	PlaceS3   = "s3"
)

// ChannelWord returns the value of Channels in the API.
func (r *Recording) ChannelWord() string {
	if r.Channels == 2 {
		return "dual"
	}
	return "single"
}
