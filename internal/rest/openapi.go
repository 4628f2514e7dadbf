package rest

import (
	"cmp"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
)

// openAPI prints the table of operations as an OpenAPI 3.1 document.
func (s *Server) openAPI() []byte {
	d := Documenter{schemas: map[string]any{}, commands: commandsOf(s.Operations, s.ResourceNames)}
	paths := map[string]any{}
	for i := range s.Operations {
		op := &s.Operations[i]
		path, ok := paths[op.Path].(map[string]any)
		if !ok {
			path = map[string]any{}
			paths[op.Path] = path
		}
		path[strings.ToLower(op.Method)] = d.operation(op)
	}
	d.schemas["Error"] = plainSchema[errorAnswer]().document()
	d.schemas["Meta"] = plainSchema[PageMeta]().document()
	d.schemas["CursorMeta"] = plainSchema[CursorMeta]().document()
	webhooks := map[string]any{}
	if s.Webhooks != nil {
		webhooks = s.Webhooks(&d)
	}
	document := map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title":       s.Title,
			"version":     s.Version,
			"license":     map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": s.Description,
		},
		"servers":  []any{map[string]any{"url": "/"}},
		"paths":    paths,
		"webhooks": webhooks,
		"components": map[string]any{
			"schemas":         d.schemas,
			"parameters":      requestHeaders(),
			"headers":         responseHeaders(),
			"securitySchemes": map[string]any{"bearerAuth": map[string]any{"type": "http", "scheme": "bearer"}},
		},
	}
	text, err := json.Marshal(document, encoding())
	if err != nil {
		panic("rest: the OpenAPI document cannot be encoded: " + err.Error())
	}
	return text
}

// someCursors is the schema of a meta that has cursors when the query pages by them.
func someCursors() *Schema {
	s, always := plainSchema[CursorMeta](), plainSchema[PageMeta]()
	for i := range s.Properties {
		s.Properties[i].Required = always.Property(s.Properties[i].Name) != nil
	}
	return s
}

// Documenter collects the schemas of a document.
type Documenter struct {
	schemas  map[string]any
	commands map[string]command // by the id of the operation
}

// Named puts a schema among the document's components and refers to it.
func (d *Documenter) Named(name string, s *Schema) map[string]any {
	described := s.document()
	delete(described, "title") // it has a name
	if other, ok := d.schemas[name]; ok && !reflect.DeepEqual(other, described) {
		panic("rest: two schemas are called " + name)
	}
	d.schemas[name] = described
	return ref(name)
}

func ref(name string) map[string]any { return map[string]any{"$ref": "#/components/schemas/" + name} }

