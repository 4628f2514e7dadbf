package rest

import (
	"cmp"
	"strings"
)

// command is what programs that are made from the table call an operation, as in
// "books list": the client's methods and a command line have these names. Both parts
// follow from the operation's path and id.
type command struct {
	Resource string // as in books
	Verb     string // as in list, or active_calls for a list below one object
}

// commandsOf names the operations that need a key, by their ids.
func commandsOf(operations []Operation, names map[string]string) map[string]command {
	nouns := map[string]string{} // the noun of each resource, as in book of books
	paths := map[string]string{} // the path from which that is known
	for i := range operations {
		op := &operations[i]
		resource := op.resourceName(names)
		if old, ok := paths[resource]; !ok || len(op.Path) < len(old) {
			_, noun, _ := strings.Cut(op.ID, "_")
			nouns[resource], paths[resource] = noun, op.Path
		}
	}
	commands := map[string]command{}
	for i := range operations {
		op := &operations[i]
		if op.Scope == "" {
			continue // of the server itself
		}
		resource := op.resourceName(names)
		commands[op.ID] = command{resource, op.verb(nouns[resource])}
	}
	return commands
}

// resourceName is the first segment of the path below its version.
func (op *Operation) resourceName(names map[string]string) string {
	prefix := "/v2/"
	if !strings.HasPrefix(op.Path, prefix) {
		prefix = "/tollgate/v1/"
	}
	segment, _, _ := strings.Cut(strings.TrimPrefix(op.Path, prefix), "/")
	return cmp.Or(names[prefix+segment], segment)
}

// verb is the first word of the id, with what it is about unless that is the resource's
// own noun. It does not repeat the first word of that noun. What is read below a resource
// is its own verb: "books usage".
func (op *Operation) verb(own string) string {
	verb, noun, _ := strings.Cut(op.ID, "_")
	switch noun {
	case own:
		return verb
	case own + "s":
		return verb + "_all"
	}
	noun = strings.TrimPrefix(noun, own+"_")
	first, _, _ := strings.Cut(own, "_")
	noun = strings.TrimPrefix(noun, first+"_") // the resource has said it
	if op.Shape.Paged() && !strings.HasSuffix(noun, "s") {
		noun += "s"
	}
	if verb == "get" || verb == "list" {
		return noun
	}
	return verb + "_" + noun
}
