package setting

import (
	"fmt"
	"net"
	"reflect"
	"strconv"
	"time"
)

// Check returns the values that are outside the limits or forms of their settings.
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

// texts are the texts that must have the form of the setting. A setting without a
// default may be empty.
func (s *Setting) texts() []string {
	if list, ok := s.field.Interface().([]string); ok {
		return list
	}
	if s.field.String() == "" && s.Default == "" {
		return nil
	}
	return []string{s.field.String()}
}

// checkHostPort also refuses named ports, since listeners are compared by number.
func checkHostPort(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err
}

// withinLimits returns false for NaN.
func (s *Setting) withinLimits() bool {
	return (s.Min == "" || s.compare(s.Min, func(value, limit float64) bool { return value >= limit })) &&
		(s.Max == "" || s.compare(s.Max, func(value, limit float64) bool { return value <= limit }))
}

func (s *Setting) compare(limit string, holds func(value, limit float64) bool) bool {
	parsed, err := parseNumber(s.field, limit)
	if err != nil {
		panic(fmt.Sprintf("the limit of %s: %v", s.title(), err)) // a bug
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

// Limits describes the allowed values of the setting. It returns "" if there is no limit.
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
