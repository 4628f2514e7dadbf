package rest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Differences lists how an answer differs from what the document says of the operation:
// what is missing, what is of another type, and what is undocumented. Tests hold every
// answer against it.
func (op *Operation) Differences(status int, header http.Header, body []byte) []string {
	documented := op.envelope(header)
	switch {
	case status >= 400 && !slices.Contains(op.failures(), strconv.Itoa(status)):
		return []string{fmt.Sprintf("status %d is not documented", status)}
	case status >= 400:
		documented = plainSchema[errorAnswer]()
	case status == http.StatusNotModified:
		return nil // documented by what has a tag
	case status != op.Status:
		return []string{fmt.Sprintf("status %d, documented is %d", status, op.Status)}
	}
	if documented == nil {
		return nil
	}
	tree, err := parseTree(body)
	if err != nil {
		return []string{"the answer is no JSON: " + err.Error()}
	}
	c := checker{}
	c.Check(documented, tree, "")
	var differences []string
	for _, p := range c.Problems {
		differences = append(differences, "the answer differs from its schema at "+p.Pointer+": "+p.Detail)
	}
	for _, path := range undocumented(documented, tree, "") {
		differences = append(differences, "the answer has "+path+", which its schema has not")
	}
	return differences
}

// envelope is the schema of a whole answer; nil when nothing is said of it.
func (op *Operation) envelope(header http.Header) *Schema {
	isCSV := strings.HasPrefix(header.Get("Content-Type"), "text/csv")
	if op.Answer == nil || op.Shape == Table && isCSV || op.Shape == Plain {
		if isCSV {
			return nil
		}
		return op.Answer
	}
	whole := &Schema{Kind: "object"}
	add := func(name string, s *Schema) {
		whole.Properties = append(whole.Properties, Property{Name: name, Required: true, Schema: s})
	}
	switch {
	case op.Shape == Rows || op.Shape.Paged():
		add("data", &Schema{Kind: "array", Items: op.Answer})
	default:
		add("data", op.Answer)
	}
	switch {
	case op.Shape == CursorList:
		add("meta", plainSchema[CursorMeta]())
	case op.Shape == ListOrCursors:
		add("meta", someCursors())
	case op.Shape.Paged():
		add("meta", plainSchema[PageMeta]())
	case op.effects != nil && header.Get(dryRunHeader) != "":
		effects := Property{Name: "dry_run", Required: true, Schema: op.effects}
		add("meta", &Schema{Kind: "object", Properties: []Property{effects}})
	}
	return whole
}

// undocumented lists the properties of a value that its schema does not have.
func undocumented(s *Schema, value any, path string) (paths []string) {
	if s.Kind == "" {
		return nil // anything may be in it
	}
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			paths = append(paths, undocumented(s.Items, item, path+"[]")...)
		}
	case map[string]any:
		for name, item := range v {
			p := s.Property(name)
			if p == nil {
				paths = append(paths, path+"."+name)
				continue
			}
			paths = append(paths, undocumented(p.Schema, item, path+"."+name)...)
		}
	}
	return paths
}
