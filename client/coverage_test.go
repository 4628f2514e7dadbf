package client_test

import (
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tollgate/tollgate/client"
)

// document is what this test reads of an OpenAPI document.
type document struct {
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`
}

type schema struct {
	Type       any                `json:"type"` // a text or a list of texts
	Format     string             `json:"format"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Items      *schema            `json:"items"`
	WriteOnly  bool               `json:"writeOnly"`
}

func (s *schema) kind() (kind string, nullable bool) {
	switch t := s.Type.(type) {
	case string:
		return t, false
	case []any:
		return t[0].(string), true
	}
	return "", false
}

// covered says which type is for which schema of the document.
func covered() map[string]reflect.Type {
	return map[string]reflect.Type{
		"OutboundVoiceProfile": reflect.TypeFor[client.Profile](), "CreateOutboundVoiceProfileRequest": reflect.TypeFor[client.ProfileParams](),
		"UpdateOutboundVoiceProfileRequest": reflect.TypeFor[client.ProfileParams](), "OutboundVoiceProfileUsage": reflect.TypeFor[client.ProfileUsage](),
		"SharedUsage": reflect.TypeFor[client.SharedUsage](), "SpendRelease": reflect.TypeFor[client.SpendRelease](),
		"SpendHold": reflect.TypeFor[client.HeldScope](), "SpendReleases": reflect.TypeFor[client.SpendReleases](),
		"BillingGroup": reflect.TypeFor[client.BillingGroup](), "CreateBillingGroupRequest": reflect.TypeFor[client.BillingGroupParams](),
		"UpdateBillingGroupRequest": reflect.TypeFor[client.BillingGroupParams](),
		"IpConnection":              reflect.TypeFor[client.IPConnection](), "CreateIpConnectionRequest": reflect.TypeFor[client.IPConnectionParams](),
		"UpdateIpConnectionRequest": reflect.TypeFor[client.IPConnectionParams](),
		"CredentialConnection":      reflect.TypeFor[client.CredentialConnection](), "CreateCredentialConnectionRequest": reflect.TypeFor[client.CredentialConnectionParams](),
		"UpdateCredentialConnectionRequest": reflect.TypeFor[client.CredentialConnectionParams](),
		"FqdnConnection":                    reflect.TypeFor[client.FQDNConnection](), "CreateFqdnConnectionRequest": reflect.TypeFor[client.FQDNConnectionParams](),
		"UpdateFqdnConnectionRequest": reflect.TypeFor[client.FQDNConnectionParams](),
		"Connection":                  reflect.TypeFor[client.Connection](), "ActiveCall": reflect.TypeFor[client.ActiveCall](), "EmergencyDay": reflect.TypeFor[client.EmergencyDay](),
		"RegistrationStatus": reflect.TypeFor[client.RegistrationStatus](),
		"FqdnAuthentication": reflect.TypeFor[client.FQDNAuthentication](), "UpdateFqdnAuthenticationRequest": reflect.TypeFor[client.FQDNAuthenticationParams](),
		"Ip": reflect.TypeFor[client.IP](), "CreateIpRequest": reflect.TypeFor[client.IPParams](), "UpdateIpRequest": reflect.TypeFor[client.IPParams](),
		"VerifiedNumber": reflect.TypeFor[client.VerifiedNumber](), "BegunVerification": reflect.TypeFor[client.BegunVerification](),
		"CreateVerifiedNumberRequest": reflect.TypeFor[client.VerificationParams](),
		"VerifyVerifiedNumberRequest": reflect.TypeFor[client.VerificationCodeParams](),
		"Fqdn":                        reflect.TypeFor[client.FQDN](), "CreateFqdnRequest": reflect.TypeFor[client.FQDNParams](), "UpdateFqdnRequest": reflect.TypeFor[client.FQDNParams](),
		"Gateway": reflect.TypeFor[client.Gateway](), "CreateGatewayRequest": reflect.TypeFor[client.GatewayParams](), "UpdateGatewayRequest": reflect.TypeFor[client.GatewayParams](),
		"NumberingPlanOverride": reflect.TypeFor[client.NumberingPlanOverride](), "CreateNumberingPlanOverrideRequest": reflect.TypeFor[client.NumberingPlanOverrideParams](),
		"UpdateNumberingPlanOverrideRequest": reflect.TypeFor[client.NumberingPlanOverrideParams](),
		"RateDeck":                           reflect.TypeFor[client.RateDeck](), "RateDeckRow": reflect.TypeFor[client.RateRow](),
		"Decision": reflect.TypeFor[client.Decision](), "Forecast": reflect.TypeFor[client.Forecast](), "ExplainDecisionRequest": reflect.TypeFor[client.ForecastParams](),
		"Call": reflect.TypeFor[client.Call](), "Ban": reflect.TypeFor[client.Ban](), "CreateBanRequest": reflect.TypeFor[client.BanParams](), "SipMessage": reflect.TypeFor[client.SIPMessage](), "CallEvent": reflect.TypeFor[client.CallEvent](), "DetailRecord": reflect.TypeFor[client.DetailRecord](),
		"UsageReport": reflect.TypeFor[client.UsageRow](), "LedgerBillingGroupReport": reflect.TypeFor[client.LedgerReport](), "CreateLedgerBillingGroupReportRequest": reflect.TypeFor[client.LedgerReportParams](),
		"DetailRecordOptions": reflect.TypeFor[[]client.DetailRecordOptions](), "UsageReportOptions": reflect.TypeFor[[]client.UsageOptions](), "Recording": reflect.TypeFor[client.Recording](),
		"Whoami": reflect.TypeFor[client.WhoAmI](), "ConnectionCount": reflect.TypeFor[client.ConnectionCounts](),
		"NoiseSuppressionEngine": reflect.TypeFor[client.NoiseSuppressionEngine](),
		"Balance":                reflect.TypeFor[client.Balance](), "UserTags": reflect.TypeFor[client.UserTags](), "Meta": reflect.TypeFor[client.Meta](),
		"Account": reflect.TypeFor[client.Account](), "UpdateAccountRequest": reflect.TypeFor[client.AccountParams](),
		"Tenant": reflect.TypeFor[client.Account](), "NewTenant": reflect.TypeFor[client.NewTenant](),
		"CreateTenantRequest": reflect.TypeFor[client.TenantParams](), "UpdateTenantRequest": reflect.TypeFor[client.TenantParams](),
		"ApiKey": reflect.TypeFor[client.APIKey](), "NewApiKey": reflect.TypeFor[client.NewAPIKey](),
		"CreateApiKeyRequest": reflect.TypeFor[client.APIKeyParams](), "UpdateApiKeyRequest": reflect.TypeFor[client.APIKeyParams](),
		"CreateTenantApiKeyRequest": reflect.TypeFor[client.APIKeyParams](),
		"RotateApiKeyRequest":       reflect.TypeFor[client.RotateParams](), "WebhookEndpoint": reflect.TypeFor[client.WebhookEndpoint](), "CreateWebhookEndpointRequest": reflect.TypeFor[client.WebhookEndpointParams](),
		"UpdateWebhookEndpointRequest": reflect.TypeFor[client.WebhookEndpointParams](),
		"WebhookDelivery":              reflect.TypeFor[client.WebhookDelivery](), "WebhookDeliverySummary": reflect.TypeFor[client.WebhookDeliverySummary](),
		"Admission": reflect.TypeFor[client.Admission](), "CreateAdmissionRequest": reflect.TypeFor[client.AdmissionParams](),
		"AdmissionStatus": reflect.TypeFor[client.AdmissionStatus](),
		"AdmissionState":  reflect.TypeFor[client.AdmissionState](), "AnswerAdmissionRequest": reflect.TypeFor[client.AnswerParams](),
		"RenewAdmissionRequest": reflect.TypeFor[client.RenewParams](), "EndAdmissionRequest": reflect.TypeFor[client.EndParams](),
		"BatchResult": reflect.TypeFor[client.BatchResult](), "BatchAdmissionRequest": reflect.TypeFor[client.BatchParams](),
		"SwitchRestart": reflect.TypeFor[client.SwitchRestart](), "RestartSwitchRequest": reflect.TypeFor[client.RestartParams](),
		"AttemptedWebhook": reflect.TypeFor[client.AttemptedWebhook](), "InitiatedPayload": reflect.TypeFor[client.InitiatedPayload](),
		"AnsweredPayload": reflect.TypeFor[client.AnsweredPayload](), "HangupPayload": reflect.TypeFor[client.HangupPayload](),
		"CostPayload": reflect.TypeFor[client.CostPayload](), "RefusedPayload": reflect.TypeFor[client.RefusedPayload](),
		"EndedPayload": reflect.TypeFor[client.EndedPayload](), "CallPayload": reflect.TypeFor[client.CallPayload](),
		"RecordingPayload": reflect.TypeFor[client.RecordingPayload](), "EmergencyAlertPayload": reflect.TypeFor[client.EmergencyAlertPayload](),
		"SpendPayload": reflect.TypeFor[client.SpendPayload](), "StrayPayload": reflect.TypeFor[client.StrayPayload](),
		"ChangePayload":          reflect.TypeFor[client.ChangePayload](),
		"HangupRequestedPayload": reflect.TypeFor[client.HangupRequestedPayload](),
		"CallHangup":             reflect.TypeFor[client.Hangup](), "EndCallRequest": reflect.TypeFor[client.HangupParams](),
		"CommandResult": reflect.TypeFor[client.CommandResult](), "HangupCallRequest": reflect.TypeFor[client.HangupCommandParams](),
		"CallHangups": reflect.TypeFor[client.HangupCalls](), "EndCallsRequest": reflect.TypeFor[client.HangupCallsParams](),
		"WebhookPublicKey": reflect.TypeFor[client.WebhookPublicKey](), "AuditEvent": reflect.TypeFor[client.AuditEvent](),
	}
}

