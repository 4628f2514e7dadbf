// Command gen writes the numbering plan that package e164 looks numbers up in,
// from the metadata of libphonenumber: plan.bin, the automaton that classifies
// numbers, short.bin, the same of short numbers, plan_table.go, what each country
// dials, national_table.go, how its numbers are written for dialling inside of it, and
// short_table.go, which of its short numbers cost money. Run it by "go generate" in
// internal/e164 after an upgrade of the phonenumbers module.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"log"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/tollgate/tollgate/internal/e164"
)

// metadataVersion is the libphonenumber release that the phonenumbers module of
// go.mod carries. The module does not export it: read its CHANGELOG on an upgrade.
const metadataVersion = "9.0.32"

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	numbers, err := phonenumbers.MetadataCollection()
	if err != nil {
		return fmt.Errorf("read number metadata: %w", err)
	}
	short, err := phonenumbers.ShortNumberMetadataCollection()
	if err != nil {
		return fmt.Errorf("read short-number metadata: %w", err)
	}
	plan, err := buildPlan(numbers.GetMetadata())
	if err != nil {
		return fmt.Errorf("build the automaton: %w", err)
	}
	if err := os.WriteFile("plan.bin", plan.encode(), 0o644); err != nil {
		return fmt.Errorf("write the automaton: %w", err)
	}
	shortPlan, err := buildShortPlan(numbers.GetMetadata(), short.GetMetadata())
	if err != nil {
		return fmt.Errorf("build the automaton of short numbers: %w", err)
	}
	if err := os.WriteFile("short.bin", shortPlan.encode(), 0o644); err != nil {
		return fmt.Errorf("write the automaton of short numbers: %w", err)
	}
	source, err := dialTable(numbers.GetMetadata(), short.GetMetadata())
	if err != nil {
		return fmt.Errorf("build the dialling table: %w", err)
	}
	if err := os.WriteFile("plan_table.go", source, 0o644); err != nil {
		return fmt.Errorf("write the dialling table: %w", err)
	}
	if source, err = nationalTable(numbers.GetMetadata()); err != nil {
		return fmt.Errorf("build the national forms: %w", err)
	}
	if err := os.WriteFile("national_table.go", source, 0o644); err != nil {
		return fmt.Errorf("write the national forms: %w", err)
	}
	if source, err = shortTable(short.GetMetadata()); err != nil {
		return fmt.Errorf("build the table of short numbers: %w", err)
	}
	if err := os.WriteFile("short_table.go", source, 0o644); err != nil {
		return fmt.Errorf("write the table of short numbers: %w", err)
	}
	log.Printf("%d states, %d bytes", len(plan.states), len(plan.states)*stateBytes)
	log.Printf("short numbers: %d states, %d bytes", len(shortPlan.states), len(shortPlan.states)*stateBytes)
	return nil
}

