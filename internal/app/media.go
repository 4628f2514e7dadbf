package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/relay"
	"github.com/tollgate/tollgate/internal/media/rtpengine"
)

// The values of Config.Media.
const (
	MediaRelay = "relay" // the built-in relay
	MediaNone  = "none"  // nothing is anchored, so nothing is recorded either
	// MediaRtpengine begins a list of rtpengine instances, as in
	// rtpengine=10.0.0.6:2223,10.0.0.7:2223. What is recorded goes through the
	// built-in relay all the same.
	MediaRtpengine = "rtpengine="
)

// buildMedia makes what anchors calls; nil when nothing does.
func (a *App) buildMedia() (media.Relay, error) {
	config, err := a.config.relayConfig()
	if err != nil || len(config.Addresses) == 0 {
		return nil, err
	}
	config.Reach, config.Clock, config.Logger, config.Measured = a.reach, time.Now, a.logger, a.metrics.Media
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
			return nil, fmt.Errorf("media: %q is not the address:port of an rtpengine's ng protocol", text)
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
			return config, errors.New("media_anchor: media is none, which anchors nothing: set media to relay")
		}
		return config, nil
	case strings.HasPrefix(c.Media, MediaRtpengine):
		if _, err := c.rtpengines(); err != nil {
			return config, err
		}
	case c.Media == MediaRelay:
	default:
		return config, fmt.Errorf("media: %q is not known: want relay, rtpengine=address:port,... or none", c.Media)
	}
	low, high, _ := strings.Cut(c.MediaPorts, "-")
	first, err := strconv.ParseUint(low, 10, 16)
	last, otherErr := strconv.ParseUint(high, 10, 16)
	if err != nil || otherErr != nil || first < 1024 || last < first+3 {
		return config, fmt.Errorf("media_ports: %q is not a range of at least four ports from 1024 up, such as 20000-29999", c.MediaPorts)
	}
	config.Low, config.High = uint16(first), uint16(last)
	if c.MediaTimeout < time.Second {
		return config, errors.New("media_timeout: must be at least 1s")
	}
	config.Addresses, err = c.mediaAddresses()
	return config, err
}

func (c Config) mediaAddresses() ([]relay.Address, error) {
	if len(c.MediaAddresses) == 0 {
		host, _, err := net.SplitHostPort(c.SIPAddr)
		if err != nil {
			return nil, nil //nolint:nilerr // Validate says so of sip_addr
		}
		address, err := netip.ParseAddr(host)
		if err != nil || address.IsUnspecified() {
			if c.MediaAnchor {
				return nil, fmt.Errorf("media_addresses: sip_addr %q names no address of this host for the relay's ports: give one", c.SIPAddr)
			}
			return nil, nil
		}
		return []relay.Address{{Local: address.Unmap()}}, nil
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
		if err != nil || otherErr != nil || a.Local.IsUnspecified() || a.Public.IsValid() && a.Public.Is4() != a.Local.Is4() {
			return nil, fmt.Errorf("media_addresses: %q is not an address of this host, or two of one family as in 10.0.0.5/203.0.113.5", text)
		}
		for _, other := range list {
			if other.Local.Is4() == a.Local.Is4() {
				return nil, fmt.Errorf("media_addresses: %s and %s are of one family: give one of each at most", other.Local, a.Local)
			}
		}
		list = append(list, a)
	}
	return list, nil
}
