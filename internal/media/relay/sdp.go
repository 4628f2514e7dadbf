package relay

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/media"
)

// Limits of a description. Calls have one or two streams and some thirty lines.
const (
	maxDescriptionBytes = 32 << 10
	maxDescriptionLines = 1000
	maxStreams          = 8
)

// description is a session description (RFC 8866) line by line as it came, so that
// what is not rewritten passes as it is. A parser that makes a structure of it
// loses what it does not know and refuses the many descriptions that are a little
// wrong.
type description struct {
	session []string // the lines before the first m=
	streams []*streamLines
}

// streamLines is one m= line and what belongs to it.
type streamLines struct {
	lines []string // the first is the m= line
	kind  string   // audio, video, image
	port  uint16   // 0: the stream is refused or unused
	proto string   // RTP/AVP, udptl
	rest  string   // the formats

	address   netip.Addr // of c=; invalid when it is a name
	onHold    bool       // c= is the unspecified address (RFC 2543)
	rtcp      netip.AddrPort
	mux       bool   // a=rtcp-mux (RFC 5761)
	direction string // sendrecv, sendonly, recvonly, inactive
	keys      []keying
}

func wrong(format string, arguments ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{media.ErrDescription}, arguments...)...)
}

// readDescription reads what the relay needs to know of a description.
func readDescription(body []byte) (*description, error) {
	if len(body) > maxDescriptionBytes {
		return nil, wrong("%d bytes, at most %d are taken", len(body), maxDescriptionBytes)
	}
	d := &description{}
	count := 0
	for line := range strings.Lines(string(body)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		if count++; count > maxDescriptionLines {
			return nil, wrong("more than %d lines", maxDescriptionLines)
		}
		if len(line) < 2 || line[1] != '=' {
			return nil, wrong("line %d is not of the form x=value", count)
		}
		switch {
		case line[0] == 'm':
			if len(d.streams) == maxStreams {
				return nil, wrong("more than %d streams", maxStreams)
			}
			d.streams = append(d.streams, &streamLines{lines: []string{line}})
		case len(d.streams) > 0:
			s := d.streams[len(d.streams)-1]
			s.lines = append(s.lines, line)
		default:
			d.session = append(d.session, line)
		}
	}
	if len(d.session) == 0 || !strings.HasPrefix(d.session[0], "v=") {
		return nil, wrong("it does not begin with v=")
	}
	if len(d.streams) == 0 {
		return nil, wrong("it has no m= line")
	}
	for _, s := range d.streams {
		if err := s.read(d.session); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// read reads the lines of a stream after those of the session, which hold where
// the stream says nothing else.
func (s *streamLines) read(session []string) error {
	fields := strings.Fields(s.lines[0][2:])
	if len(fields) < 4 {
		return wrong("%.60q has no format", s.lines[0])
	}
	port, _, _ := strings.Cut(fields[1], "/")
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return wrong("%.60q has no port", s.lines[0])
	}
	s.kind = fields[0]
	s.port = uint16(number)
	s.proto = fields[2]
	s.rest = strings.Join(fields[3:], " ")
	s.direction = "sendrecv"
	connection, rtcp := "", ""
	for _, line := range append(session[:len(session):len(session)], s.lines[1:]...) {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case strings.HasPrefix(line, "c="):
			connection = line
		case name == "a=rtcp":
			rtcp = value
		case line == "a=rtcp-mux":
			s.mux = true
		case name == "a=crypto":
			if k, ok := readKeying(line); ok {
				s.keys = append(s.keys, k)
			}
		case line == "a=sendrecv", line == "a=sendonly", line == "a=recvonly", line == "a=inactive":
			s.direction = line[2:]
		}
	}
	if s.port == 0 {
		return nil
	}
	if s.address, err = readConnection(connection); err != nil {
		return err
	}
	s.onHold = s.address.IsUnspecified()
	return s.readRTCP(rtcp)
}

// refuseRest adds to an answer the streams that it leaves out at its end. An answer must
// have as many as the offer (RFC 3264 section 6); one with fewer means that the rest is
// refused.
func (d *description) refuseRest(offered []*streamLines) {
	for _, lines := range offered[len(d.streams):] {
		first := "m=" + lines.kind + " 0 " + lines.proto + " " + lines.rest
		d.streams = append(d.streams, &streamLines{
			lines: []string{first}, kind: lines.kind, proto: lines.proto, rest: lines.rest, direction: "inactive",
		})
	}
}

