package recording

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// s3Server is a real server that speaks S3: versitygw on a folder.
type s3Server struct {
	t       *testing.T
	program string
	root    string
	address string
	running *exec.Cmd
}

const (
	s3Access = "tests"
	s3Secret = "a secret of the tests"
)

// programs is the folder of what tests have built.
var programs string

// buildS3 builds the server once. It is a module of its own.
var buildS3 = sync.OnceValues(func() (string, error) {
	program := filepath.Join(programs, "versitygw")
	build := exec.Command("go", "build", "-o", program, "github.com/versity/versitygw/cmd/versitygw")
	build.Dir = "../../test/s3"
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the S3 server: %w\n%s", err, out)
	}
	return program, nil
})

func newS3Server(t *testing.T) *s3Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs an S3 server")
	}
	program, err := buildS3()
	if err != nil {
		t.Fatal(err)
	}
	s := &s3Server{t: t, program: program, root: t.TempDir()}
	if err := os.Mkdir(filepath.Join(s.root, "calls"), 0o700); err != nil { // a bucket
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	s.start()
	return s
}

func (s *s3Server) start() {
	s.t.Helper()
	s.running = exec.Command(s.program, "--port", s.address, "--access", s3Access, "--secret", s3Secret, "--region",
		"us-east-1", "--quiet",
		"posix", "--sidecar", s.t.TempDir(), s.root)
	log := &bytes.Buffer{}
	s.running.Stdout, s.running.Stderr = log, log
	if err := s.running.Start(); err != nil {
		s.t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := new(net.Dialer).DialContext(s.t.Context(), "tcp", s.address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			s.stop()
			s.t.Fatalf("the S3 server does not answer:\n%s", log)
		}
		<-tick.C
	}
}

func (s *s3Server) stop() {
	if s.running != nil {
		_ = s.running.Process.Signal(syscall.SIGKILL)
		_ = s.running.Wait()
		s.running = nil
	}
}

func (s *s3Server) settings() *S3 {
	return &S3{URL: "http://" + s.address + "/calls/tollgate", Region: "us-east-1", AccessKey: s3Access,
		SecretKey: s3Secret}
}

func (s *s3Server) bucket() *bucket {
	s.t.Helper()
	b, err := openBucket(s.settings())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(b.transport.CloseIdleConnections)
	return b
}

// testStorage is what every storage must do.
func testStorage(t *testing.T, s storage, put func(name string, text []byte)) {
	t.Helper()
	ctx := t.Context()
	text := bytes.Repeat([]byte("a recording, "), 20_000)
	if _, _, err := s.open(ctx, "1/2026/none.wav"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open what is not there: %v", err)
	}
	if err := s.remove(ctx, "1/2026/none.wav"); err != nil {
		t.Errorf("remove what is not there: %v", err)
	}
	put("1/2026/a.wav", text)
	file, size, err := s.open(ctx, "1/2026/a.wav")
	if err != nil || size != int64(len(text)) {
		t.Fatalf("open: %d bytes, %v", size, err)
	}
	got, err := io.ReadAll(file)
	if err != nil || !bytes.Equal(got, text) {
		t.Errorf("read %d bytes: %v", len(got), err)
	}
	for _, from := range []int64{100_000, 13, 200_000} {
		part := make([]byte, 50)
		if at, err := file.Seek(from, io.SeekStart); err != nil || at != from {
			t.Fatalf("seek to %d: %d, %v", from, at, err)
		}
		if _, err := io.ReadFull(file, part); err != nil || !bytes.Equal(part, text[from:from+50]) {
			t.Errorf("the part from %d: %v", from, err)
		}
	}
	if err := errors.Join(file.Close(), s.remove(ctx, "1/2026/a.wav")); err != nil {
		t.Error(err)
	}
	if _, _, err := s.open(ctx, "1/2026/a.wav"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open what was removed: %v", err)
	}
}

