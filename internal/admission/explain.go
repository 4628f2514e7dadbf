package admission

import "cmp"

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

// Explain tells every rule of the decision in order. A refusal of the server's
// own, which no rule covers, comes last.
func (d *Decision) Explain() []Step {
	steps := make([]Step, 0, NumRules)
	facts := d.Facts
	for rule := range facts.Rules {
		steps = append(steps, rule.step(&facts, d.Verdicts[rule]))
	}
	if why := d.Facts.EdgeRefusal; why != ReasonNone && !d.Facts.Emergency {
		steps = append(steps, Step{
			Rule: "server", Verdict: Refuse.String(), Seen: why.String(), Allowed: "a server that can take the call",
			Reason: why.String(), Fix: why.Fix(),
		})
	}
	return steps
}

func (r Rule) step(f *Facts, verdict Verdict) Step {
	rule := &rules[r]
	step := Step{Rule: rule.name, Verdict: verdict.String()}
	step.Seen, step.Allowed = rule.explain(f)
	if verdict == NotJudged && r != RuleEmergency {
		step.Seen = ""
	}
	if verdict == Refuse {
		why := rule.judge(f)
		step.Reason, step.Fix = why.String(), why.Fix()
		if rule.fix != nil {
			step.Fix = cmp.Or(rule.fix(f), step.Fix)
		}
	}
	return step
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
