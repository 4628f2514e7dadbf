package api

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/field"
)

// maxProblems bounds the errors of one answer. A person mends a few at a time.
const maxProblems = 100

// checker collects everything that is wrong with a value.
type checker struct {
	problems []problem
}

func (c *checker) add(pointer string, code field.Code, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, problem{code: code, pointer: pointer, detail: fmt.Sprintf(format, args...)})
	}
}

// check compares a value with its schema and returns the value in the form in
// which the Go type reads it: an integer that was written as 10.0 becomes 10.
func (c *checker) check(s *schema, value any, pointer string) any {
	if value == nil {
		if !s.nullable {
			c.add(pointer, field.WrongType, "%s is null. Give %s.", nameOf(pointer), s.wanted())
		}
		return nil
	}
	if s.kind == "" {
		return value
	}
	switch v := value.(type) {
	case map[string]any:
		if s.kind == "object" {
			return c.object(s, v, pointer)
		}
	case []any:
		if s.kind == "array" {
			return c.array(s, v, pointer)
		}
	case string:
		if s.kind == "string" {
			if s.fold != nil {
				v = s.fold(v)
			}
			c.text(s, v, pointer)
			return v
		}
	case literal:
		if s.kind == "integer" || s.kind == "number" {
			return c.number(s, v, pointer)
		}
		if s.numericID {
			return c.numericID(s, v, pointer)
		}
	case bool:
		if s.kind == "boolean" {
			return v
		}
	}
	c.add(pointer, field.WrongType, "%s is %s. Give %s.", nameOf(pointer), kindOf(value), s.wanted())
	return value
}

// numericID reads an id that came as a number.
func (c *checker) numericID(s *schema, given literal, pointer string) any {
	text, ok := idOf(given)
	if !ok {
		c.add(pointer, field.Malformed, "%s is %s, which is no id. Give %s.", nameOf(pointer), abbreviated(string(given)), s.wanted())
		return given
	}
	return text
}

func (c *checker) object(s *schema, object map[string]any, pointer string) any {
	checked := make(map[string]any, len(object))
	for _, p := range s.properties {
		below := pointerOf(pointer, p.name)
		value, given := object[p.name]
		switch {
		case given:
			checked[p.name] = c.check(p.schema, value, below)
		case p.required:
			c.add(below, field.Missing, "%s is required. Give %s.", nameOf(below), p.schema.wanted())
		}
	}
	return checked
}

func (c *checker) array(s *schema, list []any, pointer string) any {
	if s.maxItems > 0 && len(list) > s.maxItems {
		c.add(pointer, field.Length, "%s has %d entries. Give at most %d.", nameOf(pointer), len(list), s.maxItems)
		return list
	}
	checked := make([]any, len(list))
	for i, item := range list {
		checked[i] = c.check(s.items, item, pointer+"/"+strconv.Itoa(i))
	}
	return checked
}

func (c *checker) text(s *schema, text, pointer string) {
	characters := utf8.RuneCountInString(text)
	switch {
	case s.enum != nil:
		for _, accepted := range s.enum {
			if text == accepted {
				return
			}
		}
		c.add(pointer, field.NotListed, "%s is %s. Give %s.", nameOf(pointer), excerpt(text), s.wanted())
	case characters < s.minLength || s.maxLength > 0 && characters > s.maxLength:
		c.add(pointer, field.Length, "%s has %d characters. Give %s.", nameOf(pointer), characters, s.wanted())
	case strings.ContainsRune(text, 0):
		c.add(pointer, field.Malformed, "%s holds a NUL character. Leave it out.", nameOf(pointer))
	case s.pattern != nil && !s.pattern.MatchString(text), s.parse != nil && s.parse(text) != nil:
		c.add(pointer, cmp.Or(s.code, field.Malformed), "%s is %s. Give %s.", nameOf(pointer), excerpt(text), s.wanted())
	}
}

