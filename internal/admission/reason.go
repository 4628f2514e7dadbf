package admission

import (
	"strings"

	"github.com/tollgate/tollgate/internal/e164"
)

// Reason is why a call was let through or refused. It is a closed enumeration:
// the table below maps each to its word, its code and its SIP answer.
type Reason uint8

// The reasons, in the order of the rules. Their order is stored; append only.
const (
	ReasonNone Reason = iota // allowed
	ReasonConnectionUnknown
	ReasonTokenInvalid
	ReasonTechPrefixUnknown
	ReasonConnectionDisabled
	ReasonAccountDisabled
	ReasonProfileMissing
	ReasonProfileDisabled
	ReasonCallerInvalid
	ReasonNumberInvalid
	ReasonNotWhitelisted
	ReasonNumberTypeBlocked
	ReasonNoRate
	ReasonRateAboveMaximum
	ReasonOutsideWindow
	ReasonCalleeLimit
	ReasonAccountChannels
	ReasonProfileChannels
	ReasonConnectionChannels
	ReasonDailySpendLimit
	ReasonNoGateway
	ReasonStoreUnavailable
	ReasonOverloaded
	ReasonStopping
	ReasonGroupSpendLimit
	ReasonAccountSpendLimit
	ReasonSpendHeldBack
	ReasonGatewaysDown
	ReasonGatewayLimit
	ReasonCallRate
	ReasonCallIDUsed
	ReasonCallEnded
	ReasonConnectFee
	ReasonCallCost
	ReasonCallerNotAllowed
	ReasonEmergencyLimit
	ReasonSourceRefused
	ReasonHungUp
	numReasons
)

// answer is how a reason looks from outside.
type answer struct {
	word   string // machine-readable, in the HTTP API and in records
	code   string // what the SIP reason phrase ends with
	status int    // SIP status
	phrase string // SIP reason phrase without the code; {braces} are filled in by Phrase
	fix    string // what the operator can do about it
}

