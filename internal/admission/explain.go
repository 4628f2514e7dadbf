package admission

import (
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/policy"
)

// Step is one rule of an explained decision, in words and values for people and
// programs: what was seen, what would be accepted, and the way out.
type Step struct {
	Rule    string `json:"rule"`
	Verdict string `json:"verdict" enum:"pass,refuse,not_judged"`
	Seen    string `json:"seen"`
	Allowed string `json:"allowed"`
	Reason  string `json:"reason" doc:"The machine-readable reason when the rule refuses."`
	Fix     string `json:"fix" doc:"What would let the call through, when the rule refuses."`
}

// String is the word of the API.
func (v Verdict) String() string { return [...]string{"not_judged", "pass", "refuse"}[v] }

// ruleNames are the words of the API, in the order of the rules.
var ruleNames = [NumRules]string{
	"emergency", "connection", "profile", "caller_id", "number", "country",
	"number_type", "rate", "calling_window", "channels", "daily_spend_limit",
	"call_id", "calls_per_second", "max_call_secs", "source",
}

// String is the word of the API.
func (r Rule) String() string { return ruleNames[r] }

// Explain tells every rule of the decision in order. A refusal of the server's
// own, which no rule covers, is told last.
func (d *Decision) Explain() []Step {
	steps := make([]Step, 0, NumRules)
	for rule := range NumRules {
		step := Step{Rule: rule.String(), Verdict: d.Verdicts[rule].String()}
		step.Seen, step.Allowed = values(rule, &d.Facts)
		if d.Verdicts[rule] == Refuse {
			why, _ := judgeRule(rule, &d.Facts)
			step.Reason, step.Fix = why.String(), why.Fix()
			if rule == RuleNumber && d.Facts.Override != 0 {
				step.Fix = overrideFix(&d.Facts)
			}
		}
		if d.Verdicts[rule] == NotJudged && rule != RuleEmergency {
			step.Seen = ""
		}
		steps = append(steps, step)
	}
	if why := d.Facts.EdgeRefusal; why != ReasonNone && !d.Facts.Emergency {
		steps = append(steps, Step{
			Rule: "server", Verdict: Refuse.String(), Seen: why.String(), Allowed: "a server that can take the call",
			Reason: why.String(), Fix: why.Fix(),
		})
	}
	return steps
}

// values tells what one rule saw and what it allows.
func values(rule Rule, f *Facts) (seen, allowed string) {
	switch rule {
	case RuleEmergency:
		return emergencyText(f)
	case RuleConnection:
		return connectionText(f), "a known, active connection of an active account"
	case RuleProfile:
		return yesNo(f.HasProfile, fmt.Sprintf("profile %s %s", f.Profile, yesNo(f.ProfileEnabled, "enabled", "disabled")), "no profile attached"),
			"an enabled outbound voice profile"
	case RuleCaller:
		return callerText(f)
	case RuleNumber:
		return numberText(f), "a valid E.164 number"
	case RuleCountry:
		return f.place(), whitelistText(f.Countries, f.Ranges)
	case RuleNumberType:
		return numberTypeText(f)
	case RuleRate:
		return rateText(f)
	case RuleWindow:
		return windowText(f)
	case RuleChannels:
		return fmt.Sprintf("account %d, profile %d, connection %d in use", f.AccountLive, f.ProfileLive, f.ConnectionLive),
			fmt.Sprintf("below account %s, profile %s, connection %s", limitText(f.AccountMax), limitText(f.ProfileMax), limitText(f.ConnectionMax))
	case RuleSpend:
		return spendText(f)
	case RuleCallID:
		return callIDText(f)
	case RulePace:
		return paceText(f)
	case RuleLength:
		return lengthText(f)
	case RuleSource:
		return sourceText(f)
	}
	return "", ""
}

// spendText tells every scope that has a limit; the profile's spend is told always.
func spendText(f *Facts) (seen, allowed string) {
	names := [...]string{"", "billing group " + f.BillingGroup.String() + " ", "account "}
	for i, spend := range f.spends() {
		if i > 0 && !spend.Limited {
			continue
		}
		if i > 0 {
			seen, allowed = seen+"; ", allowed+"; "
		}
		seen += fmt.Sprintf("%sposted %s, held %s%s", names[i], spend.Posted, spend.Held, yesNo(spend.HeldBack, ", held until it is released", ""))
		if i == 0 {
			seen += fmt.Sprintf(", first grant %s for %d s", f.FirstGrantCost, f.FirstGrantSecs)
		}
		allowed += names[i] + yesNo(spend.Limited, "together at most "+spend.Limit.String(), "no limit")
	}
	return seen, allowed + callCostText(f)
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

func rateText(f *Facts) (seen, allowed string) {
	allowed = "a rate in the deck"
	if f.MaxRatePerMinute != policy.NoLimit {
		allowed += ", at most " + f.MaxRatePerMinute.String() + " per minute"
	}
	allowed += connectFeeText(f)
	if !f.HasRate {
		return "no rate", allowed
	}
	return fmt.Sprintf("%s per minute (prefix %s), connect fee %s, %d/%d s", f.Rate.PerMinute, f.ratePrefix(),
		f.Rate.ConnectFee, f.Rate.FirstIncrement, f.Rate.Increment), allowed
}

func windowText(f *Facts) (seen, allowed string) {
	at := time.UnixMicro(f.AtMicros).UTC().Format(time.TimeOnly)
	seen = at + " UTC, window " + yesNo(f.WindowOpen, "open", "closed")
	allowed = "any time of day"
	if f.WindowStart != f.WindowEnd {
		allowed = clock(f.WindowStart) + " to " + clock(f.WindowEnd) + " in the profile's time zone"
	}
	if f.CalleeCallsMax != policy.NoLimit {
		seen += fmt.Sprintf(", %d calls to this number", f.CalleeCalls)
		allowed += fmt.Sprintf(", fewer than %d calls to one number before this one", f.CalleeCallsMax)
	}
	return seen, allowed
}

func clock(d time.Duration) string { return time.Time{}.Add(d).Format(time.TimeOnly) }

func limitText(limit int32) string {
	if limit == policy.NoLimit {
		return "unlimited"
	}
	return fmt.Sprint(limit)
}

func yesNo(yes bool, text, otherwise string) string {
	if yes {
		return text
	}
	return otherwise
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