// readConnection reads c=IN IP4 address. A name stands for no address: where the
// media come from is then learnt from them.
func readConnection(line string) (netip.Addr, error) {
	fields := strings.Fields(strings.TrimPrefix(line, "c="))
	if len(fields) != 3 || fields[0] != "IN" {
		return netip.Addr{}, wrong("a stream has no c= line that can be read")
	}
	address, err := netip.ParseAddr(fields[2])
	if err != nil {
		if strings.ContainsAny(fields[2], "/:") || !strings.ContainsFunc(fields[2], isLetter) {
			return netip.Addr{}, wrong("%.60q is not an address", fields[2])
		}
		return netip.Addr{}, nil
	}
	address = address.Unmap().WithZone("")
	if address.IsMulticast() || address == broadcast {
		return netip.Addr{}, wrong("%s is not the address of one host", address)
	}
	return address, nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// readRTCP sets where RTCP goes: the next port, or what a=rtcp says (RFC 3605).
func (s *streamLines) readRTCP(value string) error {
	s.rtcp = netip.AddrPortFrom(s.address, s.port+1)
	fields := strings.Fields(value)
	if len(fields) == 0 {
		return nil
	}
	port, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil || port == 0 {
		return wrong("a=rtcp:%.40s has no port", value)
	}
	address := s.address
	if len(fields) == 4 {
		if address, err = readConnection(strings.Join(fields[1:], " ")); err != nil {
			return err
		}
	}
	s.rtcp = netip.AddrPortFrom(address, uint16(port))
	return nil
}

// rtp reports whether the stream is RTP or SRTP with its keys in the description.
// Anything else over UDP, as DTLS or a fax, is passed on without being understood.
func (s *streamLines) rtp() bool { return strings.HasPrefix(s.proto, "RTP/") }

// fax reports whether the stream is T.38 over UDP (ITU-T T.38 annex D).
func (s *streamLines) fax() bool { return s.kind == "image" && strings.EqualFold(s.proto, "udptl") }

// encrypted reports whether the stream is SRTP with its keys in the description.
func (s *streamLines) encrypted() bool { return strings.HasPrefix(s.proto, "RTP/SAVP") }

// protocol is the stream's with or without encryption.
func (s *streamLines) protocol(encrypted bool) string {
	if !s.rtp() || encrypted == s.encrypted() {
		return s.proto
	}
	if encrypted {
		return "RTP/S" + strings.TrimPrefix(s.proto, "RTP/")
	}
	return "RTP/" + strings.TrimPrefix(s.proto, "RTP/S")
}

// relayed reports whether the stream goes over UDP, so that it can be relayed.
func (s *streamLines) relayed() bool {
	proto := strings.ToUpper(s.proto)
	return s.port != 0 && (strings.HasPrefix(proto, "RTP/") || strings.HasPrefix(proto, "UDP"))
}

// formats are the payload types that the one who gets this description may send.
func (s *streamLines) formats() []media.Format {
	var list []media.Format
	for _, text := range strings.Fields(s.rest) {
		number, err := strconv.ParseUint(text, 10, 7)
		if err != nil {
			continue
		}
		f, known := staticFormats[uint8(number)]
		f.PayloadType = uint8(number)
		for _, line := range s.lines {
			value, found := strings.CutPrefix(line, "a=rtpmap:"+text+" ")
			if !found {
				continue
			}
			parts := strings.Split(strings.TrimSpace(value), "/")
			if len(parts) < 2 {
				continue
			}
			rate, err := strconv.ParseUint(parts[1], 10, 31)
			if err != nil || rate == 0 {
				continue
			}
			f.Name = parts[0]
			f.ClockRate = int(rate)
			f.Channels = 1
			known = true
			if len(parts) > 2 {
				if channels, err := strconv.ParseUint(parts[2], 10, 8); err == nil && channels > 0 {
					f.Channels = int(channels)
				}
			}
		}
		if known {
			list = append(list, f)
		}
	}
	return list
}

// noVoice are the formats beside a voice: tones (RFC 4733) and comfort noise (RFC 3389).
var noVoice = []string{"telephone-event", "tone", "CN"}

// keep leaves the formats out that are not taken, unless no voice would be left.
func (s *streamLines) keep(takes func(media.Format) bool) {
	kept, voices := map[string]bool{}, 0
	for _, f := range s.formats() {
		other := slices.ContainsFunc(noVoice, func(name string) bool { return strings.EqualFold(name, f.Name) })
		if !other && !takes(f) {
			continue
		}
		kept[strconv.Itoa(int(f.PayloadType))] = true
		if !other {
			voices++
		}
	}
	types := strings.Fields(s.rest)
	if voices == 0 || len(kept) == len(types) {
		return
	}
	s.rest = strings.Join(slices.DeleteFunc(types, func(text string) bool { return !kept[text] }), " ")
	s.lines = slices.DeleteFunc(s.lines, func(line string) bool {
		name, value, _ := strings.Cut(line, ":")
		text, _, _ := strings.Cut(value, " ")
		ofFormat := name == "a=rtpmap" || name == "a=fmtp" || name == "a=rtcp-fb" && text != "*"
		return ofFormat && !kept[text]
	})
}

// staticFormats are the payload types of RFC 3551 table 4 that need no rtpmap.
var staticFormats = map[uint8]media.Format{
	0: {Name: "PCMU", ClockRate: 8000, Channels: 1}, 3: {Name: "GSM", ClockRate: 8000, Channels: 1},
	4: {Name: "G723", ClockRate: 8000, Channels: 1}, 8: {Name: "PCMA", ClockRate: 8000, Channels: 1},
	9: {Name: "G722", ClockRate: 8000, Channels: 1}, 13: {Name: "CN", ClockRate: 8000, Channels: 1},
	15: {Name: "G728", ClockRate: 8000, Channels: 1}, 18: {Name: "G729", ClockRate: 8000, Channels: 1},
}

// placement is what a stream says in the description that is sent on.
type placement struct {
	address netip.AddrPort // of RTP; RTCP is at the next port
	mux     bool
	proto   string
	keys    []keying // of the relay's own
}

// write writes the description with the relay's addresses in the place of the
// peer's. places has an entry for each stream, nil for one that is not relayed.
// fallback stands where no stream is relayed.
func (d *description) write(places []*placement, fallback netip.Addr) []byte {
	address := fallback
	for _, p := range places {
		if p != nil {
			address = p.address.Addr()
			break
		}
	}
	var b strings.Builder
	put := func(line string) { b.WriteString(line); b.WriteString("\r\n") }
	sessionConnection := ""
	for _, line := range d.session {
		switch {
		case strings.HasPrefix(line, "o="):
			put(writeOrigin(line, address))
		case strings.HasPrefix(line, "c="):
			sessionConnection = line
			put(connectionLine(address, line))
		case !ofTransport(line):
			put(line)
		}
	}
	for i, s := range d.streams {
		s.write(put, places[i], sessionConnection)
	}
	return []byte(b.String())
}

func (s *streamLines) write(put func(string), p *placement, sessionConnection string) {
	own := false
	for _, line := range s.lines {
		own = own || strings.HasPrefix(line, "c=")
	}
	if p == nil {
		s.writeUnchanged(put, sessionConnection, own)
		return
	}
	put("m=" + s.kind + " " + strconv.Itoa(int(p.address.Port())) + " " + p.proto + " " + s.rest)
	rest := s.lines[1:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], "i=") {
		put(rest[0])
		rest = rest[1:]
	}
	if own || sessionConnection == "" {
		address := p.address.Addr()
		if s.onHold {
			address = unspecified(address)
		}
		put(connectionLine(address, ""))
	}
	for _, line := range rest {
		if !strings.HasPrefix(line, "c=") && !ofTransport(line) {
			put(line)
		}
	}
	if p.mux {
		put("a=rtcp-mux")
	}
	for _, k := range p.keys {
		put(k.line())
	}
}

