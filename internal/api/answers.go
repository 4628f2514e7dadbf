package api

import (
	"context"
	"sync"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
)

// Answers that depend on nothing but the account's configuration are kept, rendered,
// until it changes. Whether it has is asked of the store before each use, so a kept
// answer is never older than the last write that was answered.

// maxAnswerBytes bounds the memory: some ten thousand profiles.
const maxAnswerBytes = 32 << 20

// answerOverhead is about what an answer takes beside its body and its key.
const answerOverhead = 300

// answers are those that are kept.
type answers struct {
	mu    sync.Mutex // guards the fields below
	kept  map[answerKey]keptAnswer
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
	op        *operation
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
	if kept := a.kept[key]; kept.version == version {
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
	if a.kept == nil || a.bytes+size > maxAnswerBytes {
		a.kept, a.bytes = make(map[answerKey]keptAnswer), 0
	}
	if old, ok := a.kept[key]; ok {
		a.bytes -= len(old.answer.Body) + len(key.id) + len(key.query) + answerOverhead
	}
	a.kept[key] = kept
	a.bytes += size
}

// begin says whether nobody else makes an answer now, or waits until they have. end
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
func (s *engine) answerOf(ctx context.Context, in *request, rawQuery string) (*response, error) {
	read := func() (answer *response, err error) {
		if in.query, err = parseQuery(in.op.params, rawQuery, in.op.passesOver()); err != nil {
			return nil, err
		}
		answer, err = in.op.handle(ctx, in)
		if err == nil && in.query.nothing {
			answer.withoutRows()
		}
		return answer, err
	}
	if in.op.effect != readsConfig {
		return read()
	}
	// The version is taken before the read: what is read may be newer, never older.
	version, known := s.Kept.ConfigVersion(in.account)
	if !known {
		return read()
	}
	key := answerKey{in.op, in.account, in.id, rawQuery, in.caller.sees}
	if kept := s.answers.get(key, version); kept != nil {
		return &response{encoded: kept}, nil
	}
	end, first := s.answers.begin(ctx, madeAnswer{key, version})
	defer end()
	if !first {
		// The other read may have failed, or its client may have gone away.
		if kept := s.answers.get(key, version); kept != nil {
			return &response{encoded: kept}, nil
		}
	}
	answer, err := read()
	if err != nil || len(in.query.ignored) > 0 {
		// An answer is kept without the header that names what was passed over, and such
		// queries have no end.
		return answer, err
	}
	encoded, err := in.op.encode(answer)
	if err != nil {
		return nil, err
	}
	s.answers.put(key, keptAnswer{&encoded, version})
	return &response{encoded: &encoded}, nil
}
