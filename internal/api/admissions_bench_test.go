package api

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkAdmissions asks for admission, and tells of the end, over keep-alive
// connections. The empty handler beside it shows what HTTP alone costs.
func BenchmarkAdmissions(b *testing.B) {
	h := newHarness(b)
	h.key = h.newKey(h.first.ID, Scopes()...)
	h.api.Logger = slog.New(slog.DiscardHandler)
	_, pbx := h.pbx(`{"name":"pbx"}`)
	h.api.Clock = time.Now
	address := strings.TrimPrefix(h.url, "http://")
	var calls atomic.Int64
	admit := func() (path, body string) {
		return "/tollgate/v1/admissions", attemptOf(pbx, fmt.Sprintf("call-%d@pbx", calls.Add(1)), "+13125550199")
	}
	for _, connections := range []int{16, 256} {
		b.Run(fmt.Sprintf("empty/%d", connections), func(b *testing.B) {
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(w, `{"data":{}}`)
			})}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			go func() { _ = server.Serve(listener) }()
			defer server.Close()
			before := calls.Load()
			drive(b, listener.Addr().String(), h.key, connections, admit)
			calls.Store(before) // the server has heard of none of these
		})
		b.Run(fmt.Sprintf("admit/%d", connections), func(b *testing.B) { drive(b, address, h.key, connections, admit) })
		b.Run(fmt.Sprintf("end/%d", connections), func(b *testing.B) {
			var ended atomic.Int64
			drive(b, address, h.key, connections, func() (path, body string) {
				n := ended.Add(1)
				if n > calls.Load() {
					return admit()
				}
				return fmt.Sprintf("/tollgate/v1/admissions/call-%d@pbx/end", n), `{"duration_secs":1,"answered":true}`
			})
		})
	}
}

// drive sends requests over so many connections, and reports how many a second.
func drive(b *testing.B, address, key string, connections int, next func() (path, body string)) {
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	started := time.Now()
	for range connections {
		group.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			for left.Add(-1) >= 0 {
				path, body := next()
				_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"+
					"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, key, len(body), body)
				if err != nil {
					b.Error(err)
					return
				}
				answer, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Error(err)
					return
				}
				text, _ := io.ReadAll(answer.Body)
				if answer.StatusCode != http.StatusOK {
					b.Errorf("%s: %s", answer.Status, text)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/time.Since(started).Seconds(), "requests/s")
}
