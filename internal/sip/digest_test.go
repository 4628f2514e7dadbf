package sip

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/icholy/digest"
)

// answered is a response with challenges.
func answered(t *testing.T, status int, lines ...string) *Message {
	t.Helper()
	return read(t, append([]string{
		fmt.Sprintf("SIP/2.0 %d No", status), "Via: SIP/2.0/UDP h;branch=z9hG4bK1", "Call-ID: c1", "CSeq: 1 INVITE",
	}, lines...)...)
}

// TestChallengesAreAnswered holds the answers against another implementation.
func TestChallengesAreAnswered(t *testing.T) {
	user, body := User{"alice", `pass "word\`}, []byte("v=0\r\n")
	for _, asked := range []string{
		`Digest realm="a", nonce="n1"`,
		`Digest realm="a, \"b\"", nonce="n1", algorithm=MD5, qop="auth", opaque="o"`,
		`digest qop="auth,auth-int",algorithm=SHA-256 , nonce="n/+=",realm="a"`,
		`Digest realm="a", nonce="n1", algorithm=SHA-512-256, qop="auth-int"`,
		`Digest realm="a", nonce="n1", algorithm=sha-512, qop=auth, userhash=true`,
	} {
		challenge, err := digest.ParseChallenge(asked)
		if err != nil {
			t.Fatal(err)
		}
		var c Challenges
		if !c.Take(answered(t, 407, "Proxy-Authenticate: "+asked)) {
			t.Errorf("%s is not taken", asked)
			continue
		}
		for count := 1; count <= 2; count++ {
			value, _ := strings.CutPrefix(c.Lines(user, "INVITE", "sip:b@c", body), "Proxy-Authorization: ")
			got, err := digest.ParseCredentials(strings.TrimSpace(value))
			if err != nil {
				t.Fatalf("%s: %v", value, err)
			}
			want, err := digest.Digest(challenge, digest.Options{Method: "INVITE", URI: "sip:b@c", Username: user.Name,
				Password: user.Password, Count: count, Cnonce: got.Cnonce,
				GetBody: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(body))), nil }})
			if err != nil {
				t.Fatal(err)
			}
			if len(challenge.QOP) == 0 {
				want.Nc = 0 // there is none
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", asked, diff)
			}
			if ours, ok := ReadCredentials(strings.TrimSpace(value)); !ok || ours.Response != got.Response ||
				ours.Realm != got.Realm || ours.Count != got.Nc {
				t.Errorf("%s is read as %+v", value, ours)
			}
		}
	}
}

func TestChallengesThatCannotBeAnswered(t *testing.T) {
	for _, asked := range []string{
		"", "Basic realm=\"a\"", "Digest", "Digest realm", `Digest realm="a`, `Digest realm="a",,x`, `Digest realm="a" nonce="n"`,
		`Digest realm="a", nonce="n", algorithm=MD6`, `Digest realm="a", nonce="n", qop="token"`,
	} {
		if new(Challenges).Take(answered(t, 401, "WWW-Authenticate: "+asked)) {
			t.Errorf("%q is taken", asked)
		}
	}
	if new(Challenges).Take(answered(t, 403, `WWW-Authenticate: Digest realm="a", nonce="n"`)) {
		t.Error("the challenge of a 403 is taken")
	}
}

// TestChallengesAreKept: those of a proxy and of the server behind it are answered
// together, and a new nonce takes the place of an old one. The strongest algorithm counts.
func TestChallengesAreKept(t *testing.T) {
	var c Challenges
	c.Take(answered(t, 407, `Proxy-Authenticate: Digest realm="edge", nonce="n1"`))
	c.Take(answered(t, 401, `WWW-Authenticate: Digest realm="switch", nonce="n2"`))
	c.Take(answered(t, 407, `Proxy-Authenticate: Digest realm="edge", nonce="n3"`,
		`Proxy-Authenticate: Digest realm="edge", nonce="n4", algorithm=MD6, `+
			`Digest realm="edge", nonce="n5", algorithm=SHA-256`))
	lines := c.Lines(User{"alice", "secret"}, "BYE", "sip:b@c", nil)
	for _, want := range []string{"Proxy-Authorization: ", "\r\nAuthorization: Digest", `realm="switch", nonce="n2"`,
		`realm="edge", nonce="n5"`} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in:\n%s", want, lines)
		}
	}
	if strings.Contains(lines, "n1") || strings.Contains(lines, "n3") ||
		strings.Contains(lines, "n4") || strings.Count(lines, "\r\n") != 2 {
		t.Errorf("answered:\n%s", lines)
	}
}

