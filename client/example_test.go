package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/tollgate/tollgate/client"
	"github.com/tollgate/tollgate/internal/webhook"
)

func Example() {
	server, err := startServer() // a Tollgate in this process
	if err != nil {
		log.Fatal(err)
	}
	defer server.close()
	ctx := context.Background()

	c, err := client.New(server.address, server.key)
	if err != nil {
		log.Fatal(err)
	}
	profile, err := c.Profiles().Create(ctx, client.ProfileParams{
		Name:                    client.Set("office"),
		WhitelistedDestinations: client.Set([]string{"US", "GB"}),
		ConcurrentCallLimit:     client.Set[int64](10),
		DailySpendLimit:         client.Set(client.Decimal("100.00")),
		DailySpendLimitEnabled:  client.Set(true),
	})
	if err != nil {
		log.Fatal(err)
	}
	// Null sets a field to its default, which is no limit here. What is not set stays.
	profile, err = c.Profiles().Update(ctx, profile.ID, client.ProfileParams{ConcurrentCallLimit: client.Null[int64]()})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(profile.Name, profile.ConcurrentCallLimit == nil, *profile.DailySpendLimit)
	// Output: office true 100.00
}

func ExampleBillingGroups_All() {
	server, err := startServer()
	if err != nil {
		log.Fatal(err)
	}
	defer server.close()
	ctx := context.Background()
	c, err := client.New(server.address, server.key)
	if err != nil {
		log.Fatal(err)
	}
	for i := range 5 {
		group := client.BillingGroupParams{Name: client.Set(fmt.Sprint("group ", i))}
		if _, err := c.BillingGroups().Create(ctx, group); err != nil {
			log.Fatal(err)
		}
	}
	for group, err := range c.BillingGroups().All(ctx, client.BillingGroupsQuery{Sort: []string{"name"}, Size: 2}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(group.Name)
	}
	// Output:
	// group 0
	// group 1
	// group 2
	// group 3
	// group 4
}

func ExampleDecisions_Explain() {
	server, err := startServer()
	if err != nil {
		log.Fatal(err)
	}
	defer server.close()
	ctx := context.Background()
	c, err := client.New(server.address, server.key)
	if err != nil {
		log.Fatal(err)
	}
	deck, err := c.RateDecks().Create(ctx, client.RateDecksCreateQuery{Name: "prices"},
		strings.NewReader("prefix,rate\n1,0.01\n44,0.02\n"))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.RateDecks().Activate(ctx, deck.ID); err != nil {
		log.Fatal(err)
	}
	profile, err := c.Profiles().Create(ctx, client.ProfileParams{
		Name: client.Set("office"), WhitelistedDestinations: client.Set([]string{"US"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	forecast, err := c.Decisions().Explain(ctx, client.ExplainDecisionParams{
		OutboundVoiceProfileID: client.Set(profile.ID), From: client.Set("+13125550100"), To: client.Set("+442079460123"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(forecast.Allowed, forecast.Reason, *forecast.Code)
	// Output: false destination_not_whitelisted D13
}

func ExampleError() {
	server, err := startServer()
	if err != nil {
		log.Fatal(err)
	}
	defer server.close()
	c, err := client.New(server.address, server.key)
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Profiles().Create(context.Background(), client.ProfileParams{Name: client.Set("ab")})
	answered := &client.Error{}
	if errors.As(err, &answered) && errors.Is(err, client.ErrInvalid) {
		for _, p := range answered.Problems {
			fmt.Println(p.Code, p.Pointer, p.Detail)
		}
	}
	// Output: 10025 /name name has 2 characters. Give a text of 3 to 255 characters.
}

// A switch asks before it dials, and tells what the call does.
func ExampleAdmissions() {
	server, err := startServer()
	if err != nil {
		log.Fatal(err)
	}
	defer server.close()
	ctx := context.Background()
	c, err := client.New(server.address, server.key)
	if err != nil {
		log.Fatal(err)
	}
	profile, err := c.Profiles().Create(ctx, client.ProfileParams{
		Name: client.Set("office"), WhitelistedDestinations: client.Set([]string{"US"}),
	})
	if err != nil {
		log.Fatal(err)
	}
	connection, err := c.IPConnections().Create(ctx, client.IPConnectionParams{
		ConnectionName: client.Set("pbx"),
		Outbound:       client.Set(client.IPOutboundParams{OutboundVoiceProfileID: client.Set(profile.ID)}),
	})
	if err != nil {
		log.Fatal(err)
	}
	admission, err := c.Admissions().Create(ctx, client.AdmissionParams{
		CallID: client.Set("switch-1-call-1"), ConnectionID: client.Set(connection.ID),
		From: client.Set("+13125550100"), To: client.Set("+442079460123"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(admission.Decision, *admission.Reason)
	// Output: deny destination_not_whitelisted
}

// A receiver of webhooks needs the server's public key and the body as it arrived.
func ExampleReadWebhook() {
	signer, err := webhook.NewSigner(bytes.Repeat([]byte{1}, 32)) // the server's
	if err != nil {
		log.Fatal(err)
	}
	header := http.Header{}
	body := []byte(`{"data":{"event_type":"call.hangup","payload":{"hangup_cause":"normal_clearing"}}}`)
	signature := signer.Sign(body, time.Now())
	header.Set(webhook.HeaderTimestamp, signature.Timestamp)
	header.Set(webhook.HeaderSignature, signature.Value)

	event, err := client.ReadWebhook(signer.PublicKey(), header, body, time.Now())
	if err != nil {
		log.Fatal(err)
	}
	hangup := client.HangupPayload{}
	if err := event.Decode(&hangup); err != nil {
		log.Fatal(err)
	}
	fmt.Println(event.Type, hangup.HangupCause)
	// Output: call.hangup normal_clearing
}
