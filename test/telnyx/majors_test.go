package telnyx

import (
	"net/http"
	"testing"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/hearing"
	"github.com/tollgate/tollgate/test/process"
)

// The steps of drive.mjs and drive2.mjs.
const (
	driveSteps  = 14
	drive2Steps = 13
)

func TestMajor7(t *testing.T) {
	onBothStores(t, func(t *testing.T, s *process.Server) {
		node(t, s, refuseTwo(t, s), driveSteps, "drive.mjs", "telnyx")
	})
}

func TestMajor5(t *testing.T) {
	onBothStores(t, func(t *testing.T, s *process.Server) {
		node(t, s, refuseTwo(t, s), driveSteps, "drive.mjs", "telnyx-5")
	})
}

func TestMajor2(t *testing.T) {
	onBothStores(t, func(t *testing.T, s *process.Server) {
		node(t, s, refuseTwo(t, s), drive2Steps, "drive2.mjs")
	})
}

// refuseTwo has two calls refused, for want of a rate deck, and then gives the server
// a carrier and a deck.
func refuseTwo(t *testing.T, s *process.Server) *hearing.Ear {
	t.Helper()
	const address = "127.0.0.9"
	profile := s.Must(http.MethodPost, "/v2/outbound_voice_profiles", object{"name": "refused calls"})["id"]
	connection := s.Must(http.MethodPost, "/v2/ip_connections", object{
		"connection_name": "refused calls", "outbound": object{"outbound_voice_profile_id": profile},
	})["id"]
	s.Must(http.MethodPost, "/v2/ips", object{"connection_id": connection, "ip_address": address})
	for range 2 {
		outcome, err := phone.Place(t.Context(), phone.Options{Server: s.SIP, From: "+13125550100", To: "+13125550199", LocalAddr: address + ":0", NoAudio: true})
		if err != nil || outcome.Status < 300 {
			t.Fatalf("the call was not refused: %d, %v", outcome.Status, err)
		}
	}
	return market(t, s)
}
