package admission

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/policy"
)

// RuleConnection holds that the caller is a known, active connection of an active account.
const RuleConnection Rule = 1

// The reasons of RuleConnection.
const (
	ReasonConnectionUnknown  Reason = 1
	ReasonTokenInvalid       Reason = 2
	ReasonTechPrefixUnknown  Reason = 3
	ReasonConnectionDisabled Reason = 4
	ReasonAccountDisabled    Reason = 5
)

var connectionRule = rule{
	name:    "connection",
	needs:   needNothing,
	gather:  gatherConnection,
	judge:   judgeConnection,
	explain: explainConnection,
	code: func(c *coder, f *Facts) {
		ints(c, &f.Identity)
		c.Bools(&f.AccountActive, &f.ConnectionActive)
	},
	reasons: []answer{
		{ReasonConnectionUnknown, "connection_unknown", "D25", 403,
			"Unable to locate an account/number using IP {source} and username {user}",
			"Add the source address to an IP connection, or send digest credentials of a credential or FQDN " +
				"connection. An FQDN connection needs user_name and password, or ip-authentication and addresses " +
				"at /v2/ips: its domain names prove nothing."},
		{ReasonTokenInvalid, "token_invalid", "D29", 403, "Invalid X-Telnyx-Token or IP {source}",
			"Send the connection's ip_authentication_token in the X-Telnyx-Token header."},
		{ReasonTechPrefixUnknown, "tech_prefix_unknown", "D26", 403, "Connection for caller not present",
			"Dial the connection's tech_prefix before the number."},
		{ReasonConnectionDisabled, "connection_disabled", "D16", 403, "Connection is disabled",
			"Set active on the connection."},
		{ReasonAccountDisabled, "account_disabled", "D17", 403, "Account is disabled",
			"Activate the account."},
	},
}

// ConnectionFacts are the facts about the caller.
type ConnectionFacts struct {
	Identity                        policy.Identity
	AccountActive, ConnectionActive bool
}

func gatherConnection(f *Facts, in *inquiry) {
	f.Identity = policy.IdentityKnown
	if in.call.NoWayIn {
		f.Identity = policy.IdentityNone
	}
	f.ConnectionActive = in.caller.Active
	f.AccountActive = in.account != nil && in.account.Active
}

// gatherUnknown collects what is known when the connection is not.
func gatherUnknown(f *Facts, call *Call) {
	f.Account, f.Identity = call.Account, call.Identity
	if f.Identity == policy.IdentityKnown {
		f.Identity = policy.IdentityNone
	}
	if call.Source.IsValid() {
		f.Source = call.Source.String()
	}
}

func judgeConnection(f *Facts) Reason {
	switch {
	case f.Connection == 0 && f.Identity == policy.IdentityBadToken:
		return ReasonTokenInvalid
	case f.Connection == 0 && f.Identity == policy.IdentityNoPrefix:
		return ReasonTechPrefixUnknown
	case f.Connection == 0, f.Identity == policy.IdentityNone:
		return ReasonConnectionUnknown
	case !f.ConnectionActive:
		return ReasonConnectionDisabled
	case !f.AccountActive:
		return ReasonAccountDisabled
	}
	return ReasonNone
}

func explainConnection(f *Facts) (seen, allowed string) {
	return connectionText(f), "a known, active connection of an active account"
}

func connectionText(f *Facts) string {
	if f.Connection == 0 {
		switch f.Identity {
		case policy.IdentityBadToken:
			return "known address " + f.Source + " with another token"
		case policy.IdentityNoPrefix:
			return "known address " + f.Source + " without a tech prefix"
		}
		return "unknown sender " + f.Source
	}
	if f.Identity == policy.IdentityNone {
		return fmt.Sprintf("connection %s, to which no user and no address leads", f.Connection)
	}
	return fmt.Sprintf("connection %s %s, account %s", f.Connection,
		yesNo(f.ConnectionActive, "active", "inactive"), yesNo(f.AccountActive, "active", "inactive"))
}
