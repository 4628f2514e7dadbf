package main

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// operations writes the methods of the client.
type operations struct {
	types *types
	out   strings.Builder
}

// write makes the file of the operations. The types that they need are declared on the way.
func (o *operations) write(d *document) string {
	all := d.operations()
	for first := 0; first < len(all); {
		next := first
		for next < len(all) && all[next].Resource == all[first].Resource {
			next++
		}
		o.resource(all[first:next])
		first = next
	}
	for _, name := range slices.Sorted(maps.Keys(d.Webhooks)) {
		payload := d.Webhooks[name]["post"].body().Properties["data"].Properties["payload"]
		goName := camel(payload.component())
		o.types.component(payload.component(), answered, goName+" is the payload of "+name+".")
	}
	return source(o.out.String(), "context", "io", "iter", "net/http", "net/url", "time")
}

// source is a file with the packages that it uses.
func source(body string, packages ...string) string {
	var imports strings.Builder
	for _, name := range packages {
		if regexp.MustCompile(`\b` + path.Base(name) + `\.[A-Z]`).MatchString(body) {
			if strings.Contains(name, ".") {
				imports.WriteString("\n")
			}
			fmt.Fprintf(&imports, "\t%q\n", name)
		}
	}
	return header + "\nimport (\n" + imports.String() + ")\n" + body
}

// resource writes the operations of one resource: methods of a type that a method of the
// client returns, or of the client itself if there is nothing but one to be read.
func (o *operations) resource(group []*operation) {
	receiver := camel(group[0].Resource)
	if len(group) == 1 && len(pathNames(group[0].path)) == 0 {
		if _, s := group[0].answer(); s != list {
			o.operation(group[0], receiver, "c *Client", "c", receiver)
			return
		}
	}
	kind := receiver
	if o.types.taken(kind) {
		kind += "Operations"
	}
	doc := fmt.Sprintf("%s has the operations of %s.", kind, group[0].Resource)
	fmt.Fprintf(&o.out, "\n%stype %s struct{ client *Client }\n", comment("", doc), kind)
	doc = fmt.Sprintf("%s is for requests to %s.", receiver, pathsOf(group))
	fmt.Fprintf(&o.out, "\n%sfunc (c *Client) %s() %s { return %s{c} }\n", comment("", doc), receiver, kind, kind)
	for _, op := range group {
		o.operation(op, camel(op.Verb), "r "+kind, "r.client", receiver)
	}
}

