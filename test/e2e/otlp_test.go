package e2e

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// spanReceiver is a collector of OTLP over HTTP.
type spanReceiver struct {
	mu    sync.Mutex
	spans map[string][]*trace.Span // by trace
	raw   strings.Builder
}

func (c *spanReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	text, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(text, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not spans", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(text)
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				id := hex.EncodeToString(span.TraceId)
				c.spans[id] = append(c.spans[id], span)
			}
		}
	}
}

func TestACallIsTraced(t *testing.T) {
	received := &spanReceiver{spans: map[string][]*trace.Span{}}
	target := httptest.NewServer(received)
	defer target.Close()
	s := serve(t, t.TempDir(), "--otlp", target.URL)
	s.setUp(nil, startCarrier(t))
	// The first gateway cannot be found, so that the call fails over.
	_, list := s.Call(http.MethodGet, "/tollgate/v1/gateways", nil)
	carrier := list["data"].([]any)[0].(object)["id"].(string)
	s.Must(http.MethodPatch, "/tollgate/v1/gateways/"+carrier, object{"priority": 1})
	s.Must(http.MethodPost, "/tollgate/v1/gateways", object{"name": "broken", "address": "broken.invalid"})
	s.pbx("pbx.xml", "+12125550123", 2, 50, 200*time.Millisecond).wait(t)
	<-s.pbx("pbx.xml", "+18765550123", 1, 50, 0).done
	s.settled()
	records := s.records()
	if status := s.Terminate(); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	received.mu.Lock()
	defer received.mu.Unlock()
	for _, r := range records {
		spans := received.spans[strings.ReplaceAll(r["id"].(string), "-", "")]
		names := map[string]int{}
		var root *trace.Span
		for _, span := range spans {
			names[span.Name]++
			if span.EndTimeUnixNano < span.StartTimeUnixNano {
				t.Errorf("span %s ends before it starts", span.Name)
			}
			if len(span.ParentSpanId) == 0 {
				root = span
			}
		}
		if root == nil || root.Name != "call" {
			t.Fatalf("call %v has the spans %v and no root", r["id"], names)
		}
		for _, span := range spans {
			if span != root && (string(span.ParentSpanId) != string(root.SpanId) ||
				span.StartTimeUnixNano < root.StartTimeUnixNano || span.EndTimeUnixNano > root.EndTimeUnixNano) {
				t.Errorf("span %s is not within its call", span.Name)
			}
		}
		want := map[string]int{"call": 1, "decide": 1, "gateway": 2, "conversation": 1, "settle": 1}
		if r["outcome"] == "refused" {
			want = map[string]int{"call": 1, "decide": 1, "settle": 1}
		}
		for name, n := range want {
			if names[name] != n {
				t.Errorf("a call that was %v has %d spans %q, want %d: %v", r["outcome"], names[name], name, n, names)
			}
		}
		length := time.Duration(root.EndTimeUnixNano - root.StartTimeUnixNano)
		if r["outcome"] == "answered" && (length < 200*time.Millisecond || length > 20*time.Second) {
			t.Errorf("a call of 200 ms has a span of %v", length)
		}
	}
	if len(records) != 3 || len(received.spans) != 3 {
		t.Errorf("%d records and %d traces, want 3 of each", len(records), len(received.spans))
	}
	if strings.Contains(received.raw.String(), "5550123") {
		t.Error("a trace names a number")
	}
}

func TestACollectorThatIsAwayHarmsNobody(t *testing.T) {
	s := serve(t, t.TempDir(), "--otlp", "http://127.0.0.1:1")
	s.setUp(nil, startCarrier(t))
	s.pbx("pbx.xml", "+12125550123", 5, 50, 100*time.Millisecond).wait(t)
	s.settled()
	started := time.Now()
	if status := s.Terminate(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if took := time.Since(started); took > 15*time.Second {
		t.Errorf("the end took %v", took)
	}
}
