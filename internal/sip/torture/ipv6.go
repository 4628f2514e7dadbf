package torture

import "slices"

// IPv6 returns the messages of RFC 5118, which are about IPv6 addresses, in the order of
// the RFC. Every call returns fresh byte slices.
func IPv6() []Message {
	all := slices.Clone(ipv6Messages)
	for i := range all {
		all[i].Bytes = slices.Clone(all[i].Bytes)
	}
	return all
}

// enrolling is a REGISTER at a registrar, which differs between the messages by its
// Request-URI.
func enrolling(uri, callID string) []byte {
	return wire(`
REGISTER sip:` + uri + ` SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111
Call-ID: ` + callID + `
Max-Forwards: 70
Contact: "Caller" <sip:caller@[2001:db8::1]>
CSeq: 98176 REGISTER
Content-Length: 0

`)
}

// parting is a BYE that came by a proxy, which has written where it came from.
func parting(received, callID string) []byte {
	return wire(`
BYE sip:[2001:db8::10] SIP/2.0
To: sip:user@example.com;tag=bd76ya
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];received=` + received + `;branch=z9hG4bKas3-111
Call-ID: ` + callID + `
Max-Forwards: 70
CSeq: 321 BYE
Content-Length: 0

`)
}

// inviting is an INVITE with a body. vias are whole lines.
func inviting(uri, vias, contact, callID, length, body string) []byte {
	return wire(`
INVITE sip:` + uri + ` SIP/2.0
To: sip:user@` + uri[len("user@"):] + `
From: sip:user@example.com;tag=81x2
` + vias + `Call-ID: ` + callID + `
Contact: "Caller" <sip:caller@` + contact + `>
CSeq: 8612 INVITE
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: ` + length + `

` + body)
}

// ipv6Messages are those of section 4.
var ipv6Messages = []Message{
	{
		Name: "ipv6-good", Section: "4.1", Valid: true, Bytes: enrolling("[2001:db8::10]", "SSG9559905523997077@hlau_4100"),
		Want: accept("an address in brackets is a host"),
	},
	{
		Name: "ipv6-bad", Section: "4.2", Bytes: enrolling("2001:db8::10", "SSG9559905523997078@hlau_4100"),
		Want: refuse(400, "", "without brackets it cannot be told where the address ends"),
	},
	{
		Name: "port-ambiguous", Section: "4.3", Valid: true,
		Bytes: enrolling("[2001:db8::10:5070]", "SSG9559905523997079@hlau_4100"),
		Want:  accept("within the brackets 5070 is a part of the address, whatever was meant"),
	},
	{
		Name: "port-unambiguous", Section: "4.4", Valid: true,
		Bytes: enrolling("[2001:db8::10]:5070", "SSG9559905523997080@hlau_4100"),
		Want:  accept("behind the brackets it is the port"),
	},
	{
		Name: "via-received-param-with-delim", Section: "4.5", Valid: true,
		Bytes: parting("[2001:db8::9:255]", "SSG9559905523997081@hlau_4100"),
		Want:  accept("the grammar has no brackets in received, but many write them"),
	},
	{
		Name: "via-received-param-no-delim", Section: "4.5", Valid: true,
		Bytes: parting("2001:db8::9:255", "SSG9559905523997082@hlau_4100"),
		Want:  accept("received is an address by itself"),
	},
	{
		Name: "ipv6-in-sdp", Section: "4.6", Valid: true,
		Bytes: inviting("user@[2001:db8::10]", "Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111\n",
			"[2001:db8::20]", "SSG9559905523997083@hlau_4100", "195", `v=0
o=assistant 971731711378798081 0 IN IP6 2001:db8::20
s=Live video feed for today's meeting
c=IN IP6 2001:db8::20
t=3338481189 3370017201
m=audio 6000 RTP/AVP 2
a=rtpmap:2 G726-32/8000
`),
		Want: accept("in a description an address has no brackets"),
	},
	{
		Name: "mult-ip-in-header", Section: "4.7", Valid: true,
		Bytes: wire(`
BYE sip:user@host.example.net SIP/2.0
Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144
Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200
Call-ID: 997077@lau_4100
Max-Forwards: 70
CSeq: 89187 BYE
To: sip:user@example.net;tag=9817--94
From: sip:user@example.com;tag=81x2
Content-Length: 0

`),
		Want: accept("hops may be of either family, one behind the other"),
	},
	{
		Name: "mult-ip-in-sdp", Section: "4.8", Valid: true,
		Bytes: inviting("user@[2001:db8::10]", "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111\n",
			"[2001:db8::9:1]", "SSG9559905523997084@hlau_4100", "189", `v=0
o=bob 280744730 28977631 IN IP4 host.example.com
s=
t=0 0
m=audio 22334 RTP/AVP 0
c=IN IP4 192.0.2.1
m=video 6024 RTP/AVP 107
c=IN IP6 2001:db8::1
a=rtpmap:107 H263-1998/90000
`),
		Want: accept("each stream has an address of its own"),
	},
	{
		Name: "ipv4-mapped-ipv6", Section: "4.9", Valid: true,
		Bytes: inviting("user@example.com", `Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19
Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111
`, "[::ffff:192.0.2.2]", "SSG9559905523997085@hlau_4100", "164", `v=0
o=assistant 971731711378798081 0 IN IP6 ::ffff:192.0.2.2
s=Call me soon, please!
c=IN IP6 ::ffff:192.0.2.2
t=3338481189 3370017201
m=audio 6000 RTP/AVP 2
`),
		Want: accept("an IPv4 address in its IPv6 form is one"),
	},
	{
		Name: "ipv6-bug-abnf-3-colons", Section: "4.10",
		Bytes: wire(`
OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0
To: sip:user@[2001:db8:::192.0.2.1]
From: sip:user@example.com;tag=810x2
Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111
Call-ID: G9559905523997077@hlau_4100
CSeq: 689 OPTIONS
Max-Forwards: 70
Content-Length: 0

`),
		Want: accept("three colons are in the grammar of RFC 3261 by mistake; the RFC leaves the choice, and who is " +
			"asked does not depend on that host"),
	},
}
