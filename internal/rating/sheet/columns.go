package sheet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// meaning is what a column of a sheet means.
type meaning int

const (
	unknown meaning = iota
	prefix
	countryCode
	areaCode
	rate
	ratePerSecond
	sameRate
	firstIncrement
	increment
	increments
	connectFee
	description
	effective
	ends
	currency
	unit
	status
	enabled
	withdrawn
	zero
	ignored
	meaningCount
)

// meanings are the words for them: in Options.Columns, and in what Read reports.
var meanings = [meaningCount]string{
	unknown: "unknown", prefix: "prefix", countryCode: "country_code", areaCode: "area_code", rate: "rate",
	ratePerSecond: "rate_per_second", sameRate: "same_as_rate", firstIncrement: "first_increment",
	increment: "increment", increments: "increments", connectFee: "connect_fee", description: "description",
	effective: "effective_at", ends: "ends_at", currency: "currency", unit: "unit", status: "status", enabled: "enabled",
	withdrawn: "withdrawn", zero: "zero", ignored: "ignore",
}

// Meanings are the words that Options.Columns may give a column, in the order of the alphabet.
func Meanings() []string {
	words := slices.Clone(meanings[unknown+1:])
	slices.Sort(words)
	return words
}

func meaningOfWord(word string) (meaning, bool) {
	i := slices.Index(meanings[:], word)
	return meaning(i), i > int(unknown)
}

