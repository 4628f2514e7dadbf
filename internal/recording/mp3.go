package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Limits of one run of the encoder, which is some 500 times as fast as speech.
const (
	encodeLimit       = 10 * time.Minute
	encodeMemoryBytes = 512 << 20
	encodeCPUSecs     = 300
	maxComplaint      = 1000 // bytes of what it says on standard error
)

// errNoEncoder means that the program that makes MP3 files is not installed.
var errNoEncoder = errors.New("the program lame is not installed")

// encodeMP3 has LAME make an MP3 of raw audio. The result is a file without a
// name, to be closed by the caller. With private it is in memory alone, where the
// system can do that.
//
// LAME gets the file by a name and not as its output: only then does it write into
// the first frame, last of all, how much of the file is no audio. With it players
// give back the recording exactly, to the sample.
func encodeMP3(ctx context.Context, program string, s shape, audio io.Reader, private bool) (_ *os.File, err error) {
	program, err = exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoEncoder, err)
	}
	out, err := scratch(private)
	if err != nil {
		return nil, fmt.Errorf("make a file for the encoder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, encodeLimit)
	defer cancel()
	// Speech by telephone needs some 16 kbit/s; mono has more so that a frame has
	// room for the lengths. Joint stereo would let one side be heard in the other.
	kbits, mode := 3*s.Rate/1000, "m"
	if s.Channels == 2 {
		kbits, mode = 4*s.Rate/1000, "s"
	}
	kilohertz := strconv.FormatFloat(float64(s.Rate)/1000, 'f', -1, 64)
	command := exec.CommandContext(ctx, program, "--quiet", "-r", "-s", kilohertz, "--bitwidth", "16", "--signed",
		"--little-endian",
		"-m", mode, "--resample", kilohertz, "-b", strconv.Itoa(kbits), "-", "/dev/fd/3")
	complaint := &limitedText{}
	command.Stdin = audio
	command.ExtraFiles = []*os.File{out}
	command.Stderr = complaint
	command.Env = []string{}
	command.WaitDelay = 5 * time.Second
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	err = limitProcess(command.Process.Pid)
	if err = errors.Join(err, command.Wait()); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", program, err, complaint.text)
	}
	_, err = out.Seek(0, io.SeekStart)
	return out, err
}

// limitedText keeps the beginning of what is written to it.
type limitedText struct{ text []byte }

func (l *limitedText) Write(p []byte) (int, error) {
	l.text = append(l.text, p[:min(len(p), maxComplaint-len(l.text))]...)
	return len(p), nil
}
