package torture

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// validMessages are those of section 3.1.1: well formed, hard to parse.
var validMessages = []Message{
	{
		Name: "wsinv", Section: "3.1.1.1", Valid: true,
		Bytes: wsinv(),
		Want:  accept("folding, escapes in quotes, short and long names, LWS everywhere, yet well formed"),
	},
	{
		Name: "intmeth", Section: "3.1.1.2", Valid: true,
		Bytes: intmeth(),
		Want:  refuse(501, allow, "the method is unknown; an endpoint answers 501 with Allow"),
	},
	{
		Name: "esc01", Section: "3.1.1.3", Valid: true,
		Bytes: wire(`
INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0
To: sip:%75se%72@example.com
From: <sip:I%20have%20spaces@example.net>;tag=938
Max-Forwards: 87
i: esc01.239409asdfakjkn23onasd0-3234
CSeq: 234234 INVITE
Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw
C: application/sdp
Contact:
  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>
Content-Length: 150

` + sdp("192.0.2.1", "192.0.2.1", "0 0")),
		Want: accept("percent escapes in URIs are legal"),
	},
	{
		Name: "escnull", Section: "3.1.1.4", Valid: true,
		Bytes: wire(`
REGISTER sip:example.com SIP/2.0
To: sip:null-%00-null@example.com
From: sip:null-%00-null@example.com;tag=839923423
Max-Forwards: 70
Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd
CSeq: 14398234 REGISTER
Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw
Contact: <sip:%00@host5.example.com>
Contact: <sip:%00%00@host5.example.com>
L:0

`),
		Want: accept("well formed"),
	},
	{
		Name: "esc02", Section: "3.1.1.5", Valid: true,
		Bytes: wire(`
RE%47IST%45R sip:registrar.example.com SIP/2.0
To: "%Z%45" <sip:resource@example.com>
From: "%Z%45" <sip:resource@example.com>;tag=f232jadfj23
Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf
Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234
CSeq: 29344 RE%47IST%45R
Max-Forwards: 70
Contact: <sip:alias1@host1.example.com>
C%6Fntact: <sip:alias2@host2.example.com>
Contact: <sip:alias3@host3.example.com>
l: 0

`),
		Want: refuse(501, allow, "percent is no escape in a method, so the method is unknown"),
	},
	{
		Name: "lwsdisp", Section: "3.1.1.6", Valid: true,
		Bytes: wire(`
OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: caller<sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID: lwsdisp.1234abcd@funky.example.com
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw
l: 0

`),
		Want: accept("no LWS is needed between display name and angle bracket"),
	},
	{
		Name: "longreq", Section: "3.1.1.7", Valid: true,
		Bytes: longreq(),
		Want:  accept("long values and 34 Via values are legal"),
	},
	{
		Name: "dblreq", Section: "3.1.1.8", Valid: true,
		Bytes: dblreq(),
		Want:  accept("one REGISTER; the octets after it are noise (RFC 3261 18.3)"),
	},
	{
		Name: "semiuri", Section: "3.1.1.9", Valid: true,
		Bytes: wire(`
OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0
To: sip:j_user@example.com
From: sip:caller@example.org;tag=33242
Max-Forwards: 3
Call-ID: semiuri.0ha0isndaksdj
CSeq: 8 OPTIONS
Accept: application/sdp, application/pkcs7-mime,
        multipart/mixed, multipart/signed,
        message/sip, message/sipfrag
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw
l: 0

`),
		Want: accept("the semicolon belongs to the user part"),
	},
	{
		Name: "transports", Section: "3.1.1.10", Valid: true,
		Bytes: wire(`
OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: <sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID:  transports.kijh4akdnaqjkwendsasfdj
Accept: application/sdp
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw
Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf
Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj
Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en
Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee
l: 0

`),
		Want: accept("unknown transports further down the path are no concern of ours"),
	},
	{
		Name: "mpart01", Section: "3.1.1.11", Valid: true,
		Bytes: mpart01(),
		Want:  refuse(405, allow, "MESSAGE is known to the gateway and not allowed"),
	},
	{
		Name: "unreason", Section: "3.1.1.12", Valid: true,
		Bytes: wire("SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e " +
			"\u0434\u0435\u0432\u044f\u043d\u043e\u0441\u0442\u043e " +
			"\u0434\u0435\u0432\u044f\u0442\u044c - " +
			"\u043f\u0440\u043e\u0441\u0442\u043e\u0435\n" + `Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Call-ID: unreason.1234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:user@example.com;tag=11141343
To: sip:user@example.edu;tag=2229
Content-Length: 154
Content-Type: application/sdp
Contact: <sip:user@host198.example.com>

` + sdp("192.0.2.198", "192.0.2.198", "0 0")),
		Want: accept("a reason phrase may hold any UTF-8"),
	},
	{
		Name: "noreason", Section: "3.1.1.13", Valid: true,
		// The space behind the status code is required even without a phrase.
		Bytes: wire("SIP/2.0 100 \n" + `Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe
Call-ID: noreason.asndj203insdf99223ndf
CSeq: 35 INVITE
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Content-Length: 0
Contact: <sip:user@host105.example.com>

`),
		Want: accept("the reason phrase may be empty"),
	},
}

