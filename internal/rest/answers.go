package rest

import (
	"context"
	"sync"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
)

// Answers that depend on nothing but the account's configuration are kept, rendered,
// until it changes. Whether it has is asked of the store before each use, so a kept
// answer is never older than the last write that was answered.

// maxAnswerBytes bounds the memory: some ten thousand objects.
const maxAnswerBytes = 32 << 20

// answerOverhead is about what an answer takes beside its body and its key.
const answerOverhead = 300

// answers are those that are kept.
type answers struct {
	mu    sync.Mutex // guards the fields below
	Kept  map[answerKey]keptAnswer
	bytes int
	// made are the answers that are being made, so that many who ask for the same
	// one after a change wait for one read.
	made map[madeAnswer]chan struct{}
}

type madeAnswer struct {
	key     answerKey
	version uint64
}

type answerKey struct {
	op        *Operation
	account   id.ID
	id, query string
	sees      bool // secrets
}

type keptAnswer struct {
	answer  *collection.Answer
	version uint64 // of the configuration that it was made from
}

func (a *answers) get(key answerKey, version uint64) *collection.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if kept := a.Kept[key]; kept.version == version {
		return kept.answer
	}
	return nil
}

func (a *answers) put(key answerKey, kept keptAnswer) {
	size := len(kept.answer.Body) + len(key.id) + len(key.query) + answerOverhead
	if size > maxAnswerBytes/100 {
		return // it would drive out many others
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Kept == nil || a.bytes+size > maxAnswerBytes {
		a.Kept = make(map[answerKey]keptAnswer)
		a.bytes = 0
	}
	if old, ok := a.Kept[key]; ok {
		a.bytes -= len(old.answer.Body) + len(key.id) + len(key.query) + answerOverhead
	}
	a.Kept[key] = kept
	a.bytes += size
}

// begin reports whether no other request makes an answer now, or waits until they have. end
// is to be called when the caller has made it.
func (a *answers) begin(ctx context.Context, one madeAnswer) (end func(), first bool) {
	a.mu.Lock()
	made, others := a.made[one]
	if !others {
		if a.made == nil {
			a.made = make(map[madeAnswer]chan struct{})
		}
		made = make(chan struct{})
		a.made[one] = made
	}
	a.mu.Unlock()
	if !others {
		return func() {
			a.mu.Lock()
			delete(a.made, one)
			a.mu.Unlock()
			close(made)
		}, true
	}
	select {
	case <-made:
	case <-ctx.Done():
	}
	return func() {}, false
}

// answerOf runs a read, or takes the kept answer to it.
func (s *Server) answerOf(ctx context.Context, in *Request, rawQuery string) (*Response, error) {
	read := func() (answer *Response, err error) {
		if in.Query, err = parseQuery(in.Op.Params, rawQuery, in.Op.PassesOver()); err != nil {
			return nil, err
		}
		answer, err = in.Op.Handle(ctx, in)
		if err == nil && in.Query.Nothing {
			answer.withoutRows()
		}
		return answer, err
	}
	if in.Op.Effect != ReadsConfig {
		return read()
	}
	// The version is taken before the read: what is read may be newer, never older.
	version, known := s.Kept.ConfigVersion(in.Account)
	if !known {
		return read()
	}
	key := answerKey{in.Op, in.Account, in.ID, rawQuery, in.Caller.Sees}
	if kept := s.Answers.get(key, version); kept != nil {
		return &Response{encoded: kept}, nil
	}
	end, first := s.Answers.begin(ctx, madeAnswer{key, version})
	defer end()
	if !first {
		// The other read may have failed, or its client may have gone away.
		if kept := s.Answers.get(key, version); kept != nil {
			return &Response{encoded: kept}, nil
		}
	}
	answer, err := read()
	if err != nil || len(in.Query.ignored) > 0 {
		// An answer is kept without the header that names what was passed over, and such
		// queries have no end.
		return answer, err
	}
	encoded, err := in.Op.encode(answer)
	if err != nil {
		return nil, err
	}
	s.Answers.put(key, keptAnswer{&encoded, version})
	return &Response{encoded: &encoded}, nil
}
