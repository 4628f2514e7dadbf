package api

import (
	"context"
	"net/http"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// registrationView is the registration of a credential connection.
// Source: Telnyx v2, RegistrationStatus.
type registrationView struct {
	RecordType       string     `json:"record_type" enum:"registration_status"`
	SIPUsername      *string    `json:"sip_username" doc:"The user name of the connection."`
	Status           string     `json:"status" title:"RegistrationState" enum:"Not Applicable,Not Registered,Failed,Expired,Registered,Unregistered"`
	IPAddress        *string    `json:"ip_address" doc:"Where the telephone has registered from; null when none has."`
	Port             *int32     `json:"port"`
	Transport        *string    `json:"transport" doc:"As in UDP."`
	UserAgent        *string    `json:"user_agent"`
	LastRegistration *time.Time `json:"last_registration"`
}

func (s *server) registrationOperation() rest.Operation {
	return rest.Operation{Method: http.MethodPost,
		Path: "/v2/credential_connections/{id}/actions/check_registration_status", ID: "check_registration_status",
		Noun: "registration_status", Tag: "Connections", Scope: ScopeRead,
		Summary: "Check whether a phone is registered with the user name of a credential connection.",
		Status:  http.StatusOK, Answer: schemaOf[registrationView](), Handle: s.checkRegistration}
}

func (s *server) checkRegistration(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	c, err := store.Of[connection.CredentialConnection](s.Resources).Get(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	view := registrationView{RecordType: "registration_status", SIPUsername: &c.UserName, Status: connection.NotRegistered}
	if s.Registrations == nil {
		return &rest.Response{Data: view}, nil
	}
	if r, known := s.Registrations.Registration(in.Account, key); known {
		view.Status = r.State
		view.Transport = textOrNull(r.Transport)
		view.UserAgent = textOrNull(r.UserAgent)
		if r.Contact.IsValid() {
			view.IPAddress = new(r.Contact.Addr().String())
			view.Port = new(int32(r.Contact.Port()))
		}
		if !r.At.IsZero() {
			view.LastRegistration = new(r.At.UTC())
		}
	}
	return &rest.Response{Data: view}, nil
}
