package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// answerLimit bounds the wait for one answer: a server that hangs ends the run.
const answerLimit = 30 * time.Second

// connection is one HTTP/1.1 keep-alive connection. It writes and reads what the
// requests here need and nothing else, so that the load generator takes as little
// as possible of the cores that it shares with the server.
type connection struct {
	conn    net.Conn
	in      *bufio.Reader
	head    []byte // Host and Authorization, the same in each request
	out     []byte
	answer  []byte
	scratch []byte // for the body that a step builds
}

// dial opens a connection to a server, host:port.
func dial(address, key string) (*connection, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf(" HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: ", address, key)
	return &connection{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), head: []byte(head)}, nil
}

// post makes one request and returns the body of its answer, which is valid until
// the next request. A status that is not 2xx is an error that has the body in it.
func (c *connection) post(path string, body []byte) ([]byte, error) {
	out := append(c.out[:0], "POST "...)
	out = append(out, path...)
	out = append(out, c.head...)
	out = strconv.AppendInt(out, int64(len(body)), 10)
	out = append(out, "\r\n\r\n"...)
	c.out = append(out, body...)
	if err := c.conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return nil, err
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return nil, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return nil, fmt.Errorf("POST %s: answered %q", path, line)
	}
	status := string(line[9:12])
	length, err := c.header()
	if err != nil {
		return nil, fmt.Errorf("POST %s: %w", path, err)
	}
	c.answer = slices.Grow(c.answer[:0], length)[:length]
	if _, err := io.ReadFull(c.in, c.answer); err != nil {
		return nil, err
	}
	if status[0] != '2' {
		return nil, fmt.Errorf("POST %s %s: status %s: %s", path, body, status, c.answer)
	}
	return c.answer, nil
}

// header reads the header fields of an answer and returns the length of its body.
func (c *connection) header() (length int, err error) {
	length = -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, errors.New("the answer has no Content-Length")
	}
	return length, nil
}

// step is one round of a closed loop: client tells the loops apart, n counts the
// rounds of this one.
type step func(c *connection, client, n int) error

// outcome is what one load has shown.
type outcome struct {
	Rounds    int
	PerSecond float64
	P50, P99  time.Duration
}

// end says when a load is over: after a time, or after so many rounds in all.
type end struct {
	after  time.Duration
	rounds int
}

// load runs a step in closed loops, one per connection, spread over the servers. The
// first tenth of the time warms up and is not counted.
func load(servers []string, key string, connections int, until end, run step) (outcome, error) {
	loops := make([]loop, connections)
	for i := range loops {
		c, err := dial(servers[i%len(servers)], key)
		if err != nil {
			return outcome{}, err
		}
		defer c.conn.Close()
		loops[i] = loop{c: c, client: i, rounds: until.rounds / connections}
	}
	started := time.Now()
	counted, stop := started, time.Time{}
	if until.rounds == 0 {
		counted = started.Add(until.after / 10)
		stop = counted.Add(until.after)
	}
	var work sync.WaitGroup
	for i := range loops {
		work.Go(func() { loops[i].run(run, counted, stop) })
	}
	work.Wait()
	return merge(loops, time.Since(counted))
}

// loop is one closed loop.
type loop struct {
	c      *connection
	client int
	rounds int
	took   []time.Duration
	err    error
}

func (l *loop) run(run step, counted, stop time.Time) {
	before := time.Now()
	for n := 0; stop.IsZero() && n < l.rounds || before.Before(stop); n++ {
		if l.err = run(l.c, l.client, n); l.err != nil {
			return
		}
		now := time.Now()
		if !before.Before(counted) {
			l.took = append(l.took, now.Sub(before))
		}
		before = now
	}
}

func merge(loops []loop, window time.Duration) (outcome, error) {
	var took []time.Duration
	for i := range loops {
		if err := loops[i].err; err != nil {
			return outcome{}, err
		}
		took = append(took, loops[i].took...)
	}
	if len(took) == 0 {
		return outcome{}, errors.New("no round has ended in the time given")
	}
	slices.Sort(took)
	return outcome{
		Rounds: len(took), PerSecond: float64(len(took)) / window.Seconds(),
		P50: took[len(took)/2], P99: took[len(took)*99/100],
	}, nil
}
