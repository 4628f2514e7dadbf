package sheet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
)

// questions are what only the whole sheet can answer: in which order day and month stand, whether a comma is a decimal
// one, what prefixes without a plus sign are, and whether a code has its country code before it.
type questions struct {
	dates  []slashed
	prices map[decimals]seen // the first price of each form

	plus, bare seen  // the first prefix with a plus sign, and the first without one
	bareRows   []int // rows of prefixes without one, where BareCodes is "nanp"

	coded       []codedRow // rows whose code may have its country code before it, or not
	whole, part seen
}

// seen is a place; the zero value is none.
type seen struct {
	line   int
	column string
	value  string
}

func (s *seen) see(f *file, i int) {
	if s.line == 0 {
		*s = seen{f.line, excerpt(f.columns.names[i]), excerpt(f.at(i))}
	}
}

// codedRow is a row without its prefixes.
type codedRow struct {
	row           rating.Row
	country, code string
}

// price reads a price of the row.
func (f *file) price(m meaning) money.Amount {
	cell := f.cell(m)
	if price, err := money.Parse(cell); err == nil && price <= rating.MaxPrice && cell != "" && cell[0] != '-' &&
		cell[0] != '+' {
		if strings.Contains(cell, ".") {
			f.seePrice(m, point)
		}
		return price
	}
	price, form, want := parsePrice(cell)
	f.refuseCell(m, want)
	if want == "" && form != plain {
		f.seePrice(m, form)
	}
	return price
}

func (f *file) seePrice(m meaning, form decimals) {
	if _, known := f.prices[form]; known {
		return
	}
	if f.prices == nil {
		f.prices = make(map[decimals]seen)
	}
	i := f.columns.index[m][0]
	f.prices[form] = seen{f.line, excerpt(f.columns.names[i]), excerpt(f.at(i))}
}

// date reads a date of the row, which a workbook has as a number.
func (f *file) date(cell string) (at time.Time, open *slashed, want string) {
	if f.Format != "" && strings.HasSuffix(f.Format, "xlsx") {
		if at, ok := serialDate(cell, f.from1904); ok {
			return at, nil, ""
		}
	}
	return readDate(cell)
}

// readEffective reads from when the price holds, now or when the order of day and month is known.
func (f *file) readEffective(row *rating.Row) {
	cell := f.cell(effective)
	if cell == "" {
		return
	}
	at, open, want := f.date(cell)
	f.refuseCell(effective, want)
	row.EffectiveAt = at
	if open != nil {
		open.line, open.column = f.line, f.columns.name(effective)
		f.dates = append(f.dates, *open)
	}
}

// openCodes are names of columns that hold a whole prefix in one carrier's sheet, and what follows the country code in
// another's.
var openCodes = []string{"code", "codes", "breakout", "breakoutcode", "digits", "códigos", "codigos", "código",
	"codigo"}

// place gives a row its prefixes, or keeps it until it is known how to.
func (f *file) place(row rating.Row) {
	country := strings.TrimPrefix(f.cell(countryCode), "+")
	if country != "" && !allDigits(country) {
		if !f.columns.has(prefix) || !allLetters(country) {
			f.refuseCell(countryCode, "want the digits of a country code, such as 44")
			return
		}
		country = "" // its letters: GB
	}
	if !f.columns.has(prefix) {
		f.expand(row, country, f.cell(areaCode), areaCode)
		return
	}
	code := f.cell(prefix)
	if country == "" {
		f.expand(row, "", code, prefix)
		return
	}
	i := f.columns.index[prefix][0]
	if strings.HasPrefix(strings.TrimPrefix(code, "+"), country) {
		f.whole.see(f, i)
	} else {
		f.part.see(f, i)
	}
	f.coded = append(f.coded, codedRow{row, strings.Clone(country), strings.Clone(code)})
}

