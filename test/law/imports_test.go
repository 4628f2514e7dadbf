// Package law holds rules about the source as a whole.
package law

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

const module = "github.com/tollgate/tollgate/"

// layers orders the packages from the inside out. A package may import packages
// of inner layers, and of its own layer only those that stand before it.
var layers = [][]string{
	{"internal/money", "internal/id", "internal/field", "internal/e164", "internal/reach", "internal/secret",
		"internal/sip", "internal/setting", "internal/collection", "internal/column", "internal/packed",
		"internal/timer", "internal/csvcell"},
	{"internal/spendlimit", "internal/numbering", "internal/numberlist", "internal/rating",
		"internal/rating/sheet", "internal/profile",
		"internal/connection", "internal/registration", "internal/routing", "internal/record", "internal/webhook",
		"internal/verification"},
	{"internal/policy"},
	{"internal/admission"},
	{"internal/call", "internal/store", "internal/rest", "internal/siptrace", "internal/media", "internal/certificate",
		"internal/sip/transport", "internal/sip/transaction", "internal/media/g711", "internal/spoken",
		"internal/shaken"},
	{"internal/store/sqlstore/table", "internal/store/sqlstore/listing", "internal/store/sqlstore/trail",
		"internal/store/sqlstore/ledger"},
	ledgers,
	{"internal/store/sqlstore/database", "internal/store/sqlstore/outbox", "internal/store/sqlstore/calls",
		"internal/store/sqlstore/recordings", "internal/store/sqlstore/decks", "internal/store/sqlstore/bans",
		"internal/store/sqlstore/registrations"},
	edges,
	{"internal/telemetry"},
	{"internal/app"},
	{"internal/demo"},
	{"cmd/tollgate"},
}

// ledgers are the two that package sqlstore has; neither knows the other.
var ledgers = []string{"internal/store/sqlstore/sqlite", "internal/store/sqlstore/postgres"}

// edges never import each other: only package app knows them all.
var edges = []string{"internal/store/sqlstore", "internal/sipgw", "internal/api", "internal/phone",
	"internal/media/relay", "internal/media/rtpengine", "internal/recording", "internal/httpd",
	"internal/webhook/deliver"}

// pure packages do no I/O: nothing that opens a file or a socket.
var pure = []string{
	"internal/money", "internal/id", "internal/field", "internal/e164", "internal/sip", "internal/reach",
	"internal/column", "internal/packed", "internal/timer", "internal/csvcell", "internal/collection", "internal/rating",
	"internal/profile",
	"internal/connection", "internal/registration", "internal/numbering", "internal/numberlist", "internal/routing",
	"internal/record", "internal/spendlimit", "internal/webhook", "internal/verification", "internal/policy", "internal/admission",
	"internal/call",
}

// exempt packages are tools and test data that no other package of the product imports.
var exempt = []string{"internal/e164/gen", "internal/sip/torture", "internal/sip/transport/zonetest",
	"internal/store/storetest", "internal/webhook/webhooktest", "internal/shaken/shakentest",
	"internal/media/mediatest",
	"internal/clientgen"}

type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	all := list(t, "./internal/...", "./cmd/...")
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// list asks go list for packages. Those of this module are named without its path.
func list(t *testing.T, arguments ...string) []goPackage {
	t.Helper()
	command := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Standard"}, arguments...)...)
	command.Dir = "../.."
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for _, text := range bytes.SplitAfter(out, []byte("\n}\n")) {
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		var p goPackage
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
	return all
}

func rank(name string) (layer, place int) {
	for i, names := range layers {
		if j := slices.Index(names, name); j >= 0 {
			return i, j
		}
	}
	return -1, -1
}

func TestImportsPointInward(t *testing.T) {
	for _, p := range packages(t) {
		if slices.Contains(exempt, p.ImportPath) {
			continue
		}
		layer, place := rank(p.ImportPath)
		if layer < 0 {
			t.Errorf("%s has no place in the layers: give it one", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			name, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			if slices.Contains(exempt, name) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, name)
				continue
			}
			l, at := rank(name)
			sameEdge := slices.Contains(edges, p.ImportPath) && slices.Contains(edges, name) ||
				slices.Contains(ledgers, p.ImportPath) && slices.Contains(ledgers, name)
			if l > layer || (l == layer && at >= place) || sameEdge {
				t.Errorf("%s imports %s, which is not further in", p.ImportPath, name)
			}
		}
	}
}

// forbidden is what no pure package reaches. Package net is not here: it also parses
// addresses.
var forbidden = []string{
	"os", "net/http", "database/sql", "log", "log/slog", "os/exec", "io/fs", "syscall",
	"crypto/tls", "net/http/httptrace", "net/http/httputil", "os/signal",
}

// trusted are packages of others that may import the packages beside them, for
// functions that Tollgate does not call.
var trusted = map[string][]string{
	"github.com/google/uuid": {"os"}, // NewDCEPerson asks for the user's id
}

// TestTheCoreDoesNoIO judges every package below a pure one, however far below, so that
// none reaches a file or a socket through another. The search ends at the standard
// library: fmt needs os to be compiled.
func TestTheCoreDoesNoIO(t *testing.T) {
	for _, name := range pure {
		for _, p := range list(t, "-deps", "./"+name) {
			if p.Standard {
				continue
			}
			for _, imported := range p.Imports {
				if slices.Contains(forbidden, imported) && !slices.Contains(trusted[p.ImportPath], imported) {
					t.Errorf("%s reaches %s through %s: it must stay free of I/O", name, imported, p.ImportPath)
				}
			}
		}
	}
}

// Package sip is messages and no network: of net it knows only addresses.
func TestMessagesKnowNoSocket(t *testing.T) {
	for _, p := range list(t, "./internal/sip") {
		for _, imported := range p.Imports {
			if (imported == "net" || strings.HasPrefix(imported, "net/")) && imported != "net/netip" {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

// The phone tries the server's SIP against another, so it shares nothing with it.
func TestThePhoneSharesNoCode(t *testing.T) {
	for _, p := range list(t, "./internal/phone") {
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, module) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

func TestNothingWaitsBySleeping(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "grep", "-nE", `time\.Sleep\(`, "--", "*.go").Output()
	if err == nil {
		t.Errorf("time.Sleep is banned; wait for a signal, or use testing/synctest:\n%s", out)
	}
}
