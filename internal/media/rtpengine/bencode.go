package rtpengine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// dict is a dictionary of bencode. Its values are string, int64, []any and dict.
type dict map[string]any

// Limits of a message that is read.
const (
	maxDepth  = 12
	maxValues = 20_000
)

var errBencode = errors.New("bencode")

// appendBencode writes a value. Lists are []string: no others are sent.
func appendBencode(b []byte, value any) []byte {
	switch v := value.(type) {
	case string:
		b = strconv.AppendInt(b, int64(len(v)), 10)
		return append(append(b, ':'), v...)
	case []string:
		b = append(b, 'l')
		for _, item := range v {
			b = appendBencode(b, item)
		}
		return append(b, 'e')
	case dict:
		b = append(b, 'd')
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = appendBencode(appendBencode(b, key), v[key])
		}
		return append(b, 'e')
	}
	panic(fmt.Sprintf("bencode of %T", value))
}

// readBencode reads a dictionary that takes the whole of the text.
func readBencode(text string) (dict, error) {
	r := reader{rest: text}
	value, err := r.value(0)
	if err != nil {
		return nil, err
	}
	d, ok := value.(dict)
	if !ok || r.rest != "" {
		return nil, fmt.Errorf("%w: not a dictionary", errBencode)
	}
	return d, nil
}

type reader struct {
	rest   string
	values int
}

func (r *reader) value(depth int) (any, error) {
	if r.values++; depth > maxDepth || r.values > maxValues {
		return nil, fmt.Errorf("%w: deeper than %d or more than %d values", errBencode, maxDepth, maxValues)
	}
	if r.rest == "" {
		return nil, fmt.Errorf("%w: unexpected end", errBencode)
	}
	switch kind := r.rest[0]; {
	case kind == 'i':
		r.rest = r.rest[1:]
		return r.number('e')
	case kind == 'l':
		r.rest = r.rest[1:]
		var list []any
		for !r.end() {
			item, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		return list, nil
	case kind == 'd':
		r.rest = r.rest[1:]
		d := make(dict)
		for !r.end() {
			key, err := r.text()
			if err != nil {
				return nil, err
			}
			if d[key], err = r.value(depth + 1); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return r.text()
}

// end takes the end of a list or dictionary, if it is next.
func (r *reader) end() bool {
	if r.rest == "" || r.rest[0] != 'e' {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *reader) number(end byte) (int64, error) {
	for i := range min(len(r.rest), 21) {
		if r.rest[i] != end {
			continue
		}
		n, err := strconv.ParseInt(r.rest[:i], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errBencode, err)
		}
		r.rest = r.rest[i+1:]
		return n, nil
	}
	return 0, fmt.Errorf("%w: unterminated number", errBencode)
}

func (r *reader) text() (string, error) {
	size, err := r.number(':')
	if err != nil {
		return "", err
	}
	if size < 0 || size > int64(len(r.rest)) {
		return "", fmt.Errorf("%w: a text of %d bytes in %d", errBencode, size, len(r.rest))
	}
	text := r.rest[:size]
	r.rest = r.rest[size:]
	return text, nil
}
