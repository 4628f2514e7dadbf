package admission

import (
	"reflect"
	"testing"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

// TestRulesAreWhole: no place of the table is empty, and each rule says what it must.
func TestRulesAreWhole(t *testing.T) {
	names := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		if r.name == "" || names[r.name] || r.explain == nil || r.code == nil {
			t.Errorf("rule %d (%q) is not whole, or has the name of another", i, r.name)
		}
		if names[r.name] = true; (r.judge == nil && r.next == nil) != (len(r.reasons) == 0) {
			t.Errorf("rule %q judges or limits grants without a reason, or has one without either", r.name)
		}
		if (r.first == nil) != (r.next == nil) {
			t.Errorf("rule %q limits the first grant alone, or only those that follow", r.name)
		}
	}
}

// TestDecideAllocatesNothing: neither the rules of the table nor storing what they saw
// put anything on the heap.
func TestDecideAllocatesNothing(t *testing.T) {
	s := snapshotOf(t, testAccountPolicy(), profile.New(), attachedConnection(), standardDeck(t))
	call, state, stored := callTo("+12125550123"), NewState(), make([]byte, 0, 1024)
	for what, do := range map[string]func(){
		"deciding": func() {
			if d := Decide(s, &call, state, noon); !d.Allow {
				t.Error(d.Reason)
			}
		},
		"storing": func() {
			d := Decide(s, &call, state, noon)
			stored = d.Append(stored[:0])
		},
	} {
		if allocs := testing.AllocsPerRun(100, do); allocs != 0 {
			t.Errorf("%s: %v allocations", what, allocs)
		}
	}
}

// TestEveryFactIsStored: a decision in which no fact is zero is read as it was written,
// so no field of any rule is left out.
func TestEveryFactIsStored(t *testing.T) {
	d := Decision{ID: uuid.New(), Reason: ReasonCallCost}
	fill(t, reflect.ValueOf(&d.Facts).Elem())
	d.Facts.Rules, d.Facts.Day = NumRules, record.DayOf(d.Facts.AtMicros)
	d.Facts.Class.Range = "+881"
	d.Facts.Spends[0].Scope = ProfileScope(d.Facts.Profile)
	d.Facts.Spends[1].Scope = GroupScope(uuid.New())
	d.Facts.Spends[2].Scope = AccountScope(d.Facts.Account)
	again, err := DecodeDecision(d.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	if again.Facts != d.Facts || again.ID != d.ID || again.Reason != d.Reason {
		t.Errorf("the code of a rule leaves a fact out:\n%+v\n%+v", d.Facts, again.Facts)
	}
}

// fill sets every field to something that is not zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	us, _ := e164.CountryByAlpha2("US")
	switch field := v.Addr().Interface().(type) {
	case *e164.CountrySet:
		field.Add(us)
		return
	case *e164.RangeSet:
		field.Add(1)
		return
	case *e164.Country:
		*field = us
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(-77)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	default:
		t.Fatalf("nothing fills a %v", v.Type())
	}
}

// TestDecisionsOfFewerRules: a decision of before a rule was added is read, and judged
// by the rules that there were.
func TestDecisionsOfFewerRules(t *testing.T) {
	s := snapshotOf(t, testAccountPolicy(), profile.New(), attachedConnection(), standardDeck(t))
	call := callTo("+12125550123")
	call.IDUse = IDOver
	d := Decide(s, &call, NothingUsed{}, noon)
	if d.Reason != ReasonCallIDUsed {
		t.Fatal(d.Reason)
	}
	d.Facts.Rules, d.Reason = RuleCallID, ReasonNone
	again, err := DecodeDecision(d.Append(nil))
	if err != nil || !again.Allow || again.Verdicts[RuleCallID] != NotJudged {
		t.Errorf("%v: %v, %v", err, again.Reason, again.Verdicts)
	}
	if reason, _ := Rejudge(&again.Facts); reason != ReasonNone {
		t.Errorf("judged again: %v", reason)
	}
	if steps := again.Explain(); len(steps) != int(RuleCallID) {
		t.Errorf("explained by %d rules", len(steps))
	}
}
