package recording

import (
	"fmt"
	"strings"

	"github.com/pion/opus"

	"github.com/tollgate/tollgate/internal/media"
)

// Sample rates of a recording, Hz. Opus and G.722 are recorded at the higher one,
// which has all of the band that a telephone's wideband voice uses.
const (
	narrowband = 8000
	wideband   = 16000
)

// A decoder turns the payloads of one RTP source, in their order, into samples of
// one channel. It appends to dst; on an error it appends nothing.
type decoder interface {
	decode(dst []int16, payload []byte) ([]int16, error)
}

// maxPacketSamples bounds what one packet can decode to: 120 ms at 48 kHz, Opus'
// longest packet (RFC 6716 section 3.2), and more than a G.711 payload can fill.
const maxPacketSamples = 5760

// codecRate is the sample rate at which a format is recorded best, or 0 for what
// cannot be decoded.
func codecRate(f media.Format) int {
	switch strings.ToUpper(f.Name) {
	case "PCMU", "PCMA":
		if f.ClockRate == 8000 && f.Channels <= 1 {
			return narrowband
		}
	case "G722", "OPUS":
		return wideband
	}
	return 0
}

// newDecoder makes a decoder of a format whose samples have the rate of the recording.
func newDecoder(f media.Format, rate int) (decoder, error) {
	switch strings.ToUpper(f.Name) {
	case "PCMU", "PCMA":
		table := &ulawTable
		if strings.EqualFold(f.Name, "PCMA") {
			table = &alawTable
		}
		if rate == wideband {
			return &upsampler{inner: companded{table}}, nil
		}
		return companded{table}, nil
	case "G722":
		if rate == narrowband {
			return &downsampler{inner: newG722()}, nil
		}
		return newG722(), nil
	case "OPUS":
		d, err := opus.NewDecoderWithOutput(rate, 1)
		if err != nil {
			return nil, fmt.Errorf("make an Opus decoder of %d Hz: %w", rate, err)
		}
		return &opusDecoder{inner: d}, nil
	}
	return nil, fmt.Errorf("no decoder for %.40q", f.Name)
}

// opusDecoder decodes RFC 6716. A panic of the library over a malicious packet
// costs that packet, never the process.
type opusDecoder struct {
	inner opus.Decoder
	out   [maxPacketSamples]int16
}

func (d *opusDecoder) decode(dst []int16, payload []byte) (out []int16, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			out, err = dst, fmt.Errorf("decode Opus: %v", cause)
		}
	}()
	n, err := d.inner.DecodeToInt16(payload, d.out[:])
	if err != nil {
		return dst, fmt.Errorf("decode Opus: %w", err)
	}
	return append(dst, d.out[:n]...), nil
}

// halfBand is one side of a symmetric low-pass filter at a quarter of the sample
// rate (a windowed sinc of 23 taps); its even taps are 0 but for the middle one,
// which is a half. Scaled by 2^15.
var halfBand = [6]int32{10302, -3019, 1380, -629, 250, -92}

const (
	halfBandMiddle = 16384
	halfBandTaps   = 12 // samples at the lower rate that the filter spans
)

// upsampler doubles the rate of what inner decodes.
type upsampler struct {
	inner   decoder
	history [halfBandTaps]int16
	scratch []int16
}

func (u *upsampler) decode(dst []int16, payload []byte) ([]int16, error) {
	var err error
	if u.scratch, err = u.inner.decode(u.scratch[:0], payload); err != nil {
		return dst, err
	}
	for _, sample := range u.scratch {
		copy(u.history[:], u.history[1:])
		u.history[halfBandTaps-1] = sample
		var between int32
		for i, c := range halfBand {
			between += c * (int32(u.history[5-i]) + int32(u.history[6+i]))
		}
		dst = append(dst, u.history[5], saturate(between>>14))
	}
	return dst, nil
}

// downsampler halves the rate of what inner decodes.
type downsampler struct {
	inner   decoder
	history [2 * halfBandTaps]int16
	scratch []int16
}

func (d *downsampler) decode(dst []int16, payload []byte) ([]int16, error) {
	var err error
	if d.scratch, err = d.inner.decode(d.scratch[:0], payload); err != nil {
		return dst, err
	}
	const middle = halfBandTaps - 1
	for i := 0; i+1 < len(d.scratch); i += 2 {
		copy(d.history[:], d.history[2:])
		d.history[2*halfBandTaps-2], d.history[2*halfBandTaps-1] = d.scratch[i], d.scratch[i+1]
		sum := halfBandMiddle * int32(d.history[middle])
		for j, c := range halfBand {
			sum += c * (int32(d.history[middle-1-2*j]) + int32(d.history[middle+1+2*j]))
		}
		dst = append(dst, saturate(sum>>15))
	}
	return dst, nil
}

// silent reports whether a payload of this name makes no sound in a recording:
// telephone events (RFC 4733) and comfort noise (RFC 3389).
func silent(name string) bool {
	return strings.EqualFold(name, "telephone-event") || strings.EqualFold(name, "CN")
}
