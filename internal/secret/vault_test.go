package secret

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func newVault(t *testing.T, keys ...byte) *Vault {
	t.Helper()
	var all [][]byte
	for _, key := range keys {
		all = append(all, []byte(strings.Repeat(string(rune(key)), keyBytes)))
	}
	v, err := New(all...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSeal(t *testing.T) {
	v := newVault(t, 'a')
	sealed := v.Seal("table/1", "correct horse")
	if strings.Contains(sealed, "horse") || sealed == v.Seal("table/1", "correct horse") {
		t.Errorf("sealed as %s", sealed)
	}
	if text, err := v.Unseal("table/1", sealed); err != nil || text != "correct horse" {
		t.Errorf("opened %q, %v", text, err)
	}
	// Where another secret is shown it does not open, and neither does a changed one.
	if text, err := v.Unseal("table/2", sealed); !errors.Is(err, ErrDamaged) {
		t.Errorf("moved: %q, %v", text, err)
	}
	for _, damaged := range []string{sealed[:len(sealed)-2], sealed + "AA", sealed[:len(sealed)-4] + "AAAA",
		"tgsealed1:" + v.ID() + ":", "tgsealed1:" + v.ID() + ":!"} {
		if text, err := v.Unseal("table/1", damaged); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %q, %v", damaged, text, err)
		}
	}
	if text, err := newVault(t, 'b').Unseal("table/1", sealed); !errors.Is(err, ErrNoKey) {
		t.Errorf("with another key: %q, %v", text, err)
	}
	// A vault whose first key is new opens what the old one has sealed.
	rotated := newVault(t, 'b', 'a')
	if text, err := rotated.Unseal("table/1", sealed); err != nil || text != "correct horse" || rotated.Current(sealed) {
		t.Errorf("after a rotation: %q, %v", text, err)
	}
	if text, err := v.Unseal("table/1", "plain"); err != nil || text != "plain" {
		t.Errorf("plain: %q, %v", text, err)
	}
}

func TestFilesOfSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.key")
	if err := Make(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("made as %v, %v", info.Mode(), err)
	}
	if err := Make(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	for mode, ok := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o440: true, 0o640: true,
		0o604: false, 0o644: false, 0o606: false, 0o660: false, 0o620: false, 0o601: false, 0o777: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		err := CheckFile(path)
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("%04o: %v", mode, err)
		}
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if CheckFile(link) == nil {
		t.Error("a link hides who can read the file")
	}
}

func TestKeyFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "secrets.key")
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", keyBytes)))
	for text, want := range map[string]string{
		"": "no key", "# nothing\n": "no key", "x": "line 1", "\n" + key[:20]: "line 2", key + "\n" + key: "duplicate",
		key: "", "# of node 1\n\n  " + key + "\r\n": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if (err == nil) != (want == "") || err != nil &&
			(!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), key)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestRotationOfAKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.key")
	if err := Make(path); err != nil {
		t.Fatal(err)
	}
	before, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	added, err := AddKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if both, err := Load(path); err != nil || both.ID() != before.ID() || !both.Has(added) {
		t.Errorf("with a second key: %v, %v", both, err)
	}
	id, err := Promote(path)
	if err != nil || id != added {
		t.Errorf("promoted %s, %v", id, err)
	}
	if after, err := Load(path); err != nil || after.ID() != added || !after.Has(before.ID()) || len(after.keys) != 2 {
		t.Errorf("after the rotation: %v, %v", after, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestIsMask(t *testing.T) {
	for text, want := range map[string]bool{"": false, " ": false, "*": true, Mask: true, " ***\n": true, "••••": true,
		"*a*": false, "a": false, "** **": false} {
		if IsMask(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
