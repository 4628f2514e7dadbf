package main

import (
	"fmt"
	"regexp/syntax"
	"slices"
)

// pattern is one regular expression over digits, compiled to a non-deterministic
// automaton whose states are instruction numbers of prog.
type pattern struct {
	prog    *syntax.Prog
	lengths []int32 // possible lengths of a match; empty means any
}

// threads is the set of instructions that a pattern may be at, sorted. It is
// empty when the pattern can no longer match.
type threads []uint32

// compile prepares a pattern. An expression that matches nothing yields nil.
func compile(expression string, lengths []int32) (*pattern, error) {
	if expression == "" || expression == "NA" || slices.Equal(lengths, []int32{-1}) {
		return nil, nil
	}
	parsed, err := syntax.Parse("(?:"+expression+")", syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("parse pattern %q: %w", expression, err)
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("compile pattern %q: %w", expression, err)
	}
	return &pattern{prog: prog, lengths: lengths}, nil
}

// start returns the threads before the first digit.
func (p *pattern) start() threads {
	if p == nil {
		return nil
	}
	return p.closure([]uint32{uint32(p.prog.Start)})
}

// step returns the threads after one more digit.
func (p *pattern) step(at threads, digit rune) threads {
	var next []uint32
	for _, pc := range at {
		inst := &p.prog.Inst[pc]
		switch inst.Op {
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if inst.MatchRune(digit) {
				next = append(next, inst.Out)
			}
		}
	}
	return p.closure(next)
}

// closure follows the instructions that read nothing. Assertions do not occur in
// the patterns that are compiled here; one would be a change of the metadata's
// form, so it stops the generator.
func (p *pattern) closure(work []uint32) threads {
	if len(work) == 0 {
		return nil
	}
	seen := map[uint32]bool{}
	var out threads
	for len(work) > 0 {
		pc := work[len(work)-1]
		work = work[:len(work)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		inst := &p.prog.Inst[pc]
		switch inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			work = append(work, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			work = append(work, inst.Out)
		case syntax.InstFail:
		case syntax.InstEmptyWidth:
			panic("assertion in a number pattern: " + p.prog.String())
		default:
			out = append(out, pc)
		}
	}
	slices.Sort(out)
	return out
}

// matches reports whether the digits read so far, length of them, are a full match.
func (p *pattern) matches(at threads, length int) bool {
	if p == nil || len(p.lengths) > 0 && !slices.Contains(p.lengths, int32(length)) {
		return false
	}
	return p.accepts(at)
}

func (p *pattern) accepts(at threads) bool {
	for _, pc := range at {
		if p.prog.Inst[pc].Op == syntax.InstMatch {
			return true
		}
	}
	return false
}

// enumerate lists every text that the pattern matches, for patterns of few texts.
func (p *pattern) enumerate() []string {
	if p == nil {
		return nil
	}
	var out []string
	var visit func(at threads, text string)
	visit = func(at threads, text string) {
		if p.matches(at, len(text)) {
			out = append(out, text)
		}
		for digit := '0'; digit <= '9' && len(text) < 15; digit++ {
			if next := p.step(at, digit); len(next) > 0 {
				visit(next, text+string(digit))
			}
		}
	}
	visit(p.start(), "")
	return out
}
