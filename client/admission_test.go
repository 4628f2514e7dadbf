package client_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/client"
)

// A switch leads a call and a batch through the client.
func TestAdmissions(t *testing.T) {
	c, _ := newClient(t)
	ctx := t.Context()
	deck, err := c.RateDecks().Create(ctx, client.RateDecksCreateQuery{Name: "deck"},
		strings.NewReader("prefix,rate,first increment,increment\n1,0.60,1,1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.RateDecks().Activate(ctx, deck.ID); err != nil {
		t.Fatal(err)
	}
	profile, err := c.Profiles().Create(ctx, client.ProfileParams{Name: client.Set("office")})
	if err != nil {
		t.Fatal(err)
	}
	pbx, err := c.IPConnections().Create(ctx, client.IPConnectionParams{ConnectionName: client.Set("pbx"),
		Outbound: client.Set(client.IPOutboundParams{OutboundVoiceProfileID: client.Set(profile.ID)})})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(call string) client.AdmissionParams {
		return client.AdmissionParams{ConnectionID: client.Set(pbx.ID), CallID: client.Set(call), Switch: client.Set("edge"),
			From: client.Set("+13125550100"), To: client.Set("+13125550199")}
	}
	admitted, err := c.Admissions().Create(ctx, ask("a/b@pbx"))
	if err != nil || admitted.Decision != "allow" || *admitted.GrantSecs != 30 {
		t.Fatalf("%+v, %v", admitted, err)
	}
	if state, err := c.Admissions().Answer(ctx, "a/b@pbx", client.AnswerAdmissionParams{}); err != nil ||
		state.Status != "answered" {
		t.Errorf("%+v, %v", state, err)
	}
	state, err := c.Admissions().Renew(ctx, admitted.ID,
		client.RenewAdmissionParams{DurationSecs: client.Set(client.Number("1.5"))})
	if err != nil || *state.GrantSecs != 60 {
		t.Errorf("%+v, %v", state, err)
	}
	if status, err := c.Admissions().Get(ctx, "a/b@pbx"); err != nil || status.Status != "answered" ||
		status.ID != admitted.ID || *status.GrantSecs != 60 || status.DetailRecordID != nil {
		t.Errorf("%+v, %v", status, err)
	}
	state, err = c.Admissions().End(ctx, "a/b@pbx",
		client.EndAdmissionParams{DurationSecs: client.Set(client.Number("2.5")), EndedAt: client.Set(time.Now())})
	if err != nil || *state.Cost != "0.03" || *state.DurationSecs != "2.5" {
		t.Errorf("%+v, %v", state, err)
	}
	results, err := c.Admissions().Batch(ctx, client.BatchAdmissionParams{Events: client.Set([]client.SwitchEventParams{
		{Event: client.Set(client.SwitchEventKindAdmit), Admission: client.Set(ask("b"))},
		{Event: client.Set(client.SwitchEventKindRenew), ID: client.Set("no-such-call")},
	})})
	if err != nil || len(results) != 2 || results[0].Admission.Decision != "allow" ||
		results[1].Status != http.StatusNotFound {
		t.Errorf("%+v, %v", results, err)
	}
	if r, err := c.Switches().Restart(ctx, "edge", client.RestartSwitchParams{}); err != nil || r.Ended != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	answered := &client.Error{}
	if _, err := c.Admissions().Renew(ctx, "no-such-call", client.RenewAdmissionParams{}); !errors.As(err, &answered) ||
		answered.Status != http.StatusNotFound {
		t.Errorf("renewal of an unknown call: %v", err)
	}
}
