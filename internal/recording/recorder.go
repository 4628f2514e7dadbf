// Package recording records calls: it decodes the audio of both sides into one
// time line, writes it as the call runs, and keeps it as a WAV or MP3 file.
//
//	Recorder  says which calls are recorded, and works for all of them together
//	tap       takes the packets of one call
//	side      puts the packets of one side in order and in time, and decodes them
//	live      is the file of a call that is up, playable at any time
//	keeper    makes the finished file after the call, or after a crash
//
// A recording begins at the answer. Time without audio is silence, so both sides
// stay in time with each other, whatever the network loses.
package recording

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// Config is what a Recorder needs.
type Config struct {
	// Dir holds the files of calls that are up, and the finished ones.
	Dir    string
	Live   *policy.Live
	Clock  func() time.Time
	NewID  func() uuid.UUID // of version 7, so that ids sort by time
	Logger *slog.Logger
	// Keys encrypt the files; nil leaves them as they are.
	Keys  *Keys
	Store store.RecordingFiles
	// Encoder is the program lame, which makes MP3 files, by its path or its name. It
	// is looked for each time, so it may be installed later; "" when there is none.
	Encoder string
	// Address makes the address under which a recording can be downloaded for a
	// while, for webhooks; nil when the server does not know its own.
	Address func(*record.Recording) string
	// Announcement is what both sides hear before a call is recorded; nil is nothing.
	Announcement *Announcement
	// S3 is where finished files are moved to; nil leaves them in Dir.
	S3 *S3
	// Ticks tells when to write; nil is every half second.
	Ticks <-chan time.Time
}

// drainInterval is how often audio is written.
const drainInterval = 500 * time.Millisecond

// Recorder implements media.Recorder.
type Recorder struct {
	config Config
	log    *slog.Logger
	disk   *disk
	bucket *bucket    // nil when files stay on the disk
	folder string     // of the calls that this process records
	locks  []*os.File // of that folder, and of those of processes that have died

	tally   tally
	mu      sync.Mutex // guards the fields below
	taps    []*tap
	closing []*tap // ended, to be drained before the next tick
	jobs    []job  // ended, to be kept
	failed  []job  // could not be kept yet
	stopped bool

	woken   chan struct{} // a call has ended
	queued  chan struct{} // there is a job
	kept    chan struct{} // there is a finished file
	stop    chan struct{}
	emptied chan struct{} // no more jobs will come
	writing sync.WaitGroup
	workers sync.WaitGroup // that keep recordings
	keeping sync.WaitGroup
	giveUp  context.CancelFunc // ends both
}

// New makes the folders. Nothing is recorded before Start.
func New(config Config) (*Recorder, error) {
	r := &Recorder{
		config: config, log: config.Logger, folder: filepath.Join(config.Dir, "live", config.NewID().String()),
		woken: make(chan struct{}, 1), queued: make(chan struct{}, 1), kept: make(chan struct{}, 1),
		stop: make(chan struct{}), emptied: make(chan struct{}),
	}
	var err error
	if r.disk, err = openDisk(filepath.Join(config.Dir, "files")); err != nil {
		return nil, err
	}
	if config.S3 != nil {
		if r.bucket, err = openBucket(config.S3); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(r.folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of recordings: %w", err)
	}
	lock, err := lockFolder(r.folder)
	if err != nil {
		return nil, err
	}
	r.locks = []*os.File{lock}
	return r, nil
}

// Record implements media.Recorder. The profile counts as it is now; a change
// during the call has no effect on it. Emergency calls are never recorded.
func (r *Recorder) Record(c media.Call) media.Tap {
	if c.Emergency {
		return nil
	}
	p := r.config.Live.Snapshot().Profile(c.Profile)
	if p == nil || p.Account != c.Account || !wanted(&p.Recording, c) {
		return nil
	}
	channels := 1
	if p.Recording.Channels == "dual" {
		channels = 2
	}
	t := &tap{recorder: r, meta: meta{
		Recording: record.Recording{
			ID: r.config.NewID(), AccountID: c.Account, ProfileID: c.Profile, ConnectionID: c.Connection,
			CallID: c.ID, SIPCallID: c.SIPCallID, From: c.From.String(), To: c.To.String(), Channels: channels,
		},
		Wanted: p.Recording.Format,
	}}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil
	}
	r.taps = append(r.taps, t)
	if r.config.Announcement != nil {
		return announcing{t, r.config.Announcement}
	}
	return t
}

