package api

import (
	"context"
	"net/http"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
)

// errorPage is what meta.url of an error leads to.
type errorPage struct {
	Code  field.Code `json:"code"`
	Title string     `json:"title"`
	Cause string     `json:"cause"`
	Fix   string     `json:"fix"`
}

func (s *engine) errorPageOperation() operation {
	return operation{method: http.MethodGet, path: "/docs/errors/{id}", id: "error_page", tag: "Server", summary: "Explain an error code.",
		status: http.StatusOK, answer: plainSchema[errorPage](), shape: plain,
		handle: func(_ context.Context, in *request) (*response, error) {
			for _, page := range s.Codes {
				if string(page.Code) == in.id {
					return &response{data: page}, nil
				}
			}
			return nil, collection.ErrNotFound
		}}
}
