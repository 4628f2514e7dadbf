package app

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"log/slog"
	"time"

	"github.com/tollgate/tollgate/internal/certificate"
	"github.com/tollgate/tollgate/internal/shaken"
)

// ShakenSettings are the settings of signing calls.
type ShakenSettings struct {
	ShakenCert string `name:"shaken-cert" help:"PEM file of the certificate by which calls are signed, with those between it and its root. Read again when it changes, and on SIGHUP. Gateways say which calls are signed."`
	ShakenKey  string `name:"shaken-key" help:"PEM file of the P-256 key of that certificate, which only its owner and group may read."`
	ShakenX5U  string `name:"shaken-x5u" help:"Where others get that certificate: an address of HTTPS, on port 443 or 8443."`
}

// signs reports whether anything about signing is set.
func (s *ShakenSettings) signs() bool {
	return s.ShakenCert != "" || s.ShakenKey != "" || s.ShakenX5U != ""
}

func (s *ShakenSettings) shakenFiles() certificate.Config {
	return certificate.Config{What: "STIR/SHAKEN", Cert: s.ShakenCert, Key: s.ShakenKey, Accept: shaken.Check,
		Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

// checkShaken reports what is wrong with the settings of signing, and with the files. That a
// certificate has expired is not a problem here: a server that is restarted at night then carries
// its calls unsigned rather than none.
func (c Config) checkShaken() []error {
	if !c.signs() {
		return nil
	}
	var problems []error
	if err := shaken.CheckURL(c.ShakenX5U); err != nil {
		problems = append(problems, c.wrong(&c.ShakenX5U, "%w", err))
	}
	files := c.shakenFiles()
	if err := files.Check("shaken"); err != nil {
		return append(problems, err)
	}
	if err := certificate.New(files).Load(); err != nil {
		problems = append(problems, c.wrong(&c.ShakenCert, "%w", err))
	}
	return problems
}

// CheckTime reports what is wrong with the configuration at a time: whether the certificate
// by which calls are signed is in force.
func (c Config) CheckTime(now time.Time) error {
	if !c.signs() {
		return nil
	}
	files := certificate.New(c.shakenFiles())
	_ = files.Load() // what is wrong with the files, Check reports
	pair, _ := files.InForce()
	if pair == nil {
		return nil
	}
	if err := shaken.CheckTime(pair.Leaf, now); err != nil {
		return c.wrong(&c.ShakenCert, "%w", err)
	}
	return nil
}

// buildShaken prepares the signing of calls. Without a certificate it only counts what a
// gateway would have had signed.
func (a *App) buildShaken() error {
	config := shaken.Config{X5U: a.config.ShakenX5U, Rand: rand.Reader, Log: a.logger}
	if a.config.signs() {
		files := a.config.shakenFiles()
		files.Log = a.logger
		a.signing = certificate.New(files)
		if err := a.signing.Load(); err != nil {
			return err
		}
		config.Files = a.signing
	}
	a.shaken = shaken.New(config)
	a.metrics.WatchShaken(a.shaken.Stats)
	return nil
}

// How often the certificate for signing is looked at, and how often the log repeats that it
// ends soon.
const (
	shakenInterval = time.Minute
	shakenRepeat   = 24 * time.Hour
)

// watchShaken tells the log in time when the certificate for signing ends, until Stop.
func (a *App) watchShaken(ctx context.Context) {
	if a.signing == nil {
		return
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(shakenInterval)
		defer ticker.Stop()
		var told expiryTold
		for {
			told.tell(a.logger, a.shaken.Leaf(), time.Now())
			select {
			case <-running.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	a.undo("the watch of the certificate for signing", func(context.Context) error {
		cancel()
		<-ended
		return nil
	})
}

// expiryTold remembers what was logged.
type expiryTold struct {
	leaf *x509.Certificate
	at   time.Time
}

// tell writes a line a day from the moment at which the certificate should be replaced: when
// a third of its time is left, at most 30 days before its end.
func (t *expiryTold) tell(log *slog.Logger, leaf *x509.Certificate, now time.Time) {
	if leaf == t.leaf && now.Sub(t.at) < shakenRepeat {
		return
	}
	const early = 30 * 24 * time.Hour
	notice := min(early, leaf.NotAfter.Sub(leaf.NotBefore)/3)
	switch err := shaken.CheckTime(leaf, now); {
	case err != nil:
		log.Error("calls are not signed", "err", err)
	case leaf.NotAfter.Sub(now) > notice:
		return
	default:
		log.Warn("the certificate for signing calls ends soon: get a new one from the authority and put it into the file, "+
			"which is read again by itself", "ends", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	t.leaf, t.at = leaf, now
}