// number compares a number with the bounds exactly, and returns it without an exponent.
func (c *checker) number(s *schema, given literal, pointer string) any {
	value, text := readDecimal(given), abbreviated(string(given))
	whole, isWhole := value.whole()
	switch {
	case s.kind == "integer" && value.decimals() > 0:
		c.add(pointer, field.WrongType, "%s is %s. Give %s.", nameOf(pointer), text, s.wanted())
	case s.minimum != nil && value.compare(*s.minimum) < 0, s.maximum != nil && value.compare(*s.maximum) > 0,
		s.kind == "integer" && !isWhole:
		c.add(pointer, field.OutOfRange, "%s is %s. Give %s.", nameOf(pointer), text, s.wanted())
	case s.multipleOf > 1 && !dividedBy(whole, s.multipleOf):
		c.add(pointer, field.OutOfRange, "%s is %s. Give a multiple of %d.", nameOf(pointer), text, s.multipleOf)
	case s.kind == "integer":
		return whole
	case value.wholeDigits() > maxWholeDigits:
		c.add(pointer, field.OutOfRange, "%s is %s. Give %s, and below 9 billion.", nameOf(pointer), text, s.wantedValue())
	case s.decimals > 0 && value.decimals() > s.decimals, value.decimals() > maxDecimals:
		c.add(pointer, field.OutOfRange, "%s is %s, which has %d digits after the point. Give %s with at most %d.",
			nameOf(pointer), text, value.decimals(), s.wantedValue(), cmp.Or(s.decimals, maxDecimals))
	case s.parse != nil && s.parse(value.plain()) != nil:
		c.add(pointer, field.OutOfRange, "%s is %s. Give %s, and below 9 billion.", nameOf(pointer), text, s.wantedValue())
	default:
		return literal(value.plain())
	}
	return given
}

func dividedBy(whole literal, divisor int64) bool {
	n, err := strconv.ParseInt(string(whole), 10, 64)
	return err == nil && n%divisor == 0
}

// abbreviated is a number for people, who do not read thousands of digits.
func abbreviated(number string) string {
	if len(number) > maxExcerpt {
		return number[:maxExcerpt] + "..."
	}
	return number
}

// wanted says what the schema accepts, for people.
func (s *schema) wanted() string {
	text := s.wantedValue()
	if s.nullable {
		text += ", or null"
	}
	return text
}

// noControls is the pattern of what may have any character that can be seen. People
// are told it in words.
const noControls = `^[^\x00-\x1f\x7f]*$`

func (s *schema) wantedValue() string {
	switch {
	case len(s.enum) == 1:
		return strconv.Quote(s.enum[0])
	case s.enum != nil:
		return "one of " + strings.Join(s.enum, ", ")
	case s.wants != "":
		return s.wants
	case s.format == "decimal":
		return `a decimal amount in a text, such as "100.00", with at most 9 decimals`
	case s.format == "ip":
		return `an IP address in a text, such as "192.0.2.10"`
	case s.format == "uuid":
		return `a UUID such as "6a09cdc3-8948-47f0-aa62-74ac943d6c58"`
	case s.format == "date-time":
		return `a time in RFC 3339 form, such as "2018-02-02T22:25:27.521Z"`
	case s.format == momentFormat:
		return `a time in RFC 3339 form, such as "2018-02-02T22:25:27.521Z", or a day, such as "2018-02-02"`
	case s.format == dateRangeFormat:
		return dateRangeWanted
	case s.format == "date":
		return `a day of the calendar, such as "2018-02-02"`
	case s.format == "cursor":
		return "a cursor that an answer gave in meta.cursors"
	case s.numericID:
		return "the id of a resource, which is a text (or a whole number) of 1 to 19 digits"
	case s.kind == "string" && s.minLength == s.maxLength && s.maxLength > 0:
		return fmt.Sprintf("a text of %d characters", s.maxLength)
	case s.kind == "string" && s.pattern != nil && s.pattern.String() == noControls:
		return fmt.Sprintf("a text of %d to %d characters, none of them a control character", s.minLength, s.maxLength)
	case s.kind == "string" && s.pattern != nil:
		return "a text of the form " + s.pattern.String()
	case s.kind == "string" && s.maxLength > 0:
		return fmt.Sprintf("a text of %d to %d characters", s.minLength, s.maxLength)
	case s.minimum != nil && s.maximum != nil:
		return fmt.Sprintf("%s between %d and %d", article(s.kind), *s.minimum, *s.maximum)
	case s.minimum != nil:
		return fmt.Sprintf("%s of at least %d", article(s.kind), *s.minimum)
	}
	return article(s.kind)
}

func article(kind string) string {
	switch kind {
	case "string":
		return "a text"
	case "array":
		return "a list"
	case "boolean":
		return "true or false"
	case "integer":
		return "a whole number"
	case "object":
		return "an object"
	}
	return "a " + kind
}

func kindOf(value any) string {
	switch value.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a text"
	case literal:
		return "a number"
	case bool:
		return "true or false"
	}
	return "null"
}

// nameOf is the field that a pointer ends in, as in "call_recording.call_recording_type".
func nameOf(pointer string) string {
	if pointer == "" {
		return "The body"
	}
	return strings.ReplaceAll(pointer[1:], "/", ".")
}

// maxExcerpt bounds what an error repeats of a request.
const maxExcerpt = 60

func excerpt(text string) string {
	runes := []rune(text)
	if len(runes) > maxExcerpt {
		return strconv.Quote(string(runes[:maxExcerpt])) + "..."
	}
	return strconv.Quote(text)
}
