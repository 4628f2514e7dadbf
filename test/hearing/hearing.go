// Package hearing hears the digits of a call, so that tests take a spoken code as people do.
package hearing

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

// digitsOfACode are how many a code has.
const digitsOfACode = 6

// Ear finds the digits in the µ-law audio of a call, by the clips that they are said
// with.
type Ear struct {
	mu     sync.Mutex
	audio  []byte
	last   uint16
	digits [10][]byte
}

// New returns an ear that knows the digits.
func New(t *testing.T) *Ear {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	e := &Ear{}
	for digit, name := range []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"} {
		clip, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../internal/spoken/clips", name+".ulaw"))
		if err != nil {
			t.Fatal(err)
		}
		e.digits[digit] = clip
	}
	return e
}

// Hear takes an RTP packet.
func (e *Ear) Hear(packet []byte) {
	if len(packet) <= 12 || packet[1]&0x7f != 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	seq := binary.BigEndian.Uint16(packet[2:])
	if len(e.audio) > 0 && seq != e.last+1 {
		e.audio = nil // a packet is missing, or another call: begin again
	}
	e.last = seq
	e.audio = append(e.audio, packet[12:]...)
}

// Digits are those that were heard so far.
func (e *Ear) Digits() (digits string) {
	e.mu.Lock()
	audio := bytes.Clone(e.audio)
	e.mu.Unlock()
	for len(audio) > 0 {
		found := false
		for digit, clip := range e.digits {
			if bytes.HasPrefix(audio, clip) {
				digits, audio, found = digits+string(rune('0'+digit)), audio[len(clip):], true
				break
			}
		}
		if !found {
			audio = audio[1:]
		}
	}
	return digits
}

// Code is the first code that was heard, "" before all of it was.
func (e *Ear) Code() string {
	digits := e.Digits()
	if len(digits) < digitsOfACode {
		return ""
	}
	return digits[:digitsOfACode]
}

// AwaitCode waits for a code.
func (e *Ear) AwaitCode(t *testing.T) string {
	t.Helper()
	process.Eventually(t, "six digits heard", time.Minute, func() bool { return e.Code() != "" })
	return e.Code()
}
