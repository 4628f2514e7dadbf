package telemetry

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/httpd"
	"github.com/tollgate/tollgate/internal/media/relay"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/recording"
	"github.com/tollgate/tollgate/internal/shaken"
	"github.com/tollgate/tollgate/internal/sipgw"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/webhook"
)

const rulesFile, dashboardFile, operationsFile = "../../examples/monitoring/tollgate.rules.yml",
	"../../examples/monitoring/grafana.json", "../../docs/OPERATIONS.md"

var metricName = regexp.MustCompile(`\b(?:tollgate|process|go)_[a-z_]+[a-z]\b`)

// families are the names of everything that a server measures, once each has been used.
func families(t *testing.T) map[string]bool {
	t.Helper()
	m := New("test")
	m.Watch(Sources{
		SIPStats: func() sipgw.Stats { return sipgw.Stats{} }, SIPLoad: func() sipgw.Load { return sipgw.Load{} },
		Totals: func(context.Context) (sqlstore.Totals, error) { return sqlstore.Totals{}, nil },
	})
	m.WatchHEP(func() uint64 { return 0 }, func() uint64 { return 0 })
	m.WatchShaken(func() shaken.Stats {
		return shaken.Stats{Signed: map[string]uint64{"A": 1}, Failed: map[string]uint64{"other": 1}, Expiry: time.Unix(1, 0)}
	})
	m.WatchHTTP("api", func() httpd.Stats { return httpd.Stats{} })
	m.WatchMedia(func() relay.Stats { return relay.Stats{} })
	m.WatchRecordings(func() recording.Stats { return recording.Stats{} })
	m.Media(relay.Quality{Packets: 1, Lost: 1, Jitter: time.Millisecond})
	m.Group(ledger.Group{Size: 1, Records: []*record.Call{{Outcome: record.OutcomeAnswered, GatewayID: 1,
		DurationMicros: 1}}})
	m.Rang(1, time.Second)
	m.Attempt(webhook.Attempt{State: webhook.Delivered})
	m.EventRejected("x")
	names := map[string]bool{}
	for line := range strings.SplitSeq(scrape(t, m), "\n") {
		if name, found := strings.CutPrefix(line, "# TYPE "); found {
			name, kind, _ := strings.Cut(name, " ")
			names[name] = true
			if kind == "histogram" {
				names[name+"_bucket"], names[name+"_sum"], names[name+"_count"] = true, true, true
			}
		}
	}
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhatIsShownAndAlertedOnExists(t *testing.T) {
	names := families(t)
	if len(names) < 30 {
		t.Fatalf("only %d metrics", len(names))
	}
	for _, path := range []string{rulesFile, dashboardFile, operationsFile} {
		found := metricName.FindAllString(read(t, path), -1)
		for _, name := range found {
			if !names[name] {
				t.Errorf("%s names %s, which is not measured", path, name)
			}
		}
		if len(found) < 14 {
			t.Errorf("%s names only %d metrics", path, len(found))
		}
	}
	// And the operator can look up each of ours, and each alert.
	page := read(t, operationsFile)
	for name := range names {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "tollgate_") && !strings.Contains(page, "`"+base+"`") {
			t.Errorf("%s does not tell of %s", operationsFile, base)
		}
	}
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(read(t, rulesFile), -1) {
		if !strings.Contains(page, "`"+alert[1]+"`") {
			t.Errorf("%s does not say what to do about %s", operationsFile, alert[1])
		}
	}
}

func TestReasonsInRulesExist(t *testing.T) {
	var reasons []string
	for _, r := range admission.Reasons() {
		reasons = append(reasons, r.String())
	}
	found := 0
	for _, match := range regexp.MustCompile(`reason=~?"([a-z_|]+)"`).FindAllStringSubmatch(read(t, rulesFile), -1) {
		for word := range strings.SplitSeq(match[1], "|") {
			found++
			if !slices.Contains(reasons, word) {
				t.Errorf("no call is refused for %q", word)
			}
		}
	}
	if found < 5 {
		t.Errorf("%d reasons found", found)
	}
}

func TestRulesAreRules(t *testing.T) {
	if testing.Short() {
		t.Skip("needs promtool")
	}
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("promtool is needed (Debian package prometheus; \"make deps\" installs it): %v", err)
	}
	if out, err := exec.Command(path, "check", "rules", rulesFile).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// Every expression of the dashboard is one of Prometheus, too. Grafana's own
	// variables stand for a duration and for any text.
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &dashboard,
		json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	expressions := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expressions++
			expr := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(target.Expr)
			rules.WriteString("  - record: r" + strings.Repeat("x", expressions) + "\n    expr: '" + expr + "'\n")
		}
	}
	if expressions < 18 {
		t.Errorf("%d expressions", expressions)
	}
	file := t.TempDir() + "/dashboard.yml"
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
