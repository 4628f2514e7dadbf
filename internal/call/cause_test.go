package call

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/record"
)

// Every cause of this package maps to its own hangup_cause in detail records, with
// every SIP status and outcome: none is only put in capitals because it is not known.
func TestEveryCauseHasAWordInRecords(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "cause.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var causes []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Cause") {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			causes = append(causes, text)
		}
		return true
	})
	if len(causes) < 20 {
		t.Fatalf("only %d causes in cause.go", len(causes))
	}
	for _, cause := range causes {
		for outcome := record.OutcomeRefused; outcome <= record.OutcomeLost; outcome++ {
			for status := int32(300); status < 700; status++ {
				r := record.Call{HangupCause: cause, Outcome: outcome, SIPStatus: status}
				if word := r.HangupWord(); !record.IsHangupWord(word) {
					t.Fatalf("%s, %s, %d: %q", cause, outcome, status, word)
				}
			}
		}
	}
}
