package rating

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrHeader says that no line of a file names the columns of a deck. It is wrapped
// with what is missing, unknown or ambiguous.
var ErrHeader = errors.New("not the header line of a rate deck")

// column is what a column of a file means.
type column int

const (
	prefixColumn column = iota
	countryCodeColumn
	areaCodeColumn
	rateColumn
	firstRateColumn // the price of the first increment, which must be that of all others
	firstIncrementColumn
	incrementColumn
	connectFeeColumn
	descriptionColumn
	effectiveColumn
	endColumn
	currencyColumn
	statusColumn  // a word that says whether the row holds
	blockedColumn // yes or no
	enabledColumn // yes or no
	unitColumn    // of the price, which must be the minute
	zeroColumn    // a term that decks do not have, which must be empty or 0
	ignoredColumn // changes nothing
	columnCount
)

// repeats says whether a file may have several columns of a meaning.
func (c column) repeats() bool {
	return c == zeroColumn || c == ignoredColumn || c == blockedColumn || c == enabledColumn || c == statusColumn
}

// Column is a column of a file and what it was read as.
type Column struct {
	Name    string // as the file writes it
	Meaning string // one of Meanings
}

// Meanings are the words for what a column can be, in the order of the documents.
func Meanings() []string {
	words := make([]string, columnCount)
	for meaning := range columnCount {
		words[meaning] = meanings[meaning].word
	}
	return words
}

// columns says where in a record each meaning stands.
type columns struct {
	names   []string         // the header line
	meaning []column         // of each
	index   [columnCount]int // the first of its meaning; -1 if the file has no such column
	checked []int            // the columns of meanings that repeat and are looked at
}

func (c *columns) has(meaning column) bool { return c.index[meaning] >= 0 }

// name is the column's name as the file writes it, for messages.
func (c *columns) name(meaning column) string {
	return excerpt(c.names[c.index[meaning]])
}

// readMapping turns the words of a mapping into meanings by plain names.
func readMapping(mapping map[string]string) (map[string]column, error) {
	found := make(map[string]column, len(mapping))
	for name, word := range mapping {
		meaning := slices.Index(Meanings(), word)
		if word == "increments" {
			meaning = int(incrementColumn)
		}
		if meaning < 0 {
			return nil, fmt.Errorf("%w: the mapping makes column %q %q: want one of %s", ErrHeader, excerpt(name),
				excerpt(word), strings.Join(Meanings(), ", "))
		}
		found[plainName(name)] = column(meaning)
	}
	return found, nil
}

// readHeader finds the columns of a deck in the fields of its header line. What
// the operator's mapping says goes before the names that are known.
func readHeader(names []string, mapping map[string]column) (columns, error) {
	c := columns{names: slices.Clone(names), meaning: make([]column, len(names))}
	for meaning := range columnCount {
		c.index[meaning] = -1
	}
	var unknown []string
	bestDescription := len(meanings[descriptionColumn].names)
	for i, name := range c.names {
		c.names[i] = strings.Clone(strings.TrimSpace(name))
		plain := plainName(name)
		meaning, mapped := mapping[plain]
		if !mapped {
			meaning = meaningOf(plain)
		}
		c.meaning[i] = meaning
		switch {
		case meaning == columnCount:
			unknown = append(unknown, c.names[i])
		case meaning == descriptionColumn:
			rank := max(0, slices.Index(meanings[descriptionColumn].names, plain))
			if mapped {
				rank = -1
			}
			if rank < bestDescription {
				bestDescription, c.index[meaning] = rank, i
			}
		case meaning.repeats():
			if meaning != ignoredColumn {
				c.checked = append(c.checked, i)
			}
			if !c.has(meaning) {
				c.index[meaning] = i
			}
		case c.has(meaning):
			return c, c.ambiguous(c.index[meaning], i)
		default:
			c.index[meaning] = i
		}
	}
	err := c.check()
	if len(unknown) == 0 {
		return c, err
	}
	if err != nil {
		return c, fmt.Errorf("%w; %w", err, unknownColumns(unknown))
	}
	return c, unknownColumns(unknown)
}

// maxNamed is how many columns a message names.
const maxNamed = 40

