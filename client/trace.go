package client

import "time"

// SIPMessage is one SIP message of a call.
type SIPMessage struct {
	RecordType string    `json:"record_type"`
	At         time.Time `json:"at"`
	// As host:port.
	Destination string `json:"destination"`
	// received or sent, as seen by the server.
	Direction string `json:"direction"`
	// As host:port.
	Source string `json:"source"`
	// The message as it was on the wire, but for what proves identity and keys of media.
	Text      string `json:"text"`
	Transport string `json:"transport"`
}
