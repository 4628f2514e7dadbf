package recording

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "tollgate-recording")
	if err != nil {
		panic(err)
	}
	programs = folder
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		_ = os.RemoveAll(folder)
		os.Exit(status)
	}))
}

const (
	account   = id.ID(1)
	profileID = id.ID(2)
	caller    = e164.Number(15550100001)
	callee    = e164.Number(15550100002)
)

// world is a recorder whose time is the test's.
type world struct {
	t        *testing.T
	recorder *Recorder
	live     *policy.Live
	now      time.Time
	first    time.Time // the start of time
}

func newWorld(t *testing.T, dir string, keys *Keys) *world {
	t.Helper()
	w := &world{t: t, live: policy.NewLive(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.first = w.now
	r, err := New(Config{
		Dir: dir, Live: w.live, Clock: func() time.Time { return w.now },
		NewID:  func() uuid.UUID { return uuid.Must(uuid.NewV7()) },
		Logger: slog.New(slog.DiscardHandler), Keys: keys,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.recorder = r
	t.Cleanup(func() { _ = r.Stop(context.Background()) })
	return w
}

func (w *world) profile(settings profile.CallRecording) {
	p := profile.New()
	p.ID = profileID
	p.AccountID = account
	p.Name = "recorded"
	p.CallRecording = settings
	next, err := w.live.Snapshot().With(policy.PutProfile(&p))
	if err != nil {
		w.t.Fatal(err)
	}
	w.live.Publish(next)
}

func call() media.Call {
	return media.Call{ID: uuid.Must(uuid.NewV7()), Account: account, Profile: profileID, Connection: 3, From: caller,
		To: callee, SIPCallID: "a@b"}
}

// talk plays audio of both sides, and passes time.
func (w *world) talk(tap media.Tap, one, other *stream, fromCaller, fromCallee []byte) {
	for i := 0; i < len(fromCaller); i += 160 {
		tap.Packet(record.SideCaller, w.now, one.next(fromCaller[i:i+160]))
		tap.Packet(record.SideCallee, w.now, other.next(fromCallee[i:i+160]))
		w.now = w.now.Add(packetTime)
		if i/160%25 == 24 {
			w.recorder.drain(w.recorder.all())
		}
	}
}

func (w *world) audio(m *meta, keys *Keys) []int16 {
	w.t.Helper()
	from, _, err := openLive(w.recorder.folder, m, keys)
	if err != nil {
		w.t.Fatal(err)
	}
	defer from.Close()
	raw, err := io.ReadAll(from)
	if err != nil {
		w.t.Fatal(err)
	}
	return samples(raw)
}

func testKeys(t *testing.T) *Keys {
	t.Helper()
	keys, err := parseKeys("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestWhichCallsAreRecorded(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	for _, c := range []struct {
		name     string
		settings profile.CallRecording
		change   func(*media.Call)
		want     bool
	}{
		{"all", profile.CallRecording{Type: profile.RecordAll}, nil, true},
		{"none", profile.CallRecording{Type: profile.RecordNone}, nil, false},
		{"a listed caller", profile.CallRecording{Type: profile.RecordByCaller, CallerPhoneNumbers: []e164.Number{1, caller}},
			nil, true},
		{"a caller who is not listed", profile.CallRecording{Type: profile.RecordByCaller,
			CallerPhoneNumbers: []e164.Number{callee}}, nil, false},
		{"no caller", profile.CallRecording{Type: profile.RecordByCaller, CallerPhoneNumbers: []e164.Number{callee}},
			func(c *media.Call) { c.From = 0 }, false},
		{"an emergency", profile.CallRecording{Type: profile.RecordAll}, func(c *media.Call) { c.Emergency = true }, false},
		{"no profile", profile.CallRecording{Type: profile.RecordAll}, func(c *media.Call) { c.Profile = 9 }, false},
		{"another's profile", profile.CallRecording{Type: profile.RecordAll}, func(c *media.Call) { c.Account = 9 }, false},
	} {
		c.settings.Channels, c.settings.Format = "single", "wav"
		w.profile(c.settings)
		of := call()
		if c.change != nil {
			c.change(&of)
		}
		if tap := w.recorder.Record(of); (tap != nil) != c.want {
			t.Errorf("%s: recorded %v, want %v", c.name, tap != nil, c.want)
		}
	}
}

func TestBothSidesAreInTime(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		var keys *Keys
		if sealed {
			keys = testKeys(t)
		}
		for _, channels := range []string{"single", "dual"} {
			w := newWorld(t, t.TempDir(), keys)
			w.profile(profile.CallRecording{Type: profile.RecordAll, Channels: channels, Format: "wav"})
			tap := w.recorder.Record(call())
			tap.Formats(record.SideCaller, formats)
			tap.Formats(record.SideCallee, formats)
			one, other := &stream{ssrc: 1, step: 160}, &stream{kind: 8, ssrc: 2, step: 160, timestamp: 99}
			low, high := compand(&ulawTable, tone(400, narrowband, 24000)), compand(&alawTable, tone(900, narrowband, 24000))
			w.talk(tap, one, other, low, high) // before the answer: not recorded
			tap.Answered(w.now)
			w.profile(profile.CallRecording{Type: profile.RecordNone, Channels: "single", Format: "mp3"}) // changes nothing
			w.talk(tap, one, other, low, high)
			w.now = w.now.Add(500 * time.Millisecond)
			tap.Close()
			tap.Packet(record.SideCaller, w.now, one.next(low[:160]))
			w.recorder.drain(w.recorder.closing)
			if len(w.recorder.jobs) != 1 || len(w.recorder.taps) != 0 {
				t.Fatalf("%d recordings ended, %d go on", len(w.recorder.jobs), len(w.recorder.taps))
			}
			got := w.audio(w.recorder.jobs[0].meta, keys)
			left, right := recorded(low), slices.Clone(alawTable[:0])
			right, _ = companded{&alawTable}.decode(right, high)
			left, right = append(left, make([]int16, 4000)...), append(right, make([]int16, 4000)...)
			if channels == "dual" {
				sameAudio(t, channel(got, 0), left)
				sameAudio(t, channel(got, 1), right)
				continue
			}
			for i := range left {
				left[i] = saturate(int32(left[i]) + int32(right[i]))
			}
			sameAudio(t, got, left)
		}
	}
}

// Whenever the process dies, the file so far is a WAV that can be played.
func TestTheFileIsValidAtAnyTime(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.profile(profile.CallRecording{Type: profile.RecordAll, Channels: "dual", Format: "wav"})
	tap := w.recorder.Record(call())
	tap.Formats(record.SideCaller, formats)
	tap.Answered(w.now)
	one, other := &stream{ssrc: 1, step: 160}, &stream{ssrc: 2, step: 160}
	low := compand(&ulawTable, tone(400, narrowband, 4000))
	for second := range 10 {
		w.talk(tap, one, other, low, low)
		paths, err := filepath.Glob(filepath.Join(w.recorder.folder, "*"+liveAudio))
		if err != nil || len(paths) != 1 {
			t.Fatalf("files %v, %v", paths, err)
		}
		text, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		s, n, err := readWAVHeader(bytes.NewReader(text))
		if err != nil || s != (shape{8000, 2}) || int(n) != len(text)-wavHeaderBytes {
			t.Fatalf("header %+v of %d bytes, %v; the file has %d", s, n, err, len(text))
		}
		// The callee sends nothing that is known, so each moment is waited for.
		if had, least := s.millis(n), int64(second+1)*500-maxWait.Milliseconds(); had < least {
			t.Errorf("after %d half seconds the file has %d ms, want %d", second+1, had, least)
		}
	}
	tap.Close()
	w.recorder.drain(w.recorder.closing)
}

func TestSilenceOfASideDelaysNothingForEver(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.profile(profile.CallRecording{Type: profile.RecordAll, Channels: "dual", Format: "wav"})
	tap := w.recorder.Record(call())
	tap.Formats(record.SideCaller, formats)
	tap.Answered(w.now)
	one := &stream{ssrc: 1, step: 160}
	low := compand(&ulawTable, tone(400, narrowband, 160))
	for i := range 500 {
		tap.Packet(record.SideCaller, w.now, one.next(low))
		w.now = w.now.Add(packetTime)
		if i%25 == 24 {
			w.recorder.drain(w.recorder.all())
		}
	}
	if got := w.recorder.taps[0].file.bytes; got < 32000*8-64 {
		t.Errorf("%d bytes were written of ten seconds", got)
	}
	tap.Close()
	w.recorder.drain(w.recorder.closing)
	left := channel(w.audio(w.recorder.jobs[0].meta, nil), 0)
	sameAudio(t, left, slices.Concat(slices.Repeat([][]int16{recorded(low)}, 500)...))
}

func TestTooManyPacketsAreDroppedAndCounted(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.profile(profile.CallRecording{Type: profile.RecordAll, Channels: "single", Format: "wav"})
	tap := w.recorder.Record(call()).(*tap)
	tap.Formats(record.SideCaller, formats)
	tap.Answered(w.now)
	one := &stream{ssrc: 1, step: 160}
	for range 2000 {
		tap.Packet(record.SideCaller, w.now, one.next(make([]byte, 160)))
	}
	tap.Close()
	if len(tap.inbox.bytes) > maxInboxBytes {
		t.Errorf("the inbox has %d bytes", len(tap.inbox.bytes))
	}
	w.recorder.drain(w.recorder.closing)
	if got := tap.sides[0].counts.Dropped; got < 900 || len(w.recorder.jobs) != 1 {
		t.Errorf("%d dropped, %d ended", got, len(w.recorder.jobs))
	}
}

func TestStopEndsWhatIsUp(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.profile(profile.CallRecording{Type: profile.RecordAll, Channels: "single", Format: "wav"})
	ticks := make(chan time.Time)
	w.recorder.config.Ticks = ticks
	w.recorder.config.Store = openStore(t)
	var later atomic.Int64
	w.recorder.config.Clock = func() time.Time { return w.first.Add(time.Duration(later.Load())) }
	if err := w.recorder.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	tap := w.recorder.Record(call())
	tap.Answered(w.now)
	ticks <- w.now
	later.Store(int64(time.Second))
	if err := w.recorder.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := w.recorder.config.Store.(store.Recordings).
		ListRecordings(context.Background(), account, collection.Query{Size: 10})
	if err != nil || len(page.Items) != 1 || page.Items[0].DurationMillis != 1000 {
		t.Errorf("kept are %+v, %v", page.Items, err)
	}
	if tap := w.recorder.Record(call()); tap != nil {
		t.Error("a call is recorded after Stop")
	}
	if err := w.recorder.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// BenchmarkTap records one packet of each side, the disk included. A call has 50 of
// these a second.
func BenchmarkTap(b *testing.B) {
	ulaw, wide := make([]byte, 160), make([]byte, 160)
	opus, err := os.ReadFile("testdata/tone440-silk.opus")
	if err != nil {
		b.Fatal(err)
	}
	keys, err := parseKeys("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	if err != nil {
		b.Fatal(err)
	}
	first := int(opus[0])<<8 | int(opus[1])
	for _, c := range []struct {
		name    string
		keys    *Keys
		formats []media.Format
		payload []byte
		step    uint32
	}{
		{"PCMU", nil, formats[:1], ulaw, 160}, {"PCMU-encrypted", keys, formats[:1], ulaw, 160},
		{"G722", nil, wideFormats[:1], wide, 160}, {"Opus", nil, wideFormats[1:2], opus[2 : 2+first], 960},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkTap(b, c.keys, c.formats, c.payload, c.step) })
	}
}

func benchmarkTap(b *testing.B, keys *Keys, formats []media.Format, payload []byte, step uint32) {
	live := policy.NewLive()
	p := profile.New()
	p.ID = profileID
	p.AccountID = account
	p.Name = "recorded"
	p.CallRecording = profile.CallRecording{Type: profile.RecordAll, Channels: "dual", Format: "wav"}
	next, err := live.Snapshot().With(policy.PutProfile(&p))
	if err != nil {
		b.Fatal(err)
	}
	live.Publish(next)
	now := time.Now()
	r, err := New(Config{Dir: b.TempDir(), Live: live, Clock: func() time.Time { return now }, Keys: keys,
		NewID: func() uuid.UUID { return uuid.Must(uuid.NewV7()) }, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	tap := r.Record(call())
	tap.Formats(record.SideCaller, formats)
	tap.Formats(record.SideCallee, formats)
	tap.Answered(now)
	one, other := &stream{kind: formats[0].PayloadType, ssrc: 1, step: step},
		&stream{kind: formats[0].PayloadType, ssrc: 2, step: step}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		tap.Packet(record.SideCaller, now, one.next(payload))
		tap.Packet(record.SideCallee, now, other.next(payload))
		now = now.Add(packetTime)
		if i++; i%25 == 0 {
			r.drain(r.all())
		}
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/float64(i)/2/1000, "cpu-µs/packet")
	b.ReportMetric(1e9/(float64(used)/float64(i)*50), "calls/core")
	tap.Close()
	r.drain(r.closing)
	_ = r.Stop(context.Background())
}
