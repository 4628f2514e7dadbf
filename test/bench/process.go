package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// apiKey is the key of every server here.
const apiKey = "the-key-of-the-load-generator"

// startLimit is how long a server may take to say that it listens.
const startLimit = 2 * time.Minute

// process is a server under load.
type process struct {
	command *exec.Cmd
	address string // host:port of its API
	ended   chan struct{}
}

var listening = regexp.MustCompile(`API on http://([^\s,]+)`)

// build makes the program under load.
func build(ctx context.Context, folder string) (string, error) {
	program := filepath.Join(folder, "tollgate")
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./cmd/tollgate")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w: %s", err, out)
	}
	return program, nil
}

// start runs a program that says where its API is. It ends when this process does.
func start(program string, environment []string, args ...string) (*process, error) {
	p := &process{command: exec.Command(program, args...), ended: make(chan struct{})}
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.command.Env = append(os.Environ(), environment...)
	p.command.Stderr = os.Stderr
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	found := make(chan string, 1)
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if match := listening.FindStringSubmatch(lines.Text()); match != nil {
				found <- match[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
		_ = p.command.Wait()
	}()
	timer := time.NewTimer(startLimit)
	defer timer.Stop()
	select {
	case p.address = <-found:
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("%s ended before it listened: %v", program, p.command.ProcessState)
	case <-timer.C:
		p.kill()
		return nil, fmt.Errorf("%s does not listen after %v", program, startLimit)
	}
}

// kill ends the process: what it has answered is durable.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

// cpu is the processor time that the process has used, all threads, at the kernel's
// resolution of a hundredth of a second.
func (p *process) cpu() (time.Duration, error) { return processCPU(p.command.Process.Pid) }

func processCPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in brackets, which may hold spaces.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const utime, stime = 11, 12
	var ticks int64
	for _, field := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[field], 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// memory is the resident memory of the process that is not files, in bytes.
func (p *process) memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(text), "RssAnon:")
	fields := strings.Fields(rest)
	if !found || len(fields) == 0 {
		return 0, fmt.Errorf("/proc/%d/status has no RssAnon", p.command.Process.Pid)
	}
	kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
	return kilobytes << 10, err
}