func wsinv() []byte {
	return wire(`
INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : "J Rosenberg \\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 150
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \"\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

` + sdp("192.0.2.3", "192.0.2.4", "0 0"))
}

// intmeth uses every character RFC 3261 allows in a token. The To display name
// holds BEL, NUL and DEL, each behind a backslash.
func intmeth() []byte {
	const (
		method    = "!interesting-Method0123456789_*+`.%indeed'~"
		user      = "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
		password  = "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
		working   = "\u0440\u0430\u0431\u043e\u0442\u0430\u044e\u0449\u0438\u0439"
		extension = "\ufeff\u5927\u505c\u96fb"
	)
	return wire(method + " sip:" + user + ":" + password + "@example.com SIP/2.0\n" +
		"Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\n" +
		"To: \"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f\" <sip:" + user + "@example.com>\n" +
		"From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>" +
		";fromParam''~+*_!.-%=\"" + working + "\";tag=_token~1'+`*%!-.\n" +
		"Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\n" +
		"CSeq: 139122385 " + method + "\n" +
		"Max-Forwards: 255\n" +
		"extensionHeader-!.%*+_`'~:" + extension + "\n" +
		"Content-Length: 0\n" +
		"\n")
}

func longreq() []byte {
	repeat := strings.Repeat
	caller := repeat("amazinglylongcallername", 5)

	var b strings.Builder
	b.WriteString("INVITE sip:user@example.com SIP/2.0\n")
	b.WriteString(`To: "I have a user name of ` + repeat("extreme", 10) + ` proportion"` +
		"<sip:user@example.com:6000" +
		";unknownparam1=very" + repeat("long", 20) + "value" +
		";longparam" + repeat("name", 25) + "=shortvalue" +
		";very" + repeat("long", 25) + "ParameterNameWithNoValue>\n")
	b.WriteString("F: sip:" + caller + "@example.net" +
		";tag=12" + repeat("982", 50) + "424" +
		";unknownheaderparam" + repeat("name", 20) + "=unknowheaderparam" + repeat("value", 15) +
		";unknownValueless" + repeat("paramname", 10) + "\n")
	b.WriteString("Call-ID: longreq.one" + repeat("really", 20) + "longcallid\n")
	b.WriteString("CSeq: 3882340 INVITE\n")
	b.WriteString("Unknown-" + repeat("Long", 20) + "-Name:" +
		" unknown-" + repeat("long", 20) + "-value;" +
		" unknown-" + repeat("long", 20) + "-parameter-name =" +
		" unknown-" + repeat("long", 20) + "-parameter-value\n")

	// The first 17 of the 33 numbered hops each spell the header name their own
	// way; the others use the plain form.
	spellings := []string{
		"Via: ", "v: ", "V: ", "Via: ", "ViA: ", "VIa: ", "VIA: ", "via: ", "viA: ",
		"vIa: ", "vIA: ", "V :  ", "v :  ", "V  : ", "v  : ", "Via : ", "Via  : ",
	}
	for hop := 33; hop >= 1; hop-- {
		name := "Via: "
		if i := 33 - hop; i < len(spellings) {
			name = spellings[i]
		}
		b.WriteString(name + "SIP/2.0/TCP sip" + strconv.Itoa(hop) + ".example.com\n")
	}
	b.WriteString("Via: SIP/2.0/TCP host.example.com;received=192.0.2.5" +
		";branch=very" + repeat("long", 50) + "branchvalue\n")
	b.WriteString("Max-Forwards: 70\n")
	b.WriteString("Contact: <sip:" + caller + "@host5.example.net>\n")
	b.WriteString("Content-Type: application/sdp\nl: 150\n\n")
	b.WriteString(sdp("192.0.2.1", "192.0.2.1", "0 0"))
	return wire(b.String())
}

