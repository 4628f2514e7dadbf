package sheet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/csvcell"
	"github.com/tollgate/tollgate/internal/rating"
)

// readRow takes the row in f.record, or all the errors in it.
func (f *file) readRow() {
	before := f.errors
	if f.isNote() {
		f.note(f.record)
		return
	}
	if !f.fits() {
		return
	}
	if why := f.withdrawn(); why != "" || f.errors > before {
		if why != "" {
			f.skip(why)
		}
		return
	}
	row := rating.Row{Line: f.line, Description: f.description()}
	f.agree()
	f.readTerms(&row)
	if f.errors > before {
		return
	}
	f.place(row)
}

// fits reports whether the row has a field for each column and no more.
func (f *file) fits() bool {
	if !blank(f.record[min(len(f.record), len(f.columns.names)):]) {
		f.refuse(RowError{Line: f.line, Want: fmt.Sprintf("the row has %d fields and the header line %d: want as many; a "+
			"decimal comma or a separator in a text without quotes makes one too many", len(f.record), len(f.columns.names))})
		return false
	}
	for i, cell := range f.record[:min(len(f.record), len(f.columns.names))] {
		switch {
		case len(cell) > f.o.Limits.MaxFieldBytes && len(f.at(i)) > f.o.Limits.MaxFieldBytes:
			f.refuse(RowError{f.line, excerpt(f.columns.names[i]), excerpt(cell),
				fmt.Sprintf("the field has %d bytes: want at most %d", len(cell), f.o.Limits.MaxFieldBytes)})
			return false
		case f.columns.means[i] == unknown && strings.TrimSpace(cell) != "":
			f.refuse(RowError{Line: f.line, Want: fmt.Sprintf("column %d has %q and no name in the header line: name it", i+1,
				excerpt(cell))})
			return false
		}
	}
	return true
}

// at is the field of a column without the blanks around it, and without the apostrophe by which an export keeps a
// spreadsheet from taking +49 for a formula, or 44 for a number; "" where the row is shorter.
func (f *file) at(i int) string {
	if i >= len(f.record) {
		return ""
	}
	return csvcell.Plain(strings.Trim(f.record[i], " \t\r\n"))
}

// cell is the field of a meaning: the first that has anything, where several columns have the meaning; "" for none.
func (f *file) cell(m meaning) string {
	for _, i := range f.columns.index[m] {
		if cell := f.at(i); cell != "" {
			return cell
		}
	}
	return ""
}

// single are the meanings of which several columns have to say the same.
var single = []meaning{prefix, countryCode, areaCode, rate, ratePerSecond, firstIncrement, increment, increments,
	connectFee,
	effective, ends}

// agree refuses a row in which two columns of one meaning differ, and one whose area code is not in its prefix.
func (f *file) agree() {
	for _, m := range single {
		for _, i := range f.columns.index[m][min(1, len(f.columns.index[m])):] {
			if other := f.at(i); other != "" && other != f.cell(m) {
				f.refuseAt(i, fmt.Sprintf("columns %q and %q mean the same and differ; say which to ignore: columns=%s",
					f.columns.name(m), excerpt(f.columns.names[i]), mappingText(map[string]string{excerpt(
						f.columns.names[i]): "ignore"})))
			}
		}
	}
	if area := f.cell(areaCode); area != "" && f.columns.has(prefix) && !strings.HasSuffix(f.cell(prefix), area) {
		f.refuseCell(areaCode, fmt.Sprintf("column %q does not end with it; say which to ignore: columns=%s",
			f.columns.name(prefix), mappingText(map[string]string{f.columns.name(areaCode): "ignore"})))
	}
}