// unknownColumns names all the columns that are not known and the mapping that
// would take them.
func unknownColumns(names []string) error {
	var quoted, mapped []string
	for _, name := range names[:min(len(names), maxNamed)] {
		quoted = append(quoted, fmt.Sprintf("%q", excerpt(name)))
		mapped = append(mapped, fmt.Sprintf("%q:%q", excerpt(name), suggestion(plainName(name))))
	}
	more := ""
	if len(names) > maxNamed {
		more = fmt.Sprintf(" and %d more", len(names)-maxNamed)
	}
	return fmt.Errorf("%w: columns %s%s are not known and may change the price: say what each is with "+
		"columns={%s}, of %s; "+
		`"ignore" is right only for what changes no price, and "zero" takes a term that is 0 or empty in every row`,
		ErrHeader, strings.Join(quoted, ", "), more, strings.Join(mapped, ","), strings.Join(Meanings(), ", "))
}

// suggestion is a meaning that the name of an unknown column may have. It is never
// a price, which may be in another currency or unit, and never "ignore": who repeats
// the suggestion as it stands must not lose a term.
func suggestion(plain string) string {
	for _, s := range []struct{ part, word string }{
		{"status", "status"}, {"block", "blocked"}, {"pulse", "increments"}, {"increment", "increments"},
		{"round", "increments"}, {"interval", "increments"}, {"until", "end_date"}, {"expir", "end_date"},
		{"date", "effective_date"}, {"effective", "effective_date"}, {"curren", "currency"}, {"fee", "connect_fee"},
		{"setup", "connect_fee"}, {"rate", "zero"}, {"price", "zero"}, {"charge", "zero"}, {"cost", "zero"}, {"tax", "zero"},
	} {
		if strings.Contains(plain, s.part) {
			return s.word
		}
	}
	return "zero"
}

// check says whether the columns that a deck must have are there once.
func (c *columns) check() error {
	switch {
	case c.has(prefixColumn) && c.has(areaCodeColumn):
		return c.ambiguous(c.index[prefixColumn], c.index[areaCodeColumn])
	case c.has(areaCodeColumn) && !c.has(countryCodeColumn):
		return fmt.Errorf("%w: column %q needs a column %q beside it; if it holds whole international prefixes, call it %q",
			ErrHeader, c.name(areaCodeColumn), "country code", "prefix")
	case !c.has(prefixColumn) && !c.has(areaCodeColumn):
		return fmt.Errorf("%w: no column for the prefix, such as %q; there is %s", ErrHeader, "prefix", c.list())
	case !c.has(rateColumn):
		return fmt.Errorf("%w: no column for the price per minute, such as %q; there is %s", ErrHeader, "rate", c.list())
	}
	return nil
}

func (c *columns) ambiguous(a, b int) error {
	return fmt.Errorf("%w: columns %q and %q mean the same; keep one, or name the other with columns={%q:%q}",
		ErrHeader, excerpt(c.names[a]), excerpt(c.names[b]), excerpt(c.names[b]), "ignore")
}

// list names the columns of the file, as far as a message has room.
func (c *columns) list() string {
	const most = 12
	var quoted []string
	for i, name := range c.names {
		if i == most {
			quoted = append(quoted, fmt.Sprintf("and %d more", len(c.names)-most))
			break
		}
		quoted = append(quoted, fmt.Sprintf("%q", excerpt(name)))
	}
	return strings.Join(quoted, ", ")
}

// read is what each column became, for the operator.
func (c *columns) read() []Column {
	out := make([]Column, len(c.names))
	for i, name := range c.names {
		meaning := c.meaning[i]
		if meaning == descriptionColumn && c.index[meaning] != i {
			meaning = ignoredColumn
		}
		out[i] = Column{Name: excerpt(name), Meaning: meanings[meaning].word}
	}
	return out
}

// looksLikeHeader says whether a line names a prefix and a price, known or mapped.
func looksLikeHeader(names []string, mapping map[string]column) bool {
	var prefix, rate bool
	for _, name := range names {
		plain := plainName(name)
		meaning, mapped := mapping[plain]
		if !mapped {
			meaning = meaningOf(plain)
		}
		prefix = prefix || meaning == prefixColumn || meaning == areaCodeColumn || meaning == countryCodeColumn
		rate = rate || meaning == rateColumn || meaning == firstRateColumn || strings.Contains(plain, "rate") ||
			strings.Contains(plain, "price") || strings.Contains(plain, "intra")
	}
	return prefix && rate && len(names) > 1
}
