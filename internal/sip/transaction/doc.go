// Package transaction is the transaction layer of SIP (RFC 3261 section 17, with the
// Accepted state of RFC 6026): it repeats what is not answered, answers what is repeated,
// and says when it has waited long enough. It knows nothing of dialogs and calls.
//
// A Layer belongs to one goroutine, which takes a response to its Client by Receive, and
// finds or makes the Server of a request. Time comes from outside: timers are in the
// owner's heap, and the owner says what time it is.
package transaction