// withdrawn is why a row is no price; "" if it is one.
func (f *file) withdrawn() (why string) {
	for _, i := range f.columns.index[status] {
		switch cell := f.at(i); parseStatus(cell) {
		case gone:
			why = fmt.Sprintf("%s is %q", excerpt(f.columns.names[i]), excerpt(cell))
		case unclear:
			f.refuseAt(i, "want a word for a price that holds, such as active, new, increase or unchanged, or for one that "+
				"does not, such as blocked, closed or deleted")
		case holds:
		}
	}
	for _, m := range []meaning{enabled, withdrawn} {
		for _, i := range f.columns.index[m] {
			cell := f.at(i)
			if cell == "" {
				continue
			}
			yes, known := parseFlag(cell)
			switch {
			case !known:
				f.refuseAt(i, "want yes or no, 1 or 0")
			case yes == (m == withdrawn):
				why = fmt.Sprintf("%s is %q", excerpt(f.columns.names[i]), excerpt(cell))
			}
		}
	}
	if f.columns.has(ends) {
		if ended := f.ended(); ended != "" {
			why = ended
		}
	}
	return why
}

// ended is why a row whose price has an end is no price now; "" if it has none. A price that ends later is refused.
func (f *file) ended() string {
	cell := f.cell(ends)
	if cell == "" || neverEnds(cell) {
		return ""
	}
	at, open, want := f.date(cell)
	if open != nil {
		at, want = open.latest()
	}
	switch {
	case want != "":
		f.refuseCell(ends, want)
	case !at.After(f.o.Now):
		return fmt.Sprintf("%s is %s", f.columns.name(ends), excerpt(cell))
	case at.Sub(f.o.Now) < foreseeable:
		f.refuseCell(ends, "prices that end are not kept: want an empty field, and a row with the next price and its "+
			"effective date")
	}
	return ""
}

// readTerms reads what a call costs.
func (f *file) readTerms(row *rating.Row) {
	if f.columns.has(ratePerSecond) {
		perSecond := f.price(ratePerSecond)
		if row.Rate.PerMinute = perSecond * 60; row.Rate.PerMinute > rating.MaxPrice {
			f.refuseCell(ratePerSecond, "want at most "+rating.MaxPrice.String()+" dollars a minute")
		}
	} else {
		row.Rate.PerMinute = f.price(rate)
	}
	for _, i := range f.columns.index[sameRate] {
		cell := f.at(i)
		if first, _, want := parsePrice(cell); cell != "" && (want != "" || first != row.Rate.PerMinute) {
			f.refuseAt(i, "the first interval at a price of its own is not read: want the same as the rate, or an empty field")
		}
	}
	row.Rate.FirstIncrement, row.Rate.Increment = f.bothIncrements()
	if f.cell(connectFee) != "" {
		row.Rate.ConnectFee = f.price(connectFee)
	}
	for _, i := range f.columns.index[currency] {
		if !isDollars(f.at(i)) {
			f.refuseAt(i, "want USD: prices are in dollars; convert them, or leave the rows out")
		}
	}
	for _, i := range f.columns.index[unit] {
		if !isMinute(f.at(i)) {
			f.refuseAt(i, "want a price per minute (min); for prices per second say columns="+
				mappingText(map[string]string{f.priceName(): "rate_per_second", excerpt(f.columns.names[i]): "ignore"}))
		}
	}
	for _, i := range f.columns.index[zero] {
		if !isZero(f.at(i)) {
			f.refuseAt(i, "what this column is about is not read: want 0 or an empty field; work it into the price, or say "+
				"columns="+mappingText(map[string]string{excerpt(f.columns.names[i]): "ignore"}))
		}
	}
	f.readEffective(row)
}

// priceName is the name of the column with the price.
func (f *file) priceName() string {
	if f.columns.has(rate) {
		return f.columns.name(rate)
	}
	return f.columns.name(ratePerSecond)
}

// description keeps each text once: a sheet has a thousand rows for one country.
func (f *file) description() string {
	cell := f.cell(description)
	if cell == "" {
		return ""
	}
	if strings.Contains(cell, "\r") { // of a workbook; a text has line feeds alone
		cell = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(cell)
	}
	kept, known := f.descriptions[cell]
	if known {
		return kept
	}
	if !isText(cell) {
		f.refuseCell(description, "want text")
		return ""
	}
	kept = strings.Clone(cell)
	f.descriptions[kept] = kept
	return kept
}

