package recording

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tollgate/tollgate/internal/record"
)

// lockName is the file in a live folder by which its process holds it.
const lockName = "lock"

// unnamedFile makes a file on the disk whose name is removed at once.
func unnamedFile() (*os.File, error) {
	file, err := os.CreateTemp("", "tollgate-*")
	if err != nil {
		return nil, err
	}
	return file, errors.Join(os.Remove(file.Name()))
}

// job is a call that has ended, whose live files are in a folder.
type job struct {
	folder string
	meta   *meta
}

// retryInterval is after what time a recording that could not be kept is tried again.
const retryInterval = 10 * time.Second

// enqueue has a recording kept soon.
func (r *Recorder) enqueue(j job) {
	r.mu.Lock()
	r.jobs = append(r.jobs, j)
	r.mu.Unlock()
	select {
	case r.queued <- struct{}{}:
	default:
	}
}

// keepAll keeps what is queued, until Stop was called and nothing is left, or its
// time has passed. Unfinished recordings are found at the next start.
func (r *Recorder) keepAll(ctx context.Context) {
	for {
		r.mu.Lock()
		var next job
		found := len(r.jobs) > 0
		if found {
			next, r.jobs = r.jobs[0], r.jobs[1:]
			if len(r.jobs) > 0 {
				select {
				case r.queued <- struct{}{}: // for another worker
				default:
				}
			}
		}
		r.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return
		case found:
			r.keepOrRetry(ctx, next)
			continue
		}
		select {
		case <-r.queued:
		case <-r.emptied:
			return
		case <-ctx.Done():
			return
		}
	}
}

// keepOrRetry keeps a recording, or has it tried again a little later.
func (r *Recorder) keepOrRetry(ctx context.Context, j job) {
	err := r.keep(ctx, j)
	if err == nil || ctx.Err() != nil {
		return
	}
	r.tally.failures.Add(1)
	r.log.Error("recording: finishing a recording failed; retrying", "recording", j.meta.ID, "error", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, j)
}

// retry queues what has failed once more.
func (r *Recorder) retry() {
	r.mu.Lock()
	failed := r.failed
	r.failed = nil
	r.mu.Unlock()
	for _, j := range failed {
		r.enqueue(j)
	}
}

// keep makes the finished file of a call and puts it into the store. It can be
// repeated at any point: the file has the same name, and a recording is stored once.
func (r *Recorder) keep(ctx context.Context, j job) error {
	audio, bytes, err := openLive(j.folder, j.meta, r.config.Keys)
	if errors.Is(err, fs.ErrNotExist) {
		return removeLive(j.folder, j.meta.ID) // it died between making the two files
	}
	if err != nil {
		return err
	}
	defer audio.Close()
	if bytes == 0 {
		return removeLive(j.folder, j.meta.ID) // nothing was said between answer and end
	}
	kept := j.meta.Recording
	kept.DurationMillis = j.meta.Shape.millis(bytes)
	kept.EndedMicros = kept.StartedMicros + kept.DurationMillis*1000
	kept.Interrupted = !j.meta.Closed
	if err := r.makeFile(ctx, j, &kept, audio, bytes); err != nil {
		return err
	}
	address := ""
	if r.config.Address != nil {
		address = r.config.Address(&kept)
	}
	if err := r.config.Store.AddRecording(ctx, kept, address); err != nil {
		return err
	}
	r.tally.kept.Add(1)
	select {
	case r.kept <- struct{}{}:
	default:
	}
	err = removeLive(j.folder, j.meta.ID)
	if j.folder != r.folder {
		removeEmpty(j.folder)
	}
	return err
}

// makeFile writes the finished file and completes its description. When an MP3
// cannot be made it is a WAV.
func (r *Recorder) makeFile(ctx context.Context, j job, kept *record.Recording, audio io.Reader, bytes int64) error {
	shape := j.meta.Shape
	kept.Format = record.FormatWAV
	if j.meta.Wanted == record.FormatMP3 {
		encoded, err := encodeMP3(ctx, r.config.Encoder, shape, audio, r.config.Keys != nil)
		if err == nil {
			defer func() { _ = encoded.Close() }() // it was read to its end, or the failure is returned
			kept.Format = record.FormatMP3
			return r.writeFile(kept, nil, encoded)
		}
		if ctx.Err() != nil {
			return err
		}
		r.log.Warn("recording: kept as wav; encoding to mp3 failed", "recording", kept.ID, "error", err)
		again, _, err := openLive(j.folder, j.meta, r.config.Keys)
		if err != nil {
			return err
		}
		defer again.Close()
		audio = again
	}
	return r.writeFile(kept, wavHeader(shape, bytes), audio)
}

