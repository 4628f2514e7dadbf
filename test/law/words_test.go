package law

import (
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxColumns is how many characters a line of Go code may have; a tab counts as one.
const maxColumns = 120

// foreign are words and phrases that leave open who or what is meant, or that a native
// reader stumbles over, each with what to write.
var foreign = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\b[Nn]obody('s)?\b`), "no one, or who it is: no caller, no operator, no node"},
	{regexp.MustCompile(`(?i)\bwhoever\b`), "the caller, the operator, anyone who"},
	{regexp.MustCompile(`(?i)\bwhat (became|becomes|has become) of\b`), "the outcome of, what happened to"},
	{regexp.MustCompile(`(?i)\blets? go of\b`), "releases, drops"},
	{regexp.MustCompile(`(?i)\bcomes? to pass\b`), "happens"},
	{regexp.MustCompile(`(?i)\ba word of a (few|closed)\b`), "one of a fixed set"},
	{regexp.MustCompile(`(?i)\b(whether it is|it is|are|is not) in order\b`), "healthy"},
}

// unwrapped are files that may have longer lines, in the same way.
var unwrapped = []string{
	"cmd/tollgate/", "internal/admission/", "internal/app/",
	"internal/webhook/", "test/",
}

// ours lists the files of the repository whose names match one of the patterns.
func ours(t *testing.T, patterns ...string) []string {
	t.Helper()
	command := exec.Command("git", append([]string{"-C", "../..", "ls-files", "--"}, patterns...)...)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(out))
	if len(files) < 10 {
		t.Fatalf("git lists only %d files", len(files))
	}
	return files
}

func startsWithAny(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func contents(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTextsAreIdiomatic(t *testing.T) {
	for _, name := range ours(t, "*.go", "*.md") {
		for number, line := range bytes.Split(contents(t, name), []byte("\n")) {
			for _, f := range foreign {
				if found := f.pattern.Find(line); found != nil {
					t.Errorf("%s:%d: %q: write %s", name, number+1, found, f.instead)
				}
			}
		}
	}
}

// TestLinesAreShort leaves out generated files, and the lines of texts in backquotes:
// SQL, messages and the tags of structs read worse when they are broken.
func TestLinesAreShort(t *testing.T) {
	for _, name := range ours(t, "*.go") {
		if startsWithAny(name, unwrapped) {
			continue
		}
		for _, problem := range longLines(contents(t, name)) {
			t.Errorf("%s:%s", name, problem)
		}
	}
}

func longLines(source []byte) (problems []string) {
	if bytes.HasPrefix(source, []byte("// Code generated ")) {
		return nil
	}
	var long []int
	for i, line := range bytes.Split(source, []byte("\n")) {
		if utf8.RuneCount(line) > maxColumns {
			long = append(long, i+1)
		}
	}
	if len(long) == 0 {
		return nil
	}
	quoted := backquotedLines(source)
	for _, number := range long {
		if !quoted[number] {
			problems = append(problems, fmt.Sprintf("%d: the line has more than %d characters", number, maxColumns))
		}
	}
	return problems
}

// backquotedLines are the lines that a text in backquotes has a part of.
func backquotedLines(source []byte) map[int]bool {
	file := token.NewFileSet().AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, 0)
	lines := make(map[int]bool)
	for {
		position, kind, text := s.Scan()
		if kind == token.EOF {
			return lines
		}
		if kind != token.STRING || text[0] != '`' {
			continue
		}
		first := file.Line(position)
		for i := range strings.Count(text, "\n") + 1 {
			lines[first+i] = true
		}
	}
}

func TestLongLinesAreFound(t *testing.T) {
	wide := strings.Repeat("x", maxColumns)
	source := "package p\n\nvar a = `" + wide + "`\n\n// " + wide + "\nvar b = \"" + wide + "\"\n"
	if found := longLines([]byte(source)); len(found) != 2 {
		t.Errorf("found %q, want lines 5 and 6", found)
	}
}