// expand appends a row for each prefix of a cell.
func (f *file) expand(row rating.Row, country, cell string, m meaning) {
	digits, plus, want := readPrefixes(country, cell)
	if want != "" {
		f.refuseCell(m, want)
		return
	}
	i := f.columns.index[m][0]
	switch {
	case plus:
		f.plus.see(f, i)
	case country == "" && digits[0][0] != '1': // no North American area begins with 1, so such a code is whole
		f.bare.see(f, i)
	}
	for _, d := range digits {
		if !plus && country == "" && d[0] != '1' && f.o.BareCodes == "nanp" {
			f.bareRows = append(f.bareRows, len(f.Rows))
		}
		row.Prefix = d
		f.Rows = append(f.Rows, row)
	}
}

// finish answers the questions, and drops rows that are there twice.
func (f *file) finish() error {
	if err := f.decideCodes(); err != nil {
		return err
	}
	before := f.errors
	f.decideBare()
	f.decideDecimals()
	f.decideDates()
	if f.errors == before { // else rows may only seem to be there twice
		f.dropRepeated()
	}
	return nil
}

// decideCodes finds whether codes have their country codes before them.
func (f *file) decideCodes() error {
	if len(f.coded) == 0 {
		return nil
	}
	name, whole := f.columns.name(prefix), true
	_, chosen := f.o.Columns[plainName(f.columns.names[f.columns.index[prefix][0]])]
	switch open := slices.Contains(openCodes, plainName(name)) && !chosen; {
	case open && f.part.line != 0 && f.whole.line != 0:
		return fmt.Errorf("%w: column %q has the country code before %q in line %d, and not before %q in line %d; say "+
			"whether "+
			"it holds whole prefixes or what follows the country code: columns=%s or columns=%s", ErrQuestion, name,
			f.whole.value, f.whole.line, f.part.value, f.part.line, mappingText(map[string]string{name: "prefix"}),
			mappingText(map[string]string{name: "area_code"}))
	case open:
		whole = f.whole.line != 0
	}
	for i := range f.coded {
		c := &f.coded[i]
		f.line = c.row.Line
		switch {
		case !whole:
			f.placeCoded(c, c.country)
		case !strings.HasPrefix(strings.TrimPrefix(c.code, "+"), c.country):
			f.refuse(RowError{f.line, name, excerpt(c.code), fmt.Sprintf("the prefix does not begin with the country code %s; "+
				"if "+
				"the column holds what follows it, say columns=%s", c.country, mappingText(map[string]string{name: "area_code"}))})
		default:
			f.placeCoded(c, "")
		}
	}
	f.coded = nil
	return nil
}

func (f *file) placeCoded(c *codedRow, country string) {
	digits, _, want := readPrefixes(country, c.code)
	if want != "" {
		f.refuse(RowError{f.line, f.columns.name(prefix), excerpt(c.code), want})
		return
	}
	for _, d := range digits {
		if !strings.HasPrefix(d, c.country) {
			f.refuse(RowError{f.line, f.columns.name(prefix), excerpt(c.code),
				fmt.Sprintf("%s does not begin with the country code %s", d, c.country)})
			return
		}
		c.row.Prefix = d
		f.Rows = append(f.Rows, c.row)
	}
}

// decideBare finds what prefixes without a plus sign are where others have one.
func (f *file) decideBare() {
	switch {
	case f.plus.line == 0 || f.bare.line == 0 || f.o.BareCodes == "international":
	case f.o.BareCodes == "nanp":
		for _, i := range f.bareRows {
			f.Rows[i].Prefix = "1" + f.Rows[i].Prefix
			if len(f.Rows[i].Prefix) > e164.MaxDigits {
				f.refuse(RowError{f.Rows[i].Line, f.bare.column, f.Rows[i].Prefix[1:], "want at most 14 digits"})
			}
		}
	default:
		f.refuse(RowError{f.bare.line, f.bare.column, f.bare.value,
			fmt.Sprintf("the prefix has no plus sign, and %q in line %d "+
				"has one: say whether those without are international too (bare_codes=international) or North American "+
				"(bare_codes=nanp)", f.plus.value, f.plus.line)})
	}
}

