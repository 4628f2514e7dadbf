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
		"", "Basic realm=\"a\"", "Digest", "Digest realm", `Digest realm="a`, `Digest realm="a",`, `Digest realm="a" nonce="n"`,
		`Digest realm="a", nonce="n", algorithm=MD5-sess`, `Digest realm="a", nonce="n", qop="token"`,
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
// together, and a new nonce takes the place of an old one.
func TestChallengesAreKept(t *testing.T) {
	var c Challenges
	c.Take(answered(t, 407, `Proxy-Authenticate: Digest realm="edge", nonce="n1"`))
	c.Take(answered(t, 401, `WWW-Authenticate: Digest realm="switch", nonce="n2"`))
	c.Take(answered(t, 407, `Proxy-Authenticate: Digest realm="edge", nonce="n3"`,
		`Proxy-Authenticate: Digest realm="edge", nonce="n4", algorithm=SHA-256`))
	lines := c.Lines(User{"alice", "secret"}, "BYE", "sip:b@c", nil)
	for _, want := range []string{"\r\nProxy-Authorization: ", "Authorization: Digest", `realm="switch", nonce="n2"`,
		`realm="edge", nonce="n3"`} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in:\n%s", want, lines)
		}
	}
	if strings.Contains(lines, "n1") || strings.Contains(lines, "n4") || strings.Count(lines, "\r\n") != 2 {
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
