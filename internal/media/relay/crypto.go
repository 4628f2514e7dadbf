package relay

import (
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"
	"sync"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// keying is one a=crypto line (RFC 4568): a suite with the key of the one who wrote it.
type keying struct {
	tag   int
	suite suite
	key   string // the master key and the master salt, as bytes
}

// suite is a crypto suite by its name in a=crypto.
type suite struct {
	name    string
	profile srtp.ProtectionProfile
}

// suites are those that are understood; the first two are what is offered, since
// no phone or carrier that speaks SRTP is without them. Sources: RFC 4568 section
// 6.2, RFC 6188, RFC 7714 section 14.2.
var suites = []suite{
	{"AES_CM_128_HMAC_SHA1_80", srtp.ProtectionProfileAes128CmHmacSha1_80},
	{"AES_CM_128_HMAC_SHA1_32", srtp.ProtectionProfileAes128CmHmacSha1_32},
	{"AES_256_CM_HMAC_SHA1_80", srtp.ProtectionProfileAes256CmHmacSha1_80},
	{"AES_256_CM_HMAC_SHA1_32", srtp.ProtectionProfileAes256CmHmacSha1_32},
	{"AEAD_AES_128_GCM", srtp.ProtectionProfileAeadAes128Gcm},
	{"AEAD_AES_256_GCM", srtp.ProtectionProfileAeadAes256Gcm},
}

// offeredSuites is how many of the suites are offered.
const offeredSuites = 2

// maxTag is the largest tag of a=crypto: nine digits (RFC 4568 section 9.1).
const maxTag = 999_999_999

// sizes are those of the master key and the master salt.
func (s suite) sizes() (key, salt int) {
	key, _ = s.profile.KeyLen() // of a known profile: no error
	salt, _ = s.profile.SaltLen()
	return key, salt
}

// readKeying reads an a=crypto line. What is not understood, as a key with a
// master key index or a stream without encryption, is ignored.
func readKeying(line string) (keying, bool) {
	fields := strings.Fields(strings.TrimPrefix(line, "a=crypto:"))
	if len(fields) < 3 {
		return keying{}, false
	}
	tag, err := strconv.Atoi(fields[0])
	if err != nil || tag < 0 || tag > maxTag {
		return keying{}, false
	}
	for _, parameter := range fields[3:] {
		if strings.HasPrefix(parameter, "UNENCRYPTED") || strings.HasPrefix(parameter, "UNAUTHENTICATED") ||
			strings.HasPrefix(parameter, "KDR=") {
			return keying{}, false
		}
	}
	text, inline := strings.CutPrefix(fields[2], "inline:")
	text, life, _ := strings.Cut(text, "|")
	if !inline || strings.Contains(life, ":") || strings.Contains(fields[2], ";") {
		return keying{}, false
	}
	for _, s := range suites {
		if s.name != fields[1] {
			continue
		}
		keySize, saltSize := s.sizes()
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			key, err = base64.RawStdEncoding.DecodeString(text)
		}
		return keying{tag, s, string(key)}, err == nil && len(key) == keySize+saltSize
	}
	return keying{}, false
}

// newKeying makes a key of one's own.
func newKeying(tag int, s suite) keying {
	keySize, saltSize := s.sizes()
	key := make([]byte, keySize+saltSize)
	_, _ = rand.Read(key) // never fails
	return keying{tag, s, string(key)}
}

// line writes the a=crypto line.
func (k keying) line() string {
	return "a=crypto:" + strconv.Itoa(k.tag) + " " + k.suite.name + " inline:" +
		base64.StdEncoding.EncodeToString([]byte(k.key))
}

// maxSources bounds the synchronisation sources that one key is used for: each
// costs memory, and a stream has few.
const maxSources = 64

// cipher is the state of SRTP in one direction of one stream. A nil cipher leaves
// packets as they are. It is safe for concurrent use.
type cipher struct {
	keying keying

	mu      sync.Mutex // guards all below
	context *srtp.Context
	header  rtp.Header
	sources map[uint32]struct{}
}

func newCipher(k keying) (*cipher, error) {
	size, _ := k.suite.sizes()
	context, err := srtp.CreateContext([]byte(k.key[:size]), []byte(k.key[size:]), k.suite.profile,
		srtp.SRTPReplayProtection(replayWindow), srtp.SRTCPReplayProtection(replayWindow))
	if err != nil {
		return nil, wrong("a=crypto: %w", err)
	}
	return &cipher{keying: k, context: context, sources: make(map[uint32]struct{})}, nil
}

// replayWindow is how many packets back one is still accepted (RFC 3711 section
// 3.3.2 wants at least 64; reordering on the internet is well within twice that).
const replayWindow = 128

// open decrypts a packet in its place and reports whether it is genuine and new.
func (c *cipher) open(packet []byte, isRTCP bool) ([]byte, bool) {
	if c == nil {
		return packet, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if isRTCP {
		packet, err = c.context.DecryptRTCP(nil, packet, &rtcp.Header{})
	} else {
		packet, err = c.context.DecryptRTP(packet, packet, &c.header)
	}
	return packet, err == nil
}

// seal encrypts a packet, in its place where there is room.
func (c *cipher) seal(packet []byte, isRTCP bool) ([]byte, bool) {
	if c == nil {
		return packet, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.admit(packet, isRTCP) {
		return nil, false
	}
	var err error
	if isRTCP {
		packet, err = c.context.EncryptRTCP(nil, packet, &rtcp.Header{})
	} else {
		packet, err = c.context.EncryptRTP(packet, packet, &c.header)
	}
	return packet, err == nil
}

// admit reports whether the packet's source may be one more.
func (c *cipher) admit(packet []byte, isRTCP bool) bool {
	at := 8 // of the SSRC in RTP; in RTCP it is 4 (RFC 3550 sections 5.1 and 6.4)
	if isRTCP {
		at = 4
	}
	source := uint32(packet[at])<<24 | uint32(packet[at+1])<<16 | uint32(packet[at+2])<<8 | uint32(packet[at+3])
	if _, known := c.sources[source]; known {
		return true
	}
	if len(c.sources) >= maxSources {
		return false
	}
	c.sources[source] = struct{}{}
	return true
}

// reuse returns the cipher for a key: the one in use while the key is the same,
// since its counters must continue.
func (c *cipher) reuse(k keying) (*cipher, error) {
	if c != nil && c.keying.key == k.key && c.keying.suite == k.suite {
		return c, nil
	}
	return newCipher(k)
}
