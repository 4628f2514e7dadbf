// Package browser looks at the server's pages with a real browser.
package browser

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/api"
	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// patience is how long the browser may take for a page.
const patience = 2 * time.Minute

// The page at /docs shows every operation and event of the document, complains of nothing and
// asks no other server than its own.
func TestDocsPage(t *testing.T) {
	base := serve(t)
	b := open(t)
	const shown = `document.querySelectorAll(".opblock").length`
	want := operations(t, base)
	within := `document.getElementById("operations-` + want.element + `")`
	var got int
	var title, summary, corner string
	err := chromedp.Run(b.ctx,
		chromedp.Navigate(base+"/docs"),
		chromedp.Poll(shown+` === `+want.count, nil),
		chromedp.Evaluate(shown, &got),
		chromedp.Evaluate(`document.querySelector(".info .title").innerText`, &title),
		chromedp.Evaluate(`getComputedStyle(document.querySelector(".opblock")).borderRadius`, &corner),
		// It is interactive: an operation opens, and shows what it answers.
		chromedp.Evaluate(within+`.querySelector(".opblock-summary-control").click()`, nil),
		chromedp.Poll(within+`.querySelector(".responses-table")?.innerText.includes("200")`, nil),
		chromedp.Evaluate(within+`.querySelector(".opblock-summary-path").dataset.path`, &summary),
	)
	if err != nil {
		t.Fatalf("look at the page: %v; its console says %q, %d operations of %s are shown", err, b.said(), got, want.count)
	}
	if !strings.HasPrefix(title, "Tollgate") || summary != "/v2/balance" {
		t.Errorf("title %q, operation %q", title, summary)
	}
	if corner == "" || corner == "0px" {
		t.Errorf("the style sheet is not in force: corners of %q", corner)
	}
	if said := b.said(); len(said) > 0 {
		t.Errorf("the console says %q", said)
	}
	asked := b.requested()
	for _, path := range []string{"/docs", "/docs/start.js", "/openapi.json"} {
		if !slices.Contains(asked, base+path) {
			t.Errorf("%s was not loaded: %q", path, asked)
		}
	}
	for _, address := range asked {
		if parsed, err := url.Parse(address); err != nil || parsed.Scheme != "data" && !strings.HasPrefix(address, base+"/") {
			t.Errorf("the page asks for %.100s", address)
		}
	}
}

// A page that complains and asks others is noticed.
func TestTheBrowserNotices(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<body><img src="http://other.invalid/x.png"><script>console.error("no"); undefinedFunction()</script><p id="end">`))
	}))
	t.Cleanup(server.Close)
	b := open(t)
	if err := chromedp.Run(b.ctx, chromedp.Navigate(server.URL),
		chromedp.WaitReady("#end", chromedp.ByQuery)); err != nil {
		t.Fatal(err)
	}
	if said := strings.Join(b.said(), "\n"); !strings.Contains(said, "no") ||
		!strings.Contains(said, "undefinedFunction") {
		t.Errorf("the console said %q", said)
	}
	if !slices.Contains(b.requested(), "http://other.invalid/x.png") {
		t.Errorf("requested %q", b.requested())
	}
}

// serve starts the API over an empty store.
func serve(t *testing.T) (base string) {
	t.Helper()
	live := policy.NewLive()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{
		Path: filepath.Join(t.TempDir(), "tollgate.db"), Live: live, Clock: time.Now, IDs: id.NewSource(1, time.Now),
		Owner: uuid.New(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(api.New(api.Config{Stores: app.StoresOf(s), Live: live, Version: "test"}))
	t.Cleanup(server.Close)
	return server.URL
}

// wanted is what the document has.
type wanted struct {
	count   string
	element string // of the balance
}

// operations reads the document.
func operations(t *testing.T, base string) wanted {
	t.Helper()
	answer, err := http.Get(base + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	type methods map[string]struct {
		ID   string   `json:"operationId"`
		Tags []string `json:"tags"`
	}
	var document struct {
		Paths    map[string]methods `json:"paths"`
		Webhooks map[string]methods `json:"webhooks"`
	}
	if err := json.UnmarshalRead(answer.Body, &document); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, of := range document.Paths {
		count += len(of)
	}
	for _, of := range document.Webhooks { // the page shows events as it shows operations
		count += len(of)
	}
	balance := document.Paths["/v2/balance"]["get"]
	if count < 50 || balance.ID == "" {
		t.Fatalf("%d operations, the balance is %+v", count, balance)
	}
	text, err := json.Marshal(count)
	if err != nil {
		t.Fatal(err)
	}
	return wanted{string(text), strings.ReplaceAll(balance.Tags[0], " ", "_") + "-" + balance.ID}
}

// page is a page of a browser, and what is to be known of it.
type page struct {
	ctx context.Context

	mu       sync.Mutex // guards the fields below
	console  []string   // what it complained of
	requests []string
}

func (b *page) said() []string { b.mu.Lock(); defer b.mu.Unlock(); return slices.Clone(b.console) }
func (b *page) requested() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.requests)
}

// open starts a browser, which ends with the test.
func open(t *testing.T) *page {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing; make deps installs it")
	}
	// The tests run as root in containers, where Chromium has no sandbox of its own;
	// what it looks at is this server alone.
	home := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Env("HOME="+home, "TMPDIR="+home), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WindowSize(1400, 1000))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	ctx, cancelBrowser := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancelBrowser)
	b := &page{}
	b.ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		// Closed and not killed, so that nothing is written to its folder any more.
		if err := chromedp.Cancel(b.ctx); err != nil {
			t.Logf("close Chromium: %v", err)
		}
	})
	chromedp.ListenTarget(b.ctx, b.note)
	if err := chromedp.Run(b.ctx, network.Enable(), log.Enable(), runtime.Enable()); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return b
}

// note takes down an event of the browser.
func (b *page) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			b.console = append(b.console, e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		b.console = append(b.console, e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning || e.Type == runtime.APITypeAssert {
			for _, arg := range e.Args {
				b.console = append(b.console, string(arg.Value)+arg.Description)
			}
		}
	}
}