func dblreq() []byte {
	body := sdp("192.0.2.15", "192.0.2.15", "0 0")
	// The RFC writes a space in this one media line.
	body = strings.Replace(body, "m=video", "m =video", 1)
	return wire(`
REGISTER sip:example.com SIP/2.0
To: sip:j.user@example.com
From: sip:j.user@example.com;tag=43251j3j324
Max-Forwards: 8
I: dblreq.0ha0isndaksdj99sdfafnl3lk233412
Contact: sip:j.user@host.example.com
CSeq: 8 REGISTER
Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492
Content-Length: 0


INVITE sip:joe@example.com SIP/2.0
t: sip:joe@example.com
From: sip:caller@example.net;tag=141334
Max-Forwards: 8
Call-ID: dblreq.0ha0isnda977644900765@192.0.2.15
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw380234
Content-Type: application/sdp
Content-Length: 150

` + body + "\n")
}

// signature is the detached PKCS #7 signature in the second part of mpart01.
const signature = "" +
	"3082015206092A864886F70D010702A08201433082013F02010131093007" +
	"06052B0E03021A300B06092A864886F70D010701318201203082011C0201" +
	"01307C3070310B3009060355040613025553311330110603550408130A43" +
	"616C69666F726E69613111300F0603550407130853616E204A6F7365310E" +
	"300C060355040A1305736970697431293027060355040B13205369706974" +
	"205465737420436572746966696361746520417574686F72697479020801" +
	"95007102330113300706052B0E03021A300D06092A864886F70D01010105" +
	"000481808EF466F948F0522DD2E5978E9D95AAE9F2FE15A06659716292E8" +
	"DA2AA8D8350A68CEFFAE3CBD2BFF1675DDD5648E593DD64728F26220F7E9" +
	"41749E330D9A15EDABDB93D10C42102E7B7289D29CC0C9AE2EFBC7C0CFF9" +
	"172F3B027E4FC027E1546DE4B6AA3ABB3E66CCCB5DD6C64B8383149CB8E6" +
	"FF182D944FE57B65BC99D005"

func mpart01() []byte {
	der, err := hex.DecodeString(signature)
	if err != nil {
		panic("torture: signature constant is not hex: " + err.Error())
	}
	head := wire(`
MESSAGE sip:kumiko@example.org SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport
Max-Forwards: 70
Route: <sip:127.0.0.1:5080>
Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuLIK0YWVKZhKv9Mj8UeXqkMVbnVq37CD+813gvYjcBUaZngQmXc9WNZSDNGCzA+fWl9MEUHWIZo1CeJebdY/XlgKeTa0Olvq0rt70Q5jiSfbqMJmQFteeivUhkMWYUA=
Contact: <sip:fluffy@127.0.0.1:5070>
To: <sip:kumiko@example.org>
From: <sip:fluffy@example.com>;tag=2fb0dcc9
Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..
CSeq: 1 MESSAGE
Content-Transfer-Encoding: binary
Content-Type: multipart/mixed;boundary=7a9cbec02ceef655
Date: Sat, 15 Oct 2005 04:44:56 GMT
User-Agent: SIPimp.org/0.2.5 (curses)
Content-Length: 553

--7a9cbec02ceef655
Content-Type: text/plain
Content-Transfer-Encoding: binary

Hello
--7a9cbec02ceef655
Content-Type: application/octet-stream
Content-Transfer-Encoding: binary

`)
	message := append(head, der...)
	return append(message, "\r\n--7a9cbec02ceef655--\r\n"...)
}
