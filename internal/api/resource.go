package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
)

// resource is a kind of object with the five usual operations. T is the object
// in the domain and the store, V the object as it is answered, K its key.
type resource[T, V any, K comparable] struct {
	path       string // as in /v2/outbound_voice_profiles
	name       string // as in outbound_voice_profile: the record_type
	tag        string
	collection collection.Of[T, K]
	parseKey   func(string) (K, error)
	fresh      func() T // with every default of the API
	answers    *schema  // of V
	required   []string // to be named in a create request
	created    int      // status of success of a create: Telnyx's differ by resource
	scope      string   // what a key needs to change one; "" is scopeWrite
	closed     bool     // unknown fields are refused, not ignored
	watched    bool     // the view shows more than configuration, and changes by itself

	// permit refuses what the key of the request may not set; nil permits all. current
	// is nil for a new object.
	permit func(in *request, current, next *T) error
	// adopt gives a changed object what the wire does not carry of the current one.
	adopt func(next, current *T)
	// validate checks what the schema cannot. named is what the request named.
	validate func(account id.ID, object *T, named map[string]any) []field.Error
	// settle looks at a change as a whole: current is nil when an object is created. It
	// may complete what is to be kept, and adds to or takes from what validate has found
	// wrong. Its error is for a change that the key of the request may not make.
	settle func(in *request, current, next *T, errs []field.Error) ([]field.Error, error)
	// view prepares objects for answering, all of one page together.
	view func(ctx context.Context, account id.ID, objects []T) ([]V, error)
	// secrets are the fields of a view that not every key gets to see; nil for none.
	secrets func(view *V) []secretField
	// effects tells, in a dry run, what a change would do to calls; nil for nothing.
	// gone is true when the object would be deleted.
	effects func(ctx context.Context, account id.ID, object *T, gone bool) (any, error)
	effect  *schema // of what effects returns

	filters  []parameter
	sorts    []string
	standard string // order
	pageSize int64
}

// operations are the resource's entries in the table of operations.
func (r *resource[T, V, K]) operations() ([]operation, error) {
	fresh := r.fresh()
	defaults, err := treeOf(&fresh)
	if err != nil {
		return nil, err
	}
	full := r.answers
	full.secret = r.secrets != nil
	create := full.request(r.closed, r.required, true).forCreate().withDefaults(defaults)
	update := full.request(r.closed, r.required, false)
	// What is checked on an update is the whole object that results from it.
	whole := full.request(r.closed, r.required, true)
	one, scope := r.path+"/{id}", cmp.Or(r.scope, scopeWrite)
	params := slices.Concat(pageParams(r.pageSize, maxPageSize), r.filters, []parameter{sortParam(r.standard, r.sorts...)})
	return []operation{
		{method: http.MethodPost, path: r.path, id: "create_" + r.name, tag: r.tag, summary: "Create one.", scope: scope, effect: configures,
			body: create, status: r.created, answer: full, effects: r.effect,
			handle: r.create(whole, defaults)},
		{method: http.MethodGet, path: r.path, id: "list_" + r.name, tag: r.tag, summary: "List them.", scope: scopeRead,
			params: params, status: http.StatusOK, answer: full, shape: list, effect: r.reading(), handle: r.list},
		{method: http.MethodGet, path: one, id: "get_" + r.name, tag: r.tag, summary: "Get one.", scope: scopeRead,
			status: http.StatusOK, answer: full, effect: r.reading(), handle: r.get},
		{method: http.MethodPatch, path: one, id: "update_" + r.name, tag: r.tag, scope: scope, effect: configures,
			summary: "Change what the request names (RFC 7396); null sets a field to its default.",
			body:    update, status: http.StatusOK, answer: full, effects: r.effect,
			handle: r.update(whole, defaults)},
		{method: http.MethodDelete, path: one, id: "delete_" + r.name, tag: r.tag,
			summary: "Delete one. The answer is what was deleted.", scope: scope, effect: configures,
			status: http.StatusOK, answer: full, effects: r.effect, handle: r.remove},
	}, nil
}

// reading is the effect of the reads.
func (r *resource[T, V, K]) reading() effect {
	if r.watched {
		return reads
	}
	return readsConfig
}

// mustOperations is operations for resources whose fresh object can be encoded,
// which every test of them shows.
func (r *resource[T, V, K]) mustOperations() []operation {
	operations, err := r.operations()
	if err != nil {
		panic(err)
	}
	return operations
}

type handler = func(context.Context, *request) (*response, error)

func (r *resource[T, V, K]) create(whole *schema, defaults map[string]any) handler {
	return func(ctx context.Context, in *request) (*response, error) {
		object := r.fresh()
		err := r.fill(&object, in, whole, nil, nil, defaults)
		if err == nil && r.permit != nil {
			err = r.permit(in, nil, &object)
		}
		if err != nil {
			return nil, err
		}
		return r.commit(ctx, in, func(ctx context.Context) (T, error) {
			return r.collection.Create(ctx, in.account, object)
		})
	}
}

