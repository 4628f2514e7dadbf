package api

import (
	"cmp"
	"strings"
)

// command is what programs that are made from the table call an operation, as in
// "profiles list": the client's methods and a command line have these names. Both parts
// follow from the operation's path and id.
type command struct {
	resource string // as in profiles
	verb     string // as in list, or active_calls for a list below one object
}

// resourceNames are the resources that are not called as their paths are.
func resourceNames() map[string]string {
	return map[string]string{
		"/v2/outbound_voice_profiles":          "profiles",
		"/tollgate/v1/outbound_voice_profiles": "profiles",
		"/v2/webhook_deliveries":               "attempted_webhooks", // Telnyx's view of webhook_deliveries
	}
}

// commandsOf names the operations that need a key, by their ids.
func commandsOf(operations []operation) map[string]command {
	nouns := map[string]string{} // the noun of each resource, as in rate_deck of rate_decks
	paths := map[string]string{} // the path from which that is known
	for i := range operations {
		op := &operations[i]
		resource := op.resourceName()
		if old, ok := paths[resource]; !ok || len(op.path) < len(old) {
			_, noun, _ := strings.Cut(op.id, "_")
			nouns[resource], paths[resource] = noun, op.path
		}
	}
	commands := map[string]command{}
	for i := range operations {
		op := &operations[i]
		if op.scope == "" {
			continue // of the server itself
		}
		resource := op.resourceName()
		commands[op.id] = command{resource, op.verb(nouns[resource])}
	}
	return commands
}

// resourceName is the first segment of the path below its version.
func (op *operation) resourceName() string {
	prefix := "/v2/"
	if !strings.HasPrefix(op.path, prefix) {
		prefix = "/tollgate/v1/"
	}
	segment, _, _ := strings.Cut(strings.TrimPrefix(op.path, prefix), "/")
	return cmp.Or(resourceNames()[prefix+segment], segment)
}

// verb is the first word of the id, with what it is about unless that is the resource's
// own noun. What is read below a resource is its own verb: "profiles usage".
func (op *operation) verb(own string) string {
	verb, noun, _ := strings.Cut(op.id, "_")
	switch noun {
	case own:
		return verb
	case own + "s":
		return verb + "_all"
	}
	noun = strings.TrimPrefix(noun, own+"_")
	if op.shape.paged() && !strings.HasSuffix(noun, "s") {
		noun += "s"
	}
	if verb == "get" || verb == "list" {
		return noun
	}
	return verb + "_" + noun
}