// names lists, for each meaning, the names by which carriers and billing programs call it, in the form that plainName
// makes, in English, Spanish, Portuguese, French, German and Italian. A name that is used for several things is left
// out on purpose: a column whose name is not here is asked about.
var names = map[meaning][]string{
	prefix: {"prefix", "prefixes", "code", "codes", "dialcode", "dialcodes", "dialingcode", "diallingcode", "dialprefix",
		"dialedprefix", "destinationcode", "destinationprefix", "destcode", "destprefix", "numberprefix", "callprefix",
		"e164prefix", "completecode", "fullcode", "fullprefix", "digits", "breakout", "breakoutcode", "destinationcodes",
		"prefijo", "prefijos", "codigo", "código", "codigos", "códigos", "prefixo", "prefixos", "préfixe", "préfixes",
		"indicatif", "vorwahl", "vorwahlen", "prefisso", "prefissi"},
	countryCode: {"countrycode", "countrydialcode", "cc", "countryprefix", "countrydialingcode", "codigopais",
		"códigopaís", "codigodepais", "códigodepaís", "ländervorwahl", "landesvorwahl", "indicatifpays"},
	areaCode: {"areacode", "areacodes", "citycode", "citycodes", "areacitycode", "ndc", "ndcs", "nationaldestinationcode",
		"networkcode", "codigoarea", "códigoárea", "codigodearea", "ortsvorwahl"},
	rate: {"rate", "rates", "rateperminute", "ratepermin", "ratemin", "rateusd", "usdrate", "rateusdmin", "rateusdpermin",
		"rateusdperminute", "rateusdminute", "usdrateperminute", "perminuterate", "minuterate", "minrateusd", "price",
		"priceperminute", "pricepermin", "pricemin", "priceusd", "usdprice", "priceusdmin", "priceusdpermin",
		"priceusdperminute", "usdmin", "usdminute", "usdpermin", "usdperminute", "cost", "costperminute", "costpermin",
		"costmin", "perminute", "permin", "perminutecost", "newrate", "newrateusd", "newprice", "rateinitial", "nextrate",
		"pricen", "raten", "ratepermn", "tarifa", "tarifausd", "tarifaminuto", "tarifaporminuto", "precio", "precioporminuto",
		"preciominuto", "preço", "preco", "preçoporminuto", "precoporminuto", "tarif", "tarifminute", "prix", "prixminute",
		"prixparminute", "preis", "preisprominute", "preisminute", "minutenpreis", "tariffa", "prezzo"},
	// In sheets of programs that bill the first interval at a price of its own.
	sameRate: {"initialrate", "firstrate", "price1", "rate1", "initialprice"},
	firstIncrement: {"firstincrement", "firstinc", "initialincrement", "initialinc", "minimumduration", "minduration",
		"minimumtime", "mintime", "firstinterval", "initialinterval", "firstperiod", "initialperiod", "minimumincrement",
		"increment1", "interval1", "initial", "1st", "1stincrement", "1stinterval", "1stperiod", "min", "minimum",
		"initblock",
		"connectincrement", "firstblock", "initialblock", "minincrement", "minimumblock", "firstbillingincrement",
		"initialbillingincrement", "minsecs", "minseconds", "minimumseconds", "mindur"},
	increment: {"increment", "nextincrement", "nextinc", "subsequentincrement", "additionalincrement", "inc",
		"nextinterval", "subsequentinterval", "additionalinterval", "nextperiod", "increment2", "intervaln", "interval2",
		"incrementn", "next", "nth", "nthincrement", "subsequent", "additional", "billingblock", "talkincrement",
		"nextblock", "subsequentblock", "rateincrement", "nextbillingincrement"},
	increments: {"increments", "billingincrement", "billingincrements", "billinginc", "billing", "billinginterval",
		"interval",
		"intervals", "pulse", "pulses", "pulserate", "rounding", "roundingrule", "minmaxincrement", "mininc",
		"minincincrement", "billingrule", "billingterms", "billingtype", "billingunit", "billingcycle", "billingperiod",
		"firstnext", "initialnext", "increments1n", "duration", "billingduration", "chargingincrement", "chargeinterval",
		"incremento", "incrementos", "facturacion", "facturación", "facturation", "taktung", "takt", "abrechnungstakt",
		"tarifacion", "tarificación"},
	connectFee: {"connectfee", "connectionfee", "connectcharge", "connectioncharge", "setupfee", "setupcharge", "setup",
		"callsetupfee", "callsetup", "percallfee", "percall", "connectfeeusd", "connectionfeeusd", "setupfeeusd", "flagfall",
		"connectcost", "connectioncost", "setupcost", "connectionrate", "establecimiento", "bajada",
		"fraisdeconnexion", "verbindungsentgelt"},
	// The first of these that a sheet has is the description.
	description: {"description", "destinationname", "destinationdescription", "destination", "name", "codename",
		"prefixname",
		"zone", "zonename", "breakoutname", "country", "countryname", "destino", "destinos", "descripcion", "descripción",
		"descrição", "descricao", "pais", "país", "ziel", "land", "pays", "destinazione", "paese", "beschreibung"},
	effective: {"effectivedate", "effective", "effectivefrom", "effectiveon", "effectiveat", "effectivedatetime",
		"effectivetime", "startdate", "start", "validfrom", "validfromdate", "activationdate", "activedate", "datefrom",
		"inforcefrom", "begindate", "begins", "dateeffective", "datestart", "efffrom", "effdate", "newratedate",
		"vigencia", "vigente", "vigentedesde", "fechadevigencia", "fechaefectiva", "validodesde", "válidodesde",
		"dataefetiva",
		"dateeffet", "datedeffet", "gültigab", "gueltigab"},
	ends: {"enddate", "end", "ends", "endsat", "expirydate", "expirationdate", "expires", "expiry", "expiration",
		"validto",
		"validtill", "validuntil", "validuntildate", "validtodate", "effectiveto", "effectiveuntil", "effectivetill",
		"discontinuedate", "dateto", "dateend", "stopdate", "until", "till", "closingdate", "validohasta", "válidohasta",
		"gültigbis", "gueltigbis", "datefin"},
	currency: {"currency", "curr", "currencycode", "ccy", "cur", "ratecurrency", "pricecurrency", "billingcurrency",
		"currencyname", "moneda", "moeda", "devise", "währung", "waehrung", "valuta"},
	unit: {"unit", "units", "rateunit", "units1", "rateper", "per", "priceunit", "chargeunit", "timeunit", "unidad",
		"unité", "unite", "einheit"},
	status: {"status", "change", "changes", "changetype", "changestatus", "ratechange", "ratestatus", "codestatus",
		"changecode", "codechange", "action", "state", "remarkcode", "pricechange", "changeindicator", "updatetype",
		"estado", "cambio", "statut", "änderung", "availability", "routestatus", "destinationstatus", "mode"},
	enabled: {"enabled", "active", "isactive", "open", "allowed", "available", "activo", "ativo", "actif", "aktiv"},
	withdrawn: {"forbidden", "discontinued", "blocked", "closed", "deleted", "disabled", "removed", "withdrawn",
		"suspended",
		"inactive", "rejectcalls", "isblocked", "isdeleted", "bloqueado", "bloqué", "gesperrt"},
	zero: {"freeseconds", "freesecs", "freesec", "includedseconds", "includedsecs", "graceperiod", "gracetime", "grace",
		"additionalgrace", "gracesecs", "graceseconds", "tax", "taxes", "taxrate", "taxpercent", "vat", "vatrate",
		"vatpercent",
		"gst", "iva", "mwst", "tva", "discount", "discountpercent", "surcharge", "surchargepercent", "surchargeusd",
		"postcallsurcharge", "minimumcharge", "mincharge", "minimalcost", "minimumcost", "mincost", "disconnectcharge",
		"stepchargea", "stepchargeb", "stepchargec", "chargea", "chargeb", "chargec", "timechargea", "timechargeb",
		"timechargec", "billingblocka", "billingblockb", "billingblockc", "groupintervalstart", "freetier",
		"descuento", "impuesto", "impuestos", "recargo", "rabatt", "originationfee", "payphonesurcharge"},
	// What changes neither the price nor which calls a row is for.
	ignored: {"notes", "note", "comment", "comments", "remark", "remarks", "observaciones", "bemerkung", "iso", "iso2",
		"iso3",
		"isocode", "countryiso", "countryisocode", "region", "continent", "operator", "operatorname", "network",
		"networkname",
		"carrier", "carriername", "provider", "providername", "supplier", "vendor", "vendorname", "mcc", "mnc", "mccmnc",
		"id", "rateid", "rowid", "no", "nr", "sr", "srno", "sno", "serialno", "line", "row", "index", "rateplan",
		"rateplanname",
		"ratedeck", "ratedeckname", "ratecenter", "ratecentre", "ratecentername", "ratecentrename", "pricelist",
		"pricelistname", "corporatename", "customer", "customername", "account", "accountname", "product", "productname",
		"company", "route", "routename", "routeclass", "routequality", "quality", "asr", "acd", "ner", "pdd", "aloc",
		"capacity",
		"ports", "channels", "cli", "clid", "cliguaranteed", "fas", "dtmf", "fax", "oldrate", "oldrateusd", "previousrate",
		"prevrate", "lastrate", "oldprice", "previousprice", "difference", "delta", "variation", "changepercent",
		"percentchange", "issuedate", "issued", "dateissued", "notificationdate", "noticedate", "createdat", "created",
		"updatedat", "updated", "lastmodified", "modified", "dateadded", "dateupdated", "lastupdate", "revision", "version",
		"externalid", "uuid", "ocn", "lrn", "lata", "timezone", "level", "buyrateincrement", "buyrateinitblock",
		"profitcontrolmode",
		"asrlimit", "acdlimit", "shortcallslimit", "reliability", "linesofrow", "zeit", "tags", "tag", "group", "groupname",
		"dialplan", "trunk", "trunkname", "gateway", "gatewayname", "lcrcarrier", "carrieruuid", "lcruuid", "idratecard",
		"musiconhold", "announcetime", "announcetimecorrection", "disconnectcharges"},
}

