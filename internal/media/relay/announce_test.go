package relay

import (
	"testing"

	"github.com/tollgate/tollgate/internal/media"
)

// A tick may come before the next payload is due, after one that came late. That is not
// the end of what is said.
func TestAnEarlyTickDoesNotCutAnAnnouncement(t *testing.T) {
	speakers := []*speaker{{what: media.Announcement{Payloads: make([][]byte, 2)}}, {}}
	for said := range 2 {
		if now, left := sayUpTo(speakers, said, said); now != said || !left {
			t.Errorf("nothing is due after %d payloads of 2: %d said, more: %t", said, now, left)
		}
	}
	if now, left := sayUpTo(speakers, 2, 2); now != 2 || left {
		t.Errorf("after both payloads: %d said, more: %t", now, left)
	}
}
