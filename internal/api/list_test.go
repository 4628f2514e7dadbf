package api

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Pages of any size, put together, are the whole list in its order; filters keep
// exactly what they say.
func TestPagesFiltersAndSorts(t *testing.T) {
	h := newHarness(t)
	var all []map[string]any
	for i := range 23 {
		if i%3 != 0 { // some are created within one millisecond
			h.clock.Advance(time.Second)
		}
		name := fmt.Sprintf("%s %c", []string{"Office", "office", "shop_", "100%"}[i%4], 'a'+i%5)
		body := fmt.Sprintf(`{"name":%q,"enabled":%t}`, name, i%2 == 0)
		all = append(all, h.do("POST", "/v2/outbound_voice_profiles", body).want(http.StatusOK))
	}
	orders := map[string]func(a, b map[string]any) int{
		"created_at": func(a, b map[string]any) int {
			return cmp.Compare(a["created_at"].(string), b["created_at"].(string))
		},
		"name":    func(a, b map[string]any) int { return cmp.Compare(a["name"].(string), b["name"].(string)) },
		"enabled": func(a, b map[string]any) int { return boolRank(a["enabled"].(bool)) - boolRank(b["enabled"].(bool)) },
	}
	rapid.Check(t, func(rt *rapid.T) {
		contains := rapid.SampledFrom([]string{"", "OFFICE", "e a", "%", "_", `\`, "nothing"}).Draw(rt, "contains")
		order := rapid.SampledFrom([]string{"", "created_at", "-created_at", "name", "-name", "enabled", "-enabled"}).
			Draw(rt, "sort")
		size := rapid.IntRange(0, 30).Draw(rt, "size")
		var want []string
		for _, p := range expected(all, contains, order, orders) {
			want = append(want, p["id"].(string))
		}
		effective := size
		if size == 0 {
			effective = 20
		}
		pages := (len(want) + effective - 1) / effective
		var got []string
		for page := 1; page <= pages+1; page++ {
			query := url.Values{"page[number]": {fmt.Sprint(page)}, "page[size]": {fmt.Sprint(size)}}
			if contains != "" {
				query.Set("filter[name][contains]", contains)
			}
			if order != "" {
				query.Set("sort", order)
			}
			r := h.do("GET", "/v2/outbound_voice_profiles?"+query.Encode(), "")
			items := r.list()
			meta := map[string]any{
				"page_number": float64(page), "page_size": float64(effective), "total_pages": float64(pages),
				"total_results": float64(len(want)),
			}
			if diff := gocmp.Diff(meta, r.body["meta"]); diff != "" {
				rt.Fatalf("meta (-want +got):\n%s", diff)
			}
			if page > pages && len(items) > 0 {
				rt.Fatalf("page %d of %d has %d objects", page, pages, len(items))
			}
			for _, item := range items {
				got = append(got, item["id"].(string))
			}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			rt.Fatalf("list (-want +got):\n%s", diff)
		}
	})
}

// expected is the list by a plain filter and a plain sort.
func expected(all []map[string]any, contains, order string,
	orders map[string]func(a, b map[string]any) int) []map[string]any {
	var kept []map[string]any
	for _, p := range all {
		if strings.Contains(strings.ToLower(p["name"].(string)), strings.ToLower(contains)) {
			kept = append(kept, p)
		}
	}
	name, descending := strings.CutPrefix(cmp.Or(order, "-created_at"), "-")
	slices.SortFunc(kept, func(a, b map[string]any) int {
		result := cmp.Or(orders[name](a, b), cmp.Compare(a["id"].(string), b["id"].(string)))
		if descending {
			return -result
		}
		return result
	})
	return kept
}

// Clients exist that send page[number]=0 and page[size]=0; both count as not given.
func TestPageDefaults(t *testing.T) {
	h := newHarness(t)
	for path, size := range map[string]float64{
		"/v2/outbound_voice_profiles": 20, "/v2/billing_groups": 20, "/v2/ip_connections": 250,
		"/v2/credential_connections": 250, "/v2/connections": 250, "/v2/ips": 250, "/v2/detail_records": 20,
		"/v2/fqdn_connections": 250, "/v2/fqdns": 250, "/v2/recordings": 20, "/v2/call_events": 20, "/v2/usage_reports": 20,
	} {
		for _, query := range []string{"", "page[number]=0&page[size]=0", "page[number]=-3&page[size]=-1"} {
			switch path {
			case "/v2/detail_records":
				query += "&filter[record_type]=sip-trunking"
			case "/v2/usage_reports":
				query += "&" + someUsage
			}
			want := map[string]any{"page_number": 1.0, "page_size": size, "total_pages": 0.0, "total_results": 0.0}
			if diff := gocmp.Diff(want, h.do("GET", path+"?"+query, "").body["meta"]); diff != "" {
				t.Errorf("%s?%s (-want +got):\n%s", path, query, diff)
			}
		}
	}
}

func TestFarPageIsEmpty(t *testing.T) {
	h := newHarness(t)
	h.do("POST", "/v2/ip_connections", `{}`).want(http.StatusCreated)
	for _, path := range []string{"/v2/ip_connections", "/v2/connections", "/tollgate/v1/calls"} {
		if items := h.do("GET", path+"?page[number]=1000000&page[size]=250", "").list(); len(items) != 0 {
			t.Errorf("%s: %v", path, items)
		}
	}
}
