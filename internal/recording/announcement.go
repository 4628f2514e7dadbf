package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/g711"
	"github.com/tollgate/tollgate/internal/record"
)

// maxAnnouncement is the longest announcement: both sides wait for its end.
const maxAnnouncement = time.Minute

// Announcement is what both sides of a call hear before it is recorded, in each of
// the formats in which it can be played, in payloads of 20 ms.
type Announcement struct {
	pcmu, pcma [][]byte
}

// LoadAnnouncement reads a WAV file of 8,000 Hz, 16 bits and one channel.
func LoadAnnouncement(path string) (*Announcement, error) {
	const advice = "it must be a WAV of 8,000 Hz, 16 bits, one channel and at most a minute, as from: sox IN -r 8000 -b " +
		"16 -c 1 OUT.wav"
	file, err := os.Stat(path)
	if err == nil && file.Size() > 4*int64(maxAnnouncement/time.Second)*narrowband {
		err = errors.New("it is too long; " + advice)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("announcement %s: %w", path, err)
	}
	audio, ok := wavAudio(text)
	if !ok || len(audio) < 2 || len(audio) > 2*int(maxAnnouncement/time.Second)*narrowband {
		return nil, fmt.Errorf("announcement %s: %s", path, advice)
	}
	return newAnnouncement(audio), nil
}

// wavAudio finds the audio of a WAV of 8,000 Hz, 16 bits and one channel, whatever
// other chunks it has.
func wavAudio(text []byte) (audio []byte, ok bool) {
	little := binary.LittleEndian
	if len(text) < 12 || string(text[:4]) != "RIFF" || string(text[8:12]) != "WAVE" {
		return nil, false
	}
	known := false
	for text = text[12:]; len(text) >= 8; {
		name, size := string(text[:4]), int64(little.Uint32(text[4:]))
		text = text[8:]
		body := text[:min(int64(len(text)), size)]
		switch {
		case name == "fmt " && len(body) >= 16:
			known = little.Uint16(body) == 1 && little.Uint16(body[2:]) == 1 && little.Uint32(body[4:]) == narrowband &&
				little.Uint16(body[14:]) == 16
		case name == "data":
			return body[:len(body)/2*2], known
		}
		text = text[min(int64(len(text)), size+size%2):]
	}
	return nil, false
}

func newAnnouncement(audio []byte) *Announcement {
	const perPacket = narrowband / 50
	a := &Announcement{}
	for chunk := range slices.Chunk(audio, 2*perPacket) {
		ulaw, alaw := make([]byte, perPacket), make([]byte, perPacket)
		for i := range perPacket {
			var sample int16 // silence after the end
			if 2*i+1 < len(chunk) {
				sample = int16(binary.LittleEndian.Uint16(chunk[2*i:]))
			}
			ulaw[i], alaw[i] = g711.Nearest(&ulawTable, sample), g711.Nearest(&alawTable, sample)
		}
		a.pcmu, a.pcma = append(a.pcmu, ulaw), append(a.pcma, alaw)
	}
	return a
}

// announcing is a tap of a server that has an announcement. It implements media.Announcer.
type announcing struct {
	*tap
	what *Announcement
}

var _ media.Announcer = announcing{}

// Announcement implements media.Announcer. A call in which a side cannot be told
// that it is recorded is not recorded.
func (a announcing) Announcement(to record.Side) media.Announcement {
	a.mu.Lock()
	defer a.mu.Unlock()
	// What a side takes is what the other one may send to it.
	for _, f := range a.offered[1-index(to)] {
		if f.ClockRate != narrowband || f.Channels > 1 {
			continue
		}
		switch strings.ToUpper(f.Name) {
		case "PCMU":
			return media.Announcement{PayloadType: f.PayloadType, Step: narrowband / 50, Payloads: a.what.pcmu}
		case "PCMA":
			return media.Announcement{PayloadType: f.PayloadType, Step: narrowband / 50, Payloads: a.what.pcma}
		}
	}
	if !a.unheard {
		a.unheard = true
		a.recorder.log.Warn("recording: call not recorded: the announcement cannot be played in any of its codecs",
			"call", a.meta.CallID)
	}
	return media.Announcement{}
}
