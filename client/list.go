package client

import (
	"context"
	"fmt"
	"iter"
	"strconv"
)

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
func page[T any](ctx context.Context, c *Client, r call, options []CallOption) (Page[T], error) {
	return bare[Page[T]](ctx, c, r, options)
}

// all walks through a list from the query's page on. It ends after an error. Objects that
// are made or deleted meanwhile may be missed or come twice.
func all[T any](ctx context.Context, c *Client, r call, options []CallOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		r := r
		r.prepare(options)
		for {
			var p Page[T]
			r.into = &p
			if err := c.do(ctx, &r); err != nil {
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
			r.values.Set("page[number]", strconv.Itoa(p.Meta.PageNumber+1))
		}
	}
}

// Collect puts what an iterator gives into a slice, up to its first error.
func Collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for item, err := range items {
		if err != nil {
			return out, fmt.Errorf("after %d objects: %w", len(out), err)
		}
		out = append(out, item)
	}
	return out, nil
}
