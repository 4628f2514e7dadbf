package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Query selects, orders and pages a list. The zero Query is the first page in
// the list's own order.
type Query struct {
	// Filters by the name within the brackets: "name[contains]" for
	// filter[name][contains], "outbound_voice_profile_id" for
	// filter[outbound_voice_profile_id]. One that the list does not have is an *Error.
	Filters map[string]string
	Sort    []string // fields, a minus before one sorts descending
	Page    int      // from 1; 0 means 1
	Size    int      // objects a page; 0 means the list's own
}

func (q *Query) values() url.Values {
	values := url.Values{}
	for name, value := range q.Filters {
		field, rest, bracket := strings.Cut(name, "[")
		if bracket {
			rest = "[" + rest
		}
		values.Set("filter["+field+"]"+rest, value)
	}
	if len(q.Sort) > 0 {
		values.Set("sort", strings.Join(q.Sort, ","))
	}
	if q.Page > 0 {
		values.Set("page[number]", strconv.Itoa(q.Page))
	}
	if q.Size > 0 {
		values.Set("page[size]", strconv.Itoa(q.Size))
	}
	return values
}

// Page is one page of a list.
type Page[T any] struct {
	Data []T  `json:"data"`
	Meta Meta `json:"meta"`
}

// Meta says where a page is in its list.
type Meta struct {
	PageNumber   int `json:"page_number"`
	PageSize     int `json:"page_size"`
	TotalPages   int `json:"total_pages"`
	TotalResults int `json:"total_results"`
}

// page reads one page.
func page[T any](ctx context.Context, c *Client, path string, values url.Values) (Page[T], error) {
	var p Page[T]
	r := read(path)
	r.query, r.into = values, &p
	err := c.do(ctx, r)
	return p, err
}

// all walks through a list from the query's page on. It ends after an error.
func all[T any](ctx context.Context, c *Client, path string, values url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		at := url.Values{}
		for name, value := range values {
			at[name] = value
		}
		for {
			p, err := page[T](ctx, c, path, at)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range p.Data {
				if !yield(item, nil) {
					return
				}
			}
			if len(p.Data) == 0 || p.Meta.PageNumber >= p.Meta.TotalPages {
				return
			}
			at.Set("page[number]", strconv.Itoa(p.Meta.PageNumber+1))
		}
	}
}

// List is a list that can only be read.
type List[T any] struct {
	client *Client
	path   string
	fixed  url.Values // parameters of every request
}

func (l List[T]) values(q Query) url.Values {
	values := q.values()
	for name, value := range l.fixed {
		values[name] = value
	}
	return values
}

// Page reads one page of the list.
func (l List[T]) Page(ctx context.Context, q Query) (Page[T], error) {
	return page[T](ctx, l.client, l.path, l.values(q))
}

// All walks through the list, from the query's page on, page by page. It ends
// after an error. Objects that are made or deleted meanwhile may be missed or
// come twice.
func (l List[T]) All(ctx context.Context, q Query) iter.Seq2[T, error] {
	return all[T](ctx, l.client, l.path, l.values(q))
}

// Items are objects of a kind that can be listed and got by their ids.
type Items[T any] struct{ List[T] }

// Get reads one object.
func (i Items[T]) Get(ctx context.Context, id string) (T, error) {
	return one[T](ctx, i.client, read(i.at(id)))
}

func (l List[T]) at(id string) string { return l.path + "/" + url.PathEscape(id) }

// Resource is a kind of object T that is made and changed by P.
type Resource[T, P any] struct{ Items[T] }

// Create makes an object. Fields that are not set get their defaults.
func (r Resource[T, P]) Create(ctx context.Context, params P) (T, error) {
	return one[T](ctx, r.client, call{method: http.MethodPost, path: r.path, body: params})
}

// Update changes the fields that are set.
func (r Resource[T, P]) Update(ctx context.Context, id string, params P) (T, error) {
	return one[T](ctx, r.client, call{method: http.MethodPatch, path: r.at(id), body: params})
}

// Delete deletes an object and returns it as it was.
func (r Resource[T, P]) Delete(ctx context.Context, id string) (T, error) {
	return one[T](ctx, r.client, call{method: http.MethodDelete, path: r.at(id)})
}