// lowerRanked are names that have a meaning only where no better column has it: what a program buys for, beside what it
// sells for.
var lowerRanked = map[string]meaning{"buyrate": rate, "buycost": rate, "costprice": rate}

// meaningByName is names the other way round.
var meaningByName = func() map[string]meaning {
	m := maps.Clone(lowerRanked)
	for meaning, all := range names {
		for _, name := range all {
			m[name] = meaning
		}
	}
	return m
}()

// plainName is a column's name without case, spaces and punctuation: "Rate ($/min)" becomes "rateusdmin".
func plainName(name string) string {
	name = strings.NewReplacer("us$", "usd", "$", "usd", "%", "percent").Replace(strings.ToLower(name))
	return strings.Map(func(r rune) rune {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r < 0x80 || r == '\u00a0' || r == '\ufeff' {
			return -1
		}
		return r
	}, name)
}

// meaningOf is the meaning of a column's name. The names of increments may end in their unit; those of prices may not,
// as a price per second is not one per minute.
func meaningOf(name string) meaning {
	plain := plainName(name)
	if m, ok := meaningByName[plain]; ok {
		return m
	}
	for _, suffix := range []string{"inseconds", "seconds", "insecs", "insec", "secs", "sec", "s"} {
		bare, ok := strings.CutSuffix(plain, suffix)
		if m := meaningByName[bare]; ok && (m == firstIncrement || m == increment || m == increments || m == unit) {
			return m
		}
	}
	for _, suffix := range []string{"usd", "utc", "gmt", "yyyymmdd"} {
		bare, ok := strings.CutSuffix(plain, suffix)
		m := meaningByName[bare]
		if ok && (suffix == "usd" && (m == rate || m == connectFee || m == zero) || suffix != "usd" && (m == effective ||
			m == ends)) {
			return m
		}
	}
	return unknown
}

