package admission_test

import (
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
)

// A decision is pure, explains itself, and can be judged again from what it stores.
func ExampleDecide() {
	office := profile.New()
	office.ID = 2
	office.AccountID = 1
	office.WhitelistedDestinations = []string{"US"}
	pbx := connection.NewIPConnection()
	pbx.ID = 3
	pbx.AccountID = 1
	pbx.Outbound.OutboundVoiceProfileID = office.ID
	snapshot, err := (&policy.Snapshot{}).With(
		policy.PutAccount(&policy.Account{ID: 1, Active: true, ChannelLimit: policy.NoLimit}),
		policy.PutProfile(&office),
		policy.PutIPConn(&pbx),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	call := admission.Call{
		Account: 1, Connection: pbx.ID, Identity: policy.IdentityKnown, From: "+13125550100", To: "+442079460123",
	}
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	decision := admission.Decide(snapshot, &call, admission.NewState(), noon)
	fmt.Println(decision.Allow, decision.Reason, decision.Reason.Code(), decision.Reason.Status())
	for _, step := range decision.Explain() {
		if step.Reason == decision.Reason.String() {
			fmt.Printf("%s: saw %s, allowed %s\n", step.Rule, step.Seen, step.Allowed)
		}
	}
	again, _ := admission.Rejudge(&decision.Facts)
	fmt.Println(again)
	// Output:
	// false destination_not_whitelisted D13 403
	// country: saw GBR, allowed USA
	// destination_not_whitelisted
}

// When the spend of a day reaches its limit, if it goes on at the pace so far.
func ExampleForecast() {
	day := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	noon := day.Add(12 * time.Hour)
	at, ok := admission.Forecast(60, 100, 20781, noon.UnixMicro())
	fmt.Println(time.UnixMicro(at).UTC().Format(time.DateTime), ok)
	// Output: 2026-11-24 20:00:00 true
}