// answers maps every reason to the wire. Codes beginning with D and TM are those
// that Telnyx documents for its SIP refusals (support article 4409457); codes
// beginning with TG are Tollgate's own, where Telnyx publishes none.
var answers = [numReasons]answer{
	ReasonNone: {word: "allowed", status: 200, phrase: "OK"},
	ReasonConnectionUnknown: {"connection_unknown", "D25", 403, "Unable to locate an account/number using IP {source} and username {user}",
		"Add the source address to an IP connection, or send digest credentials of a credential or FQDN connection. An FQDN " +
			"connection needs user_name and password, or ip-authentication and addresses at /v2/ips: its domain names prove nothing."},
	ReasonTokenInvalid: {"token_invalid", "D29", 403, "Invalid X-Telnyx-Token or IP {source}",
		"Send the connection's ip_authentication_token in the X-Telnyx-Token header."},
	ReasonTechPrefixUnknown: {"tech_prefix_unknown", "D26", 403, "Connection for caller not present",
		"Dial the connection's tech_prefix before the number."},
	ReasonConnectionDisabled: {"connection_disabled", "D16", 403, "Connection is disabled",
		"Set active on the connection."},
	ReasonAccountDisabled: {"account_disabled", "D17", 403, "Account is disabled",
		"Activate the account."},
	ReasonProfileMissing: {"profile_missing", "D38", 403, "Connection has no Outbound Profile assigned",
		"Set outbound.outbound_voice_profile_id on the connection."},
	ReasonProfileDisabled: {"profile_disabled", "D15", 403, "Outbound Profile is disabled",
		"Set enabled on the outbound voice profile."},
	ReasonCallerInvalid: {"caller_id_invalid", "D35", 403, "Invalid Caller Origination Number",
		"Send a caller id that is an E.164 number after the connection's localisation, or set outbound.ani_override."},
	ReasonNumberInvalid: {"number_invalid", "D14", 404, "Dialed number is not valid",
		"Dial +E.164, or set outbound.localization for national dialling. Where the number exists and the built-in " +
			"numbering plan does not know it, add an override under /tollgate/v1/numbering_plan_overrides."},
	ReasonNotWhitelisted: {"destination_not_whitelisted", "D13", 403, "Dialed number {number} (associated countries: {country}) is not included in whitelisted countries {whitelist}",
		"Add the country to the profile's whitelisted_destinations."},
	ReasonNumberTypeBlocked: {"number_type_blocked", "D58", 403, "Restricted destination number",
		"Take the number's type out of the profile's blocked_number_types."},
	ReasonNoRate: {"no_rate", "TM1", 403, "No Rates Found",
		"Add a rate for the destination to the rate deck, or activate a deck."},
	ReasonRateAboveMaximum: {"rate_above_maximum", "D24", 403, "Maximum destination rate limit exceeded",
		"Raise the profile's max_destination_rate."},
	ReasonOutsideWindow: {"outside_calling_window", "TG1", 403, "Outside the calling window of the Outbound Profile",
		"Call within the profile's calling_window, or widen it."},
	ReasonCalleeLimit: {"callee_limit", "TG2", 403, "Calls to this number in the calling window exceeded",
		"Raise calling_window.calls_per_cld, or wait for the next window."},
	ReasonAccountChannels: {"account_channel_limit", "D1", 403, "User channel limit exceeded",
		"Raise the account's channel limit, or wait for a call to end."},
	ReasonProfileChannels: {"profile_channel_limit", "D2", 403, "OB profile channel limit exceeded",
		"Raise the profile's concurrent_call_limit, or wait for a call to end."},
	ReasonConnectionChannels: {"connection_channel_limit", "D3", 403, "Connection channel limit exceeded",
		"Raise outbound.channel_limit on the connection, or wait for a call to end."},
	ReasonDailySpendLimit: {"daily_spend_limit", "TG3", 403, "Daily spend limit of the Outbound Profile reached",
		"Raise the profile's daily_spend_limit, or wait for 00:00 UTC."},
	ReasonNoGateway: {"no_gateway", "PE1", 503, "Service Unavailable",
		"Create an enabled gateway."},
	ReasonStoreUnavailable: {"store_unavailable", "TG4", 503, "Service Unavailable",
		"The database did not confirm the call; nothing was charged. Try again."},
	ReasonOverloaded: {"overloaded", "TG5", 503, "Service Unavailable",
		"Too many calls at once are being decided. Try again after the Retry-After header."},
	ReasonStopping: {"stopping", "TG6", 503, "Service Unavailable",
		"The server is being stopped. Send the call to another one."},
	ReasonGroupSpendLimit: {"billing_group_daily_spend_limit", "TG7", 403, "Daily spend limit of the Billing Group reached",
		"Raise the billing group's daily_spend_limit, or wait for 00:00 UTC."},
	ReasonAccountSpendLimit: {"account_daily_spend_limit", "TG8", 403, "Daily spend limit of the Account reached",
		"Raise the account's daily_spend_limit, or wait for 00:00 UTC."},
	ReasonSpendHeldBack: {"spend_held", "TG9", 403, "Spending is held until it is released",
		"Look at what was spent, then release the profile, the billing group or the account that is held."},
	// The code that Telnyx answers with above its limit of calls a second.
	ReasonCallRate: {"calls_per_second", "P05", 503, "CPS Limit Reached",
		"Raise calls_per_second on the connection, or send its calls more slowly."},
	ReasonCallIDUsed: {"call_id_used", "TG12", 403, "The id of the call was used before",
		"Give each call a call_id that its caller cannot choose, and send the same request_id when the same " +
			"request is repeated."},
	ReasonSourceRefused: {"source_not_allowed", "TG16", 403, "Calls of this user are not taken from this address",
		"Call from a network of the connection's allowed_sources, or add this one; a switch says where the call comes " +
			"from by source_ip."},
	// 603, so that whoever calls does not try another way out: somebody wants the call to end.
	ReasonHungUp: {"hung_up", "TG17", 603, "Call ended by its operator",
		"Somebody had this call hung up by the API; hangup_details of its detail record and the audit say who. End it."},
	ReasonCallEnded: {"call_ended", "TG12", 403, "The call has ended",
		"This request was carried out before and its call is over. Give a new call a call_id of its own."},
	ReasonConnectFee: {"connect_fee_above_maximum", "TG10", 403, "Maximum connect fee exceeded",
		"Raise the profile's max_connect_fee."},
	ReasonCallCost: {"call_cost_above_maximum", "TG11", 403, "Maximum cost of a call exceeded",
		"Raise the profile's max_call_cost: already the first increment costs more."},
	ReasonCallerNotAllowed: {"caller_id_not_allowed", "D51", 403, "Unverified origination number",
		"Show a caller id that caller_ids of the connection lists, or list this one there."},
	// 503, so that whoever calls tries another way out at once.
	ReasonEmergencyLimit: {"emergency_call_limit", "TG13", 503, "Emergency call limit of the Connection reached",
		"Raise emergency_call_limit of the connection, or take it away: it refuses emergency calls."},
	ReasonGatewaysDown: {"gateways_down", "TG20", 503, "Service Unavailable",
		"No gateway is in order at present. See the health of each under /tollgate/v1/gateways."},
	ReasonGatewayLimit: {"gateway_limit", "TG21", 503, "Service Unavailable",
		"Every gateway has as many calls as its channel_limit or calls_per_second allow. Raise them, or try again."},
}

// ofSpend says whether it is a daily limit that refuses.
func (r Reason) ofSpend() bool {
	switch r {
	case ReasonDailySpendLimit, ReasonGroupSpendLimit, ReasonAccountSpendLimit, ReasonSpendHeldBack:
		return true
	}
	return false
}

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
	for i := ReasonNone + 1; i < numReasons; i++ {
		words[answers[i].word], codes[answers[i].code] = i, true
	}
	return words, codes
}()

// ParseReason finds the reason of a refusal by its word.
func ParseReason(word string) (Reason, bool) {
	r, ok := byWord[word]
	return r, ok
}

// IsCode says whether a refusal has this code.
func IsCode(code string) bool { return knownCodes[code] }

// String is the machine-readable word, as in "destination_not_whitelisted".
func (r Reason) String() string { return answers[r].word }

// Code is what the SIP reason phrase ends with, as in "D13".
func (r Reason) Code() string { return answers[r].code }

// Status is the SIP status of the refusal.
func (r Reason) Status() int { return answers[r].status }

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
