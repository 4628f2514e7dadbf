// Package field says what is wrong with one field of a resource, in the terms of
// the API: where it is, which error code fits, and what would be accepted.
package field

// Code is an error code of the API. The numbers are Telnyx's, so that clients
// which know them keep working (developers.telnyx.com, API error codes).
type Code string

// The codes that concern a value. The codes that concern a request as a whole
// are in package api.
const (
	Missing       Code = "10004" // required and not there
	Duplicate     Code = "10012" // another resource has the same unique value
	Malformed     Code = "10015" // of the right type, but not of the right form
	NotE164       Code = "10016" // a phone number that is not +E.164
	NoAssociation Code = "10017" // names a resource that does not exist
	Length        Code = "10025" // too short or too long a text or list
	WrongType     Code = "10026" // another JSON type
	NotListed     Code = "10032" // none of the values of an enumeration
	OutOfRange    Code = "10033" // a number that is too small or too large
)

// Error is one thing that is wrong.
type Error struct {
	Pointer string // JSON pointer into the resource, as in "/call_recording/call_recording_type"
	Code    Code
	Detail  string // one or two sentences: what was given and what would be accepted
}

func (e Error) Error() string { return e.Pointer + ": " + e.Detail }
