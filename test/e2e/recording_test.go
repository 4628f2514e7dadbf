package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	little "encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// The tone of each side. 20 ms are whole periods of both.
const (
	callerHz = 400.0
	calleeHz = 900.0
)

// talkerIP is the address of the phones, which no connection has: they are told by
// their users.
const talkerIP = "127.0.0.4"

// toneAmplitude is a quarter of full volume, so that both together are not cut off.
const toneAmplitude = 8000.0

// voice is how the phones of a test speak: a codec, the tone of each side in it, and
// the rate of what is recorded of it, Hz.
type voice struct {
	codec          phone.Codec
	caller, callee []byte
	rate           int
}

// voices are all codecs that a phone has. The tones in G.722 are a second each, made
// with FFmpeg.
func voices(t *testing.T) []voice {
	t.Helper()
	wide := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	return []voice{
		{phone.PCMU, pcmuTone(callerHz), pcmuTone(calleeHz), 8000},
		{phone.PCMA, pcmaTone(callerHz), pcmaTone(calleeHz), 8000},
		{phone.G722, wide("400.g722"), wide("900.g722"), 16000},
	}
}

// pcmaTone is a tenth of a second of a sine in PCMA, by the formula of ITU-T G.711.
func pcmaTone(hz float64) []byte {
	out := make([]byte, 800)
	for i := range out {
		v := toneAmplitude * math.Sin(2*math.Pi*hz*float64(i)/8000)
		sign := byte(0x80)
		if v < 0 {
			sign, v = 0, -v
		}
		magnitude, segment := int(v)>>4, 0
		for ; magnitude >= 32; segment++ {
			magnitude >>= 1
		}
		if magnitude >= 16 {
			segment++
		}
		out[i] = (byte(segment<<4|magnitude&0xf) | sign) ^ 0x55
	}
	return out
}

// pcmuTone is a tenth of a second of a sine in PCMU, by the formula of ITU-T G.711.
func pcmuTone(hz float64) []byte {
	out := make([]byte, 800)
	for i := range out {
		v := toneAmplitude * math.Sin(2*math.Pi*hz*float64(i)/8000)
		sign := byte(0x80)
		if v < 0 {
			sign, v = 0, -v
		}
		biased := int(v) + 132
		segment := 0
		for biased>>(segment+8) > 0 && segment < 7 {
			segment++
		}
		out[i] = ^(byte(segment<<4|biased>>(segment+3)&0xf) | (sign ^ 0x80))
	}
	return out
}

// amplitude is how strong a frequency is in audio, by Goertzel's algorithm.
func amplitude(audio []int16, rate int, hz float64) float64 {
	w := 2 * math.Pi * hz / float64(rate)
	var s1, s2 float64
	for _, v := range audio {
		s1, s2 = float64(v)+2*math.Cos(w)*s1-s2, s1
	}
	return 2 * math.Hypot(s1-s2*math.Cos(w), s2*math.Sin(w)) / float64(len(audio))
}

// startTalker starts a carrier that answers with the callee's tone.
func startTalker(t *testing.T, v voice) *phone.Carrier {
	t.Helper()
	carrier := phone.NewCarrier(phone.CarrierOptions{Default: phone.Answer, Addr: carrierIP + ":0", Codec: v.codec,
		Sound: v.callee})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Stop)
	return carrier
}

// talker makes a profile that records in a way, and a phone's connection to it.
func (s *server) talker(format, channels string) string {
	s.T.Helper()
	user := format + channels
	profile := s.Must(http.MethodPost, "/v2/outbound_voice_profiles", object{
		"name": user, "call_recording": object{"call_recording_type": "all", "call_recording_format": format,
			"call_recording_channels": channels},
	})["id"]
	s.Must(http.MethodPost, "/v2/credential_connections", object{
		"connection_name": user, "user_name": user, "password": "correct-horse",
		"outbound": object{"outbound_voice_profile_id": profile},
	})
	return user
}

func (s *server) talk(user string, length time.Duration, v voice) phone.Options {
	return phone.Options{Server: s.SIP, From: "+13125550100", To: "+12125550123", User: user, Password: "correct-horse",
		LocalAddr: talkerIP + ":0", HangUpAfter: length, Codec: v.codec, Sound: v.caller}
}

