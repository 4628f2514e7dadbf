package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numberlist"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// numberListView is a number list as it is answered.
type numberListView struct {
	numberlist.List
	RecordType string `json:"record_type" readOnly:"true" enum:"number_list"`
}

func viewNumberList(l numberlist.List) numberListView {
	return numberListView{List: l, RecordType: "number_list"}
}

// numberLists are the operations of number lists. Their entries are read and written as JSON with
// the list, or as a CSV file.
type numberLists struct {
	lists collection.Of[numberlist.List, id.ID]
}

func (s *server) numberListOperations() []rest.Operation {
	const path, one = "/tollgate/v1/number_lists", "/tollgate/v1/number_lists/{id}"
	n := &numberLists{store.Of[numberlist.List](s.Resources)}
	answer := schemaOf[numberListView]()
	r := &rest.Resource[numberlist.List, numberListView, id.ID]{
		Path: path, Name: "number_list", Tag: "Number lists", Answers: answer, Closed: true,
		Collection: n.lists, Required: []string{"name", "matches"},
		View: rest.ViewEach(viewNumberList), Filters: rest.NameFilters("name", 0), Sorts: []string{"created_at", "name"},
	}
	return append(r.MustOperations(),
		rest.Operation{Method: http.MethodPost, Path: one + "/import", ID: "import_number_list", Tag: "Number lists",
			Scope: ScopeWrite, Effect: rest.Configures, Uploads: []string{"text/csv"}, Status: http.StatusOK, Answer: answer,
			Summary: "Replace the entries by those of a CSV file with the columns prefix, action, comment and expires_at: all " +
				"lines or none.", Handle: n.importEntries},
		rest.Operation{Method: http.MethodGet, Path: one + "/export", ID: "export_number_list", Tag: "Number lists",
			Scope: ScopeRead, Status: http.StatusOK, Shape: rest.CSV,
			Summary: "The entries as a CSV file that reads back alike.", Handle: n.exportEntries},
	)
}

func (n *numberLists) importEntries(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	entries, errs, err := numberlist.ReadCSV(in.Upload)
	if err != nil || len(errs) > 0 {
		return nil, numberListFailure(errs, err)
	}
	answer := func(_ context.Context, l numberlist.List) (*rest.Response, error) {
		return &rest.Response{Data: viewNumberList(l), Version: l.Version}, nil
	}
	return rest.Committed(ctx, in, answer, func(ctx context.Context) (numberlist.List, error) {
		return n.lists.Update(ctx, in.Account, key, func(l numberlist.List) (numberlist.List, error) {
			l.Entries = entries
			return l, nil
		})
	})
}

// numberListFailure reports every bad cell with its line and column.
func numberListFailure(errs []field.Error, err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return rest.Fail(http.StatusRequestEntityTooLarge, rest.CodeTooLarge,
			"The file is larger than %d bytes.", rest.MaxUpload)
	}
	if err != nil {
		return rest.Invalid([]rest.Problem{{Code: field.Malformed, Detail: err.Error()}})
	}
	var problems []rest.Problem
	for _, e := range errs[:min(len(errs), rest.MaxProblems)] {
		problems = append(problems, rest.Problem{Code: e.Code, Pointer: e.Pointer, Detail: e.Detail})
	}
	return rest.Invalid(problems)
}

func (n *numberLists) exportEntries(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	list, err := n.lists.Get(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	text, err := numberlist.WriteCSV(list.Entries)
	return &rest.Response{Text: text, Kind: "text/csv; charset=utf-8"}, err
}
