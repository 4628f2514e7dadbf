package api

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/field"
)

// cursorMeta is the meta of lists with cursors. Source: Telnyx v2, ActiveCalls.
// The members of pageMeta are there too, since Telnyx's SDKs go by them.
type cursorMeta struct {
	Cursors    cursorsView `json:"cursors"`
	Next       *string     `json:"next" doc:"Path and query of the next page; null on the last one."`
	Previous   *string     `json:"previous" doc:"Path and query of the page before; null on the first one."`
	TotalItems int         `json:"total_items"`
	pageMeta
}

type cursorsView struct {
	After  *string `json:"after" doc:"What page[after] of the next page is."`
	Before *string `json:"before" doc:"What page[before] of the page before is."`
}

type cursorAnswer struct {
	Data any         `json:"data"`
	Meta *cursorMeta `json:"meta"`
}

// cursorParams page a list by cursors.
func cursorParams(of string, size int64, parse func(string) error) []parameter {
	cursor := &schema{kind: "string", format: "cursor", minLength: 1, maxLength: 64, parse: parse}
	limit := pageParams(size, maxPageSize)[1]
	limit.name, limit.description = "page[limit]", "How many "+of+" a page has; page[size] is the same."
	return []parameter{limit,
		{name: "page[after]", description: "The " + of + " after this cursor.", schema: cursor},
		{name: "page[before]", description: "The " + of + " before this cursor.", schema: cursor}}
}

// byCursor says whether a query pages by cursors.
func (q *query) byCursor() bool {
	return q.values["page[after]"]+q.values["page[before]"]+q.values["page[limit]"] != ""
}

// oneCursor refuses a query that gives both cursors.
func oneCursor(q *query) error {
	if q.values["page[after]"] == "" || q.values["page[before]"] == "" {
		return nil
	}
	return invalid([]problem{{code: field.Malformed, parameter: "page[before]",
		detail: "page[before] is given with page[after]. Give either."}})
}

// next and previous note where the pages around this one are.
func (m *cursorMeta) next(in *request, cursor string) {
	m.Cursors.After, m.Next = &cursor, new(in.pageAt("page[after]", cursor, m.PageSize))
}

func (m *cursorMeta) previous(in *request, cursor string) {
	m.Cursors.Before, m.Previous = &cursor, new(in.pageAt("page[before]", cursor, m.PageSize))
}

// pageAt is the path and query of the same list from a cursor on.
func (in *request) pageAt(name, cursor string, size int) string {
	values := url.Values{}
	for name, text := range in.query.values {
		if !strings.HasPrefix(name, "page[") {
			values.Set(name, text)
		}
	}
	at := strings.ReplaceAll(in.op.path, "{id}", in.id) + "?page%5Blimit%5D=" + strconv.Itoa(size) +
		"&" + url.QueryEscape(name) + "=" + url.QueryEscape(cursor)
	if len(values) > 0 {
		at += "&" + values.Encode()
	}
	return at
}