// bothIncrements reads both increments from their columns, or from one for both.
func (f *file) bothIncrements() (first, next int32) {
	var want string
	if cell := f.cell(increments); cell != "" {
		first, next, want = parseIncrements(cell)
		f.refuseCell(increments, want)
	}
	if cell := f.cell(firstIncrement); cell != "" {
		one, want := parseSecs(cell)
		f.refuseCell(firstIncrement, want)
		// "Minimum 30, Interval 6": what is in both columns' one column is then the next increment.
		first = one
		if next == 0 {
			next = one
		}
	}
	if cell := f.cell(increment); cell != "" {
		one, other, want := parseIncrements(cell)
		if want == "" && one != other && f.columns.has(firstIncrement) {
			want = "want whole seconds from 1 to 3600, such as 60"
		}
		f.refuseCell(increment, want)
		next = other
		if !f.columns.has(firstIncrement) && !f.columns.has(increments) || first == 0 {
			first = one
		}
	}
	if first == 0 && next == 0 {
		return DefaultFirstIncrement, DefaultIncrement
	}
	return first, next
}

// refuseCell reports what is wrong with a cell of the row being read; "" is nothing.
func (f *file) refuseCell(m meaning, want string) {
	if want != "" {
		f.refuseAt(f.columns.index[m][0], want)
	}
}

func (f *file) refuseAt(i int, want string) {
	f.refuse(RowError{f.line, excerpt(f.columns.names[i]), excerpt(f.at(i)), want})
}

func (f *file) skip(why string) {
	f.AllSkipped++
	if len(f.Skipped) < mostListed {
		f.Skipped = append(f.Skipped, Skipped{Line: f.line, Prefix: excerpt(f.prefixText()), Reason: why})
	}
}

func (f *file) prefixText() string {
	if f.columns.has(prefix) {
		return f.cell(prefix)
	}
	return strings.TrimSpace(f.cell(countryCode) + " " + f.cell(areaCode))
}

// isNote reports whether a line below the header is text: one field with letters, and nothing where the prefix or the
// price is.
func (f *file) isNote() bool {
	filled, at := 0, 0
	for i, cell := range f.record {
		if strings.TrimSpace(cell) != "" {
			filled, at = filled+1, i
		}
	}
	if filled != 1 || len(f.columns.names) < 2 || !letters.MatchString(f.record[at]) {
		return false
	}
	return !digitsFirst.MatchString(strings.TrimSpace(f.record[at]))
}

var (
	letters     = regexp.MustCompile(`\p{L}{2}`)
	digitsFirst = regexp.MustCompile(`^[+_^]?[0-9]`)
	// termWords are of what changes a price, in lines outside the table.
	termWords = regexp.MustCompile(
		`(?i)\b(eur|euros?|gbp|aud|cad|chf|inr|cents?|pence|per\s+second|billing|increments?|pulse|` +
			`[0-9]{1,4}\s*[/+]\s*[0-9]{1,3}\b.{0,12}(sec|bill|incr)|effective|valid\s+(from|until|to|till)|vat|tax(es)?|surcharges?|` +
			`discounts?|connection\s+fee|setup\s+fee|excluding|exclusive)\b|[€£¥]`)
)

// note keeps a line outside the table, and remembers the first that speaks of what changes a price.
func (f *file) note(record []string) {
	text := strings.TrimSpace(strings.Join(slices.DeleteFunc(slices.Clone(record), func(cell string) bool {
		return strings.TrimSpace(cell) == ""
	}), " "))
	if len(f.Notes) < mostListed {
		f.Notes = append(f.Notes, Note{Line: f.line, Text: excerptOf(text, 200)})
	}
	if termWords.MatchString(text) && !f.o.IgnoreNotes {
		f.refuse(RowError{Line: f.line, Want: fmt.Sprintf("the line %q outside the table speaks of what may change the "+
			"prices: "+
			"put it into a column, or say notes=ignore", excerptOf(text, 80))})
	}
}

func excerptOf(text string, most int) string {
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
