package telnyx

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tollgate/tollgate/test/process"
)

// managed is a resource that a community provider for Terraform manages: what it sends
// to make it, and the members that a changed plan sends otherwise.
type managed struct {
	Name    string   `json:"name"`
	Path    string   `json:"path"`
	Created int      `json:"created"` // the status of the answer to the create request
	Body    object   `json:"body"`
	Update  object   `json:"update"`
	Ignored []string `json:"ignored"` // members that the resource does not have
}

// TestTerraform goes through the requests of a community provider for Terraform: create,
// read, plan without differences, update, import, destroy. No provider can be had from
// the registries that the tests use.
func TestTerraform(t *testing.T) {
	text, err := os.ReadFile("terraform.json")
	if err != nil {
		t.Fatal(err)
	}
	var resources []managed
	if err := json.Unmarshal(text, &resources, json.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	onBothStores(t, func(t *testing.T, s *process.Server) {
		kept := map[string]object{}
		for _, r := range resources {
			status, answer := s.Call(http.MethodPost, r.Path, r.body(t, nil, kept))
			if status != r.Created {
				t.Fatalf("create %s: status %d: %v", r.Name, status, answer)
			}
			kept[r.Name], _ = answer["data"].(object)
			r.wantNoDifference(t, s, nil, kept)
		}
		for _, r := range resources {
			status, answer := s.Call(http.MethodPatch, r.path(kept), r.body(t, r.Update, kept))
			if status != http.StatusOK {
				t.Fatalf("update %s: status %d: %v", r.Name, status, answer)
			}
			r.wantNoDifference(t, s, r.Update, kept)
		}
		for _, r := range slices.Backward(resources) {
			if status, answer := s.Call(http.MethodDelete, r.path(kept), nil); status != http.StatusOK {
				t.Errorf("destroy %s: status %d: %v", r.Name, status, answer)
			}
			if status, answer := s.Call(http.MethodGet, r.path(kept), nil); status != http.StatusNotFound {
				t.Errorf("%s after destroy: status %d: %v", r.Name, status, answer)
			}
		}
	})
}

func (r managed) path(kept map[string]object) string {
	return fmt.Sprintf("%s/%v", r.Path, kept[r.Name]["id"])
}

// number is an id that the provider sends as a JSON number, since its own type is one.
var number = regexp.MustCompile(`"#\{([a-z]+)\.id\}"`)

// body is what the provider sends: all of the resource each time.
func (r managed) body(t *testing.T, update object, kept map[string]object) jsontext.Value {
	t.Helper()
	return jsontext.Value(filled(t, number.ReplaceAllString(r.whole(t, update), "$${${1}.id}"), kept))
}

func (r managed) whole(t *testing.T, update object) string {
	t.Helper()
	whole := maps.Clone(r.Body)
	maps.Copy(whole, update)
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wantNoDifference reads the resource by its id, as a refresh and an import do, and
// compares what was sent with what is there as the provider does.
func (r managed) wantNoDifference(t *testing.T, s *process.Server, update object, kept map[string]object) {
	t.Helper()
	status, answer := s.Call(http.MethodGet, r.path(kept), nil)
	if status != http.StatusOK {
		t.Fatalf("read %s: status %d: %v", r.Name, status, answer)
	}
	data, _ := answer["data"].(object)
	sent := object{}
	if err := json.Unmarshal([]byte(filled(t, number.ReplaceAllString(r.whole(t, update), `"$${${1}.id}"`), kept)),
		&sent); err != nil {
		t.Fatal(err)
	}
	r.compare(t, "", sent, data)
}

func (r managed) compare(t *testing.T, place string, sent, got object) {
	t.Helper()
	for name, value := range sent {
		at := place + name
		if slices.Contains([]string{"id", "record_type", "created_at", "updated_at", "password"}, at) ||
			slices.Contains(r.Ignored, at) {
			continue
		}
		if members, ok := value.(object); ok {
			inside, _ := got[name].(object)
			r.compare(t, at+".", members, inside)
			continue
		}
		if !same(name, value, got[name]) {
			t.Errorf("%s: %s was sent as %v and is read as %v", r.Name, at, value, got[name])
		}
	}
}

// same compares as the provider does: a text that is missing is empty, and the type of a
// DNS record has no case.
func same(name string, sent, got any) bool {
	if sent == "" && got == nil {
		return true
	}
	if name == "dns_record_type" {
		return strings.EqualFold(fmt.Sprint(sent), fmt.Sprint(got))
	}
	return reflect.DeepEqual(sent, got)
}
