package rest

import (
	"net/http"
	"slices"
)

// tagged reports whether the answers of an operation have an ETag.
func (op *Operation) tagged() bool {
	return op.Shape != Plain && op.Shape != CSV && !op.Shape.Paged() && op.Effect != Traffic
}

// requestHeaders are the components of the headers that an operation reads.
func (op *Operation) requestHeaders() []string {
	var names []string
	if op.Writes() {
		names = append(names, "IdempotencyKey", "Reason")
	}
	if op.Effect == Traffic && op.Body != nil && op.Body.Property("request_id") != nil {
		names = append(names, "RequestKey")
	}
	if op.conditional() {
		names = append(names, "IfMatch")
	}
	if op.Method == http.MethodGet && op.tagged() {
		names = append(names, "IfNoneMatch")
	}
	return names
}

// responseHeaders are the headers that an answer with this status has or may have.
func (op *Operation) responseHeaders(status string) []string {
	names := []string{"X-Request-Id"}
	if op.Scope != "" && op.Effect != Traffic && !slices.Contains([]string{"401", "405", "414"}, status) {
		names = append(names, "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
	}
	switch {
	case status == "409" || status == "429" || status == "503":
		names = append(names, "Retry-After")
	case status == "412" || status == "304":
		names = append(names, "ETag")
	case status[0] == '2' && op.tagged():
		names = append(names, "ETag")
	}
	if status[0] == '2' && op.Writes() {
		names = append(names, replayedHeader, dryRunHeader)
	}
	if status[0] == '2' && op.Body != nil && !op.Body.closed {
		names = append(names, ignoredHeader)
	}
	if (status[0] == '2' || status == "304") && op.PassesOver() {
		names = append(names, ignoredParametersHeader)
	}
	return names
}

func withHeaders(answer map[string]any, names []string) {
	headers := map[string]any{}
	for _, name := range names {
		headers[name] = map[string]any{"$ref": "#/components/headers/" + name}
	}
	answer["headers"] = headers
}

func requestHeaders() map[string]any {
	header := func(name, description, example string, limits map[string]any) map[string]any {
		s := map[string]any{"type": "string"}
		for key, value := range limits {
			s[key] = value
		}
		return map[string]any{"name": name, "in": "header", "description": description, "schema": s, "example": example}
	}
	return map[string]any{
		"IdempotencyKey": header(idempotencyHeader, "Chosen by the client for one "+
			"request, to repeat it safely. For 24 hours a repeat with the same key, method, "+
			"path, query and body gets the first answer again and has no further effect. "+
			"Only successes are kept: after an error the key is free. Keys are the account's own.",
			"8e03978e-40d5-43e8-bc93-6894a57f9324",
			map[string]any{"minLength": 1, "maxLength": maxIdempotencyKey, "pattern": "^[!-~]+$"}),
		"RequestKey": header(idempotencyHeader, "The same as request_id, which it stands for where the body has none.",
			"8e03978e-40d5-43e8-bc93-6894a57f9324", nil),
		"Reason": header(reasonHeader, "Why the change is made, for the audit.",
			"ticket 4711: customer asked for more channels", map[string]any{"maxLength": maxReason}),
		"IfMatch": header("If-Match", "The ETag of the state that the change is meant for. "+
			"When the object has changed since, the answer is a 412 and nothing is changed.",
			`"7-9a1b2c3d4e5f6071"`, nil),
		"IfNoneMatch": header("If-None-Match", "The ETag of an answer that the "+
			"client has. When it would be the same, the answer is a 304 without a body.",
			`"7-9a1b2c3d4e5f6071"`, nil),
	}
}

func responseHeaders() map[string]any {
	header := func(kind, description string) map[string]any {
		return map[string]any{"description": description, "schema": map[string]any{"type": kind}}
	}
	return map[string]any{
		"X-Request-Id": header("string", "The request's id, which finds it "+
			"in the log and the audit. A harmless one that the client sent is kept."),
		"ETag":                  header("string", "The tag of the object as it is."),
		"Retry-After":           header("integer", "After how many seconds to repeat the request."),
		"x-ratelimit-limit":     header("integer", "How many requests the key may send at once."),
		"x-ratelimit-remaining": header("integer", "How many of them are left."),
		"x-ratelimit-reset":     header("integer", "After how many seconds all of them are there again."),
		replayedHeader: header("string", "true when this is the "+
			"answer to an earlier request with the same Idempotency-Key."),
		dryRunHeader:  header("string", "true when nothing was changed, as dry_run asked."),
		ignoredHeader: header("string", "The fields of the body that this API does not know."),
		ignoredParametersHeader: header("string", "The parameters of the query that this operation does not know, or whose "+
			"sort field it does not know. A filter among them selects nothing; the others are passed over."),
	}
}
