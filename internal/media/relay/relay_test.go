package relay

import (
	"context"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/mediatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loopback is the configuration of the tests.
func loopback() Config {
	return Config{
		Addresses: []Address{{Local: netip.MustParseAddr("127.0.0.1")}, {Local: netip.MustParseAddr("::1")}},
		Low:       23000, High: 23999,
	}
}

func newRelay(t *testing.T, c Config) *Relay {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop(context.Background()) })
	return r
}

func TestConformance(t *testing.T) {
	mediatest.Run(t, func(t *testing.T, want mediatest.Want) media.Relay {
		c := loopback()
		c.Silence = want.Silence
		return newRelay(t, c)
	})
}
