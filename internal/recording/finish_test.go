package recording

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

func openStore(t *testing.T) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), sqlstore.Config{
		Path: filepath.Join(t.TempDir(), "tollgate.db"), Live: policy.NewLive(), Clock: time.Now,
		IDs:   id.NewSource(1, time.Now),
		Owner: uuid.New(), Logger: slog.New(slog.DiscardHandler), Ticks: make(chan time.Time),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// lame is the encoder, which "make deps" installs.
func lame(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs lame")
	}
	path, err := exec.LookPath("lame")
	if err != nil {
		t.Fatalf("%v; run make deps", err)
	}
	return path
}

// recordedCall has a call of two seconds: 400 Hz from the caller, 900 Hz from the callee.
func (w *world) recordedCall(settings profile.CallRecording) {
	settings.Type = profile.RecordAll
	w.profile(settings)
	tap := w.recorder.Record(call())
	w.speak(tap)
	tap.Close()
	w.recorder.drain(w.recorder.closing)
	w.recorder.closing = nil
}

func (w *world) speak(tap media.Tap) {
	tap.Formats(record.SideCaller, formats)
	tap.Formats(record.SideCallee, formats)
	tap.Answered(w.now)
	w.talk(tap, &stream{ssrc: 1, step: 160}, &stream{ssrc: 2, step: 160},
		compand(&ulawTable, tone(400, narrowband, 16000)), compand(&ulawTable, tone(900, narrowband, 16000)))
}

// keepAll keeps what is queued, and returns what the store has then.
func (w *world) keepAll() []record.Recording {
	w.t.Helper()
	for _, j := range w.recorder.jobs {
		if err := w.recorder.keep(w.t.Context(), j); err != nil {
			w.t.Fatal(err)
		}
	}
	w.recorder.jobs = nil
	return w.kept()
}

func (w *world) kept() []record.Recording {
	w.t.Helper()
	page, err := w.recorder.config.Store.(store.Recordings).
		ListRecordings(context.Background(), account, collection.Query{Size: 10})
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Items
}

// file reads the finished file of a recording.
func (w *world) file(r *record.Recording) []byte {
	w.t.Helper()
	file, err := w.recorder.Open(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// decodeMP3 has LAME make a WAV of an MP3.
func decodeMP3(t *testing.T, text []byte) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), lame(t), "--quiet", "--decode", "--mp3input", "-", "-")
	command.Stdin = bytes.NewReader(text)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// checkVoices looks for both voices of recordedCall, each where it belongs.
func checkVoices(t *testing.T, wav []byte, channels int) {
	t.Helper()
	rate := int(binary.LittleEndian.Uint32(wav[24:]))
	if got := int(binary.LittleEndian.Uint16(wav[22:])); got != channels || rate != narrowband {
		t.Fatalf("%d channels of %d Hz, want %d", got, rate, channels)
	}
	all := samples(wav[wavHeaderBytes:])
	if length := len(all) / channels; length != 16000 {
		t.Errorf("%d samples a channel, want 16,000", length)
	}
	hear := func(audio []int16, hz float64, want bool) {
		t.Helper()
		audio = audio[800 : len(audio)-800]
		if got := power(audio, rate, hz); want && (got < 7000 || got > 9000) || !want && got > 150 {
			t.Errorf("%.0f Hz has %.0f", hz, got)
		}
	}
	if channels == 1 {
		hear(all, 400, true)
		hear(all, 900, true)
		return
	}
	hear(channel(all, 0), 400, true)
	hear(channel(all, 0), 900, false)
	hear(channel(all, 1), 900, true)
	hear(channel(all, 1), 400, false)
}

func TestFinishedFiles(t *testing.T) {
	for _, keys := range []*Keys{nil, testKeys(t)} {
		for _, format := range []string{"wav", "mp3"} {
			for i, channels := range []string{"single", "dual"} {
				w := newWorld(t, t.TempDir(), keys)
				w.recorder.config.Store = openStore(t)
				w.recorder.config.Encoder = lame(t)
				w.recordedCall(profile.CallRecording{Channels: channels, Format: format})
				kept := w.keepAll()
				if len(kept) != 1 {
					t.Fatalf("kept are %+v", kept)
				}
				r := kept[0]
				text := w.file(&r)
				if r.Format != format || r.Channels != i+1 || r.DurationMillis != 2000 || r.Interrupted ||
					r.Sealed != (keys != nil) ||
					r.EndedMicros-r.StartedMicros != 2_000_000 || r.StartedMicros != w.first.UnixMicro() || r.From != "+15550100001" ||
					r.To != "+15550100002" {
					t.Errorf("%s %s: %+v", format, channels, r)
				}
				if r.Bytes != int64(len(text)) || r.SHA256 != sha256.Sum256(text) {
					t.Errorf("%s %s: %d bytes with another digest", format, channels, r.Bytes)
				}
				onDisk, err := os.ReadFile(filepath.Join(w.recorder.disk.root, r.Name))
				if err != nil || bytes.Equal(onDisk, text) == r.Sealed || bytes.Contains(onDisk, []byte("RIFF")) && r.Sealed {
					t.Errorf("%s %s: the file on the disk: %v", format, channels, err)
				}
				if format == "mp3" {
					text = decodeMP3(t, text)
				}
				checkVoices(t, text, i+1)
				if left, err := filepath.Glob(filepath.Join(w.recorder.folder, "*-*")); err != nil || len(left) != 0 {
					t.Errorf("live files are left: %v, %v", left, err)
				}
			}
		}
	}
}