func (d *Documenter) operation(op *Operation) map[string]any {
	out := map[string]any{"operationId": op.ID, "summary": op.Summary, "tags": []string{op.Tag}}
	var params []any
	for _, name := range []string{"id", "name"} {
		if strings.Contains(op.Path, "{"+name+"}") {
			params = append(params, map[string]any{"name": name, "in": "path",
				"required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	for _, p := range op.Params {
		described := map[string]any{
			"name": p.Name, "in": "query", "required": p.Required, "description": p.Description, "schema": p.Schema.document(),
		}
		if p.Schema.Kind == "array" {
			// Separated by commas. OpenAPI cannot express the other accepted forms.
			described["style"], described["explode"] = "form", false
		}
		params = append(params, described)
	}
	for _, name := range op.requestHeaders() {
		params = append(params, map[string]any{"$ref": "#/components/parameters/" + name})
	}
	if len(params) > 0 {
		out["parameters"] = params
	}
	switch {
	case len(op.Uploads) > 0:
		out["requestBody"] = map[string]any{"required": true, "content": uploads(op.Uploads)}
	case op.Body != nil:
		out["requestBody"] = map[string]any{
			"required": !op.Body.Optional, "content": JSONContent(d.Named(typeName(op.ID)+"Request", op.Body)),
		}
	}
	content := map[string]any{}
	if op.Shape != CSV {
		content = JSONContent(d.answer(op))
	}
	if op.Shape == Table || op.Shape == CSV {
		content["text/csv"] = map[string]any{"schema": map[string]any{"type": "string"}}
	}
	success := map[string]any{"description": "Success.", "content": content}
	withHeaders(success, op.responseHeaders(strconv.Itoa(op.Status)))
	responses := map[string]any{strconv.Itoa(op.Status): success}
	if op.Method == http.MethodGet && op.tagged() {
		unchanged := map[string]any{"description": "Nothing has changed since the answer whose tag If-None-Match names."}
		withHeaders(unchanged, op.responseHeaders("304"))
		responses["304"] = unchanged
	}
	for _, status := range op.failures() {
		failed := map[string]any{"description": failureText(status), "content": JSONContent(ref("Error"))}
		withHeaders(failed, op.responseHeaders(status))
		responses[status] = failed
	}
	out["responses"] = responses
	out["security"] = []any{}
	if op.Scope != "" {
		out["security"] = []any{map[string]any{"bearerAuth": []string{}}}
		out["x-tollgate-scope"] = op.Scope
	}
	if c, ok := d.commands[op.ID]; ok {
		out["x-tollgate-resource"], out["x-tollgate-verb"] = c.Resource, c.Verb
	}
	if op.Method == http.MethodPost && !op.Writes() && op.Effect != Acts {
		out["x-tollgate-repeatable"] = true
	}
	return out
}

func (d *Documenter) answer(op *Operation) map[string]any {
	if op.Answer == nil {
		return map[string]any{"type": "object"}
	}
	_, noun, _ := strings.Cut(op.ID, "_")
	if op.Shape == Plain {
		noun = op.ID
	}
	data := d.Named(typeName(cmp.Or(op.Noun, noun)), op.Answer)
	switch op.Shape {
	case Plain:
		return data
	case CursorList:
		return Object(map[string]any{"data": map[string]any{"type": "array", "items": data}, "meta": ref("CursorMeta")})
	case ListOrCursors:
		return Object(map[string]any{
			"data": map[string]any{"type": "array", "items": data}, "meta": someCursors().document(),
		})
	case Rows:
		return Object(map[string]any{"data": map[string]any{"type": "array", "items": data}})
	case List, Table:
		return Object(map[string]any{"data": map[string]any{"type": "array", "items": data}, "meta": ref("Meta")})
	}
	if op.effects != nil {
		effects := d.Named("DryRun"+typeName(noun), op.effects)
		return map[string]any{"type": "object", "required": []string{"data"}, "properties": map[string]any{"data": data,
			"meta": map[string]any{"type": "object", "description": "Only in a dry run.",
				"required": []string{"dry_run"}, "properties": map[string]any{"dry_run": effects}}}}
	}
	return Object(map[string]any{"data": data})
}

// Object is the schema of an object with data, with meta, or with both.
func Object(properties map[string]any) map[string]any {
	required := make([]string, 0, len(properties))
	for _, name := range []string{"data", "meta"} {
		if _, ok := properties[name]; ok {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": properties, "required": required}
}

// JSONContent is the content of a body of JSON.
func JSONContent(s map[string]any) map[string]any {
	return map[string]any{"application/json": map[string]any{"schema": s}}
}

// failures are the statuses of errors that an operation can answer with.
func (op *Operation) failures() []string {
	statuses := []string{"400", "405", "414", "500"}
	if op.Scope != "" {
		statuses = append(statuses, "401", "403", "422", "503")
		if op.Effect != Traffic {
			statuses = append(statuses, "429")
		}
	}
	if op.Writes() {
		statuses = append(statuses, "409")
	}
	if op.conditional() {
		statuses = append(statuses, "412")
	}
	if op.Path == "/readyz" {
		statuses = append(statuses, "503")
	}
	if strings.Contains(op.Path, "{id}") || strings.Contains(op.Path, "{name}") || op.Refers {
		statuses = append(statuses, "404")
	}
	if op.Body != nil || len(op.Uploads) > 0 {
		statuses = append(statuses, "413", "415")
	}
	return statuses
}

// uploads is the content of a body that is a file: text, or bytes.
func uploads(kinds []string) map[string]any {
	content := make(map[string]any, len(kinds))
	for _, kind := range kinds {
		schema := map[string]any{"type": "string"}
		if !strings.HasPrefix(kind, "text/") {
			schema["contentMediaType"] = kind
		}
		content[kind] = map[string]any{"schema": schema}
	}
	return content
}

func failureText(status string) string {
	return map[string]string{
		"400": "The request is not well-formed.", "401": "No valid API key.", "403": "Not allowed to this key or account.",
		"404": "Not found in this account.", "405": "Method not allowed.",
		"409": "A request with the same Idempotency-Key is still being processed.",
		"412": "The object has changed since the state that If-Match names.", "413": "The body is too large.",
		"414": "The URL is too long.", "415": "Unsupported media type.", "422": "Values are wrong; every one is named.",
		"429": "Too many requests.", "500": "Unexpected error.", "503": "Try again after Retry-After seconds.",
	}[status]
}

// typeName turns price_list into PriceList.
func typeName(id string) string {
	var name strings.Builder
	for part := range strings.SplitSeq(id, "_") {
		name.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return name.String()
}
