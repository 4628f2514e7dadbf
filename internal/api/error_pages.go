package api

import "github.com/tollgate/tollgate/internal/field"
import "github.com/tollgate/tollgate/internal/rest"

// errorPages explains every code that this API answers with. The titles are in the words
// of Telnyx's list.
func errorPages() []rest.ErrorPage {
	texts := []struct {
		code              field.Code
		title, cause, fix string
	}{
		{rest.CodeURL, "Invalid URL", "The URL is longer than 2000 characters, or its query is not percent-encoded.",
			"Shorten or encode it."},
		{field.Missing, "Missing required parameter", "A required field or parameter is missing.",
			"Give the field that source names."},
		{rest.CodeNotFound, "Resource not found", "There is no such path, or no such object in the account of the key.",
			"Check the path and the id."},
		{rest.CodeUnexpected, "Unexpected error", "The server failed. Its log has the details.",
			"Look for meta.request_id in the server's log."},
		{rest.CodeAuth, "Authentication failed", "The Authorization header is missing, or its key is unknown or has expired.",
			"Send \"Authorization: Bearer KEY\" with a valid key."},
		{rest.CodeForbidden, "Authorization failed", "The key lacks the scope " +
			"that the request needs, or the billing group is not one of the account's.",
			"Use a key with the scope, or the id of a billing group of the account."},
		{rest.CodeTooMany, "Too many requests", "The API key has sent more requests than its rate limit allows.",
			"Wait for the seconds of the Retry-After header; x-ratelimit-remaining is how many are left."},
		{field.Duplicate, "Duplicate resource", "Another object already has a value that must be unique.",
			"Give a value that is not used."},
		{rest.CodeMediaType, "Unsupported Media Type", "The body is of a type, or compressed in " +
			"a way, that this path does not take.", "Send the type that detail names, uncompressed."},
		{field.Malformed, "Bad Request", "A value has the right type but not the right form, the " +
			"body is too large, or a field or parameter is unknown.", "Give what detail asks for."},
		{field.NotE164, "Phone number must be in +E.164 format", "A phone number is not in +E.164 form.",
			"Write it as + and 2 to 15 digits, country code first."},
		{field.NoAssociation, "Associated resource does not exist", "A field names an object that the account does not have.",
			"Create the object first, or give the id of an existing one."},
		{rest.CodeInUse, "Resource in use", "The object is used by another one, so it cannot be deleted.",
			"Change or delete what uses it first."},
		{rest.CodeJSON, "Invalid JSON", "The body is not one JSON value: it is cut off, followed by something, " +
			"has a name twice, or is nested too deep.", "Correct the JSON at the place that detail names."},
		{field.Length, "String length out of range", "A text or list is too short or too long.",
			"Give the number of characters or entries that detail names."},
		{field.WrongType, "Invalid parameter type",
			"A value has the wrong JSON type, such as a number where a text is expected.",
			"Give the type that detail names; nothing is converted."},
		{rest.CodeUnprocessable, "Unprocessable Entity",
			"With status 412, the object has changed since the state that If-Match " +
				"names. With 422, the Idempotency-Key was used with another request.",
			"After a 412 get the object again and repeat the change; the ETag header has " +
				"its current tag. After a 422 use a new Idempotency-Key."},
		{rest.CodeEncoding, "Character encoding error", "The request is not UTF-8 text.", "Encode it in UTF-8."},
		{rest.CodeWantsJSON, "Expected JSON Content-Type", "The Content-Type of the body is not application/json.",
			"Send Content-Type: application/json."},
		{rest.CodeMethod, "Method not allowed", "The path exists, but not with this method.",
			"Use a method that the Allow header names."},
		{rest.CodeFilter, "Invalid request filter", "A list cannot be filtered in this way.",
			"Use a filter that detail names."},
		{field.NotListed, "Invalid enumerated value", "The value is not one of those that the field can have.",
			"Give one that detail names."},
		{field.OutOfRange, "Value outside of range", "A number is too small or too large.",
			"Give one within the range that detail names."},
		{rest.CodeProcessing, "Resource is being processed", "A request with the same Idempotency-Key " +
			"is still being processed.", "Repeat the request after the seconds of the Retry-After header."},
		{rest.CodeUnavailable, "Service unavailable", "The database does not answer.",
			"Repeat the request after the seconds of the Retry-After header."},
		{codeAccountClosed, "Account inactive", "The account is deactivated.",
			"Ask the operator of the server to activate it."},
	}
	pages := make([]rest.ErrorPage, len(texts))
	for i, t := range texts {
		pages[i] = rest.ErrorPage{Code: t.code, Title: t.title, Cause: t.cause, Fix: t.fix}
	}
	return pages
}
