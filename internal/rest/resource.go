package rest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
)

// Resource is a kind of object with the five usual operations. T is the object
// in the domain and the store, V the object as it is answered, K its key.
type Resource[T, V any, K comparable] struct {
	Path       string // as in /v2/books
	Name       string // as in book: the record_type
	Tag        string
	Collection collection.Of[T, K]
	Answers    *Schema  // of V
	Required   []string // to be named in a create request
	Created    int      // status of success of a create, since Telnyx's differ by resource; 0 is 201
	Scope      string   // what a key needs to change one; "" is ScopeWrite
	Reader     string   // what a key needs to read one; "" is ScopeRead
	Closed     bool     // unknown fields are refused, not ignored
	Watched    bool     // the view shows more than configuration, and changes by itself

	// Create keeps a new object and answers, where that is more than a Create of the
	// collection; nil for no more.
	Create func(ctx context.Context, in *Request, object T) (*Response, error)
	// Permit refuses what the key of the request may not set; nil permits all. current
	// is nil for a new object.
	Permit func(in *Request, current, next *T) error
	// Adopt gives a changed object what the wire does not carry of the current one beside
	// its head and times; nil for nothing.
	Adopt func(next, current *T)
	// Validate checks what the schema cannot; nil for T's own Validate, if it has one. named
	// is what the request named.
	Validate func(account id.ID, object *T, named map[string]any) []field.Error
	// Settle looks at a change as a whole: current is nil when an object is created. It
	// may complete what is to be kept, and adds to or takes from what validate has found
	// wrong. Its error is for a change that the key of the request may not make.
	Settle func(in *Request, current, next *T, errs []field.Error) ([]field.Error, error)
	// View prepares objects for answering, all of one page together.
	View func(ctx context.Context, account id.ID, objects []T) ([]V, error)
	// Secrets are the fields of a view that not every key gets to see; nil for none.
	Secrets func(view *V) []SecretField
	// Effects returns, in a dry run, the effects of a change; nil for none.
	// gone is true when the object would be deleted.
	Effects func(ctx context.Context, account id.ID, object *T, gone bool) (any, error)
	Effect  *Schema // of what effects returns

	Filters  []Parameter
	Sorts    []string
	Standard string // order; "" is that of creation, the newest first
	PageSize int64  // 0 is 20
}

// standardPage is how many objects a page of a list has if the resource does not say.
const standardPage = 20

// complete fills in what a resource leaves out.
func (r *Resource[T, V, K]) complete() {
	r.Created = cmp.Or(r.Created, http.StatusCreated)
	r.Standard = cmp.Or(r.Standard, "-created_at")
	r.PageSize = cmp.Or(r.PageSize, standardPage)
	r.Scope = cmp.Or(r.Scope, ScopeWrite)
	r.Reader = cmp.Or(r.Reader, ScopeRead)
	if r.Validate == nil {
		r.Validate = func(_ id.ID, object *T, _ map[string]any) []field.Error {
			if v, ok := any(object).(interface{ Validate() []field.Error }); ok {
				return v.Validate()
			}
			return nil
		}
	}
}

// PathKey reads the key of an object from a path.
func PathKey[K comparable](text string) (key K, err error) {
	switch k := any(&key).(type) {
	case *id.ID:
		*k, err = id.Parse(text)
	case *uuid.UUID:
		if err = ParseUUID(text); err == nil {
			*k, err = uuid.Parse(text)
		}
	default:
		panic(fmt.Sprintf("rest: a key cannot be a %T", key))
	}
	if err != nil {
		return key, InvalidPathID()
	}
	return key, nil
}

