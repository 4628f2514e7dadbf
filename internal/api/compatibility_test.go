package api

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/webhook"
)

// docs/COMPATIBILITY.md says of every field of every /v2 resource what Tollgate
// does with it. Here it is held against the schemas that the API works by.
func TestCompatibilityPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/COMPATIBILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(page), "\n## ") {
		name, text, _ := strings.Cut(section, "\n")
		sections[name] = text
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_.0-9]+)` \\| ([a-z]+) \\|")
	h := newHarness(t)
	described := 0
	for i := range h.api.operations {
		op := &h.api.operations[i]
		if !strings.HasPrefix(op.path, "/v2/") || op.answer == nil || !op.list {
			continue
		}
		name := strings.TrimPrefix(op.id, "list_")
		if name == "detail_record" {
			name = "sip-trunking"
		}
		text, ok := sections[name]
		if !ok || !strings.Contains(text, "`"+op.path+"`") {
			t.Errorf("no section %q about %s", name, op.path)
			continue
		}
		described++
		var fields []string
		for _, match := range row.FindAllStringSubmatch(text, -1) {
			field, mark := match[1], match[2]
			fields = append(fields, field)
			if !slices.Contains([]string{"enforced", "kept", "ours", "set"}, mark) {
				t.Errorf("%s: mark %q of %s", name, mark, field)
			}
			checkMark(t, name, op.answer, field, mark)
		}
		slices.Sort(fields)
		if diff := cmp.Diff(op.answer.fieldPaths(), fields); diff != "" {
			t.Errorf("%s (-API +page):\n%s", name, diff)
		}
	}
	if described != 16 {
		t.Errorf("%d resources are described", described)
	}
}

// answersOnly are resources that no request has a body of.
var answersOnly = []string{"connection", "sip-trunking", "active_call", "recording", "usage_report", "call_event",
	"attempted_webhook", "verified_number"}

// checkMark compares a mark with what the schema itself says of the field.
func checkMark(t *testing.T, resource string, s *schema, path, mark string) {
	t.Helper()
	at := s
	for name := range strings.SplitSeq(path, ".") {
		p := at.property(name)
		if p == nil {
			return // the comparison of all names tells
		}
		at = p.schema
	}
	if strings.HasPrefix(at.description, "Tollgate's own") && mark != "ours" {
		t.Errorf("%s: %s is Tollgate's own, but marked %s", resource, path, mark)
	}
	if at.readOnly && mark != "set" && mark != "enforced" || mark == "set" && !at.readOnly && !slices.Contains(answersOnly, resource) {
		t.Errorf("%s: %s is marked %s; read-only: %t", resource, path, mark, at.readOnly)
	}
}

// TestCompatibilityPageOfWebhooks holds the tables of the events in Telnyx's shape
// against what is sent.
func TestCompatibilityPageOfWebhooks(t *testing.T) {
	page, err := os.ReadFile("../../docs/COMPATIBILITY.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(page), "\n### ") {
		name, text, _ := strings.Cut(section, "\n")
		sections[name] = text
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| set \\|")
	for _, event := range webhook.EventTypes() {
		text, described := sections[event.Name]
		if telnyx := slices.Contains([]string{"call.initiated", "call.answered", "call.hangup", "call.cost"}, event.Name); telnyx != described {
			t.Errorf("%s: described is %t, want %t", event.Name, described, telnyx)
		}
		if !described {
			continue
		}
		var fields []string
		for _, match := range row.FindAllStringSubmatch(text, -1) {
			fields = append(fields, match[1])
		}
		slices.Sort(fields)
		if diff := cmp.Diff(webhookPayload(event).fieldPaths(), fields); diff != "" {
			t.Errorf("%s (-sent +page):\n%s", event.Name, diff)
		}
	}
}
