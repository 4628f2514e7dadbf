package client_test

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/client"
)

// Every operation that takes a key has a method: c.Profiles().Usage for "profiles usage".
func TestOperationsHaveMethods(t *testing.T) {
	c, s := newClient(t)
	answer, err := http.Get(s.address + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]struct {
			ID       string                `json:"operationId"`
			Security []map[string][]string `json:"security"`
			Resource string                `json:"x-tollgate-resource"`
			Verb     string                `json:"x-tollgate-verb"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	found := 0
	for path, methods := range document.Paths {
		for method, op := range methods {
			if len(op.Security) == 0 {
				continue
			}
			found++
			if !hasMethod(reflect.ValueOf(c), op.Resource, op.Verb) {
				t.Errorf("%s %s has no method %s.%s", method, path, op.Resource, op.Verb)
			}
		}
	}
	if found < 100 {
		t.Errorf("the document has only %d operations", found)
	}
}

func hasMethod(c reflect.Value, resource, verb string) bool {
	method := named(c, resource)
	if !method.IsValid() {
		return false
	}
	if method.Type().NumIn() > 0 { // the only operation of the resource
		return verb == "get" || verb == "list"
	}
	operations := method.Call(nil)[0]
	if verb == "list" {
		return named(operations, "page").IsValid() && named(operations, "all").IsValid()
	}
	return named(operations, verb).IsValid()
}

// named finds a method by its name with underscores.
func named(v reflect.Value, name string) reflect.Value {
	plain := strings.ReplaceAll(name, "_", "")
	for i := range v.NumMethod() {
		if strings.EqualFold(v.Type().Method(i).Name, plain) {
			return v.Method(i)
		}
	}
	return reflect.Value{}
}

// A change can be made on the terms that the object is still as it was read, that it happens
// once, and that it does not happen at all.
func TestTerms(t *testing.T) {
	c, _ := newClient(t)
	ctx, terms := t.Context(), client.IdempotencyKey("one")
	params := client.ProfileParams{Name: client.Set("office")}
	first := value(c.Profiles().Create(ctx, params, terms, client.Reason("a new office")))(t)
	if again := value(c.Profiles().Create(ctx, params, terms))(t); again.ID != first.ID {
		t.Errorf("made twice: %s and %s", first.ID, again.ID)
	}
	var tag string
	value(c.Profiles().Get(ctx, first.ID, client.ETag(&tag)))(t)
	off := client.ProfileParams{Enabled: client.Set(false)}
	var effects client.DryRunProfile
	if would := value(c.Profiles().Update(ctx, first.ID, off, client.DryRun(&effects)))(t); would.Enabled {
		t.Errorf("the profile would be %+v", would)
	}
	value(c.Profiles().Update(ctx, first.ID, off, client.IfMatch(tag)))(t)
	if _, err := c.Profiles().Update(ctx, first.ID, off, client.IfMatch(tag)); !errors.Is(err, client.ErrChanged) {
		t.Errorf("changed in spite of its tag: %v", err)
	}
}
