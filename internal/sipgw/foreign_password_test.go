package sipgw

import (
	"fmt"
	"testing"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/webhook"
)

// TestPasswordFromElsewhere: the right password from an address that is not in
// allowed_sources is answered like a wrong one, and reported; from within it is accepted.
func TestPasswordFromElsewhere(t *testing.T) {
	strays := make(chan webhook.Stray, 8)
	user := connection.NewCredentialConnection()
	user.ID, user.AccountID, user.UserName, user.Password = worldUser, worldAccount, "alice", "correct-horse"
	user.Outbound.OutboundVoiceProfileID = worldProfile
	home, err := connection.ParseNetwork(strangerAddress)
	if err != nil {
		t.Fatal(err)
	}
	other, err := connection.ParseNetwork("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	user.AllowedSources = &[]connection.Network{other, home}
	w := newWorld(t, wish{change: []policy.Change{policy.PutCredential(&user)}, config: func(c *Config) {
		c.Strayed = func(s webhook.Stray) { strays <- s }
	}})
	phone, thief := w.party(strangerAddress, false), w.party("127.0.0.67", false)
	var answers []string
	for _, dialled := range []string{"+12125550123", "911"} {
		for _, password := range []string{"wrong-horse", "correct-horse"} {
			d := newDialog(thief, dialled)
			challenge := challenged(thief, d)
			thief.request(d, "INVITE", credentialsFor(t, challenge, "MD5", "alice", password, d.target, 1), offer)
			m := thief.want("403 INVITE")
			thief.request(d, "ACK", "", "")
			answers = append(answers, fmt.Sprint(m.Status, m.Phrase, m.Get("x-tollgate-reason"), m.Get("reason"), len(m.Fields)))
		}
		if n := len(answers); answers[n-1] != answers[n-2] {
			t.Errorf("%s: a right password gets %s, a wrong one %s", dialled, answers[n-1], answers[n-2])
		}
		if s := <-strays; s.UserName != "alice" || s.Connection != worldUser || s.Account != worldAccount ||
			s.Source.String() != "127.0.0.67" {
			t.Errorf("reported %+v", s)
		}
	}
	if s := w.srv.Stats(); s.AuthStrays != 2 || s.AuthFailures != 4 || len(strays) != 0 {
		t.Errorf("%d strays and %d failures counted, %d more reported", s.AuthStrays, s.AuthFailures, len(strays))
	}
	d := newDialog(phone, "+12125550123")
	phone.request(d, "INVITE", credentialsFor(t, challenged(phone, d), "MD5", "alice", "correct-horse", d.target, 1),
		offer)
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 486, "far", "", "")
	phone.want("486 INVITE")
	w.record()
	w.settled()
}