func TestStorages(t *testing.T) {
	t.Run("disk", func(t *testing.T) {
		d, err := openDisk(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		testStorage(t, d, func(name string, text []byte) {
			file, err := d.create(name)
			if err == nil {
				_, err = file.Write(text)
			}
			if err := errors.Join(err, d.commit(file, name)); err != nil {
				t.Fatal(err)
			}
		})
		again, err := openDisk(d.root)
		if err != nil || again.volume != d.volume {
			t.Errorf("the volume is %q, then %q: %v", d.volume, again.volume, err)
		}
	})
	t.Run("s3", func(t *testing.T) {
		b := newS3Server(t).bucket()
		testStorage(t, b, func(name string, text []byte) {
			if err := b.put(t.Context(), name, bytes.NewReader(text), int64(len(text))); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// A finished file is moved to the bucket, and stays on the disk as long as the
// bucket has not confirmed it.
func TestRecordingsAreMovedToTheBucket(t *testing.T) {
	server := newS3Server(t)
	for _, keys := range []*Keys{nil, testKeys(t)} {
		w := newWorld(t, t.TempDir(), keys)
		w.recorder.config.Store = openStore(t)
		w.recorder.bucket = server.bucket()
		w.recordedCall(profile.CallRecording{Channels: "dual", Format: "wav"})
		before := w.keepAll()[0]

		server.stop()
		if moved, err := w.recorder.upload(t.Context()); moved != 0 || err == nil {
			t.Fatalf("%d were moved to a server that is down: %v", moved, err)
		}
		if here := w.kept()[0]; here.Place != record.PlaceDisk {
			t.Errorf("it is at %s", here.Place)
		}
		checkVoices(t, w.file(&before), 2)

		server.start()
		if moved, err := w.recorder.upload(t.Context()); moved != 1 || err != nil {
			t.Fatalf("%d were moved: %v", moved, err)
		}
		after := w.kept()[0]
		if after.Place != record.PlaceS3 || !strings.HasPrefix(after.Name, "tollgate/1/2026/03/01/") ||
			after.SHA256 != before.SHA256 {
			t.Errorf("it is at %s %s", after.Place, after.Name)
		}
		if _, err := os.Stat(filepath.Join(w.recorder.disk.root, before.Name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file on the disk: %v", err)
		}
		checkVoices(t, w.file(&after), 2)
		checkVoices(t, w.file(&before), 2) // who has looked it up before is led on
		if moved, err := w.recorder.upload(t.Context()); moved != 0 || err != nil {
			t.Errorf("%d were moved again: %v", moved, err)
		}

		if _, err := w.recorder.config.Store.(store.Recordings).DeleteRecording(t.Context(), account, after.ID); err != nil {
			t.Fatal(err)
		}
		if n, err := w.recorder.removeFiles(t.Context(), record.PlaceS3, w.recorder.bucket.volume); n != 1 || err != nil {
			t.Errorf("%d files were removed: %v", n, err)
		}
		for object := range w.recorder.bucket.client.ListObjects(t.Context(), "calls",
			minio.ListObjectsOptions{Recursive: true}) {
			t.Errorf("left in the bucket: %+v", object)
		}
	}
}

// deleting deletes and forgets a recording just before it is moved.
type deleting struct{ *flaky }

func (d deleting) MoveRecording(ctx context.Context, r record.Recording) error {
	if _, err := d.DeleteRecording(ctx, r.AccountID, r.ID); err != nil {
		return err
	}
	if err := d.ForgetRecording(ctx, r.AccountID, r.ID); err != nil {
		return err
	}
	return d.flaky.MoveRecording(ctx, r)
}

func TestARecordingThatIsDeletedDuringItsUpload(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.recorder.config.Store = deleting{&flaky{openStore(t), 0}}
	w.recorder.bucket = newS3Server(t).bucket()
	w.recordedCall(profile.CallRecording{Channels: "dual", Format: "wav"})
	w.keepAll()
	if _, err := w.recorder.upload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for object := range w.recorder.bucket.client.ListObjects(t.Context(), "calls",
		minio.ListObjectsOptions{Recursive: true}) {
		t.Errorf("left in the bucket: %+v", object)
	}
}

func TestFilesOfNoRecordingAreSwept(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.recorder.config.Store = openStore(t)
	w.recordedCall(profile.CallRecording{Channels: "dual", Format: "wav"})
	kept := w.keepAll()[0]
	old := time.Now().Add(-2 * sweepAge)
	w.now = time.Now()
	path := filepath.Join(w.recorder.disk.root, kept.Name)
	stray, fresh := filepath.Join(filepath.Dir(path), w.recorder.config.NewID().String()+".wav"),
		filepath.Join(filepath.Dir(path), w.recorder.config.NewID().String()+".wav")
	unknown := filepath.Join(w.recorder.disk.root, "notes.txt")
	for _, name := range []string{stray, fresh, path + ".new", unknown} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{path, stray, path + ".new", unknown} {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.recorder.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{path: true, stray: false, fresh: true, path + ".new": false, unknown: true} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBucketsAreChecked(t *testing.T) {
	good := S3{URL: "https://s3.example.com/calls", AccessKey: "a", SecretKey: "b"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, address := range []string{"", "calls", "s3://calls", "https://s3.example.com", "https://s3.example.com/",
		"http://s3.example.com/calls",
		"https://key:secret@s3.example.com/calls", "https://s3.example.com/calls?region=x"} {
		if err := (&S3{URL: address, AccessKey: "a", SecretKey: "b"}).Validate(); err == nil {
			t.Errorf("%q was taken", address)
		}
	}
	if err := (&S3{URL: good.URL}).Validate(); err == nil || !strings.Contains(err.Error(), "keys") {
		t.Errorf("without keys: %v", err)
	}
	wrong := newS3Server(t)
	settings := wrong.settings()
	settings.SecretKey = "another"
	b, err := openBucket(settings)
	if err != nil {
		t.Fatal(err)
	}
	defer b.transport.CloseIdleConnections()
	if err := b.put(t.Context(), "a", bytes.NewReader([]byte("a")), 1); err == nil ||
		minio.ToErrorResponse(errors.Unwrap(err)).StatusCode != http.StatusForbidden {
		t.Errorf("with a wrong key: %v", err)
	}
}
