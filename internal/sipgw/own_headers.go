package sipgw

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"strconv"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// newToken is a new tag or the secret part of a branch or Call-ID: 80 bits that
// cannot be guessed, since a tag is what lets a peer hang up.
func newToken() string { return rand.Text()[:16] }

// tagProof is how many characters of a dialog's tag prove that this process made it.
const tagProof = 8

// newTag is a tag of a dialog. What stands in front of a dialog's messages can tell it
// from one that was guessed without knowing the dialogs.
func (srv *Server) newTag() string {
	token := newToken()
	return token + srv.proofOf(token)
}

func (srv *Server) proofOf(token string) string {
	var room [64]byte
	text := append(append(room[:0], srv.tagSecret[:]...), token...)
	sum := sha256.Sum256(text)
	var proof [2 * tagProof]byte
	hex.Encode(proof[:], sum[:tagProof])
	return string(proof[:tagProof])
}

// isOurs reports whether a message of an unknown source belongs to what this process began:
// a request whose To has a tag of ours, or a response to a branch of ours. The dialog or
// the transaction is looked up behind the filter.
func (srv *Server) isOurs(data []byte) bool {
	if bytes.HasPrefix(data, []byte("SIP/2.0 ")) {
		return bytes.Contains(sip.HeaderOf(data, "via", 'v'), []byte("branch="+sip.MagicCookie+srv.mark))
	}
	_, tag, found := bytes.Cut(sip.HeaderOf(data, "to", 't'), []byte(";tag="))
	const size = 16
	if !found || len(tag) < size+tagProof {
		return false
	}
	return srv.proofOf(string(tag[:size])) == string(tag[size:size+tagProof])
}

// newBranch names a transaction of ours. The part in the middle is drawn once per
// process.
func (srv *Server) newBranch() string { return sip.MagicCookie + srv.mark + newToken() }

// callBranch names the transaction of a new call to a number. A request that comes back
// with it has looped, unless it is for another number: then it is a spiral (RFC 3261
// section 16.3).
func (srv *Server) callBranch(callee string) string {
	b := make([]byte, 0, 64)
	b = append(append(b, sip.MagicCookie...), srv.mark...)
	return string(append(srv.appendCalleeMark(b, callee), newToken()...))
}

// calleeMark stands for a number in branches. What has another one in its place, as the
// branch of a request that is no call has, looped.
func (srv *Server) calleeMark(callee string) string { return string(srv.appendCalleeMark(nil, callee)) }

func (srv *Server) appendCalleeMark(b []byte, callee string) []byte {
	sum := maphash.String(srv.seed, callee)
	return append(strconv.AppendUint(b, sum>>32|1<<32, 16), calleeEnd...)
}

// calleeEnd is behind the mark of a number, and in no token.
const calleeEnd = "-"

// newCallID is a Call-ID that falls on the given shard.
func (srv *Server) newCallID(sh *shard) string {
	for {
		if id := rand.Text(); srv.shardOf(id) == sh {
			return id
		}
	}
}

// lineEncodedContact is our Contact where it is encoded: nothing in it looks like an
// address, so that no translator or application layer gateway on the way can put
// another in its place. The name is one that never resolves (RFC 6761 section 6.4):
// a peer that has it goes by the route set.
const lineEncodedContact = "Contact: <sip:tollgate@encoded.invalid>\r\n"

// contactLine is our Contact within the dialog.
func (l *leg) contactLine() string { return l.contactTo(l.peer) }

func (l *leg) contactTo(to transport.Peer) string {
	if l.encoded {
		return lineEncodedContact
	}
	return l.s.sh.srv.transport.Own(to).Contact
}

// routeLine is, where our Contact is encoded, the Record-Route by which requests
// within the dialog reach us nevertheless: that of a proxy right before us (RFC 3261
// section 16.12.1.1).
func (l *leg) routeLine(to transport.Peer) string {
	if !l.encoded {
		return ""
	}
	return "Record-Route: <sip:" + l.s.sh.srv.transport.Own(to).HostPort + to.URIParameter() + ";lr>\r\n"
}

// lineSupported is the extensions that the server supports.
const lineSupported = "Supported: timer\r\n"

// lineReliable is the same of calls whose caller takes reliable provisional responses.
const lineReliable = "Supported: timer, 100rel\r\n"

// lineRejected goes with every refusal of Tollgate's own.
const lineRejected = "Reason: Q.850;cause=21;text=\"CALL_REJECTED\"\r\n"

// cancelReason says in a CANCEL why Tollgate gives up (RFC 3326). A caller says it itself.
func cancelReason(cause string) string {
	switch cause {
	case call.CauseCancel:
		return ""
	case call.CauseNoAnswer:
		return "Reason: Q.850;cause=19;text=\"NO_ANSWER\"\r\n"
	}
	return reasonLine(cause, admission.ReasonNone)
}

// leftReason says in a CANCEL why a gateway is left that has not let the phone ring: for
// another one, or, where there is no other, because it took too long.
func (a *attempt) leftReason() string {
	if len(a.targets) == 0 && a.s.machine.Last() {
		return "Reason: Q.850;cause=102;text=\"RECOVERY_ON_TIMER_EXPIRE\"\r\n"
	}
	return "Reason: Q.850;cause=26;text=\"NON_SELECTED_USER_CLEARING\"\r\n"
}

// reasonLine says in a BYE why Tollgate hangs up (RFC 3326). The text of a limit ends in its
// code, as the phrase of a refusal does.
func reasonLine(cause string, limit admission.Reason) string {
	switch cause {
	case call.CauseTimeLimit:
		text := "TIME_LIMIT"
		if limit != admission.ReasonNone {
			text += " " + limit.Code()
		}
		return "Reason: Q.850;cause=102;text=\"" + text + "\"\r\n"
	case call.CauseLostPeer:
		return "Reason: Q.850;cause=41;text=\"PEER_LOST\"\r\n"
	case call.CauseMediaTimeout:
		return "Reason: Q.850;cause=102;text=\"MEDIA_TIMEOUT\"\r\n"
	case call.CauseIncompatible:
		return "Reason: Q.850;cause=88;text=\"INCOMPATIBLE_DESTINATION\"\r\n"
	case call.CauseStopping, call.CauseLease, call.CauseNoAck:
		return "Reason: Q.850;cause=41;text=\"TEMPORARY_FAILURE\"\r\n"
	}
	return "Reason: Q.850;cause=16;text=\"NORMAL_CLEARING\"\r\n"
}
