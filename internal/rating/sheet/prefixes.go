package sheet

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/rating"
)

// mostPrefixes is how many prefixes one cell may stand for.
const mostPrefixes = 1000

var (
	rangeForm   = regexp.MustCompile(`^([0-9][0-9 ]*?)\s*-\s*([0-9]+)$`)
	floatSuffix = regexp.MustCompile(`^[0-9]+\.0+$`)
)

// Wants of cells with prefixes.
const (
	wantPrefix = "want 1 to 15 digits that do not start with 0, such as 1876, or a list or range of them, such as " +
		"9370;9371 or 447700-447799"
	wantOneLength = "a range wants two ends with as many digits, of which all but the last four agree, such as " +
		"447700-447799"
)

// readPrefixes reads the prefixes of a cell: one, a list, or ranges ("44 7700-7799"), after the digits of a country
// code or nothing. plus reports whether there was a plus sign.
func readPrefixes(before, cell string) (digits []string, plus bool, want string) {
	if before != "" {
		if _, want := one("", before); want != "" {
			return nil, false, "want a country code before it: 1 to 3 digits that do not start with 0"
		}
	}
	if floatSuffix.MatchString(cell) {
		cell, _, _ = strings.Cut(cell, ".")
	}
	for item := range strings.FieldsFuncSeq(cell, func(r rune) bool { return strings.ContainsRune(",;|/\n", r) }) {
		item = strings.TrimSpace(item)
		if rest, found := strings.CutPrefix(item, "+"); found {
			if before != "" {
				return nil, true, "want the digits that follow the country code, without a plus sign"
			}
			item, plus = strings.TrimSpace(rest), true
		}
		more, want := readItem(before, item)
		if want != "" {
			return nil, plus, want
		}
		if digits = append(digits, more...); len(digits) > mostPrefixes {
			return nil, plus, fmt.Sprintf("want at most %d prefixes in one cell", mostPrefixes)
		}
	}
	if len(digits) == 0 {
		if before == "" {
			return nil, plus, wantPrefix
		}
		more, want := readItem(before, "")
		return more, plus, want
	}
	return digits, plus, ""
}

// readItem reads one prefix or range.
func readItem(before, item string) (digits []string, want string) {
	if !strings.Contains(item, "-") {
		return one(before, item)
	}
	match := rangeForm.FindStringSubmatch(item)
	if match == nil {
		return nil, wantPrefix
	}
	first, last := strings.TrimSpace(match[1]), match[2]
	// What stands before the last group of the first end belongs to both: 44 7700-7799.
	if group := strings.LastIndex(first, " "); group >= 0 && len(first)-group-1 == len(last) {
		before, first = before+strings.ReplaceAll(first[:group], " ", ""), first[group+1:]
	}
	first = strings.ReplaceAll(first, " ", "")
	// 1-876 is a country code and the rest. What follows is no end of a range: it is longer, and of an area at least.
	const areaDigits = 3
	if before == "" && len(first) < len(last) && len(last) >= areaDigits {
		return one("", first+last)
	}
	return span(before, first, last)
}

// one reads a prefix, whose groups may stand apart.
func one(before, item string) (digits []string, want string) {
	text := before + strings.ReplaceAll(item, " ", "")
	_, err := rating.ParsePrefix(text)
	switch {
	case err == nil:
		return []string{strings.Clone(text)}, ""
	case before != "" && len(text) > e164.MaxDigits:
		return nil, "want at most 15 digits, country code included"
	case strings.ContainsAny(item, "eE.") && strings.ContainsAny(item, "0123456789") && !strings.ContainsAny(item, "^*_"):
		return nil, "a spreadsheet has rewritten the digits: want the column saved as text, such as 1876"
	case strings.ContainsAny(item, "^*_?[$X"):
		return nil, "patterns are not read: want 1 to 15 digits that do not start with 0, such as 1876"
	}
	return nil, wantPrefix
}

// span are the fewest prefixes that stand for all numbers from first to last.
func span(before, first, last string) (digits []string, want string) {
	agree := 0
	for agree < min(len(first), len(last)) && first[agree] == last[agree] {
		agree++
	}
	const mostDifferent = 4
	if len(first) != len(last) || first > last || len(first)-agree > mostDifferent || len(before)+agree < 2 {
		return nil, wantOneLength
	}
	if first == last {
		return one(before, first)
	}
	from, _ := strconv.Atoi(first[agree:]) // digits, by rangeForm
	to, _ := strconv.Atoi(last[agree:])
	common, width := before+first[:agree], len(first)-agree
	for from <= to {
		// The largest block of ten to some power that begins here and does not reach beyond the end.
		size, short := 1, 0
		for short < width && from%(size*10) == 0 && from+size*10-1 <= to {
			size, short = size*10, short+1
		}
		text := common
		if width > short {
			text += fmt.Sprintf("%0*d", width-short, from/size)
		}
		more, want := one("", text)
		if want != "" {
			return nil, want
		}
		digits = append(digits, more...)
		from += size
	}
	return digits, ""
}