func wanted(settings *profile.CallRecording, c media.Call) bool {
	switch settings.Type {
	case profile.RecordAll:
		return true
	case profile.RecordByCaller:
		return c.From != 0 && slices.Contains(settings.CallerPhoneNumbers, c.From)
	}
	return false
}

// Start begins to write what the taps are given, and keeps what a process before
// this one had recorded when it died.
func (r *Recorder) Start(ctx context.Context) error {
	ctx, r.giveUp = context.WithCancel(context.WithoutCancel(ctx))
	if err := r.recover(); err != nil {
		return err
	}
	r.writing.Go(r.work)
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		r.workers.Go(func() { r.keepAll(ctx) })
	}
	r.keeping.Go(func() { r.housekeep(ctx) })
	if r.bucket != nil {
		r.keeping.Go(func() { r.uploadAll(ctx) })
	}
	return nil
}

// Stop ends the recordings of calls that are still up, and keeps what it can
// before ctx ends. The rest is kept at the next start.
func (r *Recorder) Stop(ctx context.Context) error {
	r.mu.Lock()
	taps := slices.Clone(r.taps)
	again := r.stopped
	r.stopped = true
	r.mu.Unlock()
	if again {
		return nil
	}
	for _, t := range taps {
		t.Close()
	}
	close(r.stop)
	r.writing.Wait()
	close(r.emptied)
	if r.giveUp != nil {
		r.awaitJobs(ctx)
		r.giveUp()
		r.keeping.Wait()
	}
	if r.bucket != nil {
		r.bucket.transport.CloseIdleConnections()
	}
	removeEmpty(r.folder)
	var problems error
	for _, lock := range r.locks {
		problems = errors.Join(problems, lock.Close())
	}
	return problems
}

// awaitJobs waits until the queue is empty and every worker has ended its job.
func (r *Recorder) awaitJobs(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.workers.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		r.giveUp()
		<-ended
	}
}

// over has the file of an ended call closed soon.
func (r *Recorder) over(t *tap) {
	r.mu.Lock()
	r.closing = append(r.closing, t)
	r.mu.Unlock()
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// work writes the audio of all calls until Stop.
func (r *Recorder) work() {
	ticks := r.config.Ticks
	if ticks == nil {
		ticker := time.NewTicker(drainInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-ticks:
			r.drain(r.all())
		case <-r.woken:
			r.mu.Lock()
			closing := r.closing
			r.closing = nil
			r.mu.Unlock()
			r.drain(closing)
		case <-r.stop:
			r.drain(r.all())
			return
		}
	}
}

func (r *Recorder) all() []*tap {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.taps)
}

// drain works off the inboxes of calls, as many at once as there are processors.
func (r *Recorder) drain(taps []*tap) {
	var next, ended atomic.Int64
	var workers sync.WaitGroup
	for range min(len(taps), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(taps)); i = next.Add(1) - 1 {
				if t := taps[i]; !t.finished && t.drain(r.config.Clock()) {
					t.finished = true
					ended.Add(1)
					r.finish(t)
				}
			}
		})
	}
	workers.Wait()
	if ended.Load() > 0 {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.taps = slices.DeleteFunc(r.taps, func(t *tap) bool { return t.finished })
	}
}

// finish closes the file of a call and queues the recording to be kept.
func (r *Recorder) finish(t *tap) {
	r.tally.add(&t.sides)
	if t.file == nil {
		return // never answered, or never begun
	}
	t.meta.Closed = true
	if err := errors.Join(t.file.close(), writeMeta(r.folder, &t.meta)); err != nil {
		r.log.Error("recording: closing the file of a call failed", "recording", t.meta.ID, "error", err)
	}
	r.log.Info("recording: call ended", "call", t.meta.CallID, "recording", t.meta.ID,
		"duration_ms", t.meta.Shape.millis(t.file.bytes), "caller", t.sides[0].counts, "callee", t.sides[1].counts,
		"codec_not_recorded", t.sides[0].ignored+t.sides[1].ignored)
	r.enqueue(job{r.folder, &t.meta})
}
