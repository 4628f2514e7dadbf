package rest

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/field"
)

// MaxProblems bounds the errors of one answer. A person corrects a few at a time.
const MaxProblems = 100

// checker collects everything that is wrong with a value.
type checker struct {
	Problems []Problem
}

func (c *checker) add(pointer string, code field.Code, format string, args ...any) {
	if len(c.Problems) < MaxProblems {
		c.Problems = append(c.Problems, Problem{Code: code, Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
	}
}

// Check compares a value with its schema and returns the value in the form in
// which the Go type reads it: an integer that was written as 10.0 becomes 10.
func (c *checker) Check(s *Schema, value any, pointer string) any {
	if value == nil {
		if !s.Nullable {
			c.add(pointer, field.WrongType, "%s is null. Give %s.", nameOf(pointer), s.wanted())
		}
		return nil
	}
	if s.Kind == "" {
		return value
	}
	switch v := value.(type) {
	case map[string]any:
		if s.Kind == "object" {
			return c.object(s, v, pointer)
		}
	case []any:
		if s.Kind == "array" {
			return c.array(s, v, pointer)
		}
	case string:
		if s.Kind == "string" {
			if s.Fold != nil {
				v = s.Fold(v)
			}
			c.text(s, v, pointer)
			return v
		}
	case Literal:
		if s.Kind == "integer" || s.Kind == "number" {
			return c.number(s, v, pointer)
		}
		if s.NumericID {
			return c.numericID(s, v, pointer)
		}
	case bool:
		if s.Kind == "boolean" {
			return v
		}
	}
	c.add(pointer, field.WrongType, "%s is %s. Give %s.", nameOf(pointer), kindOf(value), s.wanted())
	return value
}

// numericID reads an id that came as a number.
func (c *checker) numericID(s *Schema, given Literal, pointer string) any {
	text, ok := idOf(given)
	if !ok {
		c.add(pointer, field.Malformed, "%s is %s, which is no id. Give %s.",
			nameOf(pointer), abbreviated(string(given)), s.wanted())
		return given
	}
	return text
}

func (c *checker) object(s *Schema, object map[string]any, pointer string) any {
	checked := make(map[string]any, len(object))
	for _, p := range s.Properties {
		below := PointerOf(pointer, p.Name)
		value, given := object[p.Name]
		switch {
		case given:
			checked[p.Name] = c.Check(p.Schema, value, below)
		case p.Required:
			c.add(below, field.Missing, "%s is required. Give %s.", nameOf(below), p.Schema.wanted())
		}
	}
	return checked
}

func (c *checker) array(s *Schema, list []any, pointer string) any {
	if s.MaxItems > 0 && len(list) > s.MaxItems {
		c.add(pointer, field.Length, "%s has %d entries. Give at most %d.", nameOf(pointer), len(list), s.MaxItems)
		return list
	}
	checked := make([]any, len(list))
	for i, item := range list {
		checked[i] = c.Check(s.Items, item, pointer+"/"+strconv.Itoa(i))
	}
	return checked
}

func (c *checker) text(s *Schema, text, pointer string) {
	characters := utf8.RuneCountInString(text)
	switch {
	case s.Enum != nil:
		for _, accepted := range s.Enum {
			if text == accepted {
				return
			}
		}
		c.add(pointer, field.NotListed, "%s is %s. Give %s.", nameOf(pointer), Excerpt(text), s.wanted())
	case characters < s.MinLength || s.MaxLength > 0 && characters > s.MaxLength:
		c.add(pointer, field.Length, "%s has %d characters. Give %s.", nameOf(pointer), characters, s.wanted())
	case strings.ContainsRune(text, 0):
		c.add(pointer, field.Malformed, "%s holds a NUL character. Leave it out.", nameOf(pointer))
	case s.Pattern != nil && !s.Pattern.MatchString(text), s.Parse != nil && s.Parse(text) != nil:
		c.add(pointer, cmp.Or(s.Code, field.Malformed), "%s is %s. Give %s.", nameOf(pointer), Excerpt(text), s.wanted())
	}
}

// number compares a number with the bounds exactly, and returns it without an exponent.
func (c *checker) number(s *Schema, given Literal, pointer string) any {
	value, text := readDecimal(given), abbreviated(string(given))
	whole, isWhole := value.whole()
	switch {
	case s.Kind == "integer" && value.decimals() > 0:
		c.add(pointer, field.WrongType, "%s is %s. Give %s.", nameOf(pointer), text, s.wanted())
	case s.Minimum != nil && value.compare(*s.Minimum) < 0, s.Maximum != nil && value.compare(*s.Maximum) > 0,
		s.Kind == "integer" && !isWhole:
		c.add(pointer, field.OutOfRange, "%s is %s. Give %s.", nameOf(pointer), text, s.wanted())
	case s.multipleOf > 1 && !dividedBy(whole, s.multipleOf):
		c.add(pointer, field.OutOfRange, "%s is %s. Give a multiple of %d.", nameOf(pointer), text, s.multipleOf)
	case s.Kind == "integer":
		return whole
	case value.wholeDigits() > maxWholeDigits:
		c.add(pointer, field.OutOfRange, "%s is %s. Give %s, and below 9 billion.", nameOf(pointer), text, s.wantedValue())
	case s.decimals > 0 && value.decimals() > s.decimals, value.decimals() > maxDecimals:
		c.add(pointer, field.OutOfRange, "%s is %s, which has %d digits after the point. Give %s with at most %d.",
			nameOf(pointer), text, value.decimals(), s.wantedValue(), cmp.Or(s.decimals, maxDecimals))
	case s.Parse != nil && s.Parse(value.plain()) != nil:
		c.add(pointer, field.OutOfRange, "%s is %s. Give %s, and below 9 billion.", nameOf(pointer), text, s.wantedValue())
	default:
		return Literal(value.plain())
	}
	return given
}

func dividedBy(whole Literal, divisor int64) bool {
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

// wanted describes what the schema accepts, for people.
func (s *Schema) wanted() string {
	text := s.wantedValue()
	if s.Nullable {
		text += ", or null"
	}
	return text
}

// noControls is the pattern of what may have any character that can be seen. People
// are told it in words.
const noControls = `^[^\x00-\x1f\x7f]*$`

func (s *Schema) wantedValue() string {
	switch {
	case len(s.Enum) == 1:
		return strconv.Quote(s.Enum[0])
	case s.Enum != nil:
		return "one of " + strings.Join(s.Enum, ", ")
	case s.Wants != "":
		return s.Wants
	case s.Format == "decimal":
		return `a decimal amount in a text, such as "100.00", with at most 9 decimals`
	case s.Format == "ip":
		return `an IP address in a text, such as "192.0.2.10"`
	case s.Format == "uuid":
		return `a UUID such as "6a09cdc3-8948-47f0-aa62-74ac943d6c58"`
	case s.Format == "date-time":
		return `a time in RFC 3339 form, such as "2018-02-02T22:25:27.521Z"`
	case s.Format == momentFormat:
		return `a time in RFC 3339 form, such as "2018-02-02T22:25:27.521Z", or a day, such as "2018-02-02"`
	case s.Format == dateRangeFormat:
		return dateRangeWanted
	case s.Format == "date":
		return `a day of the calendar, such as "2018-02-02"`
	case s.Format == "cursor":
		return "a cursor that an answer gave in meta.cursors"
	case s.NumericID:
		return "the id of a resource, which is a text (or a whole number) of 1 to 19 digits"
	case s.Kind == "string" && s.MinLength == s.MaxLength && s.MaxLength > 0:
		return fmt.Sprintf("a text of %d characters", s.MaxLength)
	case s.Kind == "string" && s.Pattern != nil && s.Pattern.String() == noControls:
		return fmt.Sprintf("a text of %d to %d characters, none of them a control character", s.MinLength, s.MaxLength)
	case s.Kind == "string" && s.Pattern != nil:
		return "a text of the form " + s.Pattern.String()
	case s.Kind == "string" && s.MaxLength > 0:
		return fmt.Sprintf("a text of %d to %d characters", s.MinLength, s.MaxLength)
	case s.Minimum != nil && s.Maximum != nil:
		return fmt.Sprintf("%s between %d and %d", article(s.Kind), *s.Minimum, *s.Maximum)
	case s.Minimum != nil:
		return fmt.Sprintf("%s of at least %d", article(s.Kind), *s.Minimum)
	}
	return article(s.Kind)
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
	case Literal:
		return "a number"
	case bool:
		return "true or false"
	}
	return "null"
}

// nameOf is the field that a pointer ends in, as in "address.country".
func nameOf(pointer string) string {
	if pointer == "" {
		return "The body"
	}
	return strings.ReplaceAll(pointer[1:], "/", ".")
}

// maxExcerpt bounds what an error repeats of a request.
const maxExcerpt = 60

// Excerpt is what an error repeats of a request, in quotes.
func Excerpt(text string) string {
	runes := []rune(text)
	if len(runes) > maxExcerpt {
		return strconv.Quote(string(runes[:maxExcerpt])) + "..."
	}
	return strconv.Quote(text)
}