// FuzzCredentials: what another implementation reads is read here, and the same.
func FuzzCredentials(f *testing.F) {
	f.Add(`Digest username="a\"b", realm="r", nonce="n", uri="sip:x", response="00", qop=auth, nc=00000001, cnonce="c"`)
	f.Add(`DIGEST nc=-1`)
	f.Fuzz(func(t *testing.T, value string) {
		got, ok := ReadCredentials(value)
		want, err := digest.ParseCredentials(value)
		if err != nil || strings.ToValidUTF8(value, "") != value {
			return
		}
		if !ok || got.UserName != want.Username || got.Realm != want.Realm || got.Nonce != want.Nonce ||
			got.URI != want.URI || got.Response != want.Response || got.Count != want.Nc || got.QOP != want.QOP ||
			got.Cnonce != want.Cnonce {
			t.Errorf("%q is read as %+v, %v, want %+v", value, got, ok, want)
		}
	})
}

// TestCountsOfANonce: the count of a nonce goes up with every answer, and starts anew with
// a new one. What was sent without being asked and is challenged anyway does not count.
func TestCountsOfANonce(t *testing.T) {
	var c Challenges
	user := User{"alice", "secret"}
	asks := func(nonce string) bool {
		return c.Take(answered(t, 401, `WWW-Authenticate: Digest realm="r", nonce="`+nonce+`", qop="auth"`))
	}
	counted := func(want string) {
		t.Helper()
		if lines := c.Lines(user, "BYE", "sip:b@c", nil); !strings.Contains(lines, "nc="+want) {
			t.Errorf("no nc=%s in %s", want, lines)
		}
	}
	asks("n1")
	counted("00000001")
	c.Accepted()
	counted("00000002")
	if !asks("n1") {
		t.Error("the same nonce again is not answered")
	}
	counted("00000002")
	c.Accepted()
	counted("00000003")
	asks("n2")
	counted("00000001")
}

// TestChallengesEnd: a peer that asks for ever is left.
func TestChallengesEnd(t *testing.T) {
	var same, other Challenges
	answeredSame, answeredOther := 0, 0
	for n := range 50 {
		nonce := fmt.Sprintf(`", nonce="n%d"`, n)
		if same.Take(answered(t, 407, `Proxy-Authenticate: Digest realm="r`+nonce)) {
			answeredSame++
		}
		if other.Take(answered(t, 407, fmt.Sprintf(`Proxy-Authenticate: Digest realm="r%d`, n)+nonce)) {
			answeredOther++
		}
	}
	if answeredSame != mostAsked || answeredOther != mostRounds {
		t.Errorf("answered %d and %d times", answeredSame, answeredOther)
	}
}

// TestSessionAlgorithms: the hash of RFC 7616 section 3.4.2, by hand.
func TestSessionAlgorithms(t *testing.T) {
	var c Challenges
	if !c.Take(answered(t, 401, `WWW-Authenticate: Basic realm="r", Digest realm="r", nonce="n", `+
		`algorithm=MD5-sess, qop="auth",`)) {
		t.Fatal("not taken")
	}
	value, _ := strings.CutPrefix(c.Lines(User{"alice", "secret"}, "BYE", "sip:b@c", nil), "Authorization: ")
	got, _ := ReadCredentials(strings.TrimSpace(value))
	d, _ := digesterOf("MD5")
	ha1 := d.sum(d.sum("alice", "r", "secret"), "n", got.Cnonce)
	if want := d.sum(ha1, "n", "00000001", got.Cnonce, "auth", d.sum("BYE", "sip:b@c")); got.Response != want {
		t.Errorf("%s, want %s", got.Response, want)
	}
}

// FuzzChallenges: whatever a peer asks is answered in one line for each realm at most, with
// nothing in it that ends a line, or not at all.
func FuzzChallenges(f *testing.F) {
	f.Add(`Digest realm="r", nonce="n", Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth,auth-int"`)
	f.Add(`Basic realm="a,b", digest nonce=a==,realm=r,,`)
	f.Fuzz(func(t *testing.T, value string) {
		var c Challenges
		m := Message{Status: 401, Fields: []Field{{Name: "www-authenticate", Value: value}}}
		if !c.Take(&m) {
			return
		}
		lines := c.Lines(User{"alice", "secret"}, "BYE", "sip:b@c", nil)
		if strings.ContainsAny(value, "\r\n") {
			return // no field has them
		}
		if n := strings.Count(lines, "\n"); n != len(c.kept) || n > mostRealms || !strings.HasSuffix(lines, "\r\n") {
			t.Errorf("%q is answered by %q", value, lines)
		}
	})
}