// operations are the resource's entries in the table of operations.
func (r *Resource[T, V, K]) operations() ([]Operation, error) {
	r.complete()
	fresh := r.Collection.Fresh()
	defaults, err := TreeOf(&fresh)
	if err != nil {
		return nil, err
	}
	full := r.Answers
	full.Secret = r.Secrets != nil
	create := full.Request(r.Closed, r.Required, true).forCreate().WithDefaults(defaults)
	update := full.Request(r.Closed, r.Required, false)
	// What is checked on an update is the whole object that results from it.
	whole := full.Request(r.Closed, r.Required, true)
	one := r.Path + "/{id}"
	params := slices.Concat(PageParams(r.PageSize, MaxPageSize), r.Filters, []Parameter{SortParam(r.Standard, r.Sorts...)})
	return []Operation{
		{Method: http.MethodPost, Path: r.Path, ID: "create_" + r.Name, Tag: r.Tag, Summary: "Create one.", Scope: r.Scope,
			Effect: Configures, Body: create, Status: r.Created, Answer: full, effects: r.Effect,
			Handle: r.create(whole, defaults)},
		{Method: http.MethodGet, Path: r.Path, ID: "list_" + r.Name, Tag: r.Tag, Summary: "List them.", Scope: r.Reader,
			Params: params, Status: http.StatusOK, Answer: full, Shape: List, Effect: r.reading(), Handle: r.list},
		{Method: http.MethodGet, Path: one, ID: "get_" + r.Name, Tag: r.Tag, Summary: "Get one.", Scope: r.Reader,
			Status: http.StatusOK, Answer: full, Effect: r.reading(), Handle: r.Get},
		{Method: http.MethodPatch, Path: one, ID: "update_" + r.Name, Tag: r.Tag, Scope: r.Scope, Effect: Configures,
			Summary: "Change what the request names (RFC 7396); null sets a field to its default.",
			Body:    update, Status: http.StatusOK, Answer: full, effects: r.Effect,
			Handle: r.update(whole, defaults)},
		{Method: http.MethodDelete, Path: one, ID: "delete_" + r.Name, Tag: r.Tag,
			Summary: "Delete one. The answer is what was deleted.", Scope: r.Scope, Effect: Configures,
			Status: http.StatusOK, Answer: full, effects: r.Effect, Handle: r.remove},
	}, nil
}

// reading is the effect of the reads.
func (r *Resource[T, V, K]) reading() Effect {
	if r.Watched {
		return Reads
	}
	return ReadsConfig
}

// MustOperations is operations for resources whose fresh object can be encoded,
// which every test of them shows.
func (r *Resource[T, V, K]) MustOperations() []Operation {
	operations, err := r.operations()
	if err != nil {
		panic(err)
	}
	return operations
}

// Handler answers a request that has been checked.
type Handler = func(context.Context, *Request) (*Response, error)

func (r *Resource[T, V, K]) create(whole *Schema, defaults map[string]any) Handler {
	return func(ctx context.Context, in *Request) (*Response, error) {
		object := r.Collection.Fresh()
		err := r.fill(&object, in, whole, nil, nil, defaults)
		if err == nil && r.Permit != nil {
			err = r.Permit(in, nil, &object)
		}
		if err != nil {
			return nil, err
		}
		if r.Create != nil {
			return r.Create(ctx, in, object)
		}
		return r.Commit(ctx, in, func(ctx context.Context) (T, error) {
			return r.Collection.Create(ctx, in.Account, object)
		})
	}
}

func (r *Resource[T, V, K]) update(whole *Schema, defaults map[string]any) Handler {
	return func(ctx context.Context, in *Request) (*Response, error) {
		key, err := PathKey[K](in.ID)
		if err != nil {
			return nil, err
		}
		return r.Commit(ctx, in, func(ctx context.Context) (T, error) {
			return r.Collection.Update(ctx, in.Account, key, func(current T) (T, error) {
				tree, err := TreeOf(&current)
				if err != nil {
					return current, err
				}
				next := r.Collection.Fresh()
				if err := r.fill(&next, in, whole, &current, tree, defaults); err != nil {
					return current, err
				}
				adoptHead[K](&next, &current)
				if r.Adopt != nil {
					r.Adopt(&next, &current)
				}
				if r.Permit != nil {
					err = r.Permit(in, &current, &next)
				}
				return next, err
			})
		})
	}
}

// Commit runs a write of one object and answers with it.
func (r *Resource[T, V, K]) Commit(ctx context.Context, in *Request,
	act func(context.Context) (T, error)) (*Response, error) {
	return Committed(ctx, in, func(ctx context.Context, object T) (*Response, error) {
		answer, err := r.answer(ctx, in, object, nil)
		if err == nil && r.Effects != nil && collection.OriginOf(ctx).DryRun {
			answer.effects, err = r.Effects(ctx, in.Account, &object, in.Op.Method == http.MethodDelete)
		}
		return answer, err
	}, act)
}

