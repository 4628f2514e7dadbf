package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// VerifiedNumber is a number that the account has verified, or began to.
type VerifiedNumber struct {
	RecordType  string `json:"record_type"`
	PhoneNumber string `json:"phone_number"`
	// nil until the code was given back.
	VerifiedAt *time.Time `json:"verified_at"`
	// Tollgate's own: pending or verified.
	Status string `json:"status"`
	// Tollgate's own: the id of the last call that said a code, as in detail records.
	CallID *string `json:"call_id"`
	// Tollgate's own: what that call is at; nil once the number is verified.
	CallStatus *string `json:"call_status"`
	// Tollgate's own: why it was refused or failed; nil when it was not.
	CallProblem *string `json:"call_problem"`
	// Tollgate's own: until when the code is good; nil once the number is verified.
	CodeExpiresAt *time.Time `json:"code_expires_at"`
	// Tollgate's own: how often a code may still be given; nil once the number is verified.
	TriesLeft *int64 `json:"tries_left"`
}

// VerificationParams is a number that is to be called.
type VerificationParams struct {
	// The number that is called, in E.164.
	PhoneNumber Field[string] `json:"phone_number,omitzero"`
	// call; the server sends no messages.
	VerificationMethod Field[string] `json:"verification_method,omitzero"`
	// Keys that are pressed once somebody has answered.
	Extension Field[string] `json:"extension,omitzero"`
	// Tollgate's own: as whose call it goes; null for the account's oldest connection that can call.
	ConnectionID Field[string] `json:"connection_id,omitzero"`
}

// BegunVerification is a call that says a code.
type BegunVerification struct {
	PhoneNumber        string `json:"phone_number"`
	VerificationMethod string `json:"verification_method"`
	// Tollgate's own: of the call that says the code, as in detail records.
	CallID string `json:"call_id"`
	// Tollgate's own: until when the code is good.
	CodeExpiresAt time.Time `json:"code_expires_at"`
}

// VerificationCodeParams gives a code back.
type VerificationCodeParams struct {
	// The six digits that were said.
	VerificationCode Field[string] `json:"verification_code,omitzero"`
}

// VerifiedNumbers are the numbers that the account has verified. The id of one is the
// number itself.
type VerifiedNumbers struct{ Items[VerifiedNumber] }

// VerifiedNumbers are the numbers that the account has verified.
func (c *Client) VerifiedNumbers() VerifiedNumbers {
	return VerifiedNumbers{Items[VerifiedNumber]{list[VerifiedNumber](c, "/v2/verified_numbers")}}
}

// Begin has a number called and a code said, which Verify gives back.
func (v VerifiedNumbers) Begin(ctx context.Context, params VerificationParams) (BegunVerification, error) {
	var begun BegunVerification
	err := v.client.do(ctx, call{method: http.MethodPost, path: v.path, body: params, into: &begun})
	return begun, err
}

// Verify gives the code back that was said.
func (v VerifiedNumbers) Verify(ctx context.Context, number, code string) (VerifiedNumber, error) {
	path := "/v2/verified_numbers/" + url.PathEscape(number) + "/actions/verify"
	return one[VerifiedNumber](ctx, v.client, call{method: http.MethodPost, path: path,
		body: VerificationCodeParams{VerificationCode: Set(code)}})
}

// Delete forgets a number, which is confirmed for no connection by it any more.
func (v VerifiedNumbers) Delete(ctx context.Context, number string) (VerifiedNumber, error) {
	return one[VerifiedNumber](ctx, v.client, call{method: http.MethodDelete, path: v.at(number)})
}
