package rest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep a request may nest. The deepest resource needs 3.
const maxDepth = 16

// Literal is a JSON number as its digits stand in the text, so that no amount
// goes through a float.
type Literal string

// MarshalJSON writes the digits as they were read.
func (l Literal) MarshalJSON() ([]byte, error) { return []byte(l), nil }

var (
	// errDepth means that a body nests too deep.
	errDepth    = fmt.Errorf("nested deeper than %d levels", maxDepth)
	errEmpty    = errors.New("the body is empty")
	errTrailing = errors.New("there is something after the JSON value")
	errEncoding = errors.New("the text is not UTF-8")
)

// parseTree reads one JSON value as map[string]any, []any, string, literal, bool
// or nil. It refuses duplicate names, invalid UTF-8 and anything after the value.
func parseTree(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errEncoding
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errEmpty
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(text))
	tree, err := readTree(decoder, 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return tree, nil
}

func readTree(decoder *jsontext.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	token, err := decoder.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return token.Bool(), nil
	case '"':
		return token.String(), nil
	case '0':
		return Literal(token.String()), nil
	case '[':
		list := []any{}
		for decoder.PeekKind() != ']' {
			item, err := readTree(decoder, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		_, err := decoder.ReadToken()
		return list, err
	}
	object := map[string]any{}
	for decoder.PeekKind() != '}' {
		name, err := decoder.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String() // before the next read overwrites the token
		object[key], err = readTree(decoder, depth+1)
		if err != nil {
			return nil, err
		}
	}
	_, err = decoder.ReadToken()
	return object, err
}

// mergePatch applies a JSON merge patch (RFC 7396) and returns the result. It
// changes neither argument.
func mergePatch(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged := map[string]any{}
	if old, ok := target.(map[string]any); ok {
		maps.Copy(merged, old)
	}
	for name, value := range changes {
		if value == nil {
			delete(merged, name)
			continue
		}
		merged[name] = mergePatch(merged[name], value)
	}
	return merged
}

// fillDefaults gives every property of the schema that the object lacks its
// default. Members of a nested object that is not there by default are null.
// Required properties are left out, so that their absence is seen.
func fillDefaults(s *Schema, object map[string]any, defaults map[string]any) {
	for _, p := range s.Properties {
		value, given := object[p.Name]
		if !given {
			if !p.Required {
				object[p.Name] = defaults[p.Name]
			}
			continue
		}
		nested, ok := value.(map[string]any)
		if !ok || p.Schema.Kind != "object" {
			continue
		}
		nested = maps.Clone(nested)
		below, _ := defaults[p.Name].(map[string]any)
		fillDefaults(p.Schema, nested, below)
		object[p.Name] = nested
	}
}

// knownFields returns the part of a request that its schema names, and the paths of
// the rest. Fields that only the server sets are left out without a word, since
// clients send back what they were given.
func knownFields(s, full *Schema, object map[string]any, path string) (kept map[string]any, unknown []string) {
	kept = map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		value := object[name]
		p, ours := s.Property(name), full.Property(name)
		switch {
		case p == nil && ours != nil && !ours.Schema.updateOnly: // read-only
		case p == nil:
			unknown = append(unknown, path+name)
		default:
			if ours == nil {
				ours = p // the answer is of another kind than the request
			}
			if nested, ok := value.(map[string]any); ok && p.Schema.Kind == "object" {
				below, rest := knownFields(p.Schema, cmp.Or(ours, p).Schema, nested, path+name+".")
				kept[name], unknown = below, append(unknown, rest...)
				continue
			}
			if list, ok := value.([]any); ok && p.Schema.Kind == "array" && p.Schema.Items.Kind == "object" {
				below, rest := knownItems(p.Schema.Items, cmp.Or(ours, p).Schema.Items, list, path+name+".")
				kept[name], unknown = below, append(unknown, rest...)
				continue
			}
			kept[name] = noneForEmpty(p.Schema, value, !s.closed)
		}
	}
	return kept, unknown
}

// knownItems is known for each object of a list.
func knownItems(s, full *Schema, list []any, path string) (kept []any, unknown []string) {
	kept = make([]any, len(list))
	for i, item := range list {
		kept[i] = item
		if object, ok := item.(map[string]any); ok {
			below, rest := knownFields(s, full, object, path+strconv.Itoa(i)+".")
			kept[i], unknown = below, append(unknown, rest...)
		}
	}
	return kept, unknown
}

// noneForEmpty reads "" as null where an id or another value of a form is wanted:
// clients that do not use a field send an empty text. Where Telnyx's
// fields are read, so is one of a list of words and one that may not be empty. null
// stands for the field's default.
func noneForEmpty(s *Schema, value any, lenient bool) any {
	if value != "" || !s.Nullable || s.Kind != "string" {
		return value
	}
	if s.Parse != nil || lenient && !s.own && (s.Enum != nil || s.MinLength > 0) {
		return nil
	}
	return value
}

// timeLayout is RFC 3339 with milliseconds, as Telnyx writes times.
const timeLayout = "2006-01-02T15:04:05.000Z"

// WireTime writes a time as answers do.
func WireTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// encoding is how this API writes JSON.
func encoding() json.Options {
	return json.JoinOptions(
		json.Deterministic(true),
		json.WithMarshalers(json.MarshalFunc(func(t time.Time) ([]byte, error) {
			return []byte(`"` + WireTime(t) + `"`), nil
		})),
	)
}

// TreeOf is the tree of a Go value as it is written to the wire.
func TreeOf(value any) (map[string]any, error) {
	text, err := json.Marshal(value, encoding())
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", value, err)
	}
	tree, err := parseTree(text)
	if err != nil {
		return nil, fmt.Errorf("read back %T: %w", value, err)
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%T is not an object in JSON", value)
	}
	return object, nil
}

// pointerEscaper is made once: a replacer builds its tables at its first use.
var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// PointerOf turns a path of names into a JSON pointer (RFC 6901).
func PointerOf(parent, name string) string {
	return parent + "/" + pointerEscaper.Replace(name)
}

// reset gives the field that a pointer names its default, or the list or object
// that the field is in when that has no default of its own. It returns the
// pointer of what was reset.
func reset(object, defaults map[string]any, pointer string) string {
	at := ""
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		at += "/" + name
		below, deeper := object[name].(map[string]any)
		belowDefaults, known := defaults[name].(map[string]any)
		if !deeper || !known || at == pointer {
			object[name] = defaults[name]
			return at
		}
		object, defaults = below, belowDefaults
	}
	return at
}
