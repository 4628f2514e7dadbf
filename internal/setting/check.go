package setting

import (
	"fmt"
	"net"
	"reflect"
	"strconv"
	"time"
)

// Check says which values are outside the limits and forms of their settings.
func Check(settings any) (problems []error) {
	for _, s := range Of(settings) {
		problems = append(problems, s.check()...)
	}
	return problems
}

func (s *Setting) check() (problems []error) {
	wrong := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %w", s.title(), fmt.Errorf(format, args...)))
	}
	if !s.withinLimits() {
		wrong("must be %s, not %v", s.Limits(), s.field.Interface())
	}
	if s.Form != "host:port" {
		return problems
	}
	for _, address := range s.texts() {
		if err := checkHostPort(address); err != nil {
			wrong("%q is not host:port: %w", address, err)
		}
	}
	return problems
}

// texts are the texts of the setting that have to have its form. One that has no default
// may be empty.
func (s *Setting) texts() []string {
	if list, ok := s.field.Interface().([]string); ok {
		return list
	}
	if s.field.String() == "" && s.Default == "" {
		return nil
	}
	return []string{s.field.String()}
}

// checkHostPort refuses the names of ports too: what listens is compared by numbers.
func checkHostPort(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err
}

// withinLimits is false for what is not a number.
func (s *Setting) withinLimits() bool {
	return (s.Min == "" || s.compare(s.Min, func(value, limit float64) bool { return value >= limit })) &&
		(s.Max == "" || s.compare(s.Max, func(value, limit float64) bool { return value <= limit }))
}

func (s *Setting) compare(limit string, holds func(value, limit float64) bool) bool {
	parsed, err := parseNumber(s.field, limit)
	if err != nil {
		panic(fmt.Sprintf("the limit of %s: %v", s.title(), err)) // a fault of the program
	}
	return holds(float(s.field), float(parsed))
}

func float(number reflect.Value) float64 {
	switch value := number.Interface().(type) {
	case time.Duration:
		return float64(value)
	case int:
		return float64(value)
	}
	return number.Float()
}

// Limits says in words which values the setting may have; "" when there is no limit.
func (s *Setting) Limits() string {
	unit := ""
	if s.Unit != "" {
		unit = " " + s.Unit
	}
	switch {
	case s.Min != "" && s.Max != "":
		return "from " + s.Min + " to " + s.Max + unit
	case s.Min != "":
		return "at least " + s.Min + unit
	case s.Max != "":
		return "at most " + s.Max + unit
	}
	return ""
}
