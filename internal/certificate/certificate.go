// Package certificate holds the certificate of a server as its files have it, and
// reads the files again when they change.
package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/secret"
)

// CheckInterval is how often at most the files are looked at for a change.
const CheckInterval = time.Second

// Config says which files.
type Config struct {
	What string // uses them, for the log and for errors: "SIP over TLS"
	Cert string // PEM: the server's certificate and those between it and its root
	Key  string // PEM: its key
	CA   string // PEM: the roots of peers' certificates; empty for those of the system

	// Accept explains why a certificate and its key cannot be used for what they are for; nil
	// accepts all.
	Accept func(*tls.Certificate) error

	Now func() time.Time
	Log *slog.Logger
}

// Files holds what was read from the files. Existing connections keep what
// they began with.
type Files struct {
	config Config

	mu      sync.Mutex // guards all below
	pair    *tls.Certificate
	roots   *x509.CertPool // nil for the system's
	marks   [3]fileMark
	checked time.Time
}

// fileMark tells versions of a file apart without reading it.
type fileMark struct {
	modified time.Time
	size     int64
}

// New prepares the files. Load reads them.
func New(c Config) *Files { return &Files{config: c} }

// Load reads the files. If they cannot be used, the previous ones stay in use.
func (f *Files) Load() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read()
}

func (f *Files) read() error {
	f.checked, f.marks = f.config.Now(), f.look()
	if err := secret.CheckFile(f.config.Key); err != nil {
		return fmt.Errorf("read the key of %s: %w", f.config.What, err)
	}
	pair, err := tls.LoadX509KeyPair(f.config.Cert, f.config.Key)
	if err != nil {
		return fmt.Errorf("read the certificate of %s: %w. Give a certificate and the key that it was made for, as PEM "+
			"files without a passphrase", f.config.What, err)
	}
	if f.config.Accept != nil {
		if err := f.config.Accept(&pair); err != nil {
			return fmt.Errorf("the certificate of %s in %s: %w", f.config.What, f.config.Cert, err)
		}
	}
	var roots *x509.CertPool
	if f.config.CA != "" {
		text, err := os.ReadFile(f.config.CA)
		if err != nil {
			return fmt.Errorf("read the roots of %s: %w", f.config.What, err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(text) {
			return fmt.Errorf("read the roots of %s: %s holds no certificate in PEM", f.config.What, f.config.CA)
		}
	}
	f.pair, f.roots = &pair, roots
	return nil
}

func (f *Files) look() (marks [3]fileMark) {
	for i, name := range [...]string{f.config.Cert, f.config.Key, f.config.CA} {
		if info, err := os.Stat(name); err == nil {
			marks[i] = fileMark{info.ModTime(), info.Size()}
		}
	}
	return marks
}

// InForce returns the certificate and the roots for a new connection, after a look
// at whether the files have changed.
func (f *Files) InForce() (*tls.Certificate, *x509.CertPool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.config.Now(); now.Sub(f.checked) >= CheckInterval {
		f.checked = now
		if f.look() != f.marks {
			if err := f.read(); err != nil {
				// A certificate and its key are seldom written in one instant.
				f.config.Log.Error("the changed certificate files cannot be used; the previous certificate stays in use",
					"of", f.config.What, "err", err)
			} else {
				f.config.Log.Info("certificate files reloaded", "of", f.config.What)
			}
		}
	}
	return f.pair, f.roots
}

// Server is the configuration for connections that come in.
func (f *Files) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, _ := f.InForce()
			return pair, nil
		},
	}
}

// Check reports what is wrong with the names of the files, without reading them. key is
// how the settings are called, as in "sip_tls".
func (c Config) Check(key string) error {
	if c.Cert == "" || c.Key == "" {
		return fmt.Errorf("%[1]s_cert, %[1]s_key: %s needs both a certificate and its key as PEM files", key, c.What)
	}
	var problems []error
	for _, file := range []struct{ setting, name string }{
		{key + "_cert", c.Cert}, {key + "_key", c.Key}, {key + "_ca", c.CA},
	} {
		if _, err := os.Stat(file.name); file.name != "" && errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("%s: no file %s", file.setting, file.name))
		}
	}
	return errors.Join(problems...)
}
