package main

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// initialisms are words that Go does not write as others, by their small letters.
func initialisms() map[string]string {
	words := map[string]string{"texml": "TeXML", "webrtc": "WebRTC", "urls": "URLs", "ids": "IDs", "ips": "IPs",
		"fqdns": "FQDNs"}
	for _, word := range strings.Fields("ANI API CLD CLI CPS CSV DNIS DNS DTMF E164 FQDN HD HTTP ID IOS IP ISO MOS MP3 " +
		"ISUP PDD PRACK RTCP RTP SBC SHA256 SIP SIPREC SRTP T38 TCP TLS TN UAC UDP URI URL UUID WAV") {
		words[strings.ToLower(word)] = word
	}
	return words
}

// camel turns a name with underscores or capitals into an exported name of Go.
func camel(name string) string {
	known := initialisms()
	var out strings.Builder
	for _, word := range split(name) {
		small := strings.ToLower(word)
		if special, ok := known[small]; ok {
			out.WriteString(special)
			continue
		}
		if len(word) > 1 && word == strings.ToUpper(word) {
			out.WriteString(word) // US
			continue
		}
		out.WriteString(strings.ToUpper(small[:1]) + small[1:])
	}
	return out.String()
}

// unsaid is the name of a value without the words that the name of its type has, as the
// value call.hangup of EventCall is Hangup, unless no word is left.
func unsaid(of, value string) string {
	var words []string
	for _, word := range split(value) {
		said := slices.ContainsFunc(split(of), func(known string) bool { return strings.EqualFold(known, word) })
		if !said {
			words = append(words, word)
		}
	}
	return camel(cmp.Or(strings.Join(words, "_"), value))
}

// split cuts a name into its words.
func split(name string) []string {
	name = strings.NewReplacer("+", " plus ").Replace(name)
	var words []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, string(word))
		}
		word = nil
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case unicode.IsUpper(r) && i > 0 && startsWord(runes, i):
			end()
		}
		word = append(word, r)
	}
	end()
	return words
}

// startsWord reports whether a capital begins a word: SIPHeader is SIP and Header.
func startsWord(runes []rune, i int) bool {
	if unicode.IsLower(runes[i-1]) {
		return true
	}
	return unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1])
}

// singular is the noun of one object of a resource.
func singular(resource string) string {
	if stem, ok := strings.CutSuffix(resource, "ies"); ok {
		return stem + "y"
	}
	return strings.TrimSuffix(resource, "s")
}

// maxComment is how wide a line of a comment is, without what it is indented by.
const maxComment = 96

// comment writes a text as lines of a comment.
func comment(indent, text string) string {
	var out strings.Builder
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > maxComment {
			out.WriteString(indent + "//" + line + "\n")
			line = ""
		}
		line += " " + word
	}
	if line != "" {
		out.WriteString(indent + "//" + line + "\n")
	}
	return out.String()
}

// sentence begins a comment with the name that it is about.
func sentence(name, text string) string {
	if first, _, _ := strings.Cut(text, " "); first == name {
		return text
	}
	return name + ": " + strings.ToLower(text[:1]) + text[1:]
}
