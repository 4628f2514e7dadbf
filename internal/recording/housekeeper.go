package recording

import (
	"context"
	"time"

	"github.com/tollgate/tollgate/internal/record"
)

// housekeepingBatch is how many recordings are looked at in one step.
const housekeepingBatch = 100

// housekeep does what is due by the clock until ctx ends.
func (r *Recorder) housekeep(ctx context.Context) {
	ticks := r.config.HousekeepingTicks
	if ticks == nil {
		ticker := time.NewTicker(retryInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		r.retry()
		for what, step := range map[string]func(context.Context) (int, error){
			"delete recordings that are past their time": r.expire,
			"remove files of deleted recordings":         r.removeFiles,
		} {
			for {
				done, err := step(ctx)
				if err != nil && ctx.Err() == nil {
					r.log.Warn("recording: "+what+"; trying again later", "error", err)
				}
				if err != nil || done < housekeepingBatch {
					break
				}
			}
		}
	}
}

func (r *Recorder) expire(ctx context.Context) (int, error) {
	return r.config.Store.ExpireRecordings(ctx, r.config.Clock(), housekeepingBatch)
}

// removeFiles removes the files of deleted recordings that are within reach.
func (r *Recorder) removeFiles(ctx context.Context) (removed int, err error) {
	due, err := r.config.Store.RecordingsAt(ctx, record.PlaceDisk, r.disk.volume, true, housekeepingBatch)
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
