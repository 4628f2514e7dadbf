package sipgw

import (
	"slices"
	"strings"
)

// dispositions are the directives of Request-Disposition (RFC 3841 section 9.1).
var dispositions = []string{
	"proxy", "redirect", "cancel", "no-cancel", "fork", "no-fork", "recurse", "no-recurse", "parallel", "sequential",
	"queue", "no-queue",
}

func isDirective(value string) bool { return slices.Contains(dispositions, strings.ToLower(value)) }

// isPreference reports whether a value tells the features of phones (RFC 3841 section 9.2).
func isPreference(value string) bool {
	rest, found := strings.CutPrefix(value, "*")
	rest = strings.TrimLeft(rest, " \t")
	return found && (rest == "" || rest[0] == ';')
}

var (
	acceptContact = carries("Accept-Contact", 8, 1024, isPreference)
	rejectContact = carries("Reject-Contact", 8, 1024, isPreference)
)

// preferences are which of the callee's phones the caller wants. The carrier knows them.
func preferences(p passage) string { return acceptContact(p) + rejectContact(p) }
