package admission

import (
	"fmt"
	"math"
	"strings"

	"github.com/tollgate/tollgate/internal/e164"
)

// Reason is why a call was admitted or refused. It is a closed enumeration. Those of
// the rules are in the files of the rules. Their numbers are stored: a new one takes the
// next number, which TestEveryReasonHasAnAnswer knows.
type Reason uint8

// The reasons that no rule gives.
const (
	ReasonNone             Reason = 0 // allowed
	ReasonNoGateway        Reason = 20
	ReasonStoreUnavailable Reason = 21
	ReasonOverloaded       Reason = 22
	ReasonStopping         Reason = 23
	ReasonGatewaysDown     Reason = 27
	ReasonGatewayLimit     Reason = 28
	ReasonCallEnded        Reason = 31
	ReasonHungUp           Reason = 37
)

// answer is how a reason looks from outside. Codes beginning with D and TM are those
// that Telnyx documents for its SIP refusals (support article 4409457); codes
// beginning with TG are Tollgate's own, where Telnyx publishes none.
type answer struct {
	reason Reason
	word   string // machine-readable, in the HTTP API and in records
	code   string // what the SIP reason phrase ends with
	status int    // SIP status
	phrase string // SIP reason phrase without the code; {braces} are filled in by Phrase
	fix    string // what the operator can do about it
}

// otherReasons are those of the edges and of the ledger.
var otherReasons = []answer{
	{reason: ReasonNone, word: "allowed", status: 200, phrase: "OK"},
	{ReasonNoGateway, "no_gateway", "PE1", 503, "Service Unavailable",
		"Create an enabled gateway."},
	{ReasonStoreUnavailable, "store_unavailable", "TG4", 503, "Service Unavailable",
		"The database did not confirm the call; nothing was charged. Try again."},
	{ReasonOverloaded, "overloaded", "TG5", 503, "Service Unavailable",
		"Too many calls at once are being decided. Try again after the Retry-After header."},
	{ReasonStopping, "stopping", "TG6", 503, "Service Unavailable",
		"The server is being stopped. Send the call to another one."},
	{ReasonGatewaysDown, "gateways_down", "TG20", 503, "Service Unavailable",
		"No gateway is healthy at present. See the health of each under /tollgate/v1/gateways."},
	{ReasonGatewayLimit, "gateway_limit", "TG21", 503, "Service Unavailable",
		"Every gateway has as many calls as its channel_limit or calls_per_second allow. Raise them, or try again."},
	{ReasonCallEnded, "call_ended", "TG12", 403, "The call has ended",
		"This request was carried out before and its call has ended. Give a new call a call_id of its own."},
	// 603, so that the caller does not try another way out: the call was ended on purpose.
	{ReasonHungUp, "hung_up", "TG17", 603, "Call ended by its operator",
		"The hang-up of this call was requested by the API; hangup_details of its detail record and the audit say who. End it."},
}

// answers has every reason at its number. numReasons is how many there are.
var answers, numReasons = collectAnswers()

// collectAnswers finds the reasons of all rules and the others. It panics when two of
// them have one number or one word, since no server may start that way.
func collectAnswers() (all [math.MaxUint8 + 1]answer, n int) {
	words := make(map[string]bool)
	add := func(list []answer) {
		for _, a := range list {
			if all[a.reason].word != "" || words[a.word] {
				panic(fmt.Sprintf("the number %d or the word %q is of two reasons", a.reason, a.word))
			}
			all[a.reason], words[a.word] = a, true
			n++
		}
	}
	add(otherReasons)
	for i := range rules {
		add(rules[i].reasons)
	}
	return all, n
}

func (r Reason) known() bool { return answers[r].word != "" }

// Reasons returns every reason, for tables and documents.
func Reasons() []Reason {
	all := make([]Reason, numReasons)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// byWord finds reasons by their words; knownCodes holds their codes.
var byWord, knownCodes = func() (map[string]Reason, map[string]bool) {
	words, codes := make(map[string]Reason, numReasons), make(map[string]bool, numReasons)
	for _, r := range Reasons()[1:] {
		words[r.String()], codes[r.Code()] = r, true
	}
	return words, codes
}()

// ParseReason finds the reason of a refusal by its word.
func ParseReason(word string) (Reason, bool) {
	r, ok := byWord[word]
	return r, ok
}

// IsCode reports whether a refusal has this code.
func IsCode(code string) bool { return knownCodes[code] }

// String is the machine-readable word, as in "destination_not_whitelisted".
func (r Reason) String() string { return answers[r].word }

// Code is what the SIP reason phrase ends with, as in "D13".
func (r Reason) Code() string { return answers[r].code }

// Status is the SIP status of the refusal.
func (r Reason) Status() int { return answers[r].status }

// Template is the SIP reason phrase without the code, with {braces} for what Phrase fills in.
func (r Reason) Template() string { return answers[r].phrase }

// Fix is one sentence on what would let the call through.
func (r Reason) Fix() string { return answers[r].fix }

// Phrase is the SIP reason phrase of the decision, ending in the code. Countries
// are alpha-3, as Telnyx words them on the wire. It never holds more than
// maxPhraseBytes, nor anything of the caller's own text but digits.
func (d *Decision) Phrase() string {
	a := answers[d.Reason]
	if d.Reason == ReasonNone {
		return a.phrase
	}
	phrase := a.phrase
	if strings.Contains(phrase, "{") {
		phrase = strings.NewReplacer(
			"{source}", d.Facts.Source,
			"{user}", "",
			"{number}", d.Facts.Callee.String(),
			"{country}", d.Facts.place(),
			"{whitelist}", whitelistText(d.Facts.Countries, d.Facts.Ranges),
		).Replace(phrase)
	}
	return strings.TrimRight(phrase, " ") + " " + a.code
}

// maxWhitelistNames bounds the countries named in a reason phrase, so that the
// answer to a call always fits a datagram.
const maxWhitelistNames = 40

func whitelistText(countries e164.CountrySet, ranges e164.RangeSet) string {
	var names []string
	for country := range countries.All() {
		names = append(names, country.Alpha3())
	}
	for named := range ranges.All() {
		names = append(names, named.String())
	}
	if len(names) > maxWhitelistNames {
		names = append(names[:maxWhitelistNames], "...")
	}
	return strings.Join(names, ",")
}

// place is the alpha-3 country or the range of the callee, as in "JAM" or "+881".
func (f *Facts) place() string {
	switch {
	case f.Class.Country != 0:
		return f.Class.Country.Alpha3()
	case f.Class.Range != "":
		return f.Class.Range
	}
	return "none"
}
