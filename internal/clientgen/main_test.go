package main

import (
	"os"
	"path/filepath"
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
