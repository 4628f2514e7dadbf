package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nyaruka/phonenumbers"
)

// TestCommittedFilesAreCurrent holds that the files in package e164 are what this
// generator makes of the module in go.mod.
func TestCommittedFilesAreCurrent(t *testing.T) {
	numbers, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	short, err := phonenumbers.ShortNumberMetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	plan, err := buildPlan(numbers.GetMetadata())
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../plan.bin")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, plan.encode()) {
		t.Error("plan.bin is stale: run go generate in internal/e164")
	}
	source, err := dialTable(numbers.GetMetadata(), short.GetMetadata())
	if err != nil {
		t.Fatal(err)
	}
	committed, err = os.ReadFile("../plan_table.go")
	if err != nil {
		t.Fatal(err)
	}
	forms, err := nationalTable(numbers.GetMetadata())
	if err != nil {
		t.Fatal(err)
	}
	if committed, err := os.ReadFile("../national_table.go"); err != nil || !bytes.Equal(committed, forms) {
		t.Errorf("national_table.go is stale: run go generate in internal/e164 (%v)", err)
	}
	costly, err := shortTable(short.GetMetadata())
	if err != nil {
		t.Fatal(err)
	}
	if committed, err := os.ReadFile("../short_table.go"); err != nil || !bytes.Equal(committed, costly) {
		t.Errorf("short_table.go is stale: run go generate in internal/e164 (%v)", err)
	}
	// A test binary may not know its modules' versions, which the first constant names.
	version := regexp.MustCompile(`const PlanVersion = .*`)
	if diff := cmp.Diff(version.ReplaceAllString(string(source), ""),
		version.ReplaceAllString(string(committed), "")); diff != "" {
		t.Errorf("plan_table.go is stale: run go generate in internal/e164 (-made +committed):\n%s", diff)
	}
}

func TestPattern(t *testing.T) {
	cases := []struct {
		expression string
		lengths    []int32
		want       []string
	}{
		{"1(?:12|5\\d)", nil, []string{"112", "150", "151", "152", "153", "154", "155", "156", "157", "158", "159"}},
		{"9(?:11?|2)", nil, []string{"91", "911", "92"}},
		{"9(?:11?|2)", []int32{2}, []string{"91", "92"}},
		{"0{2,3}", nil, []string{"00", "000"}},
		{"NA", nil, nil},
		{"12", []int32{-1}, nil},
		{"", nil, nil},
	}
	for _, c := range cases {
		p, err := compile(c.expression, c.lengths)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.enumerate(); !slices.Equal(got, c.want) {
			t.Errorf("%q of lengths %v: %v, want %v", c.expression, c.lengths, got, c.want)
		}
	}
	if _, err := compile("1(2", nil); err == nil {
		t.Error("a broken pattern compiles")
	}
}
