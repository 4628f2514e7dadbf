package transport

import "time"

// Limits bound what the outside can make a transport keep. Zero values stand
// for the defaults.
type Limits struct {
	SocketBuffer     int     // bytes of the UDP socket's buffers; default 4 MiB
	UnknownSources   int     // rate limits kept for unknown sources; default 65,536
	UnknownPerSecond float64 // messages a second from one unknown source; default 5
	UnknownBurst     float64 // default 20
	LearnedSources   int     // carriers and authenticated sources remembered; default 65,536

	// StrangerAnswers and StrangerBytes are what all strangers together are answered in a
	// second. Default 1,000, and 1 KiB for each of them.
	StrangerAnswers, StrangerBytes float64

	// The connections over TCP and TLS, each kind with a budget of its own, so that none
	// can take the place of another.
	Connections         int // of known sources; default 4096
	ConnectionsPerHost  int // of one known source; default 256: a proxy may open many
	OutboundConnections int // that the server opened itself; default 1024
	StrangerConnections int // of all unknown sources; default 512
	StrangerPerHost     int // of one of them; default a 16th of ConnectionsPerHost
	// StrangerLife is how long a connection may go without proof of its peer, and
	// MessageWait how long one message may take from its first byte to its last. Default
	// 32 s and 10 s.
	StrangerLife, MessageWait time.Duration
}

// SetDefaults sets the limits that are 0.
func (l *Limits) SetDefaults() {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.Connections, 4096}, {&l.ConnectionsPerHost, 256}, {&l.OutboundConnections, 1024},
		{&l.StrangerConnections, 512}, {&l.SocketBuffer, 4 << 20}, {&l.UnknownSources, 65_536},
		{&l.LearnedSources, 65_536},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.StrangerPerHost == 0 {
		l.StrangerPerHost = max(1, l.ConnectionsPerHost/16)
	}
	if l.StrangerAnswers == 0 {
		l.StrangerAnswers = 1000
	}
	if l.StrangerBytes == 0 {
		l.StrangerBytes = 1024 * l.StrangerAnswers
	}
	if l.StrangerLife == 0 {
		l.StrangerLife = 32 * time.Second
	}
	if l.MessageWait == 0 {
		l.MessageWait = 10 * time.Second
	}
	if l.UnknownPerSecond == 0 {
		l.UnknownPerSecond = 5
	}
	if l.UnknownBurst == 0 {
		l.UnknownBurst = 20
	}
}
