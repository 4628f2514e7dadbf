package e164

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"sync"
)

// nationalForms is how the numbers of one calling code are dialled from inside.
type nationalForms struct {
	code  uint16
	forms []nationalForm // the first that fits counts
}

// nationalForm is one of libphonenumber's formats, without what is not dialled.
type nationalForm struct {
	leading  string // pattern of a number's first digits; "" for any
	pattern  string // pattern of the whole national number
	template string // such as "0$1$2", with the groups of pattern
}

// National writes a number as it is dialled inside the country: "02079460000" of
// +442079460000 in the United Kingdom, "2125550100" of +12125550100 in the United
// States, which puts no prefix before it. It is false when the number has not the
// calling code of the country. Countries that share a calling code dial each other
// nationally.
//
// The form is libphonenumber's NATIONAL without its separators. It is not always a
// prefix and the rest: Argentina has its mobile 15 in the middle, and Australia's
// 1300 numbers take no 0.
func (c Country) National(n Number) (digits string, ok bool) {
	rest, ok := c.Significant(n)
	if !ok {
		return "", false
	}
	i, found := slices.BinarySearchFunc(nationalTable[:], c.dial().code,
		func(f nationalForms, code uint16) int { return cmp.Compare(f.code, code) })
	if !found {
		return rest, true
	}
	for _, form := range compiledForms[i]() {
		if form.leading != nil && !form.leading.MatchString(rest) {
			continue
		}
		if groups := form.pattern.FindStringSubmatchIndex(rest); groups != nil {
			return string(form.pattern.ExpandString(nil, form.template, rest, groups)), true
		}
	}
	return rest, true
}

// Significant is the number without the country's calling code, the national
// (significant) number of E.164. It is false when the number has not that calling code.
func (c Country) Significant(n Number) (digits string, ok bool) {
	row := c.dial()
	if row.code == 0 {
		return "", false
	}
	digits, ok = cutCallingCode(strconv.FormatUint(uint64(n), 10), row.code)
	return digits, ok && digits != ""
}

// CallingCode is what stands for the country at the beginning of its numbers; 0 for
// none, as in Antarctica.
func (c Country) CallingCode() int { return int(c.dial().code) }

// InternationalPrefix is what is dialled in the country before a calling code: "00"
// or "011". It is "" where there is none, or where the callers choose among several,
// as in Australia.
func (c Country) InternationalPrefix() string {
	if prefix := c.dial().idd; isDigits(prefix) {
		return prefix
	}
	return ""
}

type compiledForm struct {
	leading, pattern *regexp.Regexp
	template         string
}

// compiledForms compiles the forms of a calling code when they are first needed.
var compiledForms = func() (all [len(nationalTable)]func() []compiledForm) {
	for i := range all {
		all[i] = sync.OnceValue(func() []compiledForm {
			forms := make([]compiledForm, len(nationalTable[i].forms))
			for k, form := range nationalTable[i].forms {
				forms[k] = compiledForm{pattern: regexp.MustCompile("^(?:" + form.pattern + ")$"),
					template: ruleTemplate.Replace(form.template)}
				if form.leading != "" {
					forms[k].leading = regexp.MustCompile("^(?:" + form.leading + ")")
				}
			}
			return forms
		})
	}
	return all
}()
