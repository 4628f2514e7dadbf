package rest

import (
	"sync"
	"time"
)

// The log lines of strangers' requests: a number per second, and at once. What is left
// out is reported once a minute.
const (
	strangerLines      = 10
	strangerLinesBurst = 100
	leftOutInterval    = time.Minute
)

// Lines bounds the lines of the log.
type Lines struct {
	mu      sync.Mutex // guards the fields below
	level   float64
	at      time.Time
	leftOut int
	told    time.Time
}

// Take reports whether one more line may be written, and how many were left out that are
// to be reported now.
func (l *Lines) Take(now time.Time) (write bool, leftOut int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.IsZero() {
		l.level = strangerLinesBurst
		l.told = now
	}
	l.level = min(strangerLinesBurst, l.level+max(0, now.Sub(l.at).Seconds())*strangerLines)
	l.at = now
	if l.level >= 1 {
		l.level--
		write = true
	} else {
		l.leftOut++
	}
	if l.leftOut > 0 && now.Sub(l.told) >= leftOutInterval {
		leftOut, l.leftOut, l.told = l.leftOut, 0, now
	}
	return write, leftOut
}