// recordings waits until there are so many.
func (s *server) recordings(n int) []object {
	s.T.Helper()
	var all []object
	process.Eventually(s.T, fmt.Sprintf("%d recordings", n), 30*time.Second, func() bool {
		_, answer := s.Call(http.MethodGet, "/v2/recordings", nil)
		all = nil
		for _, r := range answer["data"].([]any) {
			all = append(all, r.(object))
		}
		return len(all) >= n
	})
	if len(all) != n {
		s.T.Fatalf("%d recordings, want %d", len(all), n)
	}
	return all
}

// fetch downloads the file of a recording as the API names it, without a key.
func fetch(t *testing.T, r object) []byte {
	t.Helper()
	for format, address := range r["download_urls"].(object) {
		response, err := http.Get(address.(string))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("status %d, %v", response.StatusCode, err)
		}
		if fmt.Sprintf("%x", sha256.Sum256(text)) != r["sha256"] || float64(len(text)) != r["size_bytes"] {
			t.Errorf("%d bytes with another digest than the recording's", len(text))
		}
		if format == "wav" {
			return text
		}
		return decoded(t, text)
	}
	t.Fatalf("recording %v has no address", r["id"])
	return nil
}

// decoded is an MP3 as a WAV.
func decoded(t *testing.T, mp3 []byte) []byte {
	t.Helper()
	path, err := exec.LookPath("lame")
	if err != nil {
		t.Fatalf("LAME is needed (Debian package lame; make deps installs it): %v", err)
	}
	command := exec.CommandContext(t.Context(), path, "--quiet", "--decode", "--mp3input", "-", "-")
	command.Stdin = bytes.NewReader(mp3)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sides are the channels of a WAV.
func sides(t *testing.T, wav []byte, channels string, rate int) [][]int16 {
	t.Helper()
	if !bytes.HasPrefix(wav, []byte("RIFF")) || int(little.LittleEndian.Uint32(wav[24:])) != rate {
		t.Fatalf("not a WAV of %d Hz: %q", rate, wav[:44])
	}
	n := int(little.LittleEndian.Uint16(wav[22:]))
	if want := map[string]int{"single": 1, "dual": 2}[channels]; n != want {
		t.Fatalf("%d channels, want %d", n, want)
	}
	out := make([][]int16, n)
	for i := 44; i+1 < len(wav); i += 2 {
		c := (i - 44) / 2 % n
		out[c] = append(out[c], int16(little.LittleEndian.Uint16(wav[i:])))
	}
	return out
}

// present are the tenths of a second in which a tone is heard, and whole those in
// which nothing of it is missing.
func present(audio []int16, rate int, hz float64) (heard, whole int) {
	for tenth := rate / 10; len(audio) >= tenth; audio = audio[tenth:] {
		switch strength := amplitude(audio[:tenth], rate, hz); {
		case strength > toneAmplitude*0.9:
			heard, whole = heard+1, whole+1
		case strength > toneAmplitude*0.02:
			heard++
		}
	}
	return heard, whole
}

// crossTalk are the tenths of a second in which the other side's tone is heard. Where the own tone is not whole, as on
// a busy machine, its edges have some of every frequency, but less than they have of their own.
func crossTalk(audio []int16, rate int, own, other float64) (heard int) {
	for tenth := rate / 10; len(audio) >= tenth; audio = audio[tenth:] {
		strength := amplitude(audio[:tenth], rate, other)
		if strength > toneAmplitude*0.02 && strength > amplitude(audio[:tenth], rate, own)/2 {
			heard++
		}
	}
	return heard
}

// checkVoices looks for each side's tone where it belongs, from the answer to the
// end, and nowhere else.
func checkVoices(t *testing.T, audio [][]int16, channels string, rate int) {
	t.Helper()
	caller, callee := audio[0], audio[len(audio)-1]
	tenths := len(caller) / (rate / 10)
	for _, side := range []struct {
		name   string
		audio  []int16
		own    float64
		others float64
	}{{"caller", caller, callerHz, calleeHz}, {"callee", callee, calleeHz, callerHz}} {
		// Speech begins with the answer's way over the network, within the first tenths.
		if _, whole := present(side.audio, rate, side.own); whole < tenths-3 {
			t.Errorf("%s: in %d of %d tenths of a second the tone is whole", side.name, whole, tenths)
		}
		if heard := crossTalk(side.audio, rate, side.own, side.others); channels == "dual" && heard > 0 {
			t.Errorf("%s: the other side is heard for %d tenths of a second", side.name, heard)
		}
	}
}

// TestRecording places a call for each form of recording in each codec and listens
// to all of them as a customer does.
func TestRecording(t *testing.T) {
	for _, v := range voices(t) {
		t.Run(string(v.codec), func(t *testing.T) {
			t.Parallel()
			testRecording(t, v)
		})
	}
}

func testRecording(t *testing.T, v voice) {
	s := serve(t, t.TempDir())
	s.setUp(nil, startTalker(t, v).Addr())
	const length = 3 * time.Second
	lasted := map[string]time.Duration{} // by Call-ID
	var mu sync.Mutex
	var calls sync.WaitGroup
	for _, format := range []string{"wav", "mp3"} {
		for _, channels := range []string{"single", "dual"} {
			options := s.talk(s.talker(format, channels), length, v)
			calls.Go(func() {
				o, err := phone.Place(t.Context(), options)
				if err != nil || o.Status != http.StatusOK {
					t.Errorf("call: %d %s, %v", o.Status, o.Phrase, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				lasted[o.CallID] = o.Duration()
			})
		}
	}
	calls.Wait()
	seen := map[string]bool{}
	for _, r := range s.recordings(4) {
		format, channels := "", r["channels"].(string)
		for format = range r["download_urls"].(object) {
		}
		seen[format+" "+channels] = true
		wav := fetch(t, r)
		audio := sides(t, wav, channels, v.rate)
		millis := r["duration_millis"].(float64)
		call := lasted[r["sip_call_id"].(string)]
		if off := millis - float64(call.Milliseconds()); call == 0 || math.Abs(off) > 150 ||
			math.Abs(float64(len(audio[0])*1000/v.rate)-millis) > 1 {
			t.Errorf("%s %s: the call lasted %v, its recording %.0f ms, its file has %d samples", format, channels, call, millis,
				len(audio[0]))
		}
		if r["interrupted"] != false || r["from"] != "+13125550100" || r["to"] != "+12125550123" ||
			r["initiated_by"] != "Trunking" {
			t.Errorf("recording %v", r)
		}
		checkVoices(t, audio, channels, v.rate)
	}
	if len(seen) != 4 {
		t.Errorf("recorded forms %v", seen)
	}
	// The record of each call names its recording.
	for _, r := range s.recordings(4) {
		record := s.Must(http.MethodGet, fmt.Sprintf("/v2/detail_records/%v", r["call_leg_id"]), nil)
		if ids, _ := record["recording_ids"].([]any); len(ids) != 1 || ids[0] != r["id"] {
			t.Errorf("the call of recording %v has recording_ids %v", r["id"], record["recording_ids"])
		}
	}
	// Deleted over the API, the files go too.
	for _, r := range s.recordings(4) {
		s.Must(http.MethodDelete, "/v2/recordings/"+r["id"].(string), nil)
	}
	s.recordings(0)
	// Nothing is recorded by default.
	o, err := phone.Place(t.Context(), phone.Options{Server: s.SIP, From: "+13125550100", To: "+12125550123",
		LocalAddr: pbxIP + ":0", HangUpAfter: 200 * time.Millisecond})
	if err != nil || o.Status != http.StatusOK {
		t.Fatalf("call: %d %s, %v", o.Status, o.Phrase, err)
	}
	s.settled()
	s.recordings(0)
}

// TestRecordingKill kills the server in the middle of a call. The next one has what
// was said until then, also when it is encrypted.
func TestRecordingKill(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprintf("encrypted=%v", encrypted), func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			var flags []string
			if encrypted {
				key := make([]byte, 32)
				_, _ = rand.Read(key) // it never fails
				path := filepath.Join(folder, "recording.keys")
				if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				flags = append(flags, "--recording-key-file", path)
			}
			s := serve(t, folder, flags...)
			s.setUp(nil, startTalker(t, voices(t)[0]).Addr())
			call, err := phone.Dial(t.Context(), s.talk(s.talker("wav", "dual"), 0, voices(t)[0]))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(call.Close)
			audio := filepath.Join(folder, "recordings", "live", "*", "*.audio")
			var path string
			process.Eventually(t, "two seconds of audio", 30*time.Second, func() bool {
				found, err := filepath.Glob(audio)
				if err != nil || len(found) == 0 {
					return false
				}
				path = found[0]
				info, err := os.Stat(path)
				return err == nil && info.Size() > 64_000
			})
			s.Kill()
			left, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if encrypted == bytes.HasPrefix(left, []byte("RIFF")) {
				t.Errorf("the file that was left begins with %q", left[:8])
			}
			if !encrypted && int(little.LittleEndian.Uint32(left[40:])) != len(left)-44 {
				t.Errorf("the file that was left says that it has %d bytes of audio, and has %d",
					little.LittleEndian.Uint32(left[40:]), len(left)-44)
			}
			s = serve(t, folder, append(flags, "--sip-addr", s.SIP)...)
			r := s.recordings(1)[0]
			if r["interrupted"] != true {
				t.Errorf("recording %v", r)
			}
			wav := fetch(t, r)
			// All that was on the disk is there, but for a part of an encrypted chunk.
			if missing := len(left) - len(wav); missing > 6000 || !encrypted && missing != 0 ||
				r["duration_millis"] != float64((len(wav)-44)/32) {
				t.Errorf("%d bytes were left, %d are in the recording of %v ms", len(left), len(wav), r["duration_millis"])
			}
			checkVoices(t, sides(t, wav, "dual", 8000), "dual", 8000)
			names, err := filepath.Glob(audio)
			if err != nil || len(names) != 0 {
				t.Errorf("live files are left: %v, %v", names, err)
			}
			if strings.Contains(s.Text(), "13125550100") {
				t.Error("the log has a number")
			}
		})
	}
}

