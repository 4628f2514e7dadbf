package admission

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/policy"
)

func TestSourceRule(t *testing.T) {
	home, err := connection.ParseNetwork("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	user := connection.NewCredentialConnection()
	user.ID = 7
	user.AccountID = 1
	user.UserName = "alice"
	user.Password = "correct-horse"
	for _, c := range []struct {
		networks *[]connection.Network
		source   string
		to       string
		refused  bool
	}{
		{nil, "", "+13125550199", false},
		{nil, "198.51.100.1", "+13125550199", false},
		{&[]connection.Network{home}, "192.0.2.255", "+13125550199", false},
		{&[]connection.Network{home}, "::ffff:192.0.2.1", "+13125550199", false},
		{&[]connection.Network{home}, "192.0.3.0", "+13125550199", true},
		{&[]connection.Network{home}, "2001:db8::1", "+13125550199", true},
		{&[]connection.Network{home}, "", "+13125550199", true}, // it is not said from where
		{&[]connection.Network{home}, "198.51.100.1", "911", false},
		{&[]connection.Network{}, "192.0.2.1", "+13125550199", true},
	} {
		user.AllowedSources = c.networks
		s, err := new(policy.Snapshot).With(policy.PutAccount(&policy.Account{ID: 1, Active: true}), policy.PutCredential(&user))
		if err != nil {
			t.Fatal(err)
		}
		call := Call{Connection: 7, Identity: policy.IdentityKnown, From: "+13125550100", To: c.to}
		if c.source != "" {
			call.Source = netip.MustParseAddr(c.source)
		}
		d := Decide(s, &call, NothingUsed{}, time.Now())
		if (d.Verdicts[RuleSource] == Refuse) != c.refused || d.Facts.Emergency && !d.Allow {
			t.Errorf("%v from %q: %v", c.networks, c.source, d.Verdicts)
		}
		again, err := DecodeDecision(d.Append(nil))
		if err != nil || again.Verdicts != d.Verdicts || again.Facts.SourceLimited != d.Facts.SourceLimited {
			t.Errorf("stored and read again: %v, %v", again.Verdicts, err)
		}
	}
}
