package faults

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tracer is strace, attached to a running process, which has system calls fail.
type tracer struct {
	command *exec.Cmd
}

// inject has every one of some system calls of a node fail or wait, as strace's -e
// inject has it.
func (n *node) inject(calls, how string) *tracer {
	n.b.Helper()
	command := exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+calls+":"+how,
		"-p", fmt.Sprint(n.command.Process.Pid))
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	n.b.check(command.Start())
	n.b.eventually("strace is attached", 10*time.Second, func() bool {
		if !n.up.Load() {
			return true // it was attached, and has killed
		}
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.command.Process.Pid))
		return strings.Contains(string(status), fmt.Sprintf("TracerPid:\t%d\n", command.Process.Pid))
	})
	return &tracer{command}
}

// end lets the system calls succeed again.
func (t *tracer) end() {
	_ = t.command.Process.Signal(syscall.SIGINT)
	_ = t.command.Wait()
}

// failingDisk has the writes and syncs of the database fail.
func failingDisk(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	s := b.configure(nil, n)
	phones, l := s.startCalls(10, 200*time.Millisecond), s.startSwitch("pbx", 10)
	begin, end := b.emergencies(n)
	faults := []struct{ calls, how string }{
		{"pwrite64", "error=ENOSPC"}, {"fsync,fdatasync", "error=EIO"}, {"pwrite64", "error=EIO"},
		{"fsync,fdatasync", "error=ENOSPC"},
	}
	times := b.times(40, 2)
	for i := range times {
		l.await(20)
		fault := faults[i%len(faults)]
		t := n.inject(fault.calls, fault.how)
		begin()
		b.wait(time.Second)
		s.mustNotAdmit(n, 3)
		b.wait(500 * time.Millisecond)
		end()
		t.end()
		l.await(20)
		if i%4 == 3 { // and what it then says is durable
			n.kill()
			n.start()
		}
	}
	s.conclude(phones, l)
	b.did(fmt.Sprintf("%d × all writes or syncs fail with ENOSPC or EIO for 2 s, every 4th followed by SIGKILL", times),
		phones.String()+"; "+l.String())
}

// conclude ends the load, waits for the end of all calls and verifies.
func (s *site) conclude(phones *load, l *switchLoad) {
	s.b.Helper()
	for _, p := range s.b.probes {
		p.stop()
	}
	s.b.eventually("the node takes calls again", time.Minute, func() bool {
		status, _, err := s.nodes[0].call(http.MethodPost, "/tollgate/v1/admissions", s.attempt("last", "+12125550123"))
		return err == nil && status < 300
	})
	if phones != nil {
		phones.end()
	}
	if l != nil {
		l.verify()
		l.endAll()
	} else {
		(&switchLoad{site: s}).endAll()
	}
	s.settled(90 * time.Second)
	s.verify(phones)
}

// fullDisk fills the file system of the database.
func fullDisk(b *bench) {
	dir := b.TempDir()
	b.check(syscall.Mount("tollgate-faults", dir, "tmpfs", 0, "size=128m"))
	b.Cleanup(func() { b.check(syscall.Unmount(dir, syscall.MNT_DETACH)) })
	n := b.sqliteNode(filepath.Join(dir, "data")).start()
	s := b.configure(nil, n)
	phones, l := s.startCalls(10, 200*time.Millisecond), s.startSwitch("pbx", 10)
	begin, end := b.emergencies(n)
	times := b.times(20, 1)
	for range times {
		l.await(20)
		filler := filepath.Join(dir, "filler")
		begin()
		fill(filler)
		b.eventually("the node refuses", 20*time.Second, func() bool {
			fill(filler)
			status, _, err := n.call(http.MethodPost, "/tollgate/v1/admissions",
				s.attempt(fmt.Sprint("full-", time.Now().UnixNano()), "+12125550123"))
			return err == nil && status == http.StatusServiceUnavailable
		})
		b.wait(time.Second)
		end()
		b.check(os.Remove(filler))
		b.eventually("the node takes calls again", 20*time.Second, func() bool {
			status, _, err := n.call(http.MethodPost, "/tollgate/v1/admissions",
				s.attempt(fmt.Sprint("free-", time.Now().UnixNano()), "+12125550123"))
			return err == nil && status < 300
		})
	}
	s.conclude(phones, l)
	b.did(fmt.Sprintf("%d × a file system with no byte left", times), phones.String()+"; "+l.String())
}

// fill writes to a file until nothing more fits.
func fill(path string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	for size := 1 << 20; size >= 1; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 16
		}
	}
}

// killedAtWrite kills the server at its nth write or sync, for each n.
func killedAtWrite(b *bench) {
	dir := b.TempDir()
	n := b.sqliteNode(dir).start()
	s := b.configure(nil, n)
	phones, l := s.startCalls(5, 100*time.Millisecond), s.startSwitch("pbx", 5)
	begin, end := b.emergencies(n)
	begin()
	times := b.times(120, 2)
	for i := range times {
		l.await(5)
		calls := []string{"pwrite64", "fsync,fdatasync"}[i%2]
		t := n.inject(calls, fmt.Sprintf("signal=SIGKILL:when=%d", 1+i/2))
		select {
		case <-n.done:
		case <-time.After(20 * time.Second):
			b.Fatalf("the server was not killed at %s number %d", calls, 1+i/2)
		}
		t.end()
		n.start()
	}
	b.wait(500 * time.Millisecond)
	end()
	s.conclude(phones, l)
	b.did(fmt.Sprintf("SIGKILL at the nth write and at the nth sync, n = 1 to %d", times/2),
		phones.String()+"; "+l.String())
}

// slowDisk has every sync take seconds.
func slowDisk(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	s := b.configure(nil, n)
	phones, l := s.startCalls(10, 200*time.Millisecond), s.startSwitch("pbx", 10)
	begin, end := b.emergencies(n)
	times := b.times(10, 1)
	for range times {
		l.await(20)
		t := n.inject("fsync,fdatasync", "delay_enter=2000000")
		begin()
		b.wait(6 * time.Second)
		end()
		t.end()
	}
	l.await(50)
	s.conclude(phones, l)
	b.did(fmt.Sprintf("%d × each sync takes 2 s, for 6 s", times), phones.String()+"; "+l.String())
}
