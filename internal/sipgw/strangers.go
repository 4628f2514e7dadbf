package sipgw

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// wantedAmplified is how many times the size of its request an answer to a stranger is to
// be at most. Above it the answer is cut down: no header that could be missed, and one way
// to authenticate instead of all.
const wantedAmplified = 2

// answerStateless answers a request for which the same answer can be given again, and
// keeps nothing of it (RFC 3261 sections 8.2.7 and 26.3.2.4): a repetition of the request
// gets the same tag, and an ACK is dropped. lesser is what extra may shrink to.
func (sh *shard) answerStateless(m *message, status int, phrase, extra, lesser string) {
	tag := sh.tagFor(m)
	data := m.Response(status, phrase, tag, extra, nil, "")
	if m.Peer.Stranger && len(data) > wantedAmplified*m.Size {
		data = m.Response(status, phrase, tag, lesser, nil, "")
	}
	sh.srv.transport.Answer(m.ReplyTo(), data, m.Size)
}

// tagFor is the tag of answers that nothing is kept of: the same for the same request,
// and unpredictable to others.
func (sh *shard) tagFor(m *message) string {
	b := sh.key[:0]
	for _, part := range [...]string{m.Via.SentBy, m.Via.Branch, m.CallID, m.FromTag} {
		b = append(append(b, part...), 0)
	}
	sh.key = strconv.AppendUint(b, uint64(m.CSeq), 10)
	sh.tagger.Reset()
	sh.tagger.Write(sh.key)
	sh.key = sh.tagger.Sum(sh.key[:0])
	return tagText(sh.key)
}

// tagForBytes is the same of a request that could not be read.
func (srv *Server) tagForBytes(request []byte) string {
	h := hmac.New(sha256.New, srv.tagSecret[:])
	h.Write(request)
	return tagText(h.Sum(nil))
}

// tagBytes are those of a MAC that make a tag.
const tagBytes = 10

func tagText(mac []byte) string {
	var text [2 * tagBytes]byte
	hex.Encode(text[:], mac[:tagBytes])
	return string(text[:])
}
