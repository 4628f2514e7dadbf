package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The parties have addresses of their own on the loopback network.
const (
	pbxIP     = "127.0.0.2"
	carrierIP = "127.0.0.3"
	proxyIP   = "127.0.0.4"
)

// scenarios of SIPp, those of the end-to-end tests.
const (
	pbxScenario     = "test/e2e/testdata/pbx.xml"
	carrierScenario = "test/e2e/testdata/carrier.xml"
)

// carrier is SIPp that rings and answers.
type carrier struct {
	command *exec.Cmd
	address string
}

// startCarrier starts a carrier of its own for each load, since a call that failed
// leaves its peer waiting.
func startCarrier(folder, address string) (*carrier, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	scenario, err := filepath.Abs(carrierScenario)
	if err != nil {
		return nil, err
	}
	c := &carrier{command: exec.Command("sipp", "-sf", scenario, "-i", host, "-p", port, "-nostdin", "-buff_size",
		"4194304"), address: address}
	c.command.Dir = folder
	c.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c, c.command.Start()
}

func (c *carrier) stop() {
	_ = c.command.Process.Kill()
	_ = c.command.Wait()
}

// freeUDP is an address whose port is free.
func freeUDP(ip string) (string, error) {
	socket, err := net.ListenPacket("udp", ip+":0")
	if err != nil {
		return "", err
	}
	return socket.LocalAddr().String(), socket.Close()
}

// freeTCP is an address on loopback whose port is free.
func freeTCP() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// calls is a load of calls.
type calls struct {
	number    string
	perSecond int
	total     int
	hold      time.Duration
}

// placed is what a load of calls came to.
type placed struct {
	failed, retransmitted int
	perSecond             float64 // over the whole run, its last calls included
	pdd                   []time.Duration
}

// place has SIPp place calls through the address, and returns when all are over.
func place(ctx context.Context, folder, through string, load calls) (placed, error) {
	from, err := freeUDP(pbxIP)
	if err != nil {
		return placed{}, err
	}
	_, port, _ := net.SplitHostPort(from)
	scenario, err := filepath.Abs(pbxScenario)
	if err != nil {
		return placed{}, err
	}
	work, err := os.MkdirTemp(folder, "sipp")
	if err != nil {
		return placed{}, err
	}
	limit := load.hold + time.Duration(load.total/load.perSecond)*time.Second + time.Minute
	ctx, cancel := context.WithTimeout(ctx, limit+time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "sipp", through, "-sf", scenario, "-i", pbxIP, "-p", port, "-s", load.number,
		"-nostdin",
		"-r", strconv.Itoa(load.perSecond), "-m", strconv.Itoa(load.total), "-l", strconv.Itoa(load.total+1), "-d",
		strconv.FormatInt(load.hold.Milliseconds(), 10),
		"-buff_size", "4194304", "-timeout", strconv.Itoa(int(limit.Seconds())), "-recv_timeout", "40000",
		"-trace_stat", "-stf", "stat.csv", "-fd", "1", "-trace_rtt", "-rtt_freq", "1000")
	command.Dir = work
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err = command.Run()
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) { // 1: some call failed
		return placed{}, fmt.Errorf("SIPp: %w: %s", err, out.Bytes()[max(0, out.Len()-2000):])
	}
	return read(work)
}

// read takes what SIPp has written of a run.
func read(folder string) (p placed, err error) {
	header, last, err := lastRow(filepath.Join(folder, "stat.csv"))
	if err != nil {
		return p, err
	}
	number := func(column string) float64 {
		i := slices.Index(header, column)
		if i < 0 || i >= len(last) {
			err = errors.Join(err, fmt.Errorf("SIPp has no column %s", column))
			return 0
		}
		f, failed := strconv.ParseFloat(last[i], 64)
		err = errors.Join(err, failed)
		return f
	}
	p.failed = int(number("FailedCall(C)"))
	p.retransmitted = int(number("Retransmissions(C)"))
	p.perSecond = number("CallRate(C)")
	if err != nil {
		return p, err
	}
	found, err := filepath.Glob(filepath.Join(folder, "*_rtt.csv"))
	if err != nil || len(found) != 1 {
		return p, fmt.Errorf("SIPp wrote the delays %v: %w", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		return p, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(line, ";")
		if len(fields) < 2 {
			continue
		}
		if ms, err := strconv.ParseFloat(strings.TrimSpace(fields[1]), 64); err == nil { // the first line is the header
			p.pdd = append(p.pdd, time.Duration(ms*float64(time.Millisecond)))
		}
	}
	slices.Sort(p.pdd)
	return p, nil
}

func lastRow(path string) (header, last []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comma = ';'
	reader.FieldsPerRecord = -1
	reader.LazyQuotes = true
	rows, err := reader.ReadAll()
	if err != nil || len(rows) < 2 {
		return nil, nil, fmt.Errorf("statistics of SIPp: %d rows: %w", len(rows), err)
	}
	return rows[0], rows[len(rows)-1], nil
}
