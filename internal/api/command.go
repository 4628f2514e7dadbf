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

// commandsOf names the operations that need a key, by their ids.
func commandsOf(operations []operation, names map[string]string) map[string]command {
	nouns := map[string]string{} // the noun of each resource, as in rate_deck of rate_decks
	paths := map[string]string{} // the path from which that is known
	for i := range operations {
		op := &operations[i]
		resource := op.resourceName(names)
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
		resource := op.resourceName(names)
		commands[op.id] = command{resource, op.verb(nouns[resource])}
	}
	return commands
}

// resourceName is the first segment of the path below its version.
func (op *operation) resourceName(names map[string]string) string {
	prefix := "/v2/"
	if !strings.HasPrefix(op.path, prefix) {
		prefix = "/tollgate/v1/"
	}
	segment, _, _ := strings.Cut(strings.TrimPrefix(op.path, prefix), "/")
	return cmp.Or(names[prefix+segment], segment)
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
