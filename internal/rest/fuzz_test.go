package rest

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// FuzzQuery feeds texts to what reads queries. Whatever comes: it is answered or refused
// by the client's fault; what is passed over is named; a filter selects no more than
// the query without it would; and an array is the same in each form.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "filter[name][contains]=a", "filter[name][foo]=a&sort=-x", "dimensions[0]=date&dimensions[2]=tn_type",
		"dimensions[]=date&dimensions[]=", "dimensions=date,tn_type", "filter.name.contains=%ff",
		"page[number]=-1&page_size=10", "filter[started_at][gte]=2026-11-30T10:00:00 00:00",
		"filter[started_at][lt]=2026-02-30", "filter=%00&filter[=&=x", "date_range=last_0_days", "date_range=last_3_months",
		"a&a&a", "dimensions[a]=1&dimensions[00]=1&dimensions[0][1]=x", "number=2&page[number]=1", "%zz", "a;b", "[0]=a",
		"filter[name][contains][]=x",
	} {
		f.Add(seed)
	}
	list := &Schema{Kind: "array", MaxItems: 5, Items: &Schema{Kind: "string", Enum: []string{"date", "tn_type", "cost"}}}
	params := slices.Concat(PageParams(20, MaxPageSize), NameFilters("name", 0),
		TimeFilters("started_at", "started_at"), []Parameter{
			{Name: "dimensions", Schema: list}, {Name: "date_range", Schema: DateRangeSchema()},
			SortListParam("", "name", "cost"),
			EqualFilter("filter[outbound.outbound_voice_profile_id]", "profile_id", IDSchema()), dryRunParam(),
		})
	f.Fuzz(func(t *testing.T, raw string) {
		strict, errStrict := parseQuery(params, raw, false)
		q, err := parseQuery(params, raw, true)
		for _, err := range []error{errStrict, err} {
			if failed := (*RefusalError)(nil); err != nil &&
				(!errors.As(err, &failed) || failed.Status/100 != 4 ||
					len(failed.Problems) > MaxProblems || len(failed.Problems) == 0) {
				t.Fatalf("%q: %v", raw, err)
			}
		}
		if errStrict == nil && (err != nil || len(q.ignored) > 0 || len(strict.ignored) > 0 ||
			!slices.Equal(strict.Filters, q.Filters)) {
			t.Fatalf("%q: %v, passed over %q: all of it is known", raw, err, q.ignored)
		}
		values, malformed := url.ParseQuery(raw)
		if err != nil || malformed != nil {
			return
		}
		filters := 0
		for name := range values {
			if p, _, known := knownParameter(params, name); known && p.Filter != nil && p.Name != "filter[name][contains]" {
				filters++
			} else if !known && namesFilter(name) && !q.Nothing {
				t.Fatalf("%q: %q is no filter of the list, and selects", raw, name)
			} else if !known && !slices.Contains(q.ignored, name) {
				t.Fatalf("%q: %q is passed over without a word: %q", raw, name, q.ignored)
			}
		}
		if filters > 0 && len(q.Filters) == 0 && !q.Nothing {
			t.Fatalf("%q: none of %d filters selects", raw, filters)
		}
		items := q.Words("dimensions")
		for _, form := range arrayForms("dimensions", items) {
			again, err := parseQuery(params, form, true)
			if err != nil || !slices.Equal(again.Words("dimensions"), items) {
				t.Fatalf("%q: %q is %q in the form %q: %v", raw, "dimensions", again.Words("dimensions"), form, err)
			}
		}
	})
}

// arrayForms are the queries that give an array, in every form.
func arrayForms(name string, items []string) []string {
	forms := make([]string, 5)
	for i, item := range items {
		forms[0] += "&" + name + "=" + item
		forms[1] += "&" + name + "[]=" + item
		forms[2] += fmt.Sprintf("&%s%%5B%d%%5D=%s", name, i, item)
		forms[3] = fmt.Sprintf("&%s[%d]=%s", name, 3*i+1, item) + forms[3]
	}
	if len(items) > 0 {
		forms[4] = name + "=" + strings.Join(items, ",")
	}
	return forms
}
