package spoken

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/media/g711"
)

// heard finds the digits of audio by the clips that are in it, in order.
func heard(t *testing.T, audio []byte) (code string) {
	t.Helper()
	var digits [10][]byte
	for digit, name := range digitNames {
		var err error
		if digits[digit], err = clips.ReadFile("clips/" + name + ".ulaw"); err != nil {
			t.Fatal(err)
		}
	}
	for len(audio) > 0 {
		found := false
		for digit, clip := range digits {
			if bytes.HasPrefix(audio, clip) {
				code, audio, found = code+string(rune('0'+digit)), audio[len(clip):], true
				break
			}
		}
		if !found {
			audio = audio[1:]
		}
	}
	return code
}

func TestACodeIsSaidThreeTimes(t *testing.T) {
	for _, code := range []string{"012345", "678900", "999999"} {
		m := Code(code, "")
		audio := bytes.Join(m.Payloads("PCMU"), nil)
		if got := heard(t, audio); got != code+code+code {
			t.Errorf("%s is heard as %s", code, got)
		}
		if l := m.Length(); l < 15*time.Second || l > 45*time.Second {
			t.Errorf("it takes %v", l)
		}
		other := m.Payloads("PCMA")
		if len(other) != len(m.Payloads("PCMU")) || len(other[0]) != payloadSamples {
			t.Errorf("%d payloads of %d bytes", len(other), len(other[0]))
		}
		for i, code := range bytes.Join(other, nil) {
			// A-law has coarser steps for quiet sounds.
			if off := int(g711.ALaw[code]) - int(g711.ULaw[audio[i]]); off > 600 || off < -600 {
				t.Fatalf("sample %d: %d in PCMA, %d in PCMU", i, g711.ALaw[code], g711.ULaw[audio[i]])
			}
		}
	}
}

// power is that of a frequency (Goertzel).
func power(audio []byte, frequency float64) float64 {
	var re, im float64
	for i, code := range audio {
		at := 2 * math.Pi * frequency * float64(i) / perSecond
		re += float64(g711.ULaw[code]) * math.Cos(at)
		im += float64(g711.ULaw[code]) * math.Sin(at)
	}
	return re*re + im*im
}

func TestAnExtensionIsDialledFirst(t *testing.T) {
	audio := Code("123456", "5wD").ulaw[perSecond:]
	const press = perSecond / 10
	for i, want := range [][2]float64{{770, 1336}, {941, 1633}} {
		at := audio[i*(2*press+perSecond/2):][:press]
		for _, frequencies := range [][]float64{rows[:], columns[:]} {
			loudest := frequencies[0]
			for _, f := range frequencies {
				if power(at, f) > power(at, loudest) {
					loudest = f
				}
			}
			if loudest != want[0] && loudest != want[1] {
				t.Errorf("key %d has %v Hz, want %v", i, loudest, want)
			}
		}
	}
	if got := heard(t, audio); got != "123456123456123456" {
		t.Errorf("behind the extension %s is heard", got)
	}
}
