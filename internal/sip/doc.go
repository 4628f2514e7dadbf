// Package sip reads, judges and writes SIP messages. It opens no socket, reads no clock
// and keeps no call: what it makes depends on what it is given.
//
// A message is split into its fields once (wire.go). The rules (validate.go) and the
// reader (message.go) look at the same fields; syntax.go and uri.go are the grammar that
// both share, number.go reads numbers and names out of it, and body.go finds the session
// description. peek.go finds a single field of a message that is not worth splitting yet,
// and frame.go the messages in a stream. build.go writes messages, ack.go that of a
// refusal. carried.go says what of a header field may be passed from one dialog to another.
//
// Digest authentication is nonce.go and credentials.go for those who call this server, and
// challenge.go for the peers that challenge it; digest.go is what both share.
package sip