// buildPlan compiles all calling codes that belong to countries.
func buildPlan(metadata []*phonenumbers.PhoneMetadata) (*table, error) {
	byID := map[string]*phonenumbers.PhoneMetadata{}
	for _, meta := range metadata {
		byID[meta.GetId()] = meta
	}
	t := newTable()
	for _, code := range callingCodes(metadata) {
		var regions []*region
		var err error
		for _, id := range phonenumbers.GetRegionCodesForCountryCode(code) {
			r, err := newRegion(byID[id])
			if err != nil {
				return nil, err
			}
			regions = append(regions, r)
		}
		if code == 212 {
			if regions, err = preferWesternSahara(regions); err != nil {
				return nil, err
			}
		}
		if err := t.addCallingCode(code, regions); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// callingCodes lists the calling codes of countries. Ranges without a country are
// told by their calling code alone.
func callingCodes(metadata []*phonenumbers.PhoneMetadata) []int {
	var codes []int
	for _, meta := range metadata {
		if meta.GetId() != "001" {
			codes = append(codes, int(meta.GetCountryCode()))
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// minShortDigits is the shortest short number whose digits behind a calling code
// can be mistaken for a telephone number of seven digits.
const minShortDigits = 4

// buildShortPlan compiles the short numbers of all regions behind their calling
// codes: directory enquiries, voting, services of carriers. They are in no plan of
// numbers that others may dial.
func buildShortPlan(numbers, short []*phonenumbers.PhoneMetadata) (*table, error) {
	codes := map[string]int{}
	for _, meta := range numbers {
		codes[meta.GetId()] = int(meta.GetCountryCode())
	}
	regions := map[int][]*region{}
	for _, meta := range short {
		country, ok := e164.CountryByAlpha2(meta.GetId())
		desc := meta.GetShortCode()
		lengths := slices.DeleteFunc(slices.Clone(possibleLengths(meta, desc)),
			func(n int32) bool { return n < minShortDigits })
		if !ok || codes[meta.GetId()] == 0 || len(lengths) == 0 {
			continue
		}
		p, err := compile(desc.GetNationalNumberPattern(), lengths)
		if err != nil {
			return nil, fmt.Errorf("short numbers of %s: %w", meta.GetId(), err)
		}
		code := codes[meta.GetId()]
		regions[code] = append(regions[code], &region{
			country: country, general: p, typed: []typedPattern{{e164.TypePremiumRate, p}},
		})
	}
	t := newTable()
	for _, code := range slices.Sorted(maps.Keys(regions)) {
		if err := t.addCallingCode(code, regions[code]); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// possibleLengths are those of a description, or of all numbers of the region
// where the description leaves them out because they are the same.
func possibleLengths(meta *phonenumbers.PhoneMetadata, desc *phonenumbers.PhoneNumberDesc) []int32 {
	if lengths := desc.GetPossibleLength(); len(lengths) > 0 {
		return lengths
	}
	return meta.GetGeneralDesc().GetPossibleLength()
}

// preferWesternSahara puts right the one region of the metadata that no number can
// reach. Western Sahara has numbers there (+212 528 8 and 528 9), but the leading
// digits of Morocco, which comes first, take in all of +212. A whitelist that
// names Morocco alone must not admit them.
func preferWesternSahara(regions []*region) ([]*region, error) {
	i := slices.IndexFunc(regions, func(r *region) bool { return r.country.Alpha2() == "EH" })
	if i < 0 || regions[i].leading != nil {
		return nil, fmt.Errorf("the metadata of +212 has changed: look at Western Sahara's leading digits again")
	}
	sahara := *regions[i]
	var err error
	if sahara.leading, err = compile("528[89][0-9]*", nil); err != nil {
		return nil, err
	}
	return append([]*region{&sahara}, slices.Delete(slices.Clone(regions), i, i+1)...), nil
}

// dialTable writes the Go table of what a country dials.
func dialTable(numbers, short []*phonenumbers.PhoneMetadata) ([]byte, error) {
	emergency := map[string]string{}
	for _, meta := range short {
		p, err := compile(meta.GetEmergency().GetNationalNumberPattern(), meta.GetEmergency().GetPossibleLength())
		if err != nil {
			return nil, fmt.Errorf("emergency numbers of %s: %w", meta.GetId(), err)
		}
		emergency[meta.GetId()] = strings.Join(p.enumerate(), " ")
	}
	byID := map[string]*phonenumbers.PhoneMetadata{}
	for _, meta := range numbers {
		byID[meta.GetId()] = meta
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "// Code generated by gen from libphonenumber's metadata; DO NOT EDIT.\n\npackage e164\n\n")
	fmt.Fprintf(&out, "// PlanVersion names the metadata that the numbering plan was made from.\n")
	fmt.Fprintf(&out, "const PlanVersion = %q\n\n", planVersion())
	fmt.Fprintf(&out,
		"// dialTable is what each country dials, in the order of countryTable.\n"+
			"var dialTable = [len(countryTable)]dialRow{\n\t{},\n")
	for _, country := range e164.Countries() {
		writeDialRow(&out, country, byID[country.Alpha2()], emergency[country.Alpha2()])
	}
	fmt.Fprintf(&out, "}\n\n// mainCountry is the country whose dialling rules hold for all numbers of a calling code.\n")
	fmt.Fprintf(&out, "var mainCountry = [1000]Country{\n")
	for _, code := range callingCodes(numbers) {
		country, _ := e164.CountryByAlpha2(phonenumbers.GetRegionCodeForCountryCode(code))
		fmt.Fprintf(&out, "\t%d: %d, // %s\n", code, country, country.Alpha2())
	}
	fmt.Fprintf(&out,
		"}\n\n// rangeLengths is how many digits follow the code of each range, in the order of rangeNames.\n")
	fmt.Fprintf(&out, "var rangeLengths = [len(rangeNames)]lengths{\n\t{},\n")
	for _, name := range e164.Ranges() {
		i := slices.IndexFunc(numbers, func(m *phonenumbers.PhoneMetadata) bool {
			return m.GetId() == "001" && fmt.Sprintf("+%d", m.GetCountryCode()) == name
		})
		if i < 0 {
			return nil, fmt.Errorf("range %s has no metadata", name)
		}
		possible := numbers[i].GetGeneralDesc().GetPossibleLength()
		fmt.Fprintf(&out, "\t{%d, %d}, // %s\n", slices.Min(possible), slices.Max(possible), name)
	}
	fmt.Fprintf(&out, "}\n")
	return format.Source(out.Bytes())
}

func writeDialRow(out *bytes.Buffer, country e164.Country, meta *phonenumbers.PhoneMetadata, emergency string) {
	if meta == nil {
		fmt.Fprintf(out, "\t{emergency: %q}, // %s has no calling code in the metadata\n", emergency, country.Alpha2())
		return
	}
	possible := meta.GetGeneralDesc().GetPossibleLength()
	general := ""
	if phonenumbers.GetRegionCodeForCountryCode(int(meta.GetCountryCode())) == meta.GetId() &&
		meta.GetNationalPrefixForParsing() != "" {
		general = meta.GetGeneralDesc().GetNationalNumberPattern()
	}
	var mask uint32
	for _, length := range possible {
		mask |= 1 << length
	}
	fmt.Fprintf(out, "\t{%d, lengths{%d, %d}, %#x, %q, %q, %q, %q, %q, %q}, // %s\n", meta.GetCountryCode(),
		slices.Min(possible), slices.Max(possible), mask, general, meta.GetInternationalPrefix(), meta.GetNationalPrefix(),
		meta.GetNationalPrefixForParsing(), meta.GetNationalPrefixTransformRule(), emergency, country.Alpha2())
}

// planVersion names the release of libphonenumber and of the Go module.
func planVersion() string {
	module := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/nyaruka/phonenumbers" {
				module = dep.Version
			}
		}
	}
	return fmt.Sprintf("libphonenumber %s (phonenumbers %s)", metadataVersion, module)
}
