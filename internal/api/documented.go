package api

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
func (op *operation) Differences(status int, header http.Header, body []byte) []string {
	documented := op.envelope(header)
	switch {
	case status >= 400 && !slices.Contains(op.failures(), strconv.Itoa(status)):
		return []string{fmt.Sprintf("status %d is not documented", status)}
	case status >= 400:
		documented = plainSchema[errorAnswer]()
	case status == http.StatusNotModified:
		return nil // documented by what has a tag
	case status != op.status:
		return []string{fmt.Sprintf("status %d, documented is %d", status, op.status)}
	}
	if documented == nil {
		return nil
	}
	tree, err := parseTree(body)
	if err != nil {
		return []string{"the answer is no JSON: " + err.Error()}
	}
	c := checker{}
	c.check(documented, tree, "")
	var differences []string
	for _, p := range c.problems {
		differences = append(differences, "the answer differs from its schema at "+p.pointer+": "+p.detail)
	}
	for _, path := range undocumented(documented, tree, "") {
		differences = append(differences, "the answer has "+path+", which its schema has not")
	}
	return differences
}

// envelope is the schema of a whole answer; nil when nothing is said of it.
func (op *operation) envelope(header http.Header) *schema {
	isCSV := strings.HasPrefix(header.Get("Content-Type"), "text/csv")
	if op.answer == nil || op.shape == table && isCSV || op.shape == plain {
		if isCSV {
			return nil
		}
		return op.answer
	}
	whole := &schema{kind: "object"}
	add := func(name string, s *schema) {
		whole.properties = append(whole.properties, property{name: name, required: true, schema: s})
	}
	switch {
	case op.shape == rows || op.shape.paged():
		add("data", &schema{kind: "array", items: op.answer})
	default:
		add("data", op.answer)
	}
	switch {
	case op.shape == cursorList:
		add("meta", plainSchema[cursorMeta]())
	case op.shape == listOrCursors:
		add("meta", someCursors())
	case op.shape.paged():
		add("meta", plainSchema[pageMeta]())
	case op.effects != nil && header.Get(dryRunHeader) != "":
		effects := property{name: "dry_run", required: true, schema: op.effects}
		add("meta", &schema{kind: "object", properties: []property{effects}})
	}
	return whole
}

// undocumented lists the properties of a value that its schema does not have.
func undocumented(s *schema, value any, path string) (paths []string) {
	if s.kind == "" {
		return nil // anything may be in it
	}
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			paths = append(paths, undocumented(s.items, item, path+"[]")...)
		}
	case map[string]any:
		for name, item := range v {
			p := s.property(name)
			if p == nil {
				paths = append(paths, path+"."+name)
				continue
			}
			paths = append(paths, undocumented(p.schema, item, path+"."+name)...)
		}
	}
	return paths
}
