package app

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/api"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/recording"
)

// encoderProgram makes MP3 files.
const encoderProgram = "lame"

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
		a.logger.Warn("the program " + encoderProgram + " is not installed: until it is, recordings that are to be mp3 are kept as wav, and stay so")
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
	return &recording.S3{URL: c.RecordingS3, Region: c.RecordingS3Region, AccessKey: c.RecordingS3AccessKey, SecretKey: c.RecordingS3SecretKey}
}

// validateRecording says what is wrong with the settings of recordings.
func (c Config) validateRecording() error {
	var problems []error
	if c.PublicURL != "" {
		parsed, err := url.Parse(c.PublicURL)
		if err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.RawQuery != "" || parsed.Fragment != "" {
			problems = append(problems, fmt.Errorf("public_url: %q is not an address such as https://tollgate.example.com", c.PublicURL))
		}
	}
	if c.RecordingKeyFile != "" {
		if _, err := recording.LoadKeys(c.RecordingKeyFile); err != nil {
			problems = append(problems, fmt.Errorf("recording_key_file: %w", err))
		}
	}
	if c.RecordingAnnouncement != "" {
		if _, err := recording.LoadAnnouncement(c.RecordingAnnouncement); err != nil {
			problems = append(problems, fmt.Errorf("recording_announcement: %w", err))
		}
	}
	if bucket := c.s3(); bucket != nil {
		if err := bucket.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("recording_s3: %w (the keys are in TOLLGATE_RECORDING_S3_ACCESS_KEY and TOLLGATE_RECORDING_S3_SECRET_KEY)", err))
		}
	}
	return errors.Join(problems...)
}
