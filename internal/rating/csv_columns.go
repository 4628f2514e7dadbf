package rating

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrHeader says that the first line of a file does not name the columns of a
// deck. It is wrapped with what is missing, unknown or ambiguous.
var ErrHeader = errors.New("not the header line of a rate deck")

// column is what a column of a file means.
type column int

const (
	prefixColumn column = iota
	countryCodeColumn
	areaCodeColumn
	rateColumn
	firstIncrementColumn
	incrementColumn
	connectFeeColumn
	descriptionColumn
	effectiveColumn
	endColumn
	currencyColumn
	columnCount
)

// columnNames lists, for each meaning, the names by which carriers call it, in
// the form that plainName makes. Names that carriers use for several things are
// left out on purpose: "npanxx" and an "area code" alone lack the country code,
// and "interstate rate" and "intrastate rate" are two prices for one prefix.
var columnNames = [columnCount][]string{
	prefixColumn: {"prefix", "prefixes", "code", "codes", "dialcode", "dialcodes", "dialingcode", "diallingcode",
		"dialprefix", "dialedprefix", "destinationcode", "destinationprefix", "destcode", "destprefix",
		"numberprefix", "callprefix", "e164prefix"},
	countryCodeColumn: {"countrycode", "countrydialcode", "cc"},
	areaCodeColumn:    {"areacode", "citycode", "areacitycode"},
	rateColumn: {"rate", "rateperminute", "ratepermin", "ratemin", "rateusd", "usdrate", "rateusdmin",
		"rateusdpermin", "rateusdperminute", "rateusdminute", "usdrateperminute", "perminuterate", "minuterate",
		"price", "priceperminute", "pricepermin", "pricemin", "priceusd", "usdprice", "priceusdmin",
		"priceusdpermin", "priceusdperminute", "usdmin", "usdminute", "usdpermin", "usdperminute",
		"cost", "costperminute", "costpermin", "costmin", "perminute", "permin"},
	firstIncrementColumn: {"firstincrement", "firstinc", "initialincrement", "minimumduration", "minduration",
		"minimumtime", "mintime", "firstinterval", "initialinterval", "firstperiod", "initialperiod",
		"minimumincrement", "increment1", "interval1"},
	incrementColumn: {"increment", "increments", "nextincrement", "nextinc", "subsequentincrement",
		"additionalincrement", "billingincrement", "billingincrements", "billinginc", "billing", "billinginterval",
		"interval", "intervals", "nextinterval", "subsequentinterval", "additionalinterval", "nextperiod",
		"increment2", "intervaln", "interval2"},
	connectFeeColumn: {"connectfee", "connectionfee", "connectcharge", "connectioncharge", "setupfee",
		"setupcharge", "callsetupfee", "percallfee", "connectfeeusd", "connectionfeeusd", "setupfeeusd", "flagfall"},
	// The first of these that a file has is the description.
	descriptionColumn: {"description", "destinationname", "destinationdescription", "destination", "name",
		"codename", "prefixname", "zone", "country", "countryname"},
	effectiveColumn: {"effectivedate", "effective", "effectivefrom", "effectiveon", "effectiveat",
		"effectivedatetime", "startdate", "start", "validfrom", "activationdate", "datefrom"},
	endColumn: {"enddate", "end", "expirydate", "expirationdate", "expires", "expiry", "validto", "validuntil",
		"effectiveto", "effectiveuntil", "discontinuedate", "dateto"},
	currencyColumn: {"currency", "curr", "currencycode"},
}

// pricedWords mark a column that may change what a call costs. A column with one
// of them is not skipped when its name is unknown.
var pricedWords = []string{"rate", "price", "cost", "fee", "charge", "tariff", "increment", "interval",
	"minimum", "duration", "effective", "expir", "interstate", "intrastate"}

// harmlessNames contain a priced word and still change no price.
var harmlessNames = []string{"ratecenter", "ratecentre", "ratecentername", "ratecentrename", "rateplan",
	"rateplanname", "ratedeck", "ratedeckname", "rateid", "corporatename"}

// plainName is a column's name without case, spaces and punctuation: "Rate
// ($/min)" becomes "rateusdmin".
func plainName(name string) string {
	name = strings.ReplaceAll(strings.ToLower(name), "$", "usd")
	name = strings.Map(func(r rune) rune {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r < 0x80 {
			return -1
		}
		return r
	}, name)
	return name
}

// columns says where in a record each meaning stands.
type columns struct {
	names []string         // the header line
	index [columnCount]int // -1 if the file has no such column
}

func (c *columns) has(meaning column) bool { return c.index[meaning] >= 0 }

// name is the column's name as the file writes it, for messages.
func (c *columns) name(meaning column) string {
	return excerpt(c.names[c.index[meaning]])
}

// readHeader finds the columns of a deck in the fields of its header line.
func readHeader(names []string) (columns, error) {
	c := columns{names: slices.Clone(names)}
	for meaning := range columnCount {
		c.index[meaning] = -1
	}
	bestDescription := len(columnNames[descriptionColumn])
	for i, name := range c.names {
		plain := plainName(name)
		meaning := meaningOf(plain)
		switch {
		case meaning == columnCount:
			if changesPrice(plain) {
				return c, fmt.Errorf("%w: column %q is not known and seems to change the price; rename it to one that is, or "+
					"remove it",
					ErrHeader, excerpt(name))
			}
		case meaning == descriptionColumn:
			rank := slices.Index(columnNames[descriptionColumn], plain)
			if rank < bestDescription {
				bestDescription, c.index[meaning] = rank, i
			}
		case c.has(meaning):
			return c, c.ambiguous(c.index[meaning], i)
		default:
			c.index[meaning] = i
		}
	}
	return c, c.check()
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
	return fmt.Errorf("%w: columns %q and %q mean the same; keep one",
		ErrHeader, excerpt(c.names[a]), excerpt(c.names[b]))
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

// meaningOf is the meaning of a plain name, columnCount if it has none. The names
// of increments may end in their unit; those of prices may not, as a price per
// second is not one per minute.
func meaningOf(plain string) column {
	for meaning, names := range columnNames {
		if slices.Contains(names, plain) {
			return column(meaning)
		}
	}
	for _, unit := range []string{"inseconds", "seconds", "insecs", "insec", "secs", "sec", "s"} {
		bare, ok := strings.CutSuffix(plain, unit)
		if !ok {
			continue
		}
		for _, meaning := range []column{firstIncrementColumn, incrementColumn} {
			if slices.Contains(columnNames[meaning], bare) {
				return meaning
			}
		}
	}
	return columnCount
}

func changesPrice(plain string) bool {
	if slices.Contains(harmlessNames, plain) {
		return false
	}
	return plain == "inter" || plain == "intra" ||
		slices.ContainsFunc(pricedWords, func(word string) bool { return strings.Contains(plain, word) })
}
