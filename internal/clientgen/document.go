package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// document is what is read of the server's OpenAPI document.
type document struct {
	Paths      map[string]map[string]*operation `json:"paths"`
	Webhooks   map[string]map[string]*operation `json:"webhooks"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	ID          string             `json:"operationId"`
	Summary     string             `json:"summary"`
	Parameters  []parameter        `json:"parameters"`
	RequestBody message            `json:"requestBody"`
	Responses   map[string]message `json:"responses"`
	Resource    string             `json:"x-tollgate-resource"`
	Verb        string             `json:"x-tollgate-verb"`
	Repeatable  bool               `json:"x-tollgate-repeatable"`

	method, path string
}

type message struct {
	Content map[string]struct {
		Schema *schema `json:"schema"`
	} `json:"content"`
}

type parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Required    bool    `json:"required"`
	Description string  `json:"description"`
	Schema      *schema `json:"schema"`
}

type schema struct {
	Ref         string             `json:"$ref"`
	Type        any                `json:"type"` // a text or a list of texts
	Title       string             `json:"title"`
	Format      string             `json:"format"`
	Description string             `json:"description"`
	Enum        []any              `json:"enum"`
	Minimum     int64              `json:"minimum"`
	Properties  map[string]*schema `json:"properties"`
	Required    []string           `json:"required"`
	Items       *schema            `json:"items"`
	WriteOnly   bool               `json:"writeOnly"`
}

// kind is the type of a value, "" for any JSON.
func (s *schema) kind() (kind string, nullable bool) {
	switch t := s.Type.(type) {
	case string:
		return t, false
	case []any:
		kind, _ = t[0].(string)
		return kind, true
	}
	return "", true
}

// words are the texts that a value may be, if they are listed and more than one.
func (s *schema) words() []string {
	var words []string
	for _, value := range s.Enum {
		if text, ok := value.(string); ok {
			words = append(words, text)
		}
	}
	if len(words) < 2 {
		return nil
	}
	return words
}

// component is the name in a reference, "" for a schema that is not a reference.
func (s *schema) component() string { return strings.TrimPrefix(s.Ref, "#/components/schemas/") }

// names are the properties in the order of a struct: what every object has first and last.
func (s *schema) names() []string {
	place := map[string]int{"id": -2, "record_type": -1, "created_at": 1, "updated_at": 2}
	return slices.SortedFunc(maps.Keys(s.Properties), func(a, b string) int {
		return cmp.Or(place[a]-place[b], strings.Compare(a, b))
	})
}

// operations are those of a resource, sorted by it and by their paths.
func (d *document) operations() []*operation {
	var all []*operation
	for path, methods := range d.Paths {
		for method, op := range methods {
			if op.Resource == "" {
				continue // of the server itself
			}
			op.method = strings.ToUpper(method)
			op.path = path
			all = append(all, op)
		}
	}
	slices.SortFunc(all, func(a, b *operation) int {
		return cmp.Or(strings.Compare(a.Resource, b.Resource), strings.Compare(a.path, b.path),
			strings.Compare(a.method, b.method))
	})
	return all
}

// answer is the schema of what an operation answers with: of data, where that is a member
// of the answer.
func (op *operation) answer() (s *schema, shape shape) {
	envelope := op.success().Content["application/json"].Schema
	if envelope == nil {
		return nil, text
	}
	data := envelope.Properties["data"]
	_, meta := envelope.Properties["meta"]
	switch {
	case data == nil:
		return envelope, bare
	case data.Items != nil && meta:
		return data.Items, list
	}
	return data, object
}

// shape describes how the data of an answer come.
type shape int

const (
	object shape = iota // as the member data
	bare                // as the whole answer
	list                // as pages
	text                // as CSV alone
)

func (op *operation) success() message {
	for status, answer := range op.Responses {
		if strings.HasPrefix(status, "2") {
			return answer
		}
	}
	return message{}
}

// effects is the schema of what a dry run tells besides, nil for nothing.
func (op *operation) effects() *schema {
	envelope := op.success().Content["application/json"].Schema
	if envelope == nil {
		return nil
	}
	if meta := envelope.Properties["meta"]; meta != nil {
		return meta.Properties["dry_run"]
	}
	return nil
}

// answersCSV reports whether the answer can be a text of rows.
func (op *operation) answersCSV() bool { return op.success().Content["text/csv"].Schema != nil }

func (op *operation) takesCSV() bool { return op.RequestBody.Content["text/csv"].Schema != nil }

func (op *operation) body() *schema { return op.RequestBody.Content["application/json"].Schema }
