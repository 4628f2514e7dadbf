package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/rest"
)

// absence is a part of Telnyx's API that Tollgate does not have and will not have.
// docs/COMPATIBILITY.md has the same table; a test compares them.
type absence struct {
	what    string // completes "Tollgate has no ..."
	instead string // a sentence: where to look
	names   string // of resources: what follows /v2/ in their paths
}

// absences is the one list of what is not here. Source of the names: the paths that the
// npm packages telnyx 2 to 7.24.0 ask for.
func absences() []absence {
	return []absence{
		{"phone numbers: no search, orders, porting, settings or regulatory papers of them",
			"Calls go out with numbers that you have elsewhere: name them in caller_ids of a connection.",
			`addresses advanced_orders available_phone_number_blocks available_phone_numbers country_coverage customer_service_records
			document_links documents external_requirements inbound_channels inexplicit_number_orders inventory_coverage list
			number_block_orders number_lookup number_order_phone_numbers number_orders number_reservations numbers_features
			phone_number_blocks phone_numbers phone_numbers_regulatory_requirements portability_checks porting porting_orders
			porting_phone_numbers portouts pricing regulatory_requirements requirement_groups requirement_types requirements
			sub_number_orders sub_number_orders_report user_addresses`},
		{"emergency addresses",
			"Emergency calls pass as docs/EMERGENCY.md says; the carrier that takes them knows the address.",
			`dynamic_emergency_addresses dynamic_emergency_endpoints`},
		{"call control, TeXML or fax: it places, answers, plays and gathers nothing",
			"Your own switch places the calls over SIP. /v2/connections/{id}/active_calls lists those in progress, and " +
				"/tollgate/v1/calls all of them.",
			`call_control_applications calls conferences fax_applications faxes queues recording_transcriptions siprec_connectors texml
			texml_applications`},
		{"other connections than by IP address, by credentials and by domain name",
			"Use /v2/ip_connections, /v2/credential_connections or /v2/fqdn_connections.",
			`channel_zones dialogflow_connections external_connections media mobile_push_credentials mobile_voice_connections
			operator_connect telephony_credentials uac_connections voice_sdk_call_reports`},
		{"messages of any kind: SMS, e-mail, RCS or WhatsApp, and no verification by them",
			"It carries calls alone.",
			`10dlc alphanumeric_sender_ids email_blocks email_domains email_events email_inboxes email_messages email_templates
			email_threads email_unsubscribe_groups email_validations long_code messages messaging messaging_hosted_number_orders
			messaging_hosted_numbers messaging_numbers_bulk_updates messaging_optouts messaging_profile_metrics messaging_profiles
			messaging_tollfree messaging_url_domains number_pool rcs short_codes verifications verify_profiles whatsapp
			whatsapp_message_templates`},
		{"branded calling and reputation of numbers",
			"Carriers are told a caller as caller_id_headers of a connection says.",
			`call_reasons comments dir enterprises infringement_claims reputation`},
		{"speech, assistants, storage, video rooms or other computing",
			"It carries calls alone; what is recorded is at /v2/recordings.",
			`ai compute custom_storage_credentials integration_secrets meeting_sessions pronunciation_dicts room_compositions
			room_participants room_recordings room_sessions rooms session_analysis speech-to-text storage text-to-speech voice_clones
			voice_designs web_search`},
		{"SIM cards, mobile numbers or networks",
			"It carries calls alone.",
			`access_ip_address access_ip_ranges actions bulk_sim_card_actions global_ip_allowed_ports global_ip_assignment_health
			global_ip_assignments global_ip_assignments_usage global_ip_health_check_types global_ip_health_checks global_ip_latency
			global_ip_protocols global_ip_usage global_ips mobile_network_operators mobile_phone_numbers network_coverage
			network_preferences networks ota_updates private_wireless_gateways public_internet_gateways regions sim_card_actions
			sim_card_data_usage_notifications sim_card_group_actions sim_card_groups sim_card_order_preview sim_card_orders sim_cards
			traffic_policy_profiles virtual_cross_connects virtual_cross_connects_coverage wireguard_interfaces wireguard_peers wireless
			wireless_blocklist_values wireless_blocklists wireless_detail_records`},
		{"managed accounts, organizations, logins of people or payments",
			"Accounts are at /tollgate/v1/accounts, their keys at /tollgate/v1/api_keys, what calls cost at /v2/balance.",
			`.well-known auto_recharge_prefs authentication_providers bot_challenge bot_sessions bot_signup bundle_pricing charges_breakdown
			charges_summary invoices machine-payments managed_accounts oauth oauth_clients oauth_grants organizations payment
			terms_of_service x402`},
		{"notifications of Telnyx's kind",
			"Events are sent to the endpoints at /tollgate/v1/webhook_endpoints.",
			`notification_channels notification_event_conditions notification_events notification_profiles notification_settings`},
		{"reports but usage reports and detail records",
			"Ask /v2/usage_reports and /v2/detail_records.",
			`legacy reports seti`},
	}
}

// absentResources finds an absence by the name of a resource.
func absentResources() map[string]*absence {
	found := map[string]*absence{}
	for _, a := range absences() {
		for name := range strings.FieldsSeq(a.names) {
			found[name] = &a
		}
	}
	return found
}

// explainPath is the answer to a path that no operation has. Where Telnyx has the path and
// Tollgate will not, the answer says so, so that clients do not look for their own mistake.
func (s *server) explainPath(path string) error {
	const api = "/v2/"
	below, versioned := strings.CutPrefix(path, api)
	below, twice := strings.CutPrefix(below, strings.TrimPrefix(api, "/"))
	name, _, _ := strings.Cut(strings.TrimPrefix(below, "/"), "/")
	if a := s.absent[name]; a != nil && versioned {
		return rest.Fail(http.StatusNotFound, rest.CodeNotFound,
			"Tollgate has no %s, and will not have: %s is not part of it. %s "+
				"docs/COMPATIBILITY.md lists what is here and what is not, "+
				"and /docs on this server shows every operation.", a.what, rest.Excerpt(api+name), a.instead)
	}
	ours := slices.ContainsFunc(s.engine.Operations, func(op rest.Operation) bool {
		return op.Path == api+name || strings.HasPrefix(op.Path, api+name+"/")
	})
	switch {
	case name == "" || !ours || versioned && !twice:
		return collection.ErrNotFound
	case twice:
		return rest.Fail(http.StatusNotFound, rest.CodeNotFound,
			"The path begins with /v2/v2: the client adds /v2 by itself. Give it the address of this server without /v2.")
	}
	return rest.Fail(http.StatusNotFound, rest.CodeNotFound,
		"The path has no version. Telnyx's resources are under /v2, as in %s%s: "+
			"give the client the address of this server with /v2.", api, name)
}
