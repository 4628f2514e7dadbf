package app

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/api"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/recording"
	"github.com/tollgate/tollgate/internal/setting"
)

// encoderProgram makes MP3 files.
const encoderProgram = "lame"

// RecordingSettings are the settings of recordings.
type RecordingSettings struct {
	RecordingDir          string `name:"recording-dir" help:"Folder of recordings; by default recordings in the data folder."`
	RecordingKeyFile      string `name:"recording-key-file" help:"File of the keys that recordings are encrypted with: lines of 32 bytes in base64, the first for new files. Not encrypted without."`
	RecordingAnnouncement string `name:"recording-announcement" help:"WAV file (8,000 Hz, 16 bits, one channel) that both sides hear before a call is recorded."`
	RecordingS3           string `name:"recording-s3" help:"Bucket that finished recordings are moved to, as in https://s3.example.com/bucket/folder. Its keys are in TOLLGATE_RECORDING_S3_ACCESS_KEY and TOLLGATE_RECORDING_S3_SECRET_KEY."`
	RecordingS3Region     string `name:"recording-s3-region" help:"Region of the bucket; the server is asked by default."`
	RecordingS3AccessKey  string `name:"recording-s3-access-key" kong:"-" secret:"" help:"Access key of the bucket."`
	RecordingS3SecretKey  string `name:"recording-s3-secret-key" kong:"-" secret:"" help:"Secret key of the bucket."`
}

// buildRecording makes the recorder and what serves its files. Their addresses are
// signed with a key that is made from the seed of the webhooks' key, which nodes
// that share a database share too.
func (a *App) buildRecording(live *policy.Live, seed []byte) (*api.Downloads, error) {
	key, err := hkdf.Key(sha256.New, seed, nil, "tollgate download addresses", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("make the key of download addresses: %w", err)
	}
	downloads := &api.Downloads{Key: key, PublicURL: a.config.PublicURL}
	config := recording.Config{
		Dir: a.config.recordingDir(), Live: live, Store: a.store, Clock: time.Now, Logger: a.logger,
		NewID: func() uuid.UUID { return uuid.Must(uuid.NewV7()) }, S3: a.config.s3(),
	}
	if a.config.PublicURL != "" {
		config.Address = func(r *record.Recording) string { return downloads.Address("", r, time.Now()) }
	}
	if a.config.RecordingKeyFile != "" {
		if config.Keys, err = recording.LoadKeys(a.config.RecordingKeyFile); err != nil {
			return nil, err
		}
	}
	if a.config.RecordingAnnouncement != "" {
		if config.Announcement, err = recording.LoadAnnouncement(a.config.RecordingAnnouncement); err != nil {
			return nil, err
		}
	}
	config.Encoder = encoderProgram
	if _, err := exec.LookPath(encoderProgram); err != nil {
		a.logger.Warn("the program " + encoderProgram + " is not installed: until it is, " +
			"recordings that are to be mp3 are kept as wav, and stay so")
	}
	if a.recorder, err = recording.New(config); err != nil {
		return nil, err
	}
	downloads.Open = a.recorder.Open
	a.metrics.WatchRecordings(a.recorder.Stats)
	a.undo("recorder", func(ctx context.Context) error {
		limited, cancel := context.WithTimeout(ctx, a.config.StopLimit)
		defer cancel()
		return a.recorder.Stop(limited)
	})
	return downloads, nil
}

// recorderFor is the recorder of a gateway whose calls go through a relay. Without
// one there is no audio to record.
func (a *App) recorderFor(anchor media.Relay) media.Recorder {
	if anchor == nil {
		a.logger.Warn("no call is anchored, so none is recorded, whatever its profile says")
		return nil
	}
	return a.recorder
}

// recordingDir is RecordingDir or its default.
func (c Config) recordingDir() string {
	if c.RecordingDir != "" {
		return c.RecordingDir
	}
	return filepath.Join(c.DataDir, "recordings")
}

// s3 is where finished recordings are moved to, or nil.
func (c Config) s3() *recording.S3 {
	if c.RecordingS3 == "" {
		return nil
	}
	return &recording.S3{
		URL: c.RecordingS3, Region: c.RecordingS3Region,
		AccessKey: c.RecordingS3AccessKey, SecretKey: c.RecordingS3SecretKey,
	}
}

// checkRecording reports what is wrong with the settings of recordings.
func (c Config) checkRecording() error {
	var problems []error
	if c.RecordingKeyFile != "" {
		if _, err := recording.LoadKeys(c.RecordingKeyFile); err != nil {
			problems = append(problems, c.wrong(&c.RecordingKeyFile, "%w", err))
		}
	}
	if c.RecordingAnnouncement != "" {
		if _, err := recording.LoadAnnouncement(c.RecordingAnnouncement); err != nil {
			problems = append(problems, c.wrong(&c.RecordingAnnouncement, "%w", err))
		}
	}
	if bucket := c.s3(); bucket != nil {
		if err := bucket.Validate(); err != nil {
			problems = append(problems, c.wrong(&c.RecordingS3, "%w (the keys are in %s and %s)", err,
				setting.Name(&c, &c.RecordingS3AccessKey), setting.Name(&c, &c.RecordingS3SecretKey)))
		}
	}
	return errors.Join(problems...)
}
