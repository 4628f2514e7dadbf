package app

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/relay"
	"github.com/tollgate/tollgate/internal/media/rtpengine"
	"github.com/tollgate/tollgate/internal/setting"
)

// The values of Config.Media.
const (
	MediaRelay = "relay" // the built-in relay
	MediaNone  = "none"  // nothing is anchored, so nothing is recorded either
	// MediaRtpengine begins a list of rtpengine instances, as in
	// rtpengine=10.0.0.6:2223,10.0.0.7:2223. What is recorded goes through the
	// built-in relay anyway.
	MediaRtpengine = "rtpengine="
)

// MediaSettings are the settings of what anchors the media of calls.
type MediaSettings struct {
	Media          string        `name:"media" default:"relay" help:"What anchors the media of calls: relay, the built-in one, rtpengine=address:port,... for rtpengine by its ng protocol, or none."`
	MediaAnchor    bool          `name:"media-anchor" help:"Anchor every call, not only those that are recorded or whose connection wants it."`
	MediaAddresses []string      `name:"media-address" help:"Address that the relay's ports are bound to, by default that of the SIP gateway; of each family one at most. After a / the address that peers are told."`
	MediaAnySource bool          `name:"media-any-source" help:"Take the media of a side from whatever source is heard first, also where neither its description nor its signalling names that address."`
	MediaPorts     string        `name:"media-ports" default:"20000-29999" help:"Range of the relay's ports."`
	MediaTimeout   time.Duration `name:"media-timeout" default:"60s" min:"1s" help:"How long an answered call that is anchored may be silent before it is ended."`
}

// buildMedia makes what anchors calls; nil when nothing does.
func (a *App) buildMedia() (media.Relay, error) {
	config, err := a.config.relayConfig()
	if err != nil || len(config.Addresses) == 0 {
		return nil, err
	}
	config.Reach = a.reach
	config.Clock = time.Now
	config.Logger = a.logger
	config.Measured = a.metrics.Media
	built, err := relay.New(config)
	if err != nil {
		return nil, err
	}
	a.metrics.WatchMedia(built.Stats)
	a.undo("media relay", func(ctx context.Context) error { return built.Stop(ctx) })
	if !strings.HasPrefix(a.config.Media, MediaRtpengine) {
		return built, nil
	}
	instances, err := a.config.rtpengines()
	if err != nil {
		return nil, err
	}
	engine, err := rtpengine.New(rtpengine.Config{
		Instances: instances, Silence: a.config.MediaTimeout, AnySource: a.config.MediaAnySource, Reach: a.reach,
		Clock: time.Now, Logger: a.logger,
	})
	if err != nil {
		return nil, err
	}
	a.undo("rtpengine", func(ctx context.Context) error { return engine.Stop(ctx) })
	return media.Split{Recorded: built, Others: engine}, nil
}

// rtpengines reads the addresses of the instances.
func (c Config) rtpengines() ([]netip.AddrPort, error) {
	var list []netip.AddrPort
	for text := range strings.SplitSeq(strings.TrimPrefix(c.Media, MediaRtpengine), ",") {
		address, err := netip.ParseAddrPort(strings.TrimSpace(text))
		if err != nil || address.Port() == 0 {
			return nil, c.wrong(&c.Media, "%q is not the address:port of an rtpengine's ng protocol", text)
		}
		list = append(list, address)
	}
	return list, nil
}

// relayConfig reads the settings of the built-in relay. There are no addresses in
// it when nothing is to be anchored.
func (c Config) relayConfig() (relay.Config, error) {
	config := relay.Config{Silence: c.MediaTimeout, AnySource: c.MediaAnySource}
	switch {
	case c.Media == MediaNone:
		if c.MediaAnchor {
			return config, c.wrong(&c.MediaAnchor, "media is none, which anchors nothing: set media to relay")
		}
		return config, nil
	case strings.HasPrefix(c.Media, MediaRtpengine):
		if _, err := c.rtpengines(); err != nil {
			return config, err
		}
	case c.Media == MediaRelay:
	default:
		return config, c.wrong(&c.Media, "%q is not known: want relay, rtpengine=address:port,... or none", c.Media)
	}
	low, high, _ := strings.Cut(c.MediaPorts, "-")
	first, err := strconv.ParseUint(low, 10, 16)
	last, otherErr := strconv.ParseUint(high, 10, 16)
	if err != nil || otherErr != nil || first < 1024 || last < first+3 {
		return config, c.wrong(&c.MediaPorts,
			"%q is not a range of at least four ports from 1024 up, such as 20000-29999", c.MediaPorts)
	}
	config.Low, config.High = uint16(first), uint16(last)
	config.Addresses, err = c.mediaAddresses()
	return config, err
}

// publicMedia is the relay's address in session descriptions where that is the SIP
// gateway's: the same as of the gateway, if that is an address. It is not valid if
// it is the address itself.
func (c Config) publicMedia(local netip.Addr) (public netip.Addr) {
	advertised, err := c.advertised()
	if err != nil {
		return public // Check says so of sip_advertise
	}
	for i := range advertised {
		at := advertised[i].Address()
		bound := advertised[i].At.Addr()
		if at.IsValid() && at.Is4() == local.Is4() && !advertised[i].Network.IsValid() &&
			(!bound.IsValid() || bound == local) {
			return at
		}
	}
	return public
}

// signallingAddresses are the first addresses of each family that SIP is listened on, as
// far as they name one of this host.
func (c Config) signallingAddresses() (list []relay.Address) {
	for _, text := range c.sipAddresses() {
		host, _, err := net.SplitHostPort(text)
		if err != nil {
			continue // Validate says so of sip_addr
		}
		address, err := netip.ParseAddr(host)
		local := address.Unmap().WithZone("")
		if err != nil || local.IsUnspecified() ||
			slices.ContainsFunc(list, func(a relay.Address) bool { return a.Local.Is4() == local.Is4() }) {
			continue
		}
		list = append(list, relay.Address{Local: local, Public: c.publicMedia(local)})
	}
	return list
}

func (c Config) mediaAddresses() ([]relay.Address, error) {
	if len(c.MediaAddresses) == 0 {
		list := c.signallingAddresses()
		if len(list) == 0 && c.MediaAnchor {
			return nil, c.wrong(&c.MediaAddresses,
				"%s %q names no address of this host for the relay's ports: give one", setting.Name(&c, &c.SIPAddr), c.SIPAddr)
		}
		return list, nil
	}
	var list []relay.Address
	for _, text := range c.MediaAddresses {
		local, public, mapped := strings.Cut(text, "/")
		var a relay.Address
		var err, otherErr error
		a.Local, err = netip.ParseAddr(local)
		if mapped {
			a.Public, otherErr = netip.ParseAddr(public)
		}
		if err != nil || otherErr != nil || a.Local.IsUnspecified() ||
			a.Public.IsValid() && a.Public.Is4() != a.Local.Is4() {
			return nil, c.wrong(&c.MediaAddresses,
				"%q is not an address of this host, or two of one family as in 10.0.0.5/203.0.113.5", text)
		}
		for _, other := range list {
			if other.Local.Is4() == a.Local.Is4() {
				return nil, c.wrong(&c.MediaAddresses,
					"%s and %s are of one family: give one of each at most", other.Local, a.Local)
			}
		}
		list = append(list, a)
	}
	return list, nil
}
