package shaken_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/shaken"
	"github.com/tollgate/tollgate/internal/shaken/shakentest"
)

var origin = uuid.MustParse("123e4567-e89b-42d3-a456-426655440000")

func signer(t testing.TB, pair *shakentest.Pair) *shaken.Signer {
	t.Helper()
	return shaken.New(shaken.Config{Files: pair, X5U: shakentest.X5U, Rand: rand.Reader,
		Log: slog.New(slog.DiscardHandler)})
}

func claims(at time.Time) shaken.Claims {
	return shaken.Claims{Attestation: "A", Caller: "+12155551212", Callee: "+12125551213", Origin: origin, At: at}
}

// parts takes an Identity apart: the texts that were signed, and the signature.
func parts(t *testing.T, identity string) (head, payload string, signature []byte) {
	t.Helper()
	token, _, _ := strings.Cut(identity, ";")
	three := strings.Split(token, ".")
	if len(three) != 3 {
		t.Fatalf("%d parts in %s", len(three), identity)
	}
	var decoded [3][]byte
	for i, part := range three {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
	}
	return string(decoded[0]), string(decoded[1]), decoded[2]
}

// TestTheFormOfAPassport compares every byte with what RFC 8588 section 4 and ATIS-1000074
// section 5.3 say.
func TestTheFormOfAPassport(t *testing.T) {
	pair := shakentest.New(t, shakentest.Wish{})
	at := time.Now().Truncate(time.Second)
	signed, err := signer(t, pair).Sign(claims(at.Add(999 * time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	head, payload, signature := parts(t, signed.Identity)
	if want := `{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"` + shakentest.X5U + `"}`; head != want {
		t.Errorf("header %s, want %s", head, want)
	}
	want := fmt.Sprintf(`{"attest":"A","dest":{"tn":["12125551213"]},"iat":%d,"orig":{"tn":"12155551212"},"origid":"%s"}`,
		at.Unix(), origin)
	if payload != want {
		t.Errorf("payload %s, want %s", payload, want)
	}
	if end := ";info=<" + shakentest.X5U + ">;alg=ES256;ppt=shaken"; !strings.HasSuffix(signed.Identity, end) {
		t.Errorf("Identity %s does not end in %s", signed.Identity, end)
	}
	if want := at.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"); signed.Date != want {
		t.Errorf("Date %q, want the time that was signed, %q", signed.Date, want)
	}
	if len(signature) != 64 {
		t.Fatalf("a signature of %d bytes", len(signature))
	}
	token, _, _ := strings.Cut(signed.Identity, ";")
	sum := sha256.Sum256([]byte(token[:strings.LastIndex(token, ".")]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(pair.TLS.Leaf.PublicKey.(*ecdsa.PublicKey), sum[:], r, s) {
		t.Error("the signature is not of the certificate's key")
	}
}

// TestCanonicalNumbers is RFC 8224 section 8.3.
func TestCanonicalNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"+12155551212": "12155551212", "12155551212": "12155551212", "+1 (215) 555-1212": "12155551212",
		"+1.215.555.1212": "12155551212", "911": "911", "*67": "*67", "#31#": "#31#", "": "", "anonymous": "",
		"+1215555٣1212": "12155551212", // digits of other scripts are no digits of a number
	} {
		if got := shaken.Canonical(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestEachCallHasASignatureOfItsOwn: also within one second and between the same numbers.
func TestEachCallHasASignatureOfItsOwn(t *testing.T) {
	s := signer(t, shakentest.New(t, shakentest.Wish{}))
	now := time.Now()
	seen := map[string]bool{}
	for range 10 {
		signed, err := s.Sign(claims(now))
		if err != nil {
			t.Fatal(err)
		}
		seen[signed.Identity] = true
	}
	if len(seen) != 10 {
		t.Errorf("10 calls have %d signatures", len(seen))
	}
}

func TestWhatIsNotSignedIsCounted(t *testing.T) {
	now := time.Now()
	ranges := shakentest.Wish{
		Authority: shakentest.Authority(shakentest.Range("12155551000", 1000), shakentest.One("12155559999"))}
	both := shakentest.Wish{Authority: shakentest.Authority(shakentest.One("1"), shakentest.SPC("9ZZZ"))}
	callee := func(number string) func(*shaken.Claims) { return func(c *shaken.Claims) { c.Callee = number } }
	unattested := func(c *shaken.Claims) { c.Attestation = "" }
	for name, c := range map[string]struct {
		wish   shakentest.Wish
		change func(*shaken.Claims)
		off    bool
		want   error
		kind   string
	}{
		"no certificate":     {off: true, want: shaken.ErrOff, kind: "no_certificate"},
		"ended":              {wish: shakentest.Wish{To: now.Add(-time.Second)}, want: shaken.ErrValidity, kind: "validity"},
		"not yet":            {wish: shakentest.Wish{From: now.Add(time.Hour)}, want: shaken.ErrValidity, kind: "validity"},
		"no caller":          {change: caller(""), want: shaken.ErrNumber, kind: "no_number"},
		"anonymous":          {change: caller("anonymous"), want: shaken.ErrNumber, kind: "no_number"},
		"no callee":          {change: callee(""), want: shaken.ErrNumber, kind: "no_number"},
		"nothing attested":   {change: unattested, want: shaken.ErrNumber, kind: "no_number"},
		"another's number":   {wish: ranges, change: caller("+12155552000"), want: shaken.ErrCover, kind: "not_covered"},
		"a longer number":    {wish: ranges, change: caller("+121555512000"), want: shaken.ErrCover, kind: "not_covered"},
		"first of the range": {wish: ranges, change: caller("+12155551000")},
		"last of the range":  {wish: ranges, change: caller("+12155551999")},
		"the one number":     {wish: ranges, change: caller("+12155559999")},
		"a code and a range": {wish: both},
		"no TNAuthList":      {wish: shakentest.Wish{Bare: true}},
		"an emergency":       {change: callee("911")},
	} {
		t.Run(name, func(t *testing.T) {
			s := signer(t, shakentest.New(t, c.wish))
			if c.off {
				s = shaken.New(shaken.Config{Log: slog.New(slog.DiscardHandler)})
			}
			said := claims(now)
			if c.change != nil {
				c.change(&said)
			}
			signed, err := s.Sign(said)
			if !errors.Is(err, c.want) || (err == nil) != (signed.Identity != "") {
				t.Fatalf("%q, %v; want %v", signed.Identity, err, c.want)
			}
			stats := s.Stats()
			if c.want != nil && stats.Failed[c.kind] != 1 || c.want == nil && stats.Signed["A"] != 1 {
				t.Errorf("counted %+v", stats)
			}
		})
	}
	var none *shaken.Signer
	if _, err := none.Sign(claims(now)); !errors.Is(err, shaken.ErrOff) {
		t.Error(err)
	}
}

func caller(number string) func(*shaken.Claims) { return func(c *shaken.Claims) { c.Caller = number } }

func TestCertificatesThatCannotSign(t *testing.T) {
	authority := func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }
	broken := func(authority ...byte) shakentest.Wish { return shakentest.Wish{Authority: authority} }
	of := func(template func(*x509.Certificate)) shakentest.Wish { return shakentest.Wish{Template: template} }
	for name, c := range map[string]struct {
		wish shakentest.Wish
		want string
	}{
		"usual":            {},
		"P-384":            {shakentest.Wish{Curve: elliptic.P384()}, "its key is P-384"},
		"of an authority":  {of(authority), "of an authority"},
		"key usage":        {of(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), "digitalSignature"},
		"empty TNAuthList": {broken(0x30, 0), "TNAuthList"},
		"no TNAuthList":    {broken(0x04, 1, 1), "TNAuthList"},
		"cut TNAuthList":   {broken(0x30, 4, 0xa0, 6, 0x16, 4), "TNAuthList"},
		"unknown entry":    {broken(0x30, 5, 0xa7, 3, 0x16, 1, '1'), "TNAuthList"},
		"implicit tag":     {broken(0x30, 3, 0x80, 1, '1'), "TNAuthList"},
		"more behind":      {broken(append(shakentest.Authority(shakentest.SPC("1")), 5, 0)...), "TNAuthList"},
	} {
		t.Run(name, func(t *testing.T) {
			err := shaken.Check(shakentest.New(t, c.wish).TLS)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if err := shaken.Check(&tls.Certificate{PrivateKey: nil, Leaf: &x509.Certificate{}}); err == nil {
		t.Error("a certificate without a key passes")
	}
}

func TestAddressesOfCertificates(t *testing.T) {
	for text, want := range map[string]string{
		shakentest.X5U: "", "https://c.example:8443/a/b.pem": "", "https://c.example:443/a.pem": "",
		"https://[2001:db8::1]/a": "",
		"":                        "missing",
		"http://c.example/a.pem":  "no address of HTTPS", "https:///a.pem": "no address of HTTPS",
		"c.example/a.pem": "no address", "https://c.example/a b": "no address", "https://c.example/a>;b": "no address",
		"https://c.example/\"a": "no address", "https://c.example/ä": "no address", "https://u:p@c.example/a": "has a user",
		"https://c.example/a?b=1": "a query", "https://c.example/a?": "a query", "https://c.example/a#b": "a fragment",
		"https://c.example/a#": "a fragment", "https://c.example:8080/a": "has the port 8080",
		"https://c.example/" + strings.Repeat("a", 512): "no address",
	} {
		err := shaken.CheckURL(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "https://certificates.example.com/shaken.pem") {
			t.Errorf("%.60q: %v does not say what would do", text, err)
		}
	}
}

// foreign is a PASSporT of somebody else, whose signature does not matter.
func foreign(kind, caller, callees string, at int64, more string) string {
	code := base64.RawURLEncoding.EncodeToString
	head := `{"alg":"ES256","ppt":"` + kind + `","typ":"passport","x5u":"https://c.example/a.pem"}`
	payload := fmt.Sprintf(`{"attest":"A","dest":{"tn":%s},"iat":%d,"orig":{"tn":"%s"},"origid":"x"}`, callees, at, caller)
	return code([]byte(head)) + "." + code([]byte(payload)) + ".c2ln;info=<https://c.example/a.pem>" + more
}

func TestWhichPassportsStayBesideOurs(t *testing.T) {
	now := time.Now()
	const from, to = "+12155551212", "+12125551213"
	here := `["12125551213"]`
	at := now.Unix()
	good := foreign("shaken", "12155551212", here, at, ";alg=ES256;ppt=shaken")
	rcd := foreign("rcd", "12155551212", here, at, ";ppt=rcd")
	elsewhere := foreign("shaken", "12155551212", `["12125550000"]`, at-40, ";ppt=shaken")
	plus := []string{foreign("shaken", "+12155551212", `["+12125551213"]`, at, "")}
	text := []string{foreign("shaken", "12155551212", `"12125551213"`, at, "")}
	several := []string{foreign("shaken", "12155551212", `["1","12125551213"]`, at, "")}
	early := []string{foreign("shaken", "12155551212", here, at+30, "")}
	div := foreign("div", "12155551212", here, at, ";ppt=div")
	for name, c := range map[string]struct {
		values []string
		kept   []string
		whole  bool
	}{
		"none":                        {},
		"of this call":                {values: []string{good}, kept: []string{good}, whole: true},
		"with a name":                 {values: []string{rcd, good}, kept: []string{rcd, good}, whole: true},
		"a name alone":                {values: []string{rcd}, kept: []string{rcd}},
		"a plus in the numbers":       {values: plus, kept: plus, whole: true},
		"a text in place of the list": {values: text, kept: text, whole: true},
		"several callees":             {values: several, kept: several, whole: true},
		"of another callee":           {values: []string{elsewhere}},
		"of another caller":           {values: []string{foreign("shaken", "12155550000", here, at, "")}},
		"stale":                       {values: []string{foreign("shaken", "12155551212", here, at-90, "")}},
		"from the future":             {values: []string{foreign("shaken", "12155551212", here, at+90, "")}},
		"a clock that is a bit off":   {values: early, kept: early, whole: true},
		"diverted to here":            {values: []string{elsewhere, div}, kept: []string{elsewhere, div}, whole: true},
		"a div without its call":      {values: []string{div}},
		"compact":                     {values: []string{"..c2ln;info=<https://c.example/a.pem>;ppt=shaken"}},
		"no base64":                   {values: []string{"!.!.!;info=<https://c.example/a.pem>"}},
		"no semicolon":                {values: []string{"abc"}},
		"no JSON":                     {values: []string{"YWJj.YWJj.YWJj;info=<https://c.example/a.pem>"}},
	} {
		t.Run(name, func(t *testing.T) {
			kept, whole := shaken.Keep(c.values, from, to, now)
			if whole != c.whole || !slices.Equal(kept, c.kept) {
				t.Errorf("whole %v, kept %d: %q", whole, len(kept), kept)
			}
		})
	}
}

// TestANewCertificateIsUsedAtOnce: what is prepared is of the certificate in force.
func TestANewCertificateIsUsedAtOnce(t *testing.T) {
	files := shakentest.New(t, shakentest.Wish{})
	s := signer(t, files)
	first, err := s.Sign(claims(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	*files = *shakentest.New(t, shakentest.Wish{To: time.Now().Add(48 * time.Hour)})
	second, err := s.Sign(claims(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		identity string
		want     bool
	}{{first.Identity, false}, {second.Identity, true}} {
		token, _, _ := strings.Cut(c.identity, ";")
		_, _, signature := parts(t, c.identity)
		sum := sha256.Sum256([]byte(token[:strings.LastIndex(token, ".")]))
		r, sn := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		if ecdsa.Verify(files.TLS.Leaf.PublicKey.(*ecdsa.PublicKey), sum[:], r, sn) != c.want {
			t.Errorf("signature %d", i)
		}
	}
	if got := s.Stats().Expiry; !got.Equal(files.TLS.Leaf.NotAfter) {
		t.Errorf("expiry %v", got)
	}
}

// TestAFailureIsToldOnceAMinute also holds that the log has neither the number nor the key.
func TestAFailureIsToldOnceAMinute(t *testing.T) {
	var out bytes.Buffer
	s := shaken.New(shaken.Config{Files: shakentest.New(t, shakentest.Wish{To: time.Now().Add(-time.Hour)}),
		X5U: shakentest.X5U, Rand: rand.Reader, Log: slog.New(slog.NewTextHandler(&out, nil))})
	now := time.Now()
	for i := range 100 {
		s.Sign(claims(now.Add(time.Duration(i) * 100 * time.Millisecond)))
	}
	if got := strings.Count(out.String(), "without a signature"); got != 1 {
		t.Errorf("%d lines: %s", got, out.String())
	}
	s.Sign(claims(now.Add(2 * time.Minute)))
	if got := strings.Count(out.String(), "without a signature"); got != 2 {
		t.Errorf("%d lines after two minutes", got)
	}
	if strings.Contains(out.String(), "2155551212") || strings.Contains(out.String(), "PRIVATE") {
		t.Error("the log has a number or a key")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(foreign("shaken", "12155551212", `["12125551213"]`, 1, ";ppt=shaken"))
	f.Add("..c2ln;info=<https://c.example/a.pem>")
	f.Fuzz(func(t *testing.T, value string) {
		p, ok := shaken.Read(value)
		for _, number := range append(p.Callees, p.Caller) {
			if number != shaken.Canonical(number) {
				t.Errorf("%q is not canonical", number)
			}
		}
		kept, whole := shaken.Keep([]string{value}, "+12155551212", "+12125551213", time.Unix(1, 0))
		if (whole || len(kept) > 0) && !ok {
			t.Errorf("%q stays and cannot be read", value)
		}
	})
}

func FuzzAuthority(f *testing.F) {
	f.Add(shakentest.Authority(shakentest.SPC("1234"), shakentest.Range("12155551000", 10), shakentest.One("1")))
	f.Fuzz(func(t *testing.T, list []byte) {
		leaf := &x509.Certificate{}
		leaf.Extensions = append(leaf.Extensions, extension(list))
		a, err := shaken.ReadAuthority(leaf)
		if err != nil && a.Unsaid {
			t.Error("a list that cannot be read is none")
		}
		if err == nil && a.Unsaid {
			t.Error("a list is overlooked")
		}
		a.Covers("+12155551212")
	})
}

func extension(value []byte) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 26}, Value: value}
}

func BenchmarkSign(b *testing.B) {
	s := signer(b, shakentest.New(b, shakentest.Wish{}))
	said := claims(time.Now())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Sign(said); err != nil {
			b.Fatal(err)
		}
	}
}
