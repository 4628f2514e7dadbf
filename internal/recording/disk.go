package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// storage is where finished files are. There are two: a folder and an S3 bucket.
type storage interface {
	// open gives a file to read and its size. The error wraps fs.ErrNotExist when
	// there is no such file.
	open(ctx context.Context, name string) (io.ReadSeekCloser, int64, error)
	// remove removes a file; a missing file is not an error.
	remove(ctx context.Context, name string) error
}

// disk is a folder of finished files. Its volume tells it from the folders of
// other nodes; nodes that share one folder share its volume.
type disk struct {
	root   string
	volume string
}

// openDisk makes the folder, and its name at the first time.
func openDisk(root string) (*disk, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of recordings: %w", err)
	}
	path := filepath.Join(root, "volume")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		// Linked into place, so that of two nodes that begin at once one wins.
		fresh := path + "." + uuid.NewString()
		if err = os.WriteFile(fresh, []byte(uuid.NewString()+"\n"), 0o600); err == nil {
			if err = os.Link(fresh, path); errors.Is(err, fs.ErrExist) {
				err = nil
			}
			err = errors.Join(err, os.Remove(fresh))
		}
		if err == nil {
			text, err = os.ReadFile(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("name the folder of recordings: %w", err)
	}
	volume, err := uuid.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s does not name a volume of recordings: %w", path, err)
	}
	return &disk{root: root, volume: volume.String()}, nil
}

func (d *disk) path(name string) string { return filepath.Join(d.root, filepath.FromSlash(name)) }

// create makes a file that gets its name by commit.
func (d *disk) create(name string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(d.path(name)), 0o700); err != nil {
		return nil, fmt.Errorf("make a folder of recordings: %w", err)
	}
	return os.OpenFile(d.path(name)+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
}

// commit forces a file to the disk, closes it and gives it its name.
func (d *disk) commit(file *os.File, name string) error {
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	if err := os.Rename(file.Name(), d.path(name)); err != nil {
		return fmt.Errorf("write recording: %w", err)
	}
	return syncFolder(filepath.Dir(d.path(name)))
}

// syncFolder forces the names in a folder to the disk, where that can be done.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	err = folder.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrInvalid) {
		err = nil
	}
	return errors.Join(err, folder.Close())
}

func (d *disk) open(_ context.Context, name string) (io.ReadSeekCloser, int64, error) {
	file, err := os.Open(d.path(name))
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

func (d *disk) remove(_ context.Context, name string) error {
	err := os.Remove(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
