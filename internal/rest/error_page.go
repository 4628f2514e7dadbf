package rest

import (
	"context"
	"net/http"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
)

// ErrorPage is the page that meta.url of an error links to.
type ErrorPage struct {
	Code  field.Code `json:"code"`
	Title string     `json:"title"`
	Cause string     `json:"cause"`
	Fix   string     `json:"fix"`
}

func (s *Server) errorPageOperation() Operation {
	return Operation{Method: http.MethodGet, Path: "/docs/errors/{id}", ID: "error_page", Tag: "Server",
		Summary: "Explain an error code.", Status: http.StatusOK, Answer: plainSchema[ErrorPage](), Shape: Plain,
		Handle: func(_ context.Context, in *Request) (*Response, error) {
			for _, page := range s.Codes {
				if string(page.Code) == in.ID {
					return &Response{Data: page}, nil
				}
			}
			return nil, collection.ErrNotFound
		}}
}
