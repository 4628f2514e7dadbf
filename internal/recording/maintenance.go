package recording

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// housekeepingBatch is how many recordings are looked at in one step.
const housekeepingBatch = 100

// housekeep does what is due by the clock until ctx ends.
func (r *Recorder) housekeep(ctx context.Context) {
	if err := r.sweep(ctx); err != nil && ctx.Err() == nil {
		r.log.Warn("recording: looking for orphaned files failed; trying again at the next start", "error", err)
	}
	ticker := time.NewTicker(retryInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		r.retry()
		r.steps(ctx, "delete recordings that are past their time", r.expire)
		r.steps(ctx, "remove files of deleted recordings", func(ctx context.Context) (int, error) {
			return r.removeFiles(ctx, record.PlaceDisk, r.disk.volume)
		})
		if r.bucket != nil {
			r.steps(ctx, "remove files of deleted recordings from the bucket", func(ctx context.Context) (int, error) {
				return r.removeFiles(ctx, record.PlaceS3, r.bucket.volume)
			})
		}
	}
}

// steps repeats a step while it finds a full batch of work.
func (r *Recorder) steps(ctx context.Context, what string, step func(context.Context) (int, error)) {
	for {
		done, err := step(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.Warn("recording: "+what+"; trying again later", "error", err)
		}
		if err != nil || done < housekeepingBatch {
			return
		}
	}
}

func (r *Recorder) expire(ctx context.Context) (int, error) {
	return r.config.Store.ExpireRecordings(ctx, r.config.Clock(), housekeepingBatch)
}

// removeFiles removes the files of deleted recordings from a place.
func (r *Recorder) removeFiles(ctx context.Context, place, volume string) (removed int, err error) {
	due, err := r.config.Store.RecordingsAt(ctx, place, volume, true, housekeepingBatch)
	if err != nil {
		return 0, err
	}
	for i := range due {
		at, err := r.placeOf(&due[i])
		if err == nil {
			err = at.remove(ctx, due[i].Name)
		}
		if err == nil {
			err = r.config.Store.ForgetRecording(ctx, due[i].AccountID, due[i].ID)
		}
		if err != nil {
			return removed, err
		}
		removed++
		r.log.Info("recording: file removed", "recording", due[i].ID)
	}
	return removed, nil
}

// uploadAll moves finished files to the bucket until ctx ends.
func (r *Recorder) uploadAll(ctx context.Context) {
	ticker := time.NewTicker(retryInterval)
	defer ticker.Stop()
	for {
		r.steps(ctx, "move recordings to the bucket", r.upload)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.kept:
		}
	}
}

// upload moves files from the disk to the bucket. One that fails stays where it is
// and can be downloaded from there; the others continue.
func (r *Recorder) upload(ctx context.Context) (moved int, problems error) {
	due, err := r.config.Store.RecordingsAt(ctx, record.PlaceDisk, r.disk.volume, false, housekeepingBatch)
	if err != nil {
		return 0, err
	}
	for i := range due {
		if err := r.move(ctx, due[i]); err != nil {
			problems = errors.Join(problems, fmt.Errorf("recording %s: %w", due[i].ID, err))
			continue
		}
		moved++
	}
	return moved, problems
}

// move uploads one file, and removes it from the disk when the bucket and then the
// store have confirmed it.
func (r *Recorder) move(ctx context.Context, kept record.Recording) error {
	file, size, err := r.disk.open(ctx, kept.Name)
	if err != nil {
		return err
	}
	defer file.Close()
	there := kept
	there.Place = record.PlaceS3
	there.Volume = r.bucket.volume
	there.Name = r.bucket.prefix + kept.Name
	if err := r.bucket.put(ctx, there.Name, file, size); err != nil {
		return err
	}
	err = r.config.Store.MoveRecording(ctx, there)
	if errors.Is(err, collection.ErrNotFound) { // deleted meanwhile, and its file on the disk too
		return r.bucket.remove(ctx, there.Name)
	}
	if err != nil {
		return err
	}
	return r.disk.remove(ctx, kept.Name)
}

// sweepAge is how old a file must be to count as forgotten.
const sweepAge = time.Hour

// sweep removes files of the disk that belong to no recording: a
// process died between making a file and storing its recording, which is then
// made anew, or between moving a recording and removing its file.
func (r *Recorder) sweep(ctx context.Context) error {
	return filepath.WalkDir(r.disk.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		info, err := entry.Info()
		if err != nil || r.config.Clock().Sub(info.ModTime()) < sweepAge {
			return nil //nolint:nilerr // one that is gone, or new
		}
		name, err := filepath.Rel(r.disk.root, path)
		if err != nil {
			return err
		}
		accountText, rest, _ := strings.Cut(filepath.ToSlash(name), "/")
		account, err := id.Parse(accountText)
		if err != nil {
			return nil //nolint:nilerr // not one of ours
		}
		recordingText, _, _ := strings.Cut(filepath.Base(rest), ".")
		recording, err := uuid.Parse(recordingText)
		if err != nil {
			return nil //nolint:nilerr // not one of ours
		}
		kept, err := r.config.Store.Recording(ctx, account, recording)
		switch {
		case err == nil && kept.Place == record.PlaceDisk && kept.Name == filepath.ToSlash(name):
			return nil
		case err != nil && !errors.Is(err, collection.ErrNotFound):
			return err
		}
		r.log.Info("recording: orphaned file removed", "file", name)
		return os.Remove(path) //nolint:gosec // G122: the folder is the server's own, and Remove does not follow a link
	})
}
