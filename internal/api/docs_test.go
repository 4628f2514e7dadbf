package api

import (
	"compress/gzip"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// The page and all that it loads come from this server, and its policy lets
// nothing else in.
func TestDocsPageNeedsNoOtherHost(t *testing.T) {
	h := newHarness(t)
	page := h.send("GET", "/docs", http.Header{}, nil)
	if page.status != http.StatusOK || page.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("page: %d %v", page.status, page.header)
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page.text, -1)
	if len(links) != 5 {
		t.Errorf("%d links on the page", len(links))
	}
	policy := page.header.Get("Content-Security-Policy")
	for _, link := range links {
		if !strings.HasPrefix(link[1], "/") || strings.HasPrefix(link[1], "//") {
			t.Errorf("the page refers to %s", link[1])
		}
		got := h.send("GET", link[1], http.Header{}, nil)
		if got.status != http.StatusOK || len(got.text) == 0 {
			t.Errorf("%s: %d", link[1], got.status)
		}
		// What a browser gets, which takes gzip, is the same.
		if strings.HasPrefix(link[1], "/docs/swagger-ui") {
			packed := h.send("GET", link[1], http.Header{"Accept-Encoding": {"gzip"}}, nil)
			reader, err := gzip.NewReader(strings.NewReader(packed.text))
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(reader); err != nil || string(text) != got.text {
				t.Errorf("%s: compressed it is something else: %v", link[1], err)
			}
		}
		if strings.HasSuffix(link[1], ".css") {
			for _, loaded := range regexp.MustCompile(`(?:url\(|@import)\s*["']?([^"')\s]*)`).
				FindAllStringSubmatch(got.text, -1) {
				if !strings.HasPrefix(loaded[1], "data:") && !strings.HasPrefix(loaded[1], "#") {
					t.Errorf("%s loads %.60s", link[1], loaded[1])
				}
			}
		}
		if strings.HasPrefix(link[1], "/docs/") && got.header.Get("Content-Security-Policy") != policy {
			t.Errorf("%s has the policy %q", link[1], got.header.Get("Content-Security-Policy"))
		}
	}
	if !strings.Contains(policy, "default-src 'none'; script-src 'self';") ||
		strings.Contains(policy, "http") || strings.Contains(policy, "*") ||
		strings.Contains(page.text, "<script>") || strings.Contains(page.text, "onload") {
		t.Errorf("policy %q of %s", policy, page.text)
	}
	script := h.send("GET", "/docs/start.js", http.Header{}, nil).text
	if !strings.Contains(script, `url: "/openapi.json"`) || !strings.Contains(script, "validatorUrl: null") ||
		strings.Contains(script, "://") {
		t.Errorf("the script would load something else: %s", script)
	}
	for _, wrong := range []string{"/docs/nothing", "/docs/swagger-ui.js", "/docs/../docs"} {
		if got := h.send("GET", wrong, http.Header{}, nil); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", wrong, got.status)
		}
	}
}