// announcementHz is the tone of the announcement.
const announcementHz = 600.0

// ear keeps what it hears, decoded from PCMU by the formula of ITU-T G.711.
type ear struct {
	mu    sync.Mutex
	audio []int16
}

func (e *ear) hear(packet []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, code := range packet[12:] {
		code = ^code
		v := (int(code&0xf)<<3+0x84)<<(code>>4&7) - 0x84
		if code&0x80 != 0 {
			v = -v
		}
		e.audio = append(e.audio, int16(v))
	}
}

// tenths counts the tenths of a second in which a tone is heard.
func (e *ear) tenths(hz float64) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, whole := present(e.audio, 8000, hz)
	return whole
}

// TestRecordingAnnouncement has both sides told before the recording begins.
func TestRecordingAnnouncement(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	wav := []byte("RIFF\xa4\x3e\x00\x00WAVEfmt " +
		"\x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x80\x3e\x00\x00")
	for i := range 8000 {
		wav = little.LittleEndian.AppendUint16(wav,
			uint16(int16(toneAmplitude*math.Sin(2*math.Pi*announcementHz*float64(i)/8000))))
	}
	path := filepath.Join(folder, "announcement.wav")
	if err := os.WriteFile(path, wav, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, folder, "--recording-announcement", path)
	var near, far ear
	carrier := phone.NewCarrier(phone.CarrierOptions{Default: phone.Answer, Addr: carrierIP + ":0",
		Sound: pcmuTone(calleeHz), Hear: far.hear})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Stop)
	s.setUp(nil, carrier.Addr())
	options := s.talk(s.talker("wav", "dual"), 3*time.Second, voices(t)[0])
	options.Hear = near.hear
	o, err := phone.Place(t.Context(), options)
	if err != nil || o.Status != http.StatusOK {
		t.Fatalf("call: %d %s, %v", o.Status, o.Phrase, err)
	}
	r := s.recordings(1)[0]
	if off := r["duration_millis"].(float64) - float64((o.Duration() - time.Second).Milliseconds()); math.Abs(off) > 200 {
		t.Errorf("the call lasted %v with an announcement of a second, its recording %v ms", o.Duration(),
			r["duration_millis"])
	}
	audio := sides(t, fetch(t, r), "dual", 8000)
	checkVoices(t, audio, "dual", 8000)
	for _, side := range audio {
		if heard, _ := present(side, 8000, announcementHz); heard > 0 {
			t.Errorf("the announcement is in the recording for %d tenths of a second", heard)
		}
	}
	for name, e := range map[string]struct {
		*ear
		other float64
	}{"caller": {&near, calleeHz}, "callee": {&far, callerHz}} {
		if told, heard := e.tenths(announcementHz), e.tenths(e.other); told < 8 || told > 10 || heard < 15 {
			t.Errorf("the %s heard the announcement for %d tenths of a second and the other side for %d", name, told, heard)
		}
	}
}
