package sip

// AckFor writes the ACK of a final response other than 2xx, from the INVITE as it was
// sent and the To of the response (RFC 3261 section 17.1.1.3). It returns nil when
// there is no INVITE any more.
func AckFor(sent []byte, to string) []byte {
	invite := Read(sent)
	if invite == nil {
		return nil
	}
	w := NewWriter()
	w.RequestLine("ACK", invite.URI)
	w.Field("Via", invite.Get("via"))
	w.Field("Max-Forwards", "70")
	for _, route := range invite.All("route") {
		w.Field("Route", route)
	}
	w.Field("From", invite.From)
	w.Field("To", to)
	w.Field("Call-ID", invite.CallID)
	w.CSeq(invite.CSeq, "ACK")
	return w.Finish("", nil)
}
