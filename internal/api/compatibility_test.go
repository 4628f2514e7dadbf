package api

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/webhook"
)

// compatibilityPage says of every field of every /v2 resource what Tollgate does with it.
const compatibilityPage = "../../docs/COMPATIBILITY.md"

var update = flag.Bool("update", false, "rewrite the tables of "+compatibilityPage)

//go:generate go test -run ^TestCompatibilityPage$ . -update

// The tables of the page are printed from the structs of the resources: the mark is the
// tag of a field, the remark its comment. go generate ./internal/api writes them.
func TestCompatibilityPage(t *testing.T) {
	text, err := os.ReadFile(compatibilityPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	h := newHarness(t)
	tables := tables{t: t, comments: map[string]map[string]string{}}
	described := 0
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if !strings.HasPrefix(op.Path, "/v2/") || op.Answer == nil || !op.Shape.Paged() {
			continue
		}
		name := strings.TrimPrefix(op.ID, "list_")
		if name == "detail_record" {
			name = "sip-trunking"
		}
		tables.answersOnly = !slices.ContainsFunc(h.api.engine.Operations, func(o rest.Operation) bool {
			return o.ID == "update_"+name
		})
		page = tables.into(page, "\n## "+name+"\n", "`"+op.Path+"`", op.Answer)
		described++
	}
	for _, event := range webhook.EventTypes() {
		heading := "\n### " + event.Name + "\n"
		telnyx := slices.Contains([]string{"call.initiated", "call.answered", "call.hangup", "call.cost"}, event.Name)
		if strings.Contains(page, heading) != telnyx {
			t.Errorf("%s: described is %t, want %t", event.Name, !telnyx, telnyx)
		}
		if telnyx {
			tables.answersOnly = true
			page = tables.into(page, heading, "", webhookPayload(event))
		}
	}
	page = refusalTable.ReplaceAllLiteralString(page, refusals())
	if described != 16 {
		t.Errorf("%d resources are described", described)
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(compatibilityPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(page, string(text)); diff != "" {
		t.Errorf("run go generate ./internal/api (-structs +page):\n%s", diff)
	}
}

var refusalTable = regexp.MustCompile(`(?m)^\| code \| SIP \| word \| phrase \|\n\|---\|---\|---\|---\|\n(\| .*\n)*`)

// refusals prints the table of why calls are refused.
func refusals() string {
	reasons := admission.Reasons()[1:]
	slices.SortFunc(reasons, func(a, b admission.Reason) int {
		return cmp.Or(cmp.Compare(len(a.Code()), len(b.Code())), cmp.Compare(a.Code(), b.Code()), cmp.Compare(a, b))
	})
	table := "| code | SIP | word | phrase |\n|---|---|---|---|\n"
	for _, r := range reasons {
		table += fmt.Sprintf("| %s | %d | `%s` | %s |\n", r.Code(), r.Status(), r, r.Template())
	}
	return table
}

// tables prints the tables of fields.
type tables struct {
	t           *testing.T
	answersOnly bool                         // no request has a body of the resource
	comments    map[string]map[string]string // of the fields of structs, by package
}

var fieldTable = regexp.MustCompile(`(?m)^\| field \| mark \| \|\n\|---\|---\|---\|\n(\| .*\n)*`)

// into puts the table of a schema into the section of the page that has the heading and
// says what it is about.
func (t *tables) into(page, heading, about string, s *rest.Schema) string {
	t.t.Helper()
	before, rest, found := strings.Cut(page, heading)
	section, after := rest, ""
	if end := strings.Index(rest, "\n## "); end >= 0 {
		section, after = rest[:end], rest[end:]
	}
	place := fieldTable.FindStringIndex(section)
	if !found || place == nil || !strings.Contains(section[:place[0]], about) {
		t.t.Errorf("the page has no section %q about %s with a table of fields", strings.TrimSpace(heading), about)
		return page
	}
	table := "| field | mark | |\n|---|---|---|\n" + t.rows(s, "", "")
	return before + heading + section[:place[0]] + table + section[place[1]:] + after
}

func (t *tables) rows(s *rest.Schema, under, above string) string {
	var rows strings.Builder
	for _, p := range s.Properties {
		mark := t.markOf(under+p.Name, p.Schema, above)
		fmt.Fprintf(&rows, "| `%s` | %s | %s |\n", under+p.Name, mark, t.remark(p.Schema))
		rows.WriteString(t.rows(p.Schema, under+p.Name+".", mark))
	}
	return rows.String()
}

// markOf is the mark of a field, which follows from the rest where it has no tag: what
// is read-only is set, and all that is below an object is kept when the object is.
func (t *tables) markOf(name string, s *rest.Schema, above string) string {
	switch own := strings.HasPrefix(s.Description, "Tollgate's own") || above == "ours" && !s.ReadOnly; {
	case own && s.Mark != "":
		t.t.Errorf("%s is Tollgate's own, and has the mark %s all the same", name, s.Mark)
	case own:
		return "ours"
	case s.Mark == "" && (s.ReadOnly || t.answersOnly):
		return "set"
	case s.Mark == "" && above == "kept":
		return "kept"
	case !slices.Contains([]string{"enforced", "kept", "ours"}, s.Mark):
		t.t.Errorf("%s has the mark %q. Give it the tag mark, which is enforced, kept or ours", name, s.Mark)
	case s.ReadOnly && s.Mark == "kept":
		t.t.Errorf("%s is kept, and read-only", name)
	}
	return s.Mark
}

// remark is what a field's own remark or its comment in the source says, else the API's
// document.
func (t *tables) remark(s *rest.Schema) string {
	if s.Remark != "" {
		return s.Remark
	}
	if comment := t.comment(s.Place); comment != "" {
		return comment
	}
	if s.Description == "" && len(s.Enum) > 0 {
		values := "`" + strings.Join(s.Enum, "`, `") + "`"
		if last := strings.LastIndex(values, ", "); last >= 0 {
			values = values[:last] + " or" + values[last+1:]
		}
		return values
	}
	said := strings.TrimSuffix(strings.TrimPrefix(s.Description, "Tollgate's own"), ".")
	return strings.TrimPrefix(said, ": ")
}

// comment is the comment of a field of a struct.
func (t *tables) comment(place string) string {
	dir, field := path.Split(place)
	pkg, field, _ := strings.Cut(field, ".")
	dir = path.Join(strings.TrimPrefix(dir, "github.com/tollgate/tollgate/"), pkg)
	if t.comments[dir] == nil {
		t.comments[dir] = commentsIn(t.t, filepath.Join("../..", dir))
	}
	return t.comments[dir][field]
}

// commentsIn reads the comments of the fields of all structs of a package, by names as
// "Profile.Name".
func commentsIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			fields, ok := spec.Type.(*ast.StructType)
			if !ok {
				return false
			}
			for _, f := range fields.Fields.List {
				for _, field := range f.Names {
					comments[spec.Name.Name+"."+field.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
			return false
		})
	}
	return comments
}
