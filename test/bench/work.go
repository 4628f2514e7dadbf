package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
)

// caller makes the requests of calls. Each loop's numbers come from a sequence of its
// own, so a run asks for the same calls each time.
type caller struct {
	connections []string
	prefixes    []string
	run         string // sets the call ids of this load apart from those of others
	random      []*rand.Rand
}

var runs atomic.Int64

func (w *world) caller(loops int, connections []string) *caller {
	c := &caller{connections: connections, prefixes: w.deck.prefixes, run: "r" + strconv.FormatInt(runs.Add(1), 10)}
	for i := range loops {
		c.random = append(c.random, rand.New(rand.NewPCG(2, uint64(i))))
	}
	return c
}

// request builds the request of one call.
func (k *caller) request(c *connection, client, n int) []byte {
	random := k.random[client]
	out := append(c.scratch[:0], `{"connection_id":"`...)
	out = append(out, k.connections[random.IntN(len(k.connections))]...)
	out = append(out, `","call_id":"`...)
	out = append(out, k.run...)
	out = append(out, '-')
	out = strconv.AppendInt(out, int64(client), 10)
	out = append(out, '-')
	out = strconv.AppendInt(out, int64(n), 10)
	out = append(out, `","from":"+13125550100","to":"+`...)
	prefix := k.prefixes[random.IntN(len(k.prefixes))]
	out = append(out, prefix...)
	for range 11 - len(prefix) {
		out = append(out, '0'+byte(random.IntN(10)))
	}
	c.scratch = append(out, `"}`...)
	return c.scratch
}

var errRefused = errors.New("a call of the load was refused")

// admit asks for a call and returns the path of its admission.
func (k *caller) admit(c *connection, client, n int) (path string, err error) {
	answer, err := c.post("/tollgate/v1/admissions", k.request(c, client, n))
	if err != nil {
		return "", err
	}
	_, rest, _ := bytes.Cut(answer, []byte(`"id":"`))
	id, _, found := bytes.Cut(rest, []byte(`"`))
	if !found || !bytes.Contains(answer, []byte(`"decision":"allow"`)) {
		return "", fmt.Errorf("%w: %s", errRefused, answer)
	}
	return "/tollgate/v1/admissions/" + string(id), nil
}

// The loads: an admission; an admission and its end, as of a call that no one
// answered; a whole call of a minute and its record.
var (
	admitOnly = func(k *caller) step {
		return func(c *connection, client, n int) error {
			_, err := k.admit(c, client, n)
			return err
		}
	}
	admitAndEnd = func(k *caller) step {
		return func(c *connection, client, n int) error {
			path, err := k.admit(c, client, n)
			if err == nil {
				_, err = c.post(path+"/end", []byte(`{}`))
			}
			return err
		}
	}
	wholeCall = func(k *caller) step {
		return func(c *connection, client, n int) error {
			path, err := k.admit(c, client, n)
			if err == nil {
				_, err = c.post(path+"/answer", []byte(`{}`))
			}
			if err == nil {
				_, err = c.post(path+"/end", []byte(`{}`))
			}
			return err
		}
	}
	empty = func(k *caller) step {
		return func(c *connection, client, n int) error {
			_, err := c.post("/", k.request(c, client, n))
			return err
		}
	}
)