// decideDecimals finds whether a comma is a decimal one.
func (f *file) decideDecimals() {
	pointed, hasPoint := f.prices[point]
	sure, hasComma := f.prices[comma]
	doubtful, inDoubt := f.prices[commaOrGroup]
	if !hasComma {
		sure = doubtful
	}
	switch {
	case !hasComma && !inDoubt:
	case hasPoint:
		f.refuse(RowError{sure.line, sure.column, sure.value, fmt.Sprintf("the comma stands beside a decimal point in line "+
			"%d: "+
			"want one kind of decimals, and no thousands separators", pointed.line)})
	case f.o.Decimal == "point":
		f.refuse(RowError{sure.line, sure.column, sure.value, "thousands separators are not read: want an amount " +
			"" +
			"of dollars such as 0.0125"})
	case !hasComma && f.o.Decimal == "":
		f.refuse(RowError{doubtful.line, doubtful.column, doubtful.value,
			"the comma may be a decimal or a thousands one: say " +
				"decimal=comma, or write a decimal point"})
	}
}

// decideDates finds in which order day and month stand.
func (f *file) decideDates() {
	if len(f.dates) == 0 {
		return
	}
	var first [monthFirst + 1]*slashed
	for i := range f.dates {
		if only := f.dates[i].only(); first[only] == nil {
			first[only] = &f.dates[i]
		}
	}
	o := map[string]order{"dmy": dayFirst, "mdy": monthFirst}[f.o.Dates]
	switch days, months := first[dayFirst], first[monthFirst]; {
	case days != nil && months != nil:
		f.refuse(RowError{months.line, months.column, months.value, fmt.Sprintf("the month stands first here and the day in "+
			"line %d (%s): want one order, or dates as 2026-03-01", days.line, days.value)})
		return
	case o == undecided && days != nil:
		o = dayFirst
	case o == undecided && months != nil:
		o = monthFirst
	case o == undecided:
		open := first[undecided]
		f.refuse(RowError{open.line, open.column, open.value, "day and month may stand in either order: say dates=dmy or " +
			"dates=mdy, or write dates as 2026-03-01"})
		return
	}
	at := make(map[int]time.Time, len(f.dates)) // by line
	for i := range f.dates {
		d := &f.dates[i]
		when, want := d.in(o)
		if want != "" {
			f.refuse(RowError{d.line, d.column, d.value, want})
		}
		at[d.line] = when
	}
	for i := range f.Rows {
		if when, open := at[f.Rows[i].Line]; open {
			f.Rows[i].EffectiveAt = when
		}
	}
}

// dropRepeated drops rows that say what an earlier one says, and reports those that say something else of the same
// prefix and time.
func (f *file) dropRepeated() {
	type key struct {
		prefix string
		at     int64
	}
	firsts := make(map[key]int, len(f.Rows))
	kept := f.Rows[:0]
	for _, row := range f.Rows {
		k := key{row.Prefix, row.EffectiveAt.UnixMicro()}
		first, known := firsts[k]
		switch {
		case !known:
			firsts[k] = len(kept)
			kept = append(kept, row)
		case kept[first].Rate == row.Rate:
			f.Repeated++
		default:
			f.refuse(RowError{row.Line, f.prefixName(), row.Prefix, fmt.Sprintf("line %d has the same prefix and effective "+
				"date: "+
				"want one price for each", kept[first].Line)})
		}
	}
	f.Rows = kept
}

// prefixName is the name of the column that a prefix ends in.
func (f *file) prefixName() string {
	if f.columns.has(prefix) {
		return f.columns.name(prefix)
	}
	return f.columns.name(areaCode)
}

func allDigits(text string) bool {
	return strings.Trim(text, "0123456789") == ""
}

func allLetters(text string) bool {
	return strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz ") == ""
}