// writeUnchanged writes a stream that is not relayed: one that is refused, or one
// that does not go over UDP and keeps its own address.
func (s *streamLines) writeUnchanged(put func(string), sessionConnection string, own bool) {
	put(s.lines[0])
	if !own && sessionConnection != "" && s.port != 0 {
		put(sessionConnection)
	}
	for _, line := range s.lines[1:] {
		if s.port != 0 || !strings.HasPrefix(line, "c=") {
			put(line)
		}
	}
}

// ofTransport reports whether a line is about the transport between two peers, which
// ends at the relay: candidates of ICE (RFC 8839) would lead past it, and a bundle
// (RFC 9143) would share a port.
func ofTransport(line string) bool {
	name, value, _ := strings.Cut(line, ":")
	switch name {
	case "a=crypto", "a=rtcp", "a=rtcp-mux", "a=rtcp-mux-only", "a=candidate", "a=remote-candidates",
		"a=end-of-candidates",
		"a=ice-ufrag", "a=ice-pwd", "a=ice-options", "a=ice-lite", "a=ice-mismatch", "a=ice-pacing", "a=bundle-only":
		return true
	case "a=group":
		return strings.HasPrefix(value, "BUNDLE")
	}
	return false
}

// writeOrigin puts the relay's address into o=, whose other fields tell versions
// of a description apart and stay.
func writeOrigin(line string, address netip.Addr) string {
	fields := strings.Fields(line[2:])
	if len(fields) != 6 {
		return line
	}
	return "o=" + strings.Join(fields[:3], " ") + " " + connectionLine(address, "")[2:]
}

// connectionLine is c= with an address. A description on hold by the unspecified
// address stays on hold.
func connectionLine(address netip.Addr, before string) string {
	if was, err := readConnection(before); err == nil && was.IsUnspecified() {
		address = unspecified(address)
	}
	family := "IP4"
	if address.Is6() {
		family = "IP6"
	}
	return "c=IN " + family + " " + address.String()
}

func unspecified(family netip.Addr) netip.Addr {
	if family.Is6() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}
