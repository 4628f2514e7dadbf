package recording

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sealed(t testing.TB, keys *Keys, plain []byte, end bool) []byte {
	t.Helper()
	var out bytes.Buffer
	s, err := keys.seal(&out)
	if err != nil {
		t.Fatal(err)
	}
	for rest := plain; len(rest) > 0; {
		n := min(len(rest), 1+rand.IntN(9000))
		if written, err := s.Write(rest[:n]); err != nil || written != n {
			t.Fatalf("wrote %d of %d: %v", written, n, err)
		}
		rest = rest[n:]
	}
	if end {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestSealedFiles(t *testing.T) {
	keys := testKeys(t)
	for _, n := range []int{0, 1, 4095, 4096, 4097, 8192, 50_001} {
		plain := make([]byte, n)
		for i := range plain {
			plain[i] = byte(rand.Uint32())
		}
		text := sealed(t, keys, plain, true)
		if n > 16 && bytes.Contains(text, plain[:16]) {
			t.Fatalf("%d bytes: the plain text can be read", n)
		}
		u, err := keys.unseal(bytes.NewReader(text), int64(len(text)), false)
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got, err := io.ReadAll(u); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: read %d: %v", n, len(got), err)
		}
		for range 50 { // any part
			from := rand.IntN(n + 1)
			length := rand.IntN(n - from + 1)
			got := make([]byte, length)
			if _, err := u.Seek(int64(from), io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(u, got); err != nil || !bytes.Equal(got, plain[from:from+length]) {
				t.Fatalf("%d bytes: the part from %d of %d: %v", n, from, length, err)
			}
		}
		if size, err := u.Seek(0, io.SeekEnd); err != nil || size != int64(n) {
			t.Errorf("%d bytes: size %d, %v", n, size, err)
		}
	}
}

// A changed or shortened file is never taken for a whole one; what a writer that
// died has left is read up to its last whole chunk.
func TestDamagedSealedFiles(t *testing.T) {
	keys := testKeys(t)
	plain := []byte(strings.Repeat("a call that is being recorded ", 500))
	text := sealed(t, keys, plain, true)
	read := func(text []byte, partial bool) ([]byte, error) {
		u, err := keys.unseal(bytes.NewReader(text), int64(len(text)), partial)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(u)
	}
	for range 300 {
		cut := rand.IntN(len(text))
		if _, err := read(text[:cut], false); err == nil {
			t.Fatalf("a file of %d bytes that was cut off at %d is whole", len(text), cut)
		}
		want := max(0, (cut-sealHeaderBytes)/sealedChunk*sealChunk)
		if got, err := read(text[:cut], true); cut >= sealHeaderBytes && (err != nil || !bytes.Equal(got, plain[:want])) {
			t.Fatalf("of a file that was cut off at %d, %d bytes could be read, want %d: %v", cut, len(got), want, err)
		}
		flipped := bytes.Clone(text)
		flipped[rand.IntN(len(text))] ^= 1 << rand.IntN(8)
		if _, err := read(flipped, false); err == nil {
			t.Fatal("a changed file is whole")
		}
	}
	swapped := bytes.Clone(text)
	copy(swapped[sealHeaderBytes:], text[sealHeaderBytes+sealedChunk:sealHeaderBytes+2*sealedChunk])
	if _, err := read(swapped, false); !errors.Is(err, ErrDamaged) {
		t.Errorf("chunks that were moved: %v", err)
	}
	other, err := parseKeys(strings.Repeat("B", 43) + "=")
	if err == nil {
		_, err = other.unseal(bytes.NewReader(text), int64(len(text)), false)
	}
	if !errors.Is(err, ErrNoKey) {
		t.Errorf("another key: %v", err)
	}
	if got, err := read(sealed(t, keys, plain, false), true); err != nil || len(got) != len(plain)/sealChunk*sealChunk {
		t.Errorf("a file that was never closed: %d bytes, %v", len(got), err)
	}
}

func TestKeyFiles(t *testing.T) {
	good := "# made in March\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n" +
		"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n"
	path := filepath.Join(t.TempDir(), "keys")
	write := func(text string, mode os.FileMode) {
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	write(good, 0o600)
	keys, err := LoadKeys(path)
	if err != nil || len(keys.all) != 2 {
		t.Fatalf("%v, %v", keys, err)
	}
	// The new key is put first; files of the one before can still be read.
	before, err := parseKeys(strings.Split(good, "\n")[3])
	if err != nil {
		t.Fatal(err)
	}
	text := sealed(t, before, []byte("old"), true)
	if u, err := keys.unseal(bytes.NewReader(text), int64(len(text)), false); err != nil || u.size != 3 {
		t.Errorf("a file of the key before: %v", err)
	}
	for _, c := range []struct {
		text string
		mode os.FileMode
		says string
	}{
		{good, 0o644, "chmod 600"}, {"", 0o600, "no key"}, {"# nothing\n", 0o600, "no key"}, {"short\n", 0o600, "line 1"},
		{good + "AAAA\n", 0o600, "line 5"},
	} {
		write(c.text, c.mode)
		if _, err := LoadKeys(path); err == nil || !strings.Contains(err.Error(), c.says) ||
			strings.Contains(err.Error(), "AAE") {
			t.Errorf("%q with mode %o: %v, want an error that says %q", c.text, c.mode, err, c.says)
		}
	}
	if _, err := LoadKeys(path + ".none"); err == nil {
		t.Error("a file that is not there was read")
	}
}

func FuzzUnseal(f *testing.F) {
	keys, err := parseKeys("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed(f, keys, make([]byte, 5000), true), true)
	f.Add([]byte(sealMagic), false)
	f.Fuzz(func(t *testing.T, text []byte, partial bool) {
		u, err := keys.unseal(bytes.NewReader(text), int64(len(text)), partial)
		if err != nil {
			return
		}
		if n, _ := io.Copy(io.Discard, u); n > int64(len(text)) {
			t.Fatalf("%d bytes of %d", n, len(text))
		}
	})
}
