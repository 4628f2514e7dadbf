package api

import (
	"regexp"
	"testing"
)

// Every operation that needs a key has a name of its own, of plain words.
func TestCommands(t *testing.T) {
	h := newHarness(t)
	type command struct{ resource, verb string }
	commands, ids := map[string]command{}, map[command]string{}
	for _, methods := range h.do("GET", "/openapi.json", "").body["paths"].(map[string]any) {
		for _, described := range methods.(map[string]any) {
			if op, _ := described.(map[string]any); op["x-tollgate-verb"] != nil {
				commands[op["operationId"].(string)] = command{
					op["x-tollgate-resource"].(string), op["x-tollgate-verb"].(string),
				}
			}
		}
	}
	words := regexp.MustCompile(`^[a-z0-9]+(_[a-z0-9]+)*$`)
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		c, named := commands[op.ID]
		if named != (op.Scope != "") {
			t.Errorf("%s has a name: %t", op.ID, named)
		}
		if !named {
			continue
		}
		if !words.MatchString(c.resource) || !words.MatchString(c.verb) {
			t.Errorf("%s is called %q", op.ID, c)
		}
		if other, twice := ids[c]; twice {
			t.Errorf("%s and %s are both called %q", op.ID, other, c)
		}
		ids[c] = op.ID
	}
	for id, want := range map[string]command{
		"list_outbound_voice_profile":      {"profiles", "list"},
		"get_outbound_voice_profile_usage": {"profiles", "usage"},
		"list_rate_deck_rows":              {"rate_decks", "rows"},
		"list_active_call":                 {"connections", "active_calls"},
		"delete_recordings":                {"recordings", "delete_all"},
		"update_fqdn_authentication":       {"fqdn_connections", "update_authentication"},
		"confirm_verified_number":          {"verified_numbers", "confirm"},
		"get_attempted_webhook":            {"attempted_webhooks", "get"},
		"get_webhook_delivery":             {"webhook_deliveries", "get"},
		"get_account":                      {"account", "get"},
	} {
		if commands[id] != want {
			t.Errorf("%s is called %q, want %q", id, commands[id], want)
		}
	}
}
