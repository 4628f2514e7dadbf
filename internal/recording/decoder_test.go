package recording

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/tollgate/tollgate/internal/media"
)

// The vectors in testdata were made with FFmpeg's codecs.

func TestG711(t *testing.T) {
	for _, law := range []struct {
		file  string
		table *[256]int16
	}{{"ulaw.pcm", &ulawTable}, {"alaw.pcm", &alawTable}} {
		if want := samples(readFile(t, law.file)); !slices.Equal(law.table[:], want) {
			t.Errorf("%s: the table differs\n got %v\nwant %v", law.file, law.table, want)
		}
	}
}

func TestG722(t *testing.T) {
	coded, want := readFile(t, "sweep.g722"), samples(readFile(t, "sweep.g722.pcm"))
	var got []int16
	d := newG722()
	for packet := range slices.Chunk(coded, 160) { // the state goes on from packet to packet
		got, _ = d.decode(got, packet)
	}
	if len(got) != len(want) {
		t.Fatalf("decoded %d samples, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("sample %d is %d, want %d", i, got[i], want[i])
		}
	}
}

func opusPackets(t *testing.T, name string) (packets [][]byte) {
	t.Helper()
	for text := readFile(t, name); len(text) > 0; {
		n := 2 + int(binary.BigEndian.Uint16(text))
		packets, text = append(packets, text[2:n]), text[n:]
	}
	return packets
}

func TestOpus(t *testing.T) {
	for _, name := range []string{"tone440-silk.opus", "tone440-celt.opus"} {
		for _, rate := range []int{narrowband, wideband} {
			d, err := newDecoder(media.Format{Name: "opus", ClockRate: 48000, Channels: 2}, rate)
			if err != nil {
				t.Fatal(err)
			}
			var got []int16
			for _, packet := range opusPackets(t, name) {
				if got, err = d.decode(got, packet); err != nil {
					t.Fatal(err)
				}
			}
			if want := 51 * rate / 50; len(got) != want {
				t.Errorf("%s at %d Hz: %d samples, want %d", name, rate, len(got), want)
			}
			got = got[rate/10 : rate*9/10]
			at, beside := power(got, rate, 440), power(got, rate, 700)
			if at < 2500 || beside > at/20 {
				t.Errorf("%s at %d Hz: 440 Hz has %.0f, 700 Hz %.0f", name, rate, at, beside)
			}
		}
	}
}

func TestRatesAreConverted(t *testing.T) {
	up := &upsampler{inner: companded{&ulawTable}}
	got, _ := up.decode(nil, compand(&ulawTable, tone(1000, narrowband, 8000)))
	if len(got) != 16000 {
		t.Fatalf("%d samples, want 16000", len(got))
	}
	if at, image := power(got[200:15800], wideband, 1000), power(got[200:15800], wideband, 7000); at < 7800 || at > 8200 ||
		image > 60 {
		t.Errorf("upsampled: 1000 Hz has %.0f, its image at 7000 Hz %.0f", at, image)
	}
	coded := readFile(t, "sweep.g722")
	down := &downsampler{inner: newG722()}
	got, _ = down.decode(nil, coded)
	if len(got) != len(coded) {
		t.Fatalf("%d samples, want %d", len(got), len(coded))
	}
	// The sweep's 5200 Hz would be heard at 2800 Hz if it were not filtered out.
	wide, _ := newG722().decode(nil, coded)
	if before, alias := power(wide, wideband, 5200), power(got, narrowband, 2800); before < 2000 || alias > before/10 {
		t.Errorf("5200 Hz has %.0f before, its alias at 2800 Hz %.0f", before, alias)
	}
}

// Whatever a packet holds, a decoder returns, and with no more than it may.
func FuzzDecoders(f *testing.F) {
	for _, name := range []string{"PCMU", "PCMA", "G722", "opus"} {
		f.Add(name, []byte{0x80, 1, 2, 3})
		f.Add(name, []byte{0xff})
	}
	f.Add("opus", []byte{0x7b, 0xc3, 0x00, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		for _, rate := range []int{narrowband, wideband} {
			d, err := newDecoder(media.Format{Name: name, ClockRate: 8000, Channels: 1}, rate)
			if err != nil {
				return
			}
			before := []int16{1, 2, 3}
			for range 2 {
				out, err := d.decode(before, payload)
				if !slices.Equal(out[:3], []int16{1, 2, 3}) || err != nil && len(out) != 3 {
					t.Fatalf("%s: %d samples, %v", name, len(out), err)
				}
				if limit := max(maxPacketSamples, 2*len(payload)); len(out)-3 > limit {
					t.Fatalf("%s: %d samples of %d bytes", name, len(out)-3, len(payload))
				}
			}
		}
	})
}
