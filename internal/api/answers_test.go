package api

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
)

// A read that begins after a write was answered shows it, whoever reads meanwhile.
func TestReadsFollowWrites(t *testing.T) {
	h := newHarness(t)
	one := fmt.Sprint("/v2/outbound_voice_profiles/", h.do("POST", "/v2/outbound_voice_profiles", `{"name":"0000"}`).want(http.StatusOK)["id"])
	number := func(key, path string, of func(reply) any) int {
		n, err := strconv.Atoi(fmt.Sprint(of(h.doWith(key, "GET", path, ""))))
		if err != nil {
			t.Error(err)
		}
		return n
	}
	got := func(key string) int {
		return number(key, one, func(r reply) any { return r.want(http.StatusOK)["name"] })
	}
	listed := func() int {
		return number(h.key, "/v2/outbound_voice_profiles?page[size]=5", func(r reply) any { return r.list()[0]["name"] })
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		key := h.newKey(h.first.ID)
		readers.Go(func() {
			last := 0
			for range 3000 { // fewer than the rate limit lets through while the clock stands still
				select {
				case <-stop:
					return
				default:
				}
				now := got(key)
				if now < last {
					t.Errorf("read %d after %d", now, last)
				}
				last = now
			}
		})
	}
	for n := 1; n <= 100; n++ {
		h.do("PATCH", one, fmt.Sprintf(`{"name":"%04d"}`, n)).want(http.StatusOK)
		if a, b := got(h.key), listed(); a != n || b != n {
			t.Fatalf("after write %d a read shows %d and a list %d", n, a, b)
		}
	}
	close(stop)
	readers.Wait()
	// What another object of the account makes of it is shown too.
	count := func() any { return h.do("GET", one, "").want(http.StatusOK)["connections_count"] }
	if n := count(); n != 0.0 {
		t.Errorf("%v connections before there is one", n)
	}
	h.do("POST", "/v2/ip_connections", fmt.Sprintf(`{"connection_name":"pbx","outbound":{"outbound_voice_profile_id":%q}}`, one[len("/v2/outbound_voice_profiles/"):])).want(http.StatusCreated)
	if n := count(); n != 1.0 {
		t.Errorf("%v connections after one was made", n)
	}
	_, stranger := h.secondAccount()
	h.doWith(stranger, "GET", one, "").wantError(http.StatusNotFound, "10005 /")
	if items := h.doWith(stranger, "GET", "/v2/outbound_voice_profiles?page[size]=5", "").list(); len(items) != 0 {
		t.Errorf("another account's list shows %v", items)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	var a answers
	body := make([]byte, 10_000)
	for n := range 2 * maxAnswerBytes / len(body) {
		a.put(answerKey{account: id.ID(n)}, keptAnswer{&store.Answer{Body: body}, 1})
		if a.bytes > maxAnswerBytes || len(a.kept)*len(body) > maxAnswerBytes {
			t.Fatalf("%d bytes are kept in %d answers", a.bytes, len(a.kept))
		}
	}
	key := answerKey{account: 1}
	for range 10_000 {
		a.put(key, keptAnswer{&store.Answer{Body: body}, 2})
	}
	if a.get(key, 1) != nil || a.get(key, 2) == nil {
		t.Error("an answer of another version is taken, or the right one is not")
	}
	a = answers{}
	a.put(key, keptAnswer{&store.Answer{Body: make([]byte, maxAnswerBytes/100)}, 1})
	if len(a.kept) != 0 {
		t.Error("an answer that takes the room of a hundred others is kept")
	}
}