// writeFile writes the finished file to the disk, encrypted if so configured.
func (r *Recorder) writeFile(kept *record.Recording, head []byte, body io.Reader) (err error) {
	kept.Place = record.PlaceDisk
	kept.Volume = r.disk.volume
	kept.Sealed = r.config.Keys != nil
	kept.Name = fileName(kept)
	file, err := r.disk.create(kept.Name)
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	defer func() {
		if err != nil {
			_ = file.Close() // it may be closed already
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	var to io.Writer = file
	var sealing *sealer
	if kept.Sealed {
		if sealing, err = r.config.Keys.seal(file); err != nil {
			return fmt.Errorf("write recording: %w", err)
		}
		to = sealing
	}
	digest := sha256.New()
	to = io.MultiWriter(to, digest)
	if _, err = to.Write(head); err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, body, make([]byte, 64<<10))
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	if sealing != nil {
		if err = sealing.Close(); err != nil {
			return fmt.Errorf("write recording: %w", err)
		}
	}
	kept.Bytes = int64(len(head)) + n
	kept.SHA256 = [32]byte(digest.Sum(nil))
	return r.disk.commit(file, kept.Name)
}

// fileName is where a recording's file is, by account and day.
func fileName(r *record.Recording) string {
	name := fmt.Sprintf("%s/%s/%s.%s", r.AccountID, time.UnixMicro(r.StartedMicros).UTC().Format("2006/01/02"), r.ID,
		r.Format)
	if r.Sealed {
		name += ".sealed"
	}
	return name
}

// Open opens the file of a recording for reading, decrypted. The error wraps
// fs.ErrNotExist when the file is not at any place that this server can reach.
func (r *Recorder) Open(ctx context.Context, kept *record.Recording) (io.ReadSeekCloser, error) {
	from, err := r.placeOf(kept)
	if err != nil {
		return nil, err
	}
	file, size, err := from.open(ctx, kept.Name)
	if errors.Is(err, fs.ErrNotExist) {
		// It may have been moved to the bucket since it was looked up.
		moved, failed := r.config.Store.Recording(ctx, kept.AccountID, kept.ID)
		if failed == nil && moved.Place != kept.Place {
			return r.Open(ctx, &moved)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open recording %s: %w", kept.ID, err)
	}
	if !kept.Sealed {
		return file, nil
	}
	plain, err := r.config.Keys.unseal(file, size, false)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open recording %s: %w", kept.ID, err), file.Close())
	}
	return unsealed{plain, file}, nil
}

type unsealed struct {
	io.ReadSeeker
	io.Closer
}

func (r *Recorder) placeOf(kept *record.Recording) (storage, error) {
	switch {
	case kept.Place == record.PlaceDisk && kept.Volume == r.disk.volume:
		return r.disk, nil
	case kept.Place == record.PlaceS3 && r.bucket != nil && kept.Volume == r.bucket.volume:
		return r.bucket, nil
	}
	return nil, fmt.Errorf("recording %s is on %s %s, which this server does not have: %w", kept.ID, kept.Place,
		kept.Volume, fs.ErrNotExist)
}

// recover queues the recordings of processes that have died. Their folders are
// recognised by their locks, which no process holds.
func (r *Recorder) recover() error {
	parent := filepath.Dir(r.folder)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return fmt.Errorf("look for recordings of earlier processes: %w", err)
	}
	for _, entry := range entries {
		folder := filepath.Join(parent, entry.Name())
		if !entry.IsDir() || folder == r.folder {
			continue
		}
		lock, err := lockFolder(folder)
		if err != nil {
			continue // another process is using it
		}
		r.locks = append(r.locks, lock)
		metas, err := readMetas(folder)
		if err != nil {
			r.log.Error("recording: files of an earlier process cannot be read; leaving them in place", "folder", folder,
				"error",
				err)
		}
		for _, m := range metas {
			r.log.Info("recording: finished a recording of an earlier process", "recording", m.ID, "call", m.CallID,
				"interrupted",
				!m.Closed)
			r.enqueue(job{folder, m})
		}
		if err == nil && len(metas) == 0 {
			removeEmpty(folder)
		}
	}
	return nil
}

// removeEmpty removes a live folder in which nothing is left but its lock.
func removeEmpty(folder string) {
	if entries, err := os.ReadDir(folder); err == nil && len(entries) == 1 && entries[0].Name() == lockName {
		_ = os.Remove(filepath.Join(folder, lockName))
		_ = os.Remove(folder) // otherwise it is looked at again at the next start
	}
}
