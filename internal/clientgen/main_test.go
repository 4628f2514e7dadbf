package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The client has what the generator makes of the table of operations.
func TestClientIsGenerated(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("../../client", name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(got), string(want)); diff != "" {
			t.Errorf("client/%s is not what the generator makes. Run go generate ./client:\n%s", name, diff)
		}
	}
}

// declared is what the client declares: types, values of lists and methods.
var declared = regexp.MustCompile(`(?m)^type (\w+)|^func \(\w+ (\w+)\) (\w+)|^\t(\w+) +\w+ += "`)

// A name of the client does not say a word twice, as in SwitchEventEventRenew. Where one
// does, a tag title or the id of the operation gives it a better one.
func TestNamesRepeatNoWord(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	for _, text := range files {
		for _, found := range declared.FindAllStringSubmatch(string(text), -1) {
			name := strings.Join(found[1:], "_")
			seen := map[string]bool{}
			for _, word := range split(name) {
				word = singular(strings.ToLower(word))
				if seen[word] {
					t.Errorf("%s says %s twice", strings.Trim(name, "_"), word)
				}
				seen[word] = true
			}
			names++
		}
	}
	if names < 500 {
		t.Errorf("only %d names were found", names)
	}
}

func TestUnsaidWords(t *testing.T) {
	for _, c := range []struct{ of, value, want string }{
		{"CallEventName", "call.hangup", "Hangup"}, {"AuthenticationMethod", "ip-authentication", "IP"},
		{"HangupSource", "caller", "Caller"}, {"VerifiedStatus", "verified", "Verified"}, {"SIPRegion", "US", "US"},
	} {
		if got := unsaid(c.of, c.value); got != c.want {
			t.Errorf("the value %s of %s is %s, want %s", c.value, c.of, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"outbound_voice_profile": "OutboundVoiceProfile", "SipMessage": "SIPMessage", "IpConnection": "IPConnection",
		"WhatIsAnApiKey": "WhatIsAnAPIKey", "download_urls": "DownloadURLs", "RFC 2833": "RFC2833", "+E.164": "PlusE164",
		"rtcp-mux": "RTCPMux", "US": "US", "call.hangup_requested": "CallHangupRequested", "[name][contains]": "NameContains",
	} {
		if got := camel(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