func TestWithoutAnEncoderItIsAWAV(t *testing.T) {
	for _, encoder := range []string{"", "/bin/false", "/does/not/exist"} {
		w := newWorld(t, t.TempDir(), nil)
		w.recorder.config.Store = openStore(t)
		w.recorder.config.Encoder = encoder
		w.recordedCall(profile.CallRecording{Channels: "dual", Format: "mp3"})
		kept := w.keepAll()
		if len(kept) != 1 || kept[0].Format != "wav" {
			t.Fatalf("kept are %+v", kept)
		}
		checkVoices(t, w.file(&kept[0]), 2)
	}
}

// TestAnEncoderInstalledLater: it is used from the next recording on, and what was
// kept before stays as it is.
func TestAnEncoderInstalledLater(t *testing.T) {
	real, programs := lame(t), t.TempDir()
	t.Setenv("PATH", programs)
	w := newWorld(t, t.TempDir(), nil)
	w.recorder.config.Store = openStore(t)
	w.recorder.config.Encoder = "lame"
	w.recordedCall(profile.CallRecording{Channels: "dual", Format: "mp3"})
	before := w.keepAll()
	if len(before) != 1 || before[0].Format != "wav" {
		t.Fatalf("kept without the program: %+v", before)
	}
	if err := os.Symlink(real, filepath.Join(programs, "lame")); err != nil {
		t.Fatal(err)
	}
	w.recordedCall(profile.CallRecording{Channels: "dual", Format: "mp3"})
	formats := map[string]int{}
	for _, r := range w.keepAll() {
		formats[r.Format]++
		if r.ID == before[0].ID && r.SHA256 != before[0].SHA256 {
			t.Error("the recording of before has changed")
		}
	}
	if formats["wav"] != 1 || formats["mp3"] != 1 {
		t.Errorf("kept with the program: %v", formats)
	}
}

// A process that died leaves its files; the next one keeps what they hold.
func TestRecordingsOfADeadProcess(t *testing.T) {
	for _, keys := range []*Keys{nil, testKeys(t)} {
		dir := t.TempDir()
		dead := newWorld(t, dir, keys)
		dead.profile(profile.CallRecording{Type: profile.RecordAll, Channels: "dual", Format: "wav"})
		dead.recordedCall(profile.CallRecording{Channels: "dual", Format: "wav"}) // ended, and not kept
		tap := dead.recorder.Record(call())
		dead.speak(tap)
		dead.recorder.drain(dead.recorder.all())
		if err := errors.Join(dead.recorder.locks[0].Close(),
			os.WriteFile(filepath.Join(dead.recorder.folder, "x.json"), []byte("{"), 0o600)); err != nil {
			t.Fatal(err)
		}
		half := filepath.Join(dead.recorder.folder, uuid.NewString())
		if err := os.WriteFile(half+liveMeta, []byte(`{"ID":"`+filepath.Base(half)+`","shape":{"rate":8000,"channels":1}}`),
			0o600); err != nil {
			t.Fatal(err) // it died between making the two files
		}

		w := newWorld(t, dir, keys)
		w.recorder.config.Store = openStore(t)
		if err := w.recorder.recover(); err != nil {
			t.Fatal(err)
		}
		kept := w.keepAll()
		if len(kept) != 2 {
			t.Fatalf("kept are %+v", kept)
		}
		for _, r := range kept {
			if !r.Interrupted {
				checkVoices(t, w.file(&r), 2)
				continue
			}
			// The last packets were in order, so nothing was waited for; of an encrypted
			// file the last part of a chunk is lost.
			audio := w.file(&r)[wavHeaderBytes:]
			if r.DurationMillis != int64(len(audio))/32 || r.DurationMillis < 1870 {
				t.Errorf("%d ms were kept, %d bytes of audio", r.DurationMillis, len(audio))
			}
		}
		if left, err := os.ReadDir(dead.recorder.folder); err != nil || len(left) != 2 { // the lock, and what cannot be read
			t.Errorf("left are %v, %v", left, err)
		}
		again := newWorld(t, dir, keys)
		again.recorder.config.Store = w.recorder.config.Store
		if err := again.recorder.recover(); err != nil || len(again.recorder.jobs) != 0 {
			t.Errorf("%d are kept anew: %v", len(again.recorder.jobs), err)
		}
	}
}

func TestALivingProcessIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	other := newWorld(t, dir, nil)
	other.profile(profile.CallRecording{Type: profile.RecordAll, Channels: "dual", Format: "wav"})
	tap := other.recorder.Record(call())
	other.speak(tap)
	w := newWorld(t, dir, nil)
	if err := w.recorder.recover(); err != nil || len(w.recorder.jobs) != 0 {
		t.Errorf("%d recordings of another process were taken: %v", len(w.recorder.jobs), err)
	}
}

// flaky fails to add recordings so many times.
type flaky struct {
	*sqlstore.Store
	failures int
}

func (f *flaky) AddRecording(ctx context.Context, r record.Recording, address string) error {
	if f.failures--; f.failures >= 0 {
		return collection.ErrUnavailable
	}
	return f.Store.AddRecording(ctx, r, address)
}

func TestAStoreThatFailsIsTriedAgain(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.recorder.config.Store = &flaky{openStore(t), 2}
	w.recordedCall(profile.CallRecording{Channels: "single", Format: "wav"})
	for range 3 {
		jobs := w.recorder.jobs
		w.recorder.jobs = nil
		for _, j := range jobs {
			w.recorder.keepOrRetry(t.Context(), j)
		}
		w.recorder.retry()
	}
	if kept := w.kept(); len(kept) != 1 || len(w.recorder.jobs) != 0 {
		t.Fatalf("kept are %+v", kept)
	}
}

func TestDeletedAndExpiredFilesAreRemoved(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	kept := openStore(t)
	w.recorder.config.Store = kept
	for range 2 {
		w.recordedCall(profile.CallRecording{Channels: "single", Format: "wav"})
	}
	both := w.keepAll()
	if _, err := kept.DeleteRecording(t.Context(), account, both[0].ID); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time there is nothing to do
		if _, err := w.recorder.removeFiles(t.Context(), record.PlaceDisk, w.recorder.disk.volume); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.recorder.Open(t.Context(), &both[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the deleted file: %v", err)
	}
	if _, err := os.Stat(filepath.Join(w.recorder.disk.root, both[1].Name)); err != nil {
		t.Errorf("the other file: %v", err)
	}
	elsewhere := both[1]
	elsewhere.Volume = uuid.NewString()
	if _, err := w.recorder.Open(t.Context(), &elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of another node: %v", err)
	}
}

// An encoder that hangs is ended.
func TestTheEncoderIsLimited(t *testing.T) {
	script := filepath.Join(t.TempDir(), "encoder")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if out, err := encodeMP3(ctx, script, shape{8000, 1}, bytes.NewReader(nil), true); err == nil || out != nil {
		t.Errorf("it ended by itself: %v", err)
	}
}

// When the disk takes no more, the call goes on and what was written is kept.
func TestADiskThatTakesNoMore(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.recorder.config.Store = openStore(t)
	w.profile(profile.CallRecording{Type: profile.RecordAll, Channels: "dual", Format: "wav"})
	tap := w.recorder.Record(call())
	w.speak(tap)
	w.recorder.drain(w.recorder.all())
	if err := w.recorder.taps[0].file.file.Close(); err != nil { // every write fails from here on
		t.Fatal(err)
	}
	other := &stream{ssrc: 3, step: 160}
	for range 200 {
		tap.Packet(record.SideCaller, w.now, other.next(make([]byte, 160)))
		w.now = w.now.Add(packetTime)
	}
	w.recorder.drain(w.recorder.all())
	tap.Close()
	w.recorder.drain(w.recorder.closing)
	kept := w.keepAll()
	if len(kept) != 1 || kept[0].DurationMillis != 2000 {
		t.Errorf("kept are %+v", kept)
	}
	if s := w.recorder.Stats(); s.Abandoned != 1 || s.Kept != 1 || s.Live != 0 || s.Waiting != 0 ||
		s.Packets[0].Played != 300 {
		t.Errorf("stats %+v", s)
	}
	// There is no folder any more: a call cannot be begun, and goes on unrecorded.
	if err := os.RemoveAll(w.recorder.folder); err != nil {
		t.Fatal(err)
	}
	tap = w.recorder.Record(call())
	w.speak(tap)
	tap.Close()
	w.recorder.drain(w.recorder.all())
	if s := w.recorder.Stats(); s.Abandoned != 2 || s.Live != 0 || len(w.recorder.jobs) != 0 {
		t.Errorf("stats %+v", s)
	}
}