// columns describes what each column of a sheet means.
type columns struct {
	names []string // the header line
	means []meaning
	index [meaningCount][]int // where each meaning stands; the first one counts, others must agree with it
}

func (c *columns) has(m meaning) bool { return len(c.index[m]) > 0 }

// name is a column's name as the sheet writes it, for messages.
func (c *columns) name(m meaning) string { return excerpt(c.names[c.index[m][0]]) }

// looksLikeHeader reports whether a row names a prefix and a price, whatever else it has.
func (c *columns) looksLikeHeader() bool {
	return (c.has(prefix) || c.has(areaCode)) && (c.has(rate) || c.has(ratePerSecond) || c.perJurisdiction())
}

// perJurisdiction reports whether a header has prices by jurisdiction, which are several for one prefix.
func (c *columns) perJurisdiction() bool {
	return slices.ContainsFunc(c.names, func(name string) bool {
		plain := plainName(name)
		return strings.HasPrefix(plain, "interstate") || strings.HasPrefix(plain, "intrastate") ||
			strings.HasPrefix(plain, "interrate") || strings.HasPrefix(plain, "intrarate")
	})
}

// readColumns gives the columns of a header line their meanings: those that were chosen, and those of their names.
func readColumns(header []string, chosen Mapping) *columns {
	c := &columns{names: slices.Clone(header), means: make([]meaning, len(header))}
	for i, name := range header {
		m, ok := chosen[plainName(name)]
		if !ok {
			m = meaningOf(name)
		}
		if strings.TrimSpace(name) == "" {
			m = unknown // asked about only if it has something in it
		}
		c.means[i] = m
		c.index[m] = append(c.index[m], i)
	}
	c.rankDescriptions()
	c.rankRates()
	return c
}

// rankDescriptions keeps the best of the columns that describe, and ignores the others.
func (c *columns) rankDescriptions() {
	rank := func(i int) int {
		r := slices.Index(names[description], plainName(c.names[i]))
		if r < 0 {
			return -1 // chosen
		}
		return r
	}
	slices.SortStableFunc(c.index[description], func(a, b int) int { return rank(a) - rank(b) })
	if len(c.index[description]) > 1 {
		for _, i := range c.index[description][1:] {
			c.means[i] = ignored
			c.index[ignored] = append(c.index[ignored], i)
		}
		c.index[description] = c.index[description][:1]
	}
}

// rankRates ignores a lower-ranked price where there is a better one.
func (c *columns) rankRates() {
	lower := func(i int) bool { _, ok := lowerRanked[plainName(c.names[i])]; return ok }
	if !slices.ContainsFunc(c.index[rate], func(i int) bool { return !lower(i) }) {
		return
	}
	c.index[rate] = slices.DeleteFunc(c.index[rate], func(i int) bool {
		if lower(i) {
			c.means[i] = ignored
			c.index[ignored] = append(c.index[ignored], i)
		}
		return lower(i)
	})
}