// uncovered schemas are no concern of a client's types: those of the server
// itself, and what methods put together and take apart.
var uncovered = []string{"Health", "Ready", "ErrorPage", "Error", "CursorMeta", "DryRunOutboundVoiceProfile", "DeleteRecordings", "DeleteRecordingsRequest"}

// The types have every field of the document's schemas, of its type, and no other.
func TestTypesCoverTheDocument(t *testing.T) {
	_, s := newClient(t)
	answer, err := http.Get(s.address + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	types := covered()
	for name, s := range d.Components.Schemas {
		switch goType, ok := types[name]; {
		case ok:
			if update := d.Components.Schemas["Update"+strings.TrimPrefix(name, "Create")]; update != nil && s != update {
				addUpdateOnly(s, update)
			}
			compare(t, name, s, goType, strings.HasPrefix(name, "Update"))
		case !slices.Contains(uncovered, name):
			t.Errorf("schema %s has no type in the client", name)
		}
		delete(types, name)
	}
	for name := range types {
		t.Errorf("the document has no schema %s", name)
	}
}

// addUpdateOnly adds what only an update may set: the type serves for both.
func addUpdateOnly(create, update *schema) {
	for name, below := range update.Properties {
		if slices.Contains([]string{"conversation_persistence"}, name) {
			create.Properties[name] = below
		}
	}
}

// compare holds a type against a schema. partly means that the type may have more
// fields: one type serves to create and to change.
func compare(t *testing.T, at string, s *schema, goType reflect.Type, partly bool) {
	t.Helper()
	kind, nullable := s.kind()
	if value, ok := goType.MethodByName("IsZero"); ok && strings.HasPrefix(goType.Name(), "Field[") {
		goType = value.Type.In(0).Field(0).Type
	} else if isPointer := goType.Kind() == reflect.Pointer; isPointer {
		goType = goType.Elem()
	} else if nullable {
		t.Errorf("%s may be null, which %s cannot be", at, goType)
	}
	switch {
	case kind == "" && goType == reflect.TypeFor[jsontext.Value](): // any JSON
	case kind == "object" && goType.Kind() == reflect.Struct:
		compareFields(t, at, s, goType, partly)
	case kind == "array" && goType.Kind() == reflect.Slice:
		compare(t, at+"[]", s.Items, goType.Elem(), partly)
	case kind == "string" && goType == reflect.TypeFor[time.Time]():
		if s.Format != "date-time" {
			t.Errorf("%s is a time", at)
		}
	case kind == "string" && goType.Kind() == reflect.String && goType != reflect.TypeFor[client.Number]():
		if (s.Format == "decimal") != (goType == reflect.TypeFor[client.Decimal]()) {
			t.Errorf("%s has the format %q and the type %s", at, s.Format, goType)
		}
	case kind == "number" && goType == reflect.TypeFor[client.Number](), kind == "boolean" && goType.Kind() == reflect.Bool,
		kind == "integer" && (goType.Kind() == reflect.Int64 || goType.Kind() == reflect.Int):
	default:
		t.Errorf("%s is of type %s in the document and %s in the client", at, kind, goType)
	}
}

func compareFields(t *testing.T, at string, s *schema, goType reflect.Type, partly bool) {
	t.Helper()
	params := strings.HasSuffix(goType.Name(), "Params")
	have := map[string]reflect.StructField{}
	for f := range goType.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		have[name] = f
		if params != strings.HasPrefix(f.Type.Name(), "Field[") {
			t.Errorf("%s.%s has the type %s", at, name, f.Type)
		}
		if optional := !slices.Contains(s.Required, name); !params && optional != (options == "omitzero") {
			t.Errorf("%s.%s is optional: %t", at, name, optional)
		}
	}
	for name, below := range s.Properties {
		f, ok := have[name]
		delete(have, name)
		switch {
		case below.WriteOnly && !params:
			if ok {
				t.Errorf("%s.%s is never answered", at, name)
			}
		case !ok:
			t.Errorf("%s.%s is not in %s", at, name, goType)
		default:
			compare(t, at+"."+name, below, f.Type, partly)
		}
	}
	for name := range have {
		if !partly {
			t.Errorf("%s.%s is in %s, and not in the document", at, name, goType)
		}
	}
}
