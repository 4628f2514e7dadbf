package admission

// RuleCallID holds that the id that a switch gave the call was not used before. See
// repetition.go.
const RuleCallID Rule = 11

// ReasonCallIDUsed is the reason of RuleCallID.
const ReasonCallIDUsed Reason = 30

var callIDRule = rule{
	name:    "call_id",
	needs:   needConnection,
	gather:  func(f *Facts, in *inquiry) { f.IDUse = in.call.IDUse },
	judge:   func(f *Facts) Reason { return refuseIf(f.IDUse != IDUnused, ReasonCallIDUsed) },
	explain: explainCallID,
	code:    func(c *coder, f *Facts) { ints(c, &f.IDUse) },
	reasons: []answer{
		{ReasonCallIDUsed, "call_id_used", "TG12", 403, "The id of the call was used before",
			"Give each call a call_id that its caller cannot choose, and send the same request_id when the same " +
				"request is repeated."},
	},
}

// CallIDFacts report whether the id of the call was used before.
type CallIDFacts struct{ IDUse IDUse }

func explainCallID(f *Facts) (seen, allowed string) {
	uses := [...]string{"not used before", "the id of a live call", "the id of a call that has ended"}
	return uses[min(f.IDUse, IDOver)], "an id of its own, or the proof that the same request is repeated"
}