func (r *resource[T, V, K]) update(whole *schema, defaults map[string]any) handler {
	return func(ctx context.Context, in *request) (*response, error) {
		key, err := r.parseKey(in.id)
		if err != nil {
			return nil, invalidPathID()
		}
		return r.commit(ctx, in, func(ctx context.Context) (T, error) {
			return r.collection.Update(ctx, in.account, key, func(current T) (T, error) {
				tree, err := treeOf(&current)
				if err != nil {
					return current, err
				}
				var next T
				if err := r.fill(&next, in, whole, &current, tree, defaults); err != nil {
					return current, err
				}
				r.adopt(&next, &current)
				if r.permit != nil {
					err = r.permit(in, &current, &next)
				}
				return next, err
			})
		})
	}
}

// commit runs a write of one object and answers with it.
func (r *resource[T, V, K]) commit(ctx context.Context, in *request, act func(context.Context) (T, error)) (*response, error) {
	return committed(ctx, in, func(ctx context.Context, object T) (*response, error) {
		answer, err := r.answer(ctx, in, object, nil)
		if err == nil && r.effects != nil && collection.OriginOf(ctx).DryRun {
			answer.effects, err = r.effects(ctx, in.account, &object, in.op.method == http.MethodDelete)
		}
		return answer, err
	}, act)
}

// fill puts the request's body, merged into the current object or the defaults,
// into object, or reports everything that is wrong with it. before is the object that
// is changed, nil for none.
func (r *resource[T, V, K]) fill(object *T, in *request, whole *schema, before *T,
	current, defaults map[string]any) error {
	body, problems := in.checked(whole, current, defaults)
	if len(problems) > 0 {
		// The rules of the domain need values of the right types. Those they can
		// still be asked about are in fields that are right by the schema.
		problems = append(problems, r.domainProblems(in, body, problems, defaults)...)
		return invalid(problems)
	}
	if err := decode(body, object); err != nil {
		return err
	}
	errs := r.problems(in, object)
	var forbidden error
	if r.settle != nil {
		errs, forbidden = r.settle(in, before, object, errs)
	}
	if len(errs) > 0 {
		return invalidFields(errs)
	}
	return forbidden
}

// domainProblems asks the domain about a body of which some fields are wrong
// already: those are given their defaults, and what is said of them is dropped.
func (r *resource[T, V, K]) domainProblems(in *request, body map[string]any, known []problem, defaults map[string]any) []problem {
	var wrong []string
	for _, p := range known {
		wrong = append(wrong, reset(body, defaults, p.pointer))
	}
	var object T
	if err := decode(body, &object); err != nil {
		return nil // a field without a default is to blame
	}
	var more []problem
	for _, e := range r.problems(in, &object) {
		said := slices.ContainsFunc(wrong, func(pointer string) bool { return e.Pointer == pointer || strings.HasPrefix(e.Pointer, pointer+"/") })
		if !said && len(known)+len(more) < maxProblems {
			more = append(more, problem{code: e.Code, detail: e.Detail, pointer: e.Pointer})
		}
	}
	return more
}

// problems are what the schema cannot check.
func (r *resource[T, V, K]) problems(in *request, object *T) []field.Error {
	errs := r.maskProblems(in)
	for _, e := range r.validate(in.account, object, in.body) {
		if !slices.ContainsFunc(errs, func(known field.Error) bool { return known.Pointer == e.Pointer }) {
			errs = append(errs, e)
		}
	}
	return errs
}

func (r *resource[T, V, K]) get(ctx context.Context, in *request) (*response, error) {
	key, err := r.parseKey(in.id)
	if err != nil {
		return nil, invalidPathID()
	}
	object, err := r.collection.Get(ctx, in.account, key)
	return r.answer(ctx, in, object, err)
}

func (r *resource[T, V, K]) remove(ctx context.Context, in *request) (*response, error) {
	key, err := r.parseKey(in.id)
	if err != nil {
		return nil, invalidPathID()
	}
	return r.commit(ctx, in, func(ctx context.Context) (T, error) {
		return r.collection.Delete(ctx, in.account, key)
	})
}

func (r *resource[T, V, K]) list(ctx context.Context, in *request) (*response, error) {
	q := in.query.storeQuery(r.standard, int(r.pageSize))
	page, err := r.collection.List(ctx, in.account, q)
	if err != nil {
		return nil, listError(err)
	}
	views, err := r.view(ctx, in.account, page.Items)
	if err != nil {
		return nil, err
	}
	for i := range views {
		r.conceal(in, &views[i])
	}
	return &response{data: views, meta: metaOf(q, page.Total)}, nil
}

func (r *resource[T, V, K]) answer(ctx context.Context, in *request, object T, err error) (*response, error) {
	if err != nil {
		return nil, err
	}
	views, err := r.view(ctx, in.account, []T{object})
	if err != nil {
		return nil, err
	}
	r.conceal(in, &views[0])
	return &response{data: views[0], version: versionOf(&object)}, nil
}

// viewEach is the view of resources whose objects are prepared one by one.
func viewEach[T, V any](view func(T) V) func(context.Context, id.ID, []T) ([]V, error) {
	return func(_ context.Context, _ id.ID, objects []T) ([]V, error) {
		views := make([]V, len(objects))
		for i, object := range objects {
			views[i] = view(object)
		}
		return views, nil
	}
}
