package e164_test

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/e164"
)

// What is dialled depends on where: the rules are those of the home country.
func ExampleNormalise() {
	germany, _ := e164.CountryByAlpha2("DE")
	for _, dialled := range []string{"030 123456", "0044 20 7946 0123", "+49 (0) 900 1234567"} {
		number, err := e164.Normalise(dialled, germany)
		fmt.Println(number, err)
	}
	// Output:
	// +4930123456 <nil>
	// +442079460123 <nil>
	// +499001234567 <nil>
}

func ExampleEmergency() {
	germany, _ := e164.CountryByAlpha2("DE")
	for _, dialled := range []string{"110", "+49112", "urn:service:sos", "112112", "118"} {
		number, ok := e164.Emergency(dialled, germany, nil)
		fmt.Printf("%s: %q %t\n", dialled, number, ok)
	}
	// Output:
	// 110: "110" true
	// +49112: "112" true
	// urn:service:sos: "112" true
	// 112112: "" false
	// 118: "" false
}

// +1 is 25 countries, and some ranges belong to none.
func ExampleClassify() {
	for _, text := range []string{"+12125550123", "+18765551234", "+19005550123", "+881612345678"} {
		number, err := e164.Parse(text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		class := e164.Classify(number)
		fmt.Printf("%v%s %v\n", class.Country, class.Range, class.Type)
	}
	// Output:
	// US fixed_line_or_mobile
	// JM mobile
	// US premium_rate
	// +881 satellite
}

// A number with digits too many is judged by everything it could be: the network stops
// where a number is complete.
func ExampleJudge() {
	number, _ := e164.Parse("+4990012345678")
	judgement, ok := e164.Judge(number)
	fmt.Println(ok, judgement.Exact(), judgement.Type, judgement.Dearest())
	// Output: true false unknown premium_rate
}

// An operator's override decides before the built-in plan.
func ExamplePlan() {
	prefix, _ := e164.Parse("+18765551")
	plan := e164.Plan{Overlay: e164.NewOverlay([]e164.Override{{Prefix: prefix, ID: 7, Valid: false}})}
	number, _ := e164.Parse("+18765551234")
	fmt.Println(e164.Valid(number), plan.Valid(number), plan.Override(number).ID)
	// Output: true false 7
}
