package rest

import (
	"testing"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
)

func TestAnswersAreBounded(t *testing.T) {
	var a answers
	body := make([]byte, 10_000)
	for n := range 2 * maxAnswerBytes / len(body) {
		a.put(answerKey{account: id.ID(n)}, keptAnswer{&collection.Answer{Body: body}, 1})
		if a.bytes > maxAnswerBytes || len(a.Kept)*len(body) > maxAnswerBytes {
			t.Fatalf("%d bytes are kept in %d answers", a.bytes, len(a.Kept))
		}
	}
	key := answerKey{account: 1}
	for range 10_000 {
		a.put(key, keptAnswer{&collection.Answer{Body: body}, 2})
	}
	if a.get(key, 1) != nil || a.get(key, 2) == nil {
		t.Error("an answer of another version is taken, or the right one is not")
	}
	a = answers{}
	a.put(key, keptAnswer{&collection.Answer{Body: make([]byte, maxAnswerBytes/100)}, 1})
	if len(a.Kept) != 0 {
		t.Error("an answer that takes the room of a hundred others is kept")
	}
}
