package sipgw

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// answerBudget is what may be sent to strangers: so many answers and so many bytes a
// second for all of them together, since the address that a datagram names may be that of
// someone else.
type answerBudget struct {
	mu             sync.Mutex // guards both below
	answers, bytes bucket
}

// take takes what an answer of that size needs, and says whether there was enough.
func (b *answerBudget) take(size int, now time.Time, limits *Limits) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers.fill(now, limits.StrangerAnswers)
	b.bytes.fill(now, limits.StrangerBytes)
	if b.answers.tokens < 1 || b.bytes.tokens < float64(size) {
		return false
	}
	b.answers.tokens--
	b.bytes.tokens -= float64(size)
	return true
}

// fill adds what a second gives, up to a second's worth; a new bucket is full.
func (b *bucket) fill(now time.Time, perSecond float64) {
	if b.at.IsZero() {
		b.tokens = perSecond
	}
	b.tokens = min(perSecond, b.tokens+max(0, now.Sub(b.at).Seconds())*perSecond)
	b.at = now
}

// An answer to a stranger is never larger than mostAmplified times its request. Above
// wantedAmplified it is cut down first: no header that could be missed, and one way to
// authenticate instead of all.
const (
	wantedAmplified = 2
	mostAmplified   = 3
)

// answerStateless answers a request for which the same answer can be given again, and
// keeps nothing of it (RFC 3261 sections 8.2.7 and 26.3.2.4): a repetition of the request
// gets the same tag, and an ACK is dropped. lesser is what extra may shrink to.
func (sh *shard) answerStateless(m *message, status int, phrase, extra, lesser string) {
	tag := sh.tagFor(m)
	data := m.Response(status, phrase, tag, extra, nil, "")
	if m.peer.stranger && len(data) > wantedAmplified*m.size {
		data = m.Response(status, phrase, tag, lesser, nil, "")
	}
	sh.srv.answer(m.replyTo(), data, m.size)
}

// answer sends an answer of which nothing is kept to a request of that size, if its
// source is known or the strangers' budget has room for it.
func (srv *Server) answer(to peer, data []byte, request int) {
	if to.stranger && (len(data) > mostAmplified*request ||
		!srv.strangers.take(len(data), srv.config.Clock(), &srv.config.Limits)) {
		srv.count.unanswered.Add(1)
		srv.warnings.strangers.warn(srv.log, srv.config.Clock(),
			"strangers send more than they are answered; what is above is only counted",
			"answers_per_second", srv.config.Limits.StrangerAnswers)
		return
	}
	srv.transport.answer(to, data)
}

// tagFor is the tag of answers that nothing is kept of: the same for the same request,
// and unpredictable to others.
func (sh *shard) tagFor(m *message) string {
	b := sh.key[:0]
	for _, part := range [...]string{m.Via.SentBy, m.Via.Branch, m.CallID, m.FromTag} {
		b = append(append(b, part...), 0)
	}
	sh.key = strconv.AppendUint(b, uint64(m.CSeq), 10)
	sh.tagger.Reset()
	sh.tagger.Write(sh.key)
	sh.key = sh.tagger.Sum(sh.key[:0])
	return tagText(sh.key)
}

// tagForBytes is the same of a request that could not be read.
func (srv *Server) tagForBytes(request []byte) string {
	h := hmac.New(sha256.New, srv.tagSecret[:])
	h.Write(request)
	return tagText(h.Sum(nil))
}

// tagBytes are those of a MAC that make a tag.
const tagBytes = 10

func tagText(mac []byte) string {
	var text [2 * tagBytes]byte
	hex.Encode(text[:], mac[:tagBytes])
	return string(text[:])
}

// warning is a line of the log that is written once a minute at most.
type warning struct{ at atomic.Int64 }

func (w *warning) warn(log *slog.Logger, at time.Time, text string, attributes ...any) {
	now, last := at.UnixNano(), w.at.Load()
	if now-last < int64(time.Minute) || !w.at.CompareAndSwap(last, now) {
		return
	}
	log.Warn(text, attributes...)
}

// warnings are those about strangers.
type warnings struct{ source, strangers, connections warning }
