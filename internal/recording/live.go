package recording

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/record"
)

// A call that is being recorded has two files in a live folder: its audio, and
// what must be known to keep it when this process dies. The audio is a WAV that is
// playable at any time, or a sealed file of raw audio.
//
// Audio is written to the file twice a second and not forced to the disk. A process
// that dies loses under a second, or 2.5 s where a packet was waited for; a machine
// that dies, what the kernel had not written yet, some 30 seconds on Linux.
// The finished file is forced to the disk before the recording is in the database.
const (
	liveAudio = ".audio"
	liveMeta  = ".json"
)

// meta describes a recording while it runs.
type meta struct {
	record.Recording
	Shape  shape  `json:"shape"`
	Wanted string `json:"wanted"` // the format that the profile asks for
	Closed bool   `json:"closed"` // the audio is complete
}

// live is the audio file of a call that is up.
type live struct {
	file   *os.File
	shape  shape
	sealer *sealer // nil when files are not encrypted
	bytes  int64   // of audio
}

// writeMeta writes the description of a recording, all of it or nothing.
func writeMeta(folder string, m *meta) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("describe recording %s: %w", m.ID, err)
	}
	path := filepath.Join(folder, m.ID.String()+liveMeta)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// createLive makes both files.
func createLive(folder string, m *meta, keys *Keys) (_ *live, err error) {
	if err := writeMeta(folder, m); err != nil {
		return nil, fmt.Errorf("begin recording: %w", err)
	}
	base := filepath.Join(folder, m.ID.String())
	file, err := os.OpenFile(base+liveAudio, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("begin recording: %w", errors.Join(err, os.Remove(base+liveMeta)))
	}
	l := &live{file: file, shape: m.Shape}
	if m.Sealed {
		l.sealer, err = keys.seal(file)
	} else {
		_, err = file.Write(wavHeader(m.Shape, 0))
	}
	if err != nil {
		return nil, fmt.Errorf("begin recording: %w", errors.Join(err, file.Close(), removeLive(folder, m.ID)))
	}
	return l, nil
}

// write appends audio. What would not fit a WAV is left out.
func (l *live) write(audio []byte) error {
	audio = audio[:max(0, min(int64(len(audio)), maxWAVBytes-l.bytes))]
	if len(audio) == 0 {
		return nil
	}
	var err error
	if l.sealer != nil {
		_, err = l.sealer.Write(audio)
	} else if _, err = l.file.WriteAt(audio, wavHeaderBytes+l.bytes); err == nil {
		_, err = l.file.WriteAt(wavHeader(l.shape, l.bytes+int64(len(audio))), 0)
	}
	if err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	l.bytes += int64(len(audio))
	return nil
}

func (l *live) close() error {
	var err error
	if l.sealer != nil {
		err = l.sealer.Close()
	}
	return errors.Join(err, l.file.Close())
}

// openLive reads the raw audio of a file that createLive made, whether or not its
// writer came to close it.
func openLive(folder string, m *meta, keys *Keys) (audio io.ReadCloser, bytes int64, err error) {
	file, err := os.Open(filepath.Join(folder, m.ID.String()+liveAudio))
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	from := io.Reader(file)
	if m.Sealed {
		plain, err := keys.unseal(file, info.Size(), true)
		if err != nil {
			return nil, 0, err
		}
		from, bytes = plain, plain.size
	} else {
		// The length of the file is what was written; its header may be older.
		bytes = max(0, info.Size()-wavHeaderBytes)
		if _, err := file.Seek(wavHeaderBytes, io.SeekStart); err != nil {
			return nil, 0, err
		}
	}
	bytes -= bytes % int64(m.Shape.frameBytes())
	return liveReader{io.LimitReader(from, bytes), file}, bytes, nil
}

type liveReader struct {
	io.Reader
	io.Closer
}

// readMetas lists the recordings in a live folder.
func readMetas(folder string) (all []*meta, problems error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), liveMeta) {
			continue
		}
		path := filepath.Join(folder, entry.Name())
		text, failed := os.ReadFile(path)
		m := &meta{}
		if failed == nil {
			failed = json.Unmarshal(text, m)
		}
		if failed != nil || m.Shape.Rate < 1 || m.Shape.Channels < 1 || m.Shape.Channels > 2 {
			problems = errors.Join(problems, fmt.Errorf("%s does not describe a recording: %w", path, failed))
			continue
		}
		all = append(all, m)
	}
	return all, errors.Join(err, problems)
}

func removeLive(folder string, recording uuid.UUID) error {
	base := filepath.Join(folder, recording.String())
	var problems error
	for _, path := range []string{base + liveAudio, base + liveMeta + ".new", base + liveMeta} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = errors.Join(problems, err)
		}
	}
	return problems
}
