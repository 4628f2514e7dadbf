// Package spoken says digits over the telephone. The voice is in the program: clips holds
// each digit and two phrases as µ-law of 8,000 Hz, which generate.sh has made.
package spoken

import (
	"embed"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/media/g711"
)

//go:generate ./generate.sh

//go:embed clips/*.ulaw
var clips embed.FS

// perSecond is the samples, and the bytes, of a second of audio.
const perSecond = 8000

// payloadSamples are those of one packet: 20 ms.
const payloadSamples = perSecond / 50

// silence is the code of µ-law for nothing.
const silence = 0xff

// The pauses of a message.
const (
	beforeAll    = time.Second // until a telephone is at an ear
	betweenParts = 700 * time.Millisecond
	betweenEach  = 450 * time.Millisecond
)

// times is how often a code is spoken.
const times = 3

// Message is a text to be spoken.
type Message struct{ ulaw []byte }

// Code says a code of digits three times. extension is what is dialled before it, once
// the callee has answered: digits, A to D, * and # as tones, and w and W, which wait for a
// half and a whole second.
func Code(code, extension string) Message {
	var m Message
	m.pause(beforeAll)
	if extension != "" {
		m.dial(extension)
		m.pause(2 * beforeAll)
	}
	for n := range times {
		if n == 0 {
			m.clip("intro")
		} else {
			m.clip("again")
		}
		m.pause(betweenParts)
		for i, digit := range code {
			if i > 0 && i%3 == 0 {
				m.pause(betweenEach)
			}
			m.clip(digitNames[digit-'0'])
			m.pause(betweenEach)
		}
		m.pause(betweenParts)
	}
	return m
}

var digitNames = [...]string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}

// clip appends a clip. Each is in the program, or its tests fail.
func (m *Message) clip(name string) {
	text, err := clips.ReadFile("clips/" + name + ".ulaw")
	if err != nil {
		panic("spoken: " + err.Error())
	}
	m.ulaw = append(m.ulaw, text...)
}

func (m *Message) pause(d time.Duration) {
	for range perSecond * d / time.Second {
		m.ulaw = append(m.ulaw, silence)
	}
}

// The frequencies of each key, Hz (ITU-T Q.23), and how long a key is pressed and let go.
var (
	keys    = "123A456B789C*0#D"
	rows    = [...]float64{697, 770, 852, 941}
	columns = [...]float64{1209, 1336, 1477, 1633}
)

const (
	pressed   = 100 * time.Millisecond
	amplitude = 7000 // of each of the two tones
)

func (m *Message) dial(extension string) {
	for _, key := range extension {
		switch key {
		case 'w':
			m.pause(time.Second / 2)
			continue
		case 'W':
			m.pause(time.Second)
			continue
		}
		at := strings.IndexRune(keys, key)
		if at < 0 {
			continue
		}
		low, high := rows[at/len(columns)], columns[at%len(columns)]
		for i := range int(perSecond * pressed / time.Second) {
			t := 2 * math.Pi * float64(i) / perSecond
			m.ulaw = append(m.ulaw, g711.Nearest(&g711.ULaw, int16(amplitude*(math.Sin(low*t)+math.Sin(high*t)))))
		}
		m.pause(pressed)
	}
}

// Length is how long it takes to say the message.
func (m Message) Length() time.Duration {
	return time.Duration(len(m.ulaw)) * time.Second / perSecond
}

// Payloads are the message in an encoding of RTP, PCMU or PCMA, 20 ms each.
func (m Message) Payloads(encoding string) [][]byte {
	audio := slices.Clone(m.ulaw)
	for len(audio)%payloadSamples != 0 {
		audio = append(audio, silence)
	}
	if encoding == "PCMA" {
		var other [256]byte
		for code := range other {
			other[code] = g711.Nearest(&g711.ALaw, g711.ULaw[code])
		}
		for i, code := range audio {
			audio[i] = other[code]
		}
	}
	return slices.Collect(slices.Chunk(audio, payloadSamples))
}
