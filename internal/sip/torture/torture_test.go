package torture_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/sip/torture"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// names lists the messages in the order of RFC 4475.
const names = "wsinv intmeth esc01 escnull esc02 lwsdisp longreq dblreq semiuri transports mpart01 unreason " +
	"noreason badinv01 clerr ncl scalar02 scalarlg quotbal ltgtruri lwsruri lwsstart trws escruri baddate " +
	"regbadct badaspec baddn badvers mismatch01 mismatch02 bigcode badbranch insuf unkscm novelsc unksm2 " +
	"bext01 invut regaut01 multi01 mcl01 bcast zeromf cparam01 cparam02 regescrt sdp01 inv2543"

func TestEveryMessageOfTheRFCIsThere(t *testing.T) {
	var got []string
	for _, m := range torture.Messages() {
		got = append(got, m.Name)
		if m.Section == "" || m.Want.Why == "" {
			t.Errorf("%s: section %q, why %q: both must be given", m.Name, m.Section, m.Want.Why)
		}
		if (m.Want.Outcome == torture.Answer) != (m.Want.Status != 0) {
			t.Errorf("%s: outcome %v with status %d", m.Name, m.Want.Outcome, m.Want.Status)
		}
		// Section 3.1.2.12 would have a Date refused only by those who need it.
		if !m.Valid && m.Want.Outcome == torture.Accept && m.Name != "baddate" {
			t.Errorf("%s is invalid and yet accepted", m.Name)
		}
	}
	if diff := cmp.Diff(strings.Fields(names), got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestMessagesAreFreshCopies(t *testing.T) {
	first := torture.Messages()
	for _, m := range first {
		m.Bytes[0] = 0
	}
	for _, m := range torture.Messages() {
		if m.Bytes[0] == 0 {
			t.Errorf("%s shares its bytes with an earlier call", m.Name)
		}
	}
}

// TestLinesEndInCRLF checks that no header section holds a bare CR or LF.
func TestLinesEndInCRLF(t *testing.T) {
	for _, m := range torture.Messages() {
		head, _, _ := bytes.Cut(m.Bytes, []byte("\r\n\r\n"))
		rest := bytes.ReplaceAll(head, []byte("\r\n"), nil)
		if bytes.ContainsAny(rest, "\r\n") {
			t.Errorf("%s has a bare CR or LF", m.Name)
		}
	}
}

var lengthLine = regexp.MustCompile(`(?im)^(?:content-length|l)[ \t]*:[ \t]*(\S+?)\r?$`)

// TestContentLengthIsTheBodyLength checks that the body written here is as long
// as the RFC says, for all messages whose length is not wrong on purpose.
func TestContentLengthIsTheBodyLength(t *testing.T) {
	wrongOnPurpose := map[string]string{
		"clerr":   "larger than the body",
		"ncl":     "negative",
		"mcl01":   "given twice",
		"dblreq":  "followed by noise",
		"multi01": "followed by an empty line",
		"baddn":   "without the empty line",
		"inv2543": "absent",
	}
	for _, m := range torture.Messages() {
		if wrongOnPurpose[m.Name] != "" {
			continue
		}
		head, body, found := bytes.Cut(m.Bytes, []byte("\r\n\r\n"))
		if !found {
			t.Errorf("%s has no empty line", m.Name)
			continue
		}
		match := lengthLine.FindSubmatch(head)
		if match == nil {
			t.Errorf("%s has no Content-Length", m.Name)
			continue
		}
		want, err := strconv.Atoi(string(match[1]))
		if err != nil {
			t.Errorf("%s: Content-Length %q: %v", m.Name, match[1], err)
			continue
		}
		if len(body) != want {
			t.Errorf("%s: Content-Length %d, body of %d octets", m.Name, want, len(body))
		}
	}
}

// TestOctetsTheRFCDescribes checks the facts the RFC states in words.
func TestOctetsTheRFCDescribes(t *testing.T) {
	get := func(name string) []byte {
		m, ok := torture.Named(name)
		if !ok {
			t.Fatalf("no message %s", name)
		}
		return m.Bytes
	}
	if got := bytes.Count(get("intmeth"), []byte{0}); got != 1 {
		t.Errorf("intmeth holds %d NUL octets, want 1", got)
	}
	if !bytes.Contains(get("intmeth"), []byte("BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f\"")) {
		t.Error("intmeth: the quoted pairs of BEL, NUL and DEL are missing")
	}
	if bytes.IndexByte(get("escnull"), 0) >= 0 {
		t.Error("escnull holds a NUL octet; only its escape %00 belongs there")
	}
	if !bytes.HasPrefix(get("noreason"), []byte("SIP/2.0 100 \r\n")) {
		t.Error("noreason: the space behind the status code is missing")
	}
	if !bytes.Contains(get("trws"), []byte(" SIP/2.0  \r\n")) {
		t.Error("trws: the trailing spaces are missing")
	}
	if got := len(regexp.MustCompile(`(?im)^v(?:ia)?[ \t]*:`).FindAll(get("longreq"), -1)); got != 34 {
		t.Errorf("longreq has %d Via lines, want 34", got)
	}
	for run, count := range map[string]int{"extreme": 10, "982": 50, "really": 20, "paramname": 10, "long": 50} {
		if !bytes.Contains(get("longreq"), []byte(strings.Repeat(run, count))) {
			t.Errorf("longreq lacks %d times %q in a row", count, run)
		}
	}
	der := bytes.Index(get("mpart01"), []byte{0x30, 0x82, 0x01, 0x52})
	if der < 0 {
		t.Fatal("mpart01: no DER sequence")
	}
	// The length in the DER header must end exactly at the closing boundary.
	end := der + 4 + int(binary.BigEndian.Uint16(get("mpart01")[der+2:]))
	if tail := string(get("mpart01")[end:]); tail != "\r\n--7a9cbec02ceef655--\r\n" {
		t.Errorf("mpart01: %q follows the signature", tail)
	}
	digits := regexp.MustCompile(`Expires: (\d+)\r\n`).FindSubmatch(get("scalar02"))
	if digits == nil || len(digits[1]) != 101 {
		t.Error("scalar02: Expires must be 10**100")
	}
}

func TestBytesAreUnchanged(t *testing.T) {
	var got strings.Builder
	for _, m := range torture.Messages() {
		fmt.Fprintf(&got, "%-10s %4d %x\n", m.Name, len(m.Bytes), sha256.Sum256(m.Bytes))
	}
	compareGolden(t, "testdata/bytes.golden", got.String())
}

// TestParserNeverPanics records which messages the parser takes today. What it
// takes though invalid, a validation layer behind it must catch.
func TestParserNeverPanics(t *testing.T) {
	parser := sip.NewParser()
	var got strings.Builder
	for _, m := range torture.Messages() {
		err := parse(t, parser, m)
		state := "accepted"
		if err != nil {
			state = "rejected"
		}
		valid := "invalid"
		if m.Valid {
			valid = "valid"
		}
		fmt.Fprintf(&got, "%-10s %-7s %s\n", m.Name, valid, state)
	}
	compareGolden(t, "testdata/sipgo.golden", got.String())
}

func parse(t *testing.T, parser *sip.Parser, m torture.Message) (err error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("%s: the parser panicked: %v", m.Name, r)
		}
	}()
	_, err = parser.ParseSIP(m.Bytes)
	return err
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatalf("write %s: %v", path, err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read %s (run with -update to write it): %v", path, err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

// ipv6Names lists the messages in the order of RFC 5118.
const ipv6Names = "ipv6-good ipv6-bad port-ambiguous port-unambiguous via-received-param-with-delim " +
	"via-received-param-no-delim ipv6-in-sdp mult-ip-in-header mult-ip-in-sdp ipv4-mapped-ipv6 ipv6-bug-abnf-3-colons"

// TestEveryMessageOfTheIPv6RFCIsThere, whole and with a verdict; its bytes are fresh.
func TestEveryMessageOfTheIPv6RFCIsThere(t *testing.T) {
	var got []string
	for _, m := range torture.IPv6() {
		got = append(got, m.Name)
		if m.Section == "" || m.Want.Why == "" || (m.Want.Outcome == torture.Answer) != (m.Want.Status != 0) {
			t.Errorf("%s: section %q, %+v", m.Name, m.Section, m.Want)
		}
		head, body, found := bytes.Cut(m.Bytes, []byte("\r\n\r\n"))
		match := lengthLine.FindSubmatch(append(head, "\r\n"...))
		if !found || match == nil || string(match[1]) != strconv.Itoa(len(body)) {
			t.Errorf("%s: a body of %d octets, Content-Length %q", m.Name, len(body), match)
		}
		m.Bytes[0] = 0
	}
	if diff := cmp.Diff(strings.Fields(ipv6Names), got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	for _, m := range torture.IPv6() {
		if m.Bytes[0] == 0 {
			t.Errorf("%s shares its bytes with an earlier call", m.Name)
		}
	}
}
