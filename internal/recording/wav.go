package recording

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// wavHeaderBytes is the length of a header with a "fmt " and a "data" chunk only.
const wavHeaderBytes = 44

// maxWAVBytes is the most audio that a WAV's 32-bit sizes can tell, less a margin
// for the header.
const maxWAVBytes = 1<<32 - 4096

// shape is the form of raw audio: 16-bit little-endian samples, frames of one or
// two channels.
type shape struct {
	Rate     int `json:"rate"` // frames a second
	Channels int `json:"channels"`
}

func (s shape) frameBytes() int { return 2 * s.Channels }

// millis is the duration of a number of bytes of audio, rounded down.
func (s shape) millis(bytes int64) int64 {
	return bytes / int64(s.frameBytes()) * 1000 / int64(s.Rate)
}

// wavHeader is the header of a file with a number of bytes of audio.
func wavHeader(s shape, audioBytes int64) []byte {
	out := make([]byte, 0, wavHeaderBytes)
	little := binary.LittleEndian
	out = append(out, "RIFF"...)
	out = little.AppendUint32(out, uint32(audioBytes+wavHeaderBytes-8))
	out = append(out, "WAVEfmt "...)
	out = little.AppendUint32(out, 16)
	out = little.AppendUint16(out, 1) // PCM
	out = little.AppendUint16(out, uint16(s.Channels))
	out = little.AppendUint32(out, uint32(s.Rate))
	out = little.AppendUint32(out, uint32(s.Rate*s.frameBytes()))
	out = little.AppendUint16(out, uint16(s.frameBytes()))
	out = little.AppendUint16(out, 16)
	out = append(out, "data"...)
	return little.AppendUint32(out, uint32(audioBytes))
}

var errNotWAV = errors.New("not a WAV file of this recorder")

// readWAVHeader reads a header that wavHeader wrote.
func readWAVHeader(r io.Reader) (s shape, audioBytes int64, err error) {
	head := make([]byte, wavHeaderBytes)
	if _, err := io.ReadFull(r, head); err != nil {
		return shape{}, 0, fmt.Errorf("read a WAV header: %w", err)
	}
	little := binary.LittleEndian
	s = shape{Rate: int(little.Uint32(head[24:])), Channels: int(little.Uint16(head[22:]))}
	audioBytes = int64(little.Uint32(head[40:]))
	if s.Channels < 1 || s.Channels > 2 || s.Rate < 1 || !bytes.Equal(head, wavHeader(s, audioBytes)) {
		return shape{}, 0, errNotWAV
	}
	return s, audioBytes, nil
}
