package transport

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// answerBudget bounds what is sent to strangers: a number of answers and of bytes per
// second for all of them together, since the address that a datagram names may be that of
// someone else.
type answerBudget struct {
	mu             sync.Mutex // guards both below
	answers, bytes Bucket
}

// Warning is a line of the log that is written once a minute at most.
type Warning struct{ at atomic.Int64 }

// Warn writes the line, unless one was written less than a minute ago.
func (w *Warning) Warn(log *slog.Logger, at time.Time, text string, attributes ...any) {
	now, last := at.UnixNano(), w.at.Load()
	if now-last < int64(time.Minute) || !w.at.CompareAndSwap(last, now) {
		return
	}
	log.Warn(text, attributes...)
}

// take takes what an answer of that size needs, and reports whether there was enough.
func (b *answerBudget) take(size int, now time.Time, limits *Limits) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers.Fill(now, limits.StrangerAnswers)
	b.bytes.Fill(now, limits.StrangerBytes)
	if b.answers.Tokens < 1 || b.bytes.Tokens < float64(size) {
		return false
	}
	b.answers.Tokens--
	b.bytes.Tokens -= float64(size)
	return true
}
