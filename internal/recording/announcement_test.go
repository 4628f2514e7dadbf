package recording

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

func wavOf(s shape, audio []int16) []byte {
	out := wavHeader(s, int64(2*len(audio)))
	for _, v := range audio {
		out = binary.LittleEndian.AppendUint16(out, uint16(v))
	}
	return out
}

func TestAnnouncementFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	write := func(text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := wavOf(shape{narrowband, 1}, tone(600, narrowband, 8080))
	listed := bytes.Replace(good, []byte("data"), []byte("LIST\x03\x00\x00\x00abc\x00data"), 1)
	for _, text := range [][]byte{good, listed} {
		write(text)
		a, err := LoadAnnouncement(path)
		if err != nil || len(a.pcmu) != 51 || len(a.pcma) != 51 || len(a.pcmu[50]) != 160 {
			t.Fatalf("%v", err)
		}
		said, _ := companded{&alawTable}.decode(nil, bytes.Join(a.pcma[:50], nil))
		if p := power(said, narrowband, 600); p < 7800 || p > 8200 {
			t.Errorf("600 Hz has %.0f", p)
		}
	}
	for what, text := range map[string][]byte{
		"nothing": nil, "not a WAV": []byte("a recording of some kind, but not a WAV"), "no audio": good[:wavHeaderBytes],
		"stereo":   wavOf(shape{narrowband, 2}, tone(600, narrowband, 8000)),
		"wideband": wavOf(shape{wideband, 1}, tone(600, wideband, 8000)),
		"too long": wavOf(shape{narrowband, 1}, make([]int16, 61*narrowband)), "very long": make([]byte, 5<<20),
	} {
		write(text)
		if _, err := LoadAnnouncement(path); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

func FuzzAnnouncement(f *testing.F) {
	f.Add(wavOf(shape{narrowband, 1}, tone(600, narrowband, 100)))
	f.Fuzz(func(t *testing.T, text []byte) {
		if audio, ok := wavAudio(text); ok && len(audio) > len(text) {
			t.Fatalf("%d bytes of %d", len(audio), len(text))
		}
	})
}

// Who cannot be told is not recorded.
func TestWhoCannotBeTold(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.recorder.config.Announcement = newAnnouncement(wavOf(shape{narrowband, 1},
		tone(600, narrowband, 800))[wavHeaderBytes:])
	w.profile(profile.CallRecording{Type: profile.RecordAll, Channels: "dual", Format: "wav"})
	for _, c := range []struct {
		toCaller, toCallee []media.Format // what the other may send
		want               [2]uint8
		recorded           bool
	}{
		{formats, formats[1:], [2]uint8{0, 8}, true},
		{formats, wideFormats[:2], [2]uint8{0, 0}, false},
	} {
		tap := w.recorder.Record(call()).(media.Announcer)
		tap.Formats(record.SideCallee, c.toCaller)
		tap.Formats(record.SideCaller, c.toCallee)
		for i, side := range []record.Side{record.SideCaller, record.SideCallee} {
			what := tap.Announcement(side)
			if what.PayloadType != c.want[i] || (len(what.Payloads) == 5) == (!c.recorded && i == 1) {
				t.Errorf("%s hears %d payloads of type %d", side, len(what.Payloads), what.PayloadType)
			}
		}
		tap.Answered(w.now)
		w.now = w.now.Add(time.Second)
		tap.Close()
		w.recorder.drain(w.recorder.all())
		if got := len(w.recorder.jobs) == 1; got != c.recorded {
			t.Errorf("recorded: %v, want %v", got, c.recorded)
		}
		w.recorder.jobs = nil
	}
}
