// Package setting reads the settings of a program from the tags of a struct's fields:
//
//	MaxCall time.Duration `name:"max-call" default:"0" min:"0" reload:"" help:"How long any call may last."`
//
// The flag --max-call, the variable TOLLGATE_MAX_CALL and the key max_call of the config
// file are made from that line, and so are the default, the limits, the documentation
// and the names in error messages. These are the tags:
//
//	name     the flag without its dashes
//	help     what the setting does
//	default  the value when none is given
//	unit     the unit of a number
//	min, max the limits of a number or a duration
//	form     the form of each text: host:port
//	enum     the allowed values, separated by commas
//	reload   SIGHUP applies a new value
//	secret   the value may be a secret: it is read from the environment; with kong:"-" from nowhere else
//
// Fields of embedded structs are settings of one part of the program. The tag part of the
// embedded struct is the heading of that part in the documentation, and see the document
// that says more.
package setting

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Setting is one setting and the field that holds its value.
type Setting struct {
	Part, See  string // heading and further document of the part
	Name       string // of the flag, without dashes
	Help, Unit string
	Default    string
	Min, Max   string
	Form, Enum string
	Reload     bool // SIGHUP applies it
	Secret     bool // the environment may hold a secret
	NoFlag     bool // it can be set only by its variable

	field reflect.Value
}

// Flag returns the name of the flag, or "" if the setting must not be an argument.
func (s *Setting) Flag() string {
	if s.NoFlag {
		return ""
	}
	return "--" + s.Name
}

// Variable returns the name of the environment variable.
func (s *Setting) Variable() string {
	return "TOLLGATE_" + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

// Key returns the key in the config file, or "" if the setting must not be there.
func (s *Setting) Key() string {
	if s.NoFlag {
		return ""
	}
	return Key(s.Name)
}

// Key returns the key in the config file for a flag.
func Key(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// Value returns the value of the setting.
func (s *Setting) Value() any { return s.field.Interface() }

// title names the setting in an error message.
func (s *Setting) title() string {
	if s.NoFlag {
		return s.Variable()
	}
	return s.Key()
}

// Of lists the settings of a struct, which settings points to, in the order of its fields.
func Of(settings any) []Setting {
	return collect(nil, reflect.ValueOf(settings).Elem(), "", "")
}

func collect(list []Setting, of reflect.Value, part, see string) []Setting {
	for i := range of.NumField() {
		field, tag := of.Type().Field(i), of.Type().Field(i).Tag
		if field.Anonymous {
			list = collect(list, of.Field(i), tag.Get("part"), tag.Get("see"))
			continue
		}
		if tag.Get("name") == "" {
			continue
		}
		_, reload := tag.Lookup("reload")
		_, secret := tag.Lookup("secret")
		list = append(list, Setting{
			Part: part, See: see, Name: tag.Get("name"), Help: tag.Get("help"), Unit: tag.Get("unit"),
			Default: tag.Get("default"), Min: tag.Get("min"), Max: tag.Get("max"), Form: tag.Get("form"),
			Enum: tag.Get("enum"), Reload: reload, Secret: secret, NoFlag: tag.Get("kong") == "-", field: of.Field(i),
		})
	}
	return list
}

// SetDefaults sets every setting to its default.
func SetDefaults(settings any) {
	for _, s := range Of(settings) {
		if s.Default == "" {
			continue
		}
		if err := s.parse(s.Default); err != nil {
			panic(fmt.Sprintf("the default of %s: %v", s.title(), err)) // a bug
		}
	}
}

func (s *Setting) parse(text string) error {
	switch value := s.field.Addr().Interface().(type) {
	case *string:
		*value = text
	case *[]string:
		*value = strings.Split(text, ",")
	default:
		number, err := parseNumber(s.field, text)
		if err != nil {
			return err
		}
		s.field.Set(number)
	}
	return nil
}

// parseNumber parses a number of the field's type.
func parseNumber(field reflect.Value, text string) (reflect.Value, error) {
	var number any
	var err error
	switch field.Interface().(type) {
	case time.Duration:
		number, err = time.ParseDuration(text)
	case int:
		number, err = strconv.Atoi(text)
	case float64:
		number, err = strconv.ParseFloat(text, 64)
	default:
		err = fmt.Errorf("settings of type %s have no numbers", field.Type())
	}
	return reflect.ValueOf(number), err
}

// ReadSecrets sets the secrets that are empty from the environment.
func ReadSecrets(settings any, getenv func(string) string) {
	for _, s := range Of(settings) {
		if s.Secret && s.field.String() == "" {
			s.field.SetString(getenv(s.Variable()))
		}
	}
}

// CopyReloadable copies the settings that can change while the program runs from other,
// which points to a struct of the same type.
func CopyReloadable(settings, other any) {
	from := Of(other)
	for i, s := range Of(settings) {
		if s.Reload {
			s.field.Set(from[i].field)
		}
	}
}

// Name is the name of a setting in error messages. The field is a pointer to its value in
// the struct that settings points to, so that the name always exists.
func Name(settings, field any) string {
	for _, s := range Of(settings) {
		if s.field.Addr().Interface() == field {
			return s.title()
		}
	}
	panic("setting: the field is not one of the struct's settings") // a bug
}

// Errorf returns an error that begins with the name of the setting whose value field
// points to.
func Errorf(settings, field any, format string, args ...any) error {
	return fmt.Errorf("%s: %w", Name(settings, field), fmt.Errorf(format, args...))
}
