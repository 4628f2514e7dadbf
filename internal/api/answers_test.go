package api

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// A read that begins after a write was answered shows it, and reads at the same time change nothing in that.
func TestReadsFollowWrites(t *testing.T) {
	h := newHarness(t)
	one := fmt.Sprint("/v2/outbound_voice_profiles/",
		h.do("POST", "/v2/outbound_voice_profiles", `{"name":"0000"}`).want(http.StatusOK)["id"])
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
	h.do("POST", "/v2/ip_connections", fmt.Sprintf(`{"connection_name":"pbx","outbound":{"outbound_voice_profile_id":%q}}`,
		one[len("/v2/outbound_voice_profiles/"):])).want(http.StatusCreated)
	if n := count(); n != 1.0 {
		t.Errorf("%v connections after one was made", n)
	}
	_, stranger := h.secondAccount()
	h.doWith(stranger, "GET", one, "").wantError(http.StatusNotFound, "10005 /")
	if items := h.doWith(stranger, "GET", "/v2/outbound_voice_profiles?page[size]=5", "").list(); len(items) != 0 {
		t.Errorf("another account's list shows %v", items)
	}
}
