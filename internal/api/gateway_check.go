package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/verification"
)

// gatewayCheckRequest says what is to be tried.
type gatewayCheckRequest struct {
	Number       e164.Number `json:"number" doc:"A number that is called, and left at the first ringing; null places no call."`
	ConnectionID id.ID       `json:"connection_id" doc:"As whose call it goes, with the rules and the caller id of that connection. null: the account's oldest connection that is active and has an enabled profile."`
}

// gatewayCheckView is what the carrier did.
type gatewayCheckView struct {
	RecordType string               `json:"record_type" enum:"gateway_check"`
	Works      bool                 `json:"works" doc:"Whether every step passed."`
	Addresses  []string             `json:"addresses" doc:"Where the name of the gateway leads, in the order in which they are tried."`
	Steps      []routing.CheckStep  `json:"steps"`
	Call       *routing.CheckedCall `json:"call" doc:"What the carrier did with the INVITE; null where none was sent."`
}

func (s *server) gatewayCheckOperation() rest.Operation {
	body := schemaOf[gatewayCheckRequest]().Request(true, nil, false)
	body.Optional = true
	defaults := map[string]any{"number": nil, "connection_id": nil}
	return rest.Operation{Method: http.MethodPost, Path: "/tollgate/v1/gateways/{id}/actions/check", ID: "check_gateway",
		Noun: "gateway_check", Tag: "Gateways", Scope: ScopeCarrier,
		Effect: rest.Acts, Status: http.StatusOK,
		Summary: "Ask a gateway by OPTIONS whether it is there, place a call that ends at the first " +
			"ringing if a number is given, and say in words what the carrier did and what to change. Nothing is " +
			"charged, and the call has no record.",
		Body: body.WithDefaults(defaults), Answer: schemaOf[gatewayCheckView](),
		Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
			return s.checkGateway(ctx, in, body, defaults)
		}}
}

func (s *server) checkGateway(ctx context.Context, in *rest.Request, shape *rest.Schema,
	defaults map[string]any) (*rest.Response, error) {
	body, problems := in.Checked(shape, defaults, nil)
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	var asked gatewayCheckRequest
	if err := rest.Decode(body, &asked); err != nil {
		return nil, err
	}
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := store.Of[routing.Gateway](s.Resources).Get(ctx, in.Account, key); err != nil {
		return nil, err
	}
	caller := e164.Number(0)
	if asked.Number != 0 {
		if caller, err = s.checkCaller(ctx, in.Account, &asked); err != nil {
			return nil, err
		}
	}
	if s.TryGateway == nil {
		return nil, notTried(routing.ErrNotCarried)
	}
	c, err := s.TryGateway(ctx, key, asked.Number, caller)
	if err != nil {
		return nil, notTried(err)
	}
	return &rest.Response{Data: gatewayCheckView{RecordType: "gateway_check", Works: c.Works, Addresses: c.Addresses,
		Steps: c.Steps, Call: c.Call}}, nil
}

// checkCaller is the caller id of the call of a check. The number must be one that the
// connection may call, and no emergency number.
func (s *server) checkCaller(ctx context.Context, account id.ID, asked *gatewayCheckRequest) (e164.Number, error) {
	snapshot, now := s.Live.Snapshot(), s.Clock()
	judged, ok := snapshot.Numbering(now).Judge(asked.Number)
	if !ok || !verification.Callable(&judged) {
		return 0, rest.FailAt(http.StatusUnprocessableEntity, "/number", field.OutOfRange,
			"%s is not called for trial: fixed lines, mobiles, VoIP, company and toll-free numbers are. "+
				"Emergency and short numbers never are.", asked.Number)
	}
	c, err := s.verifyingConnection(snapshot, account, asked.ConnectionID)
	if err != nil {
		return 0, err
	}
	if err := noEmergency(snapshot, c, "/number", asked.Number); err != nil {
		return 0, err
	}
	place := verification.Call{ID: uuid.Must(uuid.NewV7()), Connection: c.ID, To: asked.Number,
		From: verifyingCaller(snapshot, c, asked.Number)}
	if err := s.wouldBeLetIn(ctx, snapshot, c, &place, "/number", now); err != nil {
		return 0, err
	}
	if place.From == asked.Number {
		return 0, nil // there is none to show
	}
	return place.From, nil
}

// notTried says why a gateway was not checked.
func notTried(err error) error {
	switch {
	case errors.Is(err, routing.ErrBeingChecked):
		return rest.Fail(http.StatusUnprocessableEntity, rest.CodeUnprocessable,
			"The gateway is being checked already. Wait for that check, which takes some 15 seconds at most.")
	case errors.Is(err, routing.ErrNotCarried):
		return rest.Fail(http.StatusUnprocessableEntity, rest.CodeUnprocessable,
			"This server does not know the gateway yet, or is stopping. Try again in a second.")
	}
	return err
}
