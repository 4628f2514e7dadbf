package setting

import (
	"cmp"
	"fmt"
	"strings"
)

// Markdown renders the reference of the settings, one table for each part.
func Markdown(settings ...any) string {
	var out strings.Builder
	part := ""
	for _, one := range settings {
		for _, s := range Of(one) {
			if s.Part != part {
				part = s.Part
				s.writeHeading(&out)
			}
			s.writeRow(&out)
		}
	}
	return out.String()
}

func (s *Setting) writeHeading(out *strings.Builder) {
	fmt.Fprintf(out, "\n## %s\n\n", s.Part)
	if s.See != "" {
		fmt.Fprintf(out, "[%[1]s](%[1]s) says more.\n\n", s.See)
	}
	out.WriteString("| flag, variable, key | default | limits | what it does |\n|---|---|---|---|\n")
}

func (s *Setting) writeRow(out *strings.Builder) {
	names := code(s.Variable())
	if !s.NoFlag {
		names = code(s.Flag()) + "<br>" + names + "<br>" + code(s.Key())
	}
	value := ""
	switch {
	case s.Default != "":
		value = code(s.Default)
	case s.Bool():
		value = "off"
	}
	limits := cmp.Or(s.Limits(), s.Unit, s.Form, strings.ReplaceAll(s.Enum, ",", ", "))
	help := s.Help
	if s.Reload {
		help += " SIGHUP applies a new value."
	}
	fmt.Fprintf(out, "| %s | %s | %s | %s |\n", names, value, limits, strings.ReplaceAll(help, "|", "\\|"))
}

func code(text string) string { return "`" + text + "`" }

// Bool reports whether the setting is either on or off.
func (s *Setting) Bool() bool {
	_, ok := s.field.Interface().(bool)
	return ok
}
