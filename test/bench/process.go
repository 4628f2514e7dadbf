package main

import (
	"bufio"
	"bytes"
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
	group   bool // its children belong to it
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
	pid := p.command.Process.Pid
	if p.group {
		pid = -pid
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	<-p.ended
}

// pids are the process and, if it is a group, its children.
func (p *process) pids() ([]int, error) {
	own := p.command.Process.Pid
	if !p.group {
		return []int{own}, nil
	}
	found, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var all []int
	for _, path := range found {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if group, err := syscall.Getpgid(pid); err == nil && group == own {
			all = append(all, pid)
		}
	}
	return all, nil
}

// cpu is the processor time that the process has used, all threads, at the kernel's
// resolution of a hundredth of a second.
func (p *process) cpu() (sum time.Duration, err error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		used, err := processCPU(pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

func processCPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in brackets, which may hold spaces.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
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

// memory is the resident memory that is not files, in bytes; what several processes
// share is counted once.
func (p *process) memory() (sum int64, err error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		for _, name := range []string{"Pss_Anon:", "Pss_Shmem:"} {
			_, rest, _ := strings.Cut(string(text), name)
			value, _, found := strings.Cut(strings.TrimSpace(rest), " kB")
			if !found {
				return 0, fmt.Errorf("/proc/%d/smaps_rollup has no %s", pid, name)
			}
			kilobytes, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += kilobytes << 10
		}
	}
	return sum, nil
}
