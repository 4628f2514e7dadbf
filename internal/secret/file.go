package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// The permissions that a file of secrets must not have. Its group may read it, since
// that is how a key that belongs to root is given to one service.
const forbiddenPerm fs.FileMode = 0o027

// CheckFile refuses a file of secrets that others than its owner and its group can
// reach, or that its group can change.
func CheckFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder; name a file", path)
	}
	if runtime.GOOS == "windows" { // which has no such permissions
		return nil
	}
	mode := info.Mode().Perm()
	what := "others can read or change it"
	switch {
	case mode&forbiddenPerm == 0:
		return nil
	case mode&0o007 == 0:
		what = "its group can change it"
	}
	return fmt.Errorf("%s holds secrets, and %s (mode %04o). Run: chmod 600 %s", path, what, mode, path)
}

// ReadFile reads a file of secrets that passes CheckFile.
func ReadFile(path string) ([]byte, error) {
	if err := CheckFile(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// Load makes a vault of a key file: one key a line, 32 bytes in base64, the first
// being that which seals. Empty lines and lines that begin with # are left out.
func Load(path string) (*Vault, error) {
	text, err := ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("secrets key file: %w", err)
	}
	keys, err := ParseKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("secrets key file %s: %w", path, err)
	}
	v, err := New(keys...)
	if err != nil {
		return nil, fmt.Errorf("secrets key file %s: %w", path, err)
	}
	return v, nil
}

// ParseKeys reads the lines of a key file.
func ParseKeys(text string) ([][]byte, error) {
	var keys [][]byte
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != keyBytes {
			return nil, fmt.Errorf("line %d is not %d bytes in base64, as printed by: openssl rand -base64 32", number, keyBytes)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key; make one by: openssl rand -base64 32")
	}
	return keys, nil
}

// Make writes a key file with a new key, which only its owner can read. It fails with
// fs.ErrExist when there is one.
func Make(path string) error {
	return writeNew(path, []byte("# Keeps the secrets of Tollgate's database. Without it they are lost: back it up, "+
		"apart from the database.\n"+newLine()))
}

func newLine() string {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // it never fails
	return base64.StdEncoding.EncodeToString(key) + "\n"
}

// AddKey appends a new key to a key file, which opens and does not seal yet. It
// returns its id. The file is replaced as a whole.
func AddKey(path string) (string, error) {
	text, err := ReadFile(path)
	if err != nil {
		return "", err
	}
	if _, err := ParseKeys(string(text)); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	line := newLine()
	keys, err := ParseKeys(line)
	if err != nil {
		return "", err
	}
	v, err := New(keys...)
	if err != nil {
		return "", err
	}
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	return v.ID(), replace(path, append(text, line...))
}

// Promote makes the last key of a file its first, which seals. It returns its id.
func Promote(path string) (string, error) {
	text, err := ReadFile(path)
	if err != nil {
		return "", err
	}
	keys, err := ParseKeys(string(text))
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	last := keys[len(keys)-1]
	v, err := New(last)
	if err != nil {
		return "", err
	}
	line := base64.StdEncoding.EncodeToString(last)
	rest := strings.Replace("\n"+string(text), "\n"+line, "", 1)
	return v.ID(), replace(path, []byte(line+"\n"+strings.TrimPrefix(rest, "\n")))
}

// writeNew writes a file that does not exist yet, so that no reader ever sees a part of it.
func writeNew(path string, text []byte) error {
	partial, err := writePartial(path, text)
	if err != nil {
		return err
	}
	return errors.Join(os.Link(partial, path), os.Remove(partial))
}

// replace puts a whole file in the place of another one, with its permissions.
func replace(path string, text []byte) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	partial, err := writePartial(target, text)
	if err != nil {
		return err
	}
	if err := os.Chmod(partial, info.Mode().Perm()); err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	if err := os.Rename(partial, target); err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return nil
}

func writePartial(path string, text []byte) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".partial-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}
