package rest

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/field"
)

// CursorMeta is the meta of lists with cursors. Source: Telnyx v2, ActiveCalls.
// The members of PageMeta are there too, since Telnyx's SDKs go by them.
type CursorMeta struct {
	Cursors    cursorsView `json:"cursors"`
	Next       *string     `json:"next" doc:"Path and query of the next page; null on the last one."`
	Previous   *string     `json:"previous" doc:"Path and query of the page before; null on the first one."`
	TotalItems int         `json:"total_items"`
	PageMeta
}

type cursorsView struct {
	After  *string `json:"after" doc:"What page[after] of the next page is."`
	Before *string `json:"before" doc:"What page[before] of the page before is."`
}

type cursorAnswer struct {
	Data any         `json:"data"`
	Meta *CursorMeta `json:"meta"`
}

// CursorParams page a list by cursors.
func CursorParams(of string, size int64, parse func(string) error) []Parameter {
	cursor := &Schema{Kind: "string", Format: "cursor", MinLength: 1, MaxLength: 64, Parse: parse}
	limit := PageParams(size, MaxPageSize)[1]
	limit.Name = "page[limit]"
	limit.Description = "How many " + of + " a page has; page[size] is the same."
	return []Parameter{limit,
		{Name: "page[after]", Description: "The " + of + " after this cursor.", Schema: cursor},
		{Name: "page[before]", Description: "The " + of + " before this cursor.", Schema: cursor}}
}

// ByCursor reports whether a query pages by cursors.
func (q *Query) ByCursor() bool {
	return q.Values["page[after]"]+q.Values["page[before]"]+q.Values["page[limit]"] != ""
}

// OneCursor refuses a query that gives both cursors.
func OneCursor(q *Query) error {
	if q.Values["page[after]"] == "" || q.Values["page[before]"] == "" {
		return nil
	}
	return Invalid([]Problem{{Code: field.Malformed, Parameter: "page[before]",
		Detail: "page[before] is given with page[after]. Give either."}})
}

// NextAt and previous note where the pages around this one are.
func (m *CursorMeta) NextAt(in *Request, cursor string) {
	m.Cursors.After = &cursor
	m.Next = new(in.pageAt("page[after]", cursor, m.PageSize))
}

// PreviousAt notes where the page before this one is.
func (m *CursorMeta) PreviousAt(in *Request, cursor string) {
	m.Cursors.Before = &cursor
	m.Previous = new(in.pageAt("page[before]", cursor, m.PageSize))
}

// pageAt is the path and query of the same list from a cursor on.
func (in *Request) pageAt(name, cursor string, size int) string {
	values := url.Values{}
	for name, text := range in.Query.Values {
		if !strings.HasPrefix(name, "page[") {
			values.Set(name, text)
		}
	}
	at := strings.ReplaceAll(in.Op.Path, "{id}", in.ID) + "?page%5Blimit%5D=" + strconv.Itoa(size) +
		"&" + url.QueryEscape(name) + "=" + url.QueryEscape(cursor)
	if len(values) > 0 {
		at += "&" + values.Encode()
	}
	return at
}