// check returns what a sheet cannot be read without, and asks about every column that is not known, all at once.
func (c *columns) check() error {
	var asked []string
	mapping := map[string]string{}
	for _, i := range c.index[unknown] {
		if strings.TrimSpace(c.names[i]) != "" {
			asked = append(asked, fmt.Sprintf("%q", excerpt(c.names[i])))
			if len(mapping) < mostNamed {
				mapping[excerpt(c.names[i])] = guess(c.names[i])
			}
		}
	}
	switch {
	case c.perJurisdiction() && !c.has(rate):
		return fmt.Errorf("%w: it has interstate and intrastate prices, which are several for one prefix; name the one to "+
			"use: columns=%s", ErrHeader, mappingText(map[string]string{c.jurisdiction(): "rate"}))
	case len(asked) > 0:
		return fmt.Errorf("%w: the meaning of %s is not known, and it may change what a call costs; rename or remove it, or "+
			"say what it means in the parameter columns=%s, with one of %s for each", ErrHeader, joinMost(asked),
			mappingText(mapping), strings.Join(Meanings(), ", "))
	case c.has(areaCode) && !c.has(countryCode) && !c.has(prefix):
		return fmt.Errorf("%w: column %q needs a column %q beside it; if it holds whole international prefixes, say "+
			"columns=%s", ErrHeader, c.name(areaCode), "country code",
			mappingText(map[string]string{c.name(areaCode): "prefix"}))
	case c.has(rate) && c.has(ratePerSecond):
		return fmt.Errorf("%w: columns %q and %q are both prices; say which to ignore: columns=%s", ErrHeader, c.name(rate),
			c.name(ratePerSecond), mappingText(map[string]string{c.name(ratePerSecond): "ignore"}))
	}
	return nil
}

// jurisdiction is the name of the first column with a price by jurisdiction.
func (c *columns) jurisdiction() string {
	for _, name := range c.names {
		if strings.HasPrefix(plainName(name), "inter") {
			return excerpt(name)
		}
	}
	return ""
}

// guesses are words in a name of which a column is usually what follows. They are proposals only.
var guesses = []struct{ word, means string }{
	{"seconds", "zero"}, {"effect", "effective_at"}, {"from", "effective_at"}, {"until", "ends_at"}, {"expir", "ends_at"},
	{"date", "effective_at"}, {"incr", "increments"}, {"pulse", "increments"}, {"round", "increments"},
	{"bill", "increments"}, {"interval", "increments"}, {"fee", "connect_fee"}, {"setup", "connect_fee"},
	{"connect", "connect_fee"}, {"status", "status"}, {"change", "status"}, {"curr", "currency"}, {"tax", "zero"},
	{"vat", "zero"}, {"discount", "zero"}, {"charge", "zero"}, {"npa", "prefix"}, {"code", "prefix"}, {"prefix", "prefix"},
	{"rate", "rate"}, {"price", "rate"}, {"cost", "rate"},
}

func guess(name string) string {
	plain := plainName(name)
	for _, g := range guesses {
		if strings.Contains(plain, g.word) {
			return g.means
		}
	}
	return "zero" // never ignore: who repeats the proposal must not lose what the column says
}

// list names the columns of the sheet, as far as a message has room.
func (c *columns) list() string {
	quoted := make([]string, len(c.names))
	for i, name := range c.names {
		quoted[i] = fmt.Sprintf("%q", excerpt(name))
	}
	return joinMost(quoted)
}

// mostNamed is how many columns a message names.
const mostNamed = 12

// joinMost joins as many as a message has room for.
func joinMost(items []string) string {
	if len(items) > mostNamed {
		return strings.Join(items[:mostNamed], ", ") + fmt.Sprintf(" and %d more", len(items)-mostNamed)
	}
	return strings.Join(items, ", ")
}