// fill puts the request's body, merged into the current object or the defaults,
// into object, or reports everything that is wrong with it. before is the object that
// is changed, nil for none.
func (r *Resource[T, V, K]) fill(object *T, in *Request, whole *Schema, before *T,
	current, defaults map[string]any) error {
	body, problems := in.Checked(whole, current, defaults)
	if len(problems) > 0 {
		// The rules of the domain need values of the right types. Those they can
		// still be asked about are in fields that are right by the schema.
		problems = append(problems, r.domainProblems(in, before, body, problems, defaults)...)
		return Invalid(problems)
	}
	if err := Decode(body, object); err != nil {
		return err
	}
	errs := r.Problems(in, object)
	var forbidden error
	if r.Settle != nil {
		errs, forbidden = r.Settle(in, before, object, errs)
	}
	if len(errs) > 0 {
		return InvalidFields(errs)
	}
	return forbidden
}

// domainProblems asks the domain about a body of which some fields are wrong
// already: those are given their defaults, and what is said of them is dropped.
func (r *Resource[T, V, K]) domainProblems(in *Request, before *T, body map[string]any, known []Problem,
	defaults map[string]any) []Problem {
	var wrong []string
	for _, p := range known {
		wrong = append(wrong, reset(body, defaults, p.Pointer))
	}
	object := r.Collection.Fresh()
	if err := Decode(body, &object); err != nil {
		return nil // a field without a default is to blame
	}
	errs := r.Problems(in, &object)
	if r.Settle != nil {
		errs, _ = r.Settle(in, before, &object, errs)
	}
	var more []Problem
	for _, e := range errs {
		said := slices.ContainsFunc(wrong, func(pointer string) bool {
			return e.Pointer == pointer || strings.HasPrefix(e.Pointer, pointer+"/")
		})
		if !said && len(known)+len(more) < MaxProblems {
			more = append(more, Problem{Code: e.Code, Detail: e.Detail, Pointer: e.Pointer})
		}
	}
	return more
}

// Problems are what the schema cannot check.
func (r *Resource[T, V, K]) Problems(in *Request, object *T) []field.Error {
	errs := r.maskProblems(in)
	for _, e := range r.Validate(in.Account, object, in.Body) {
		if !slices.ContainsFunc(errs, func(known field.Error) bool { return known.Pointer == e.Pointer }) {
			errs = append(errs, e)
		}
	}
	return errs
}

// Get answers with one object.
func (r *Resource[T, V, K]) Get(ctx context.Context, in *Request) (*Response, error) {
	key, err := PathKey[K](in.ID)
	if err != nil {
		return nil, err
	}
	object, err := r.Collection.Get(ctx, in.Account, key)
	return r.answer(ctx, in, object, err)
}

func (r *Resource[T, V, K]) remove(ctx context.Context, in *Request) (*Response, error) {
	key, err := PathKey[K](in.ID)
	if err != nil {
		return nil, err
	}
	return r.Commit(ctx, in, func(ctx context.Context) (T, error) {
		return r.Collection.Delete(ctx, in.Account, key)
	})
}

func (r *Resource[T, V, K]) list(ctx context.Context, in *Request) (*Response, error) {
	q := in.Query.StoreQuery(r.Standard, int(r.PageSize))
	page, err := r.Collection.List(ctx, in.Account, q)
	if err != nil {
		return nil, ListError(err)
	}
	views, err := r.View(ctx, in.Account, page.Items)
	if err != nil {
		return nil, err
	}
	for i := range views {
		r.conceal(in, &views[i])
	}
	return &Response{Data: views, Meta: MetaOf(q, page.Total)}, nil
}

func (r *Resource[T, V, K]) answer(ctx context.Context, in *Request, object T, err error) (*Response, error) {
	if err != nil {
		return nil, err
	}
	views, err := r.View(ctx, in.Account, []T{object})
	if err != nil {
		return nil, err
	}
	r.conceal(in, &views[0])
	head, _ := collection.HeadOf[K](&object)
	return &Response{Data: views[0], Version: head.Version}, nil
}

// ViewEach is the view of resources whose objects are prepared one by one.
func ViewEach[T, V any](view func(T) V) func(context.Context, id.ID, []T) ([]V, error) {
	return func(_ context.Context, _ id.ID, objects []T) ([]V, error) {
		views := make([]V, len(objects))
		for i, object := range objects {
			views[i] = view(object)
		}
		return views, nil
	}
}

// adoptHead gives a changed object the head and the times of the current one.
func adoptHead[K comparable, T any](next, current *T) {
	head, times := collection.HeadOf[K](next)
	was, then := collection.HeadOf[K](current)
	*head, *times = *was, *then
}