// pathsOf names where a resource is.
func pathsOf(group []*operation) string {
	var roots []string
	for _, op := range group {
		root := strings.Join(strings.Split(op.path, "/")[:3], "/")
		if strings.HasPrefix(op.path, "/tollgate/") {
			root = strings.Join(strings.Split(op.path, "/")[:4], "/")
		}
		if !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	slices.Sort(roots)
	return strings.Join(roots, " and ")
}

// operation writes the method, or the methods, of one operation.
func (o *operations) operation(op *operation, name, receiver, client, resource string) {
	m := o.methodOf(op, name, receiver, client, resource)
	answer, shape := op.answer()
	if shape == text {
		m.arguments = append(m.arguments, "into io.Writer")
		m.fields = append(m.fields, "raw: into")
		m.write(&o.out, name, "error", "send")
		return
	}
	result := o.result(answer, resource+"."+name)
	if name == resource {
		m.doc = sentence(name, op.Summary)
	}
	switch shape {
	case bare:
		m.write(&o.out, name, "("+result+", error)", "bare["+result+"]")
	case object:
		m.write(&o.out, name, "("+result+", error)", "one["+result+"]")
	case list:
		o.list(op, &m, name, result)
	}
	if op.answersCSV() {
		csv := "CSV"
		if op.Verb != "list" {
			csv = name + "CSV"
		}
		m.arguments = append(m.arguments, "into io.Writer")
		m.doc = csv + " writes the rows of the answer as CSV."
		m.fixed = append(m.fixed, `"format": {"csv"}`)
		m.fields = append(m.fields, "raw: into")
		m.write(&o.out, csv, "error", "send")
	}
	if effects := op.effects(); effects != nil {
		o.result(effects, resource+"."+name+" in a dry run")
	}
}

// list writes how the pages of a list are read: one, or all.
func (o *operations) list(op *operation, m *method, name, result string) {
	page, all := "Page", "All"
	if op.Verb != "list" {
		page, all = name+"Page", name
	}
	summary := m.doc
	m.doc = page + " reads one page. " + withoutName(summary)
	m.write(&o.out, page, "(Page["+result+"], error)", "page["+result+"]")
	m.doc = all + " walks through the list from the query's page on, until an error. " + withoutName(summary)
	m.write(&o.out, all, "iter.Seq2["+result+", error]", "all["+result+"]")
}

func withoutName(doc string) string {
	if _, text, ok := strings.Cut(doc, ": "); ok {
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return doc
}

// result is the type of an answer.
func (o *operations) result(s *schema, by string) string {
	name := s.component()
	if name == "" {
		return o.types.of(s, strings.NewReplacer(".", "").Replace(by), "", answered)
	}
	goName := o.types.renamed.Replace(camel(name))
	return o.types.component(name, answered, goName+" is what "+by+" answers with.")
}

// method is what a method of the client does.
type method struct {
	doc, receiver, client string
	arguments             []string
	fields                []string // of the call
	fixed                 []string // parameters of the query that have one value
}

func (o *operations) methodOf(op *operation, name, receiver, client, resource string) method {
	m := method{receiver: receiver, client: client, doc: sentence(name, op.Summary)}
	m.fields = []string{"method: http.Method" + camel(strings.ToLower(op.method)), "path: " + pathOf(op.path)}
	for _, name := range pathNames(op.path) {
		m.arguments = append(m.arguments, name+" string")
	}
	if body := op.body(); body != nil {
		by := resource + "." + name
		params := o.types.component(body.component(), asked, o.types.request(body.component())+" is what "+by+" takes.")
		m.arguments = append(m.arguments, "params "+params)
		m.fields = append(m.fields, "body: params")
	}
	if query := o.query(op, name, resource, &m); query != "" {
		m.arguments = append(m.arguments, "query "+query)
		m.fields = append(m.fields, "query: query")
	}
	if op.takesCSV() {
		m.arguments = append(m.arguments, "rows io.Reader")
		m.fields = append(m.fields, "csv: rows")
	}
	if op.method == "GET" || op.Repeatable {
		m.fields = append(m.fields, "safe: true")
	}
	return m
}

// maxLine is where a signature is broken.
const maxLine = 110

func (m *method) write(out *strings.Builder, name, result, act string) {
	out.WriteString("\n" + comment("", m.doc))
	arguments := strings.Join(slices.Concat([]string{"ctx context.Context"}, m.arguments,
		[]string{"options ...CallOption"}), ", ")
	signature := fmt.Sprintf("func (%s) %s(%s) %s {", m.receiver, name, arguments, result)
	if len(signature) > maxLine {
		signature = fmt.Sprintf("func (%s) %s(\n\t%s,\n) %s {", m.receiver, name, arguments, result)
	}
	out.WriteString(signature + "\n")
	fields := m.fields
	if len(m.fixed) > 0 {
		fields = append(slices.Clone(fields), "fixed: url.Values{"+strings.Join(m.fixed, ", ")+"}")
	}
	line := strings.Join(fields, ", ")
	if len(line) > maxLine {
		line = strings.Join(fields, ",\n\t\t")
	}
	fmt.Fprintf(out, "\treturn %s(ctx, %s, call{\n\t\t%s,\n\t}, options)\n}\n", act, m.client, line)
}

var pathName = regexp.MustCompile(`\{([a-z_]+)\}`)

func pathNames(text string) []string {
	var names []string
	for _, match := range pathName.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	return names
}

// pathOf is the path as an expression of Go.
func pathOf(text string) string {
	text = pathName.ReplaceAllString(text, `" + url.PathEscape($1) + "`)
	return strings.TrimSuffix(`"`+text+`"`, ` + ""`)
}

// query declares the struct of an operation's query, "" if there is nothing to choose.
func (o *operations) query(op *operation, name, resource string, m *method) string {
	var body strings.Builder
	for _, p := range op.Parameters {
		if p.In != "query" || p.Name == "dry_run" || p.Name == "format" && op.answersCSV() {
			continue
		}
		if len(p.Schema.Enum) == 1 && p.Required {
			m.fixed = append(m.fixed, fmt.Sprintf("%q: {%q}", p.Name, p.Schema.Enum[0]))
			continue
		}
		doc := p.Description
		words := p.Schema.words()
		if p.Schema.Items != nil {
			words = p.Schema.Items.words()
		}
		if len(words) > 0 && p.Name != "sort" {
			doc += " One of " + strings.Join(words, ", ") + "."
		} else if len(words) > 0 {
			doc += " Known are " + strings.Join(slices.DeleteFunc(words, func(w string) bool { return w[0] == '-' }), ", ") + "."
		}
		body.WriteString(comment("\t", doc))
		fmt.Fprintf(&body, "\t%s %s `query:%q`\n", queryField(p.Name), queryType(&p), p.Name)
	}
	if body.Len() == 0 {
		return ""
	}
	kind, by := resource+"Query", resource+".All"
	if op.Verb != "list" {
		kind, by = resource+name+"Query", resource+"."+name
	}
	fmt.Fprintf(&o.out, "\n// %s is the query of %s. Fields that are zero are not sent.\ntype %s struct {\n%s}\n",
		kind, by, kind, body.String())
	return kind
}

// queryField is the name of a parameter: NameContains for filter[name][contains].
func queryField(name string) string {
	switch name {
	case "page[number]":
		return "Page"
	case "page[size]":
		return "Size"
	}
	return camel(strings.TrimPrefix(name, "filter"))
}

// queryType leaves out of a query what is zero, so that a number or a truth value for which
// that means something is a pointer.
func queryType(p *parameter) string {
	switch kind, _ := p.Schema.kind(); {
	case p.Name == "page[number]" || p.Name == "page[size]":
		return "int"
	case kind == "array" || p.Name == "sort":
		return "[]string"
	case kind == "boolean":
		return "*bool"
	case kind == "integer":
		return "*int64"
	case p.Schema.Format == "date-time":
		return "time.Time"
	}
	return "string"
}
