package sipgw

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// linesWith are the lines of a log that have a text.
func linesWith(log *logged, text string) (found []string) {
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

const unansweredText = "did not answer with credentials"

// TestUnansweredChallenge: a caller that gives up at its challenge leaves a line and is
// counted; one that comes back with credentials, right or wrong, does not.
func TestUnansweredChallenge(t *testing.T) {
	const agent = "User-Agent: Desk Phone 7.1\r\n"
	for _, c := range []struct {
		name    string
		from    string // user of From
		agent   string
		answers string // the password, "" for no answer
		repeats int    // of the first INVITE
		want    []string
		without []string
	}{
		{name: "gives up", from: "alice", agent: agent,
			want: []string{"source=127.0.0.66:", `user_agent="Desk Phone 7.1"`, "offered=MD5", "to=+12125550123",
				"connection=5", "from=alice"}},
		{name: "no user of ours", from: "+13125550188", want: []string{"from=+13125550188", `user_agent=""`},
			without: []string{"connection="}},
		{name: "repeats its INVITE", from: "alice", repeats: 3, want: []string{"connection=5"}},
		{name: "right password", from: "+12125550100", answers: "correct-horse"},
		{name: "wrong password", from: "alice", answers: "wrong-horse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := new(logged)
			w := newWorld(t, wish{user: true, config: func(config *Config) {
				config.Logger = slog.New(slog.NewTextHandler(log, nil))
				config.Timers.T1 = 10 * time.Millisecond
			}})
			phone := w.party(strangerAddress, false)
			d := newDialog(phone, "+12125550123")
			d.local = strings.Replace(d.local, "sip:+12125550100@", "sip:"+c.from+"@", 1)
			invite := phone.text("INVITE", d.target, d, c.agent, offer)
			for range 1 + c.repeats {
				phone.send(invite)
			}
			challenge := phone.await("407 INVITE")
			if c.answers != "" {
				phone.request(d, "ACK", "", "")
				phone.request(d, "INVITE", credentialsFor(t, challenge, "MD5", "alice", c.answers, d.target, 1), offer)
			}
			if c.answers == "correct-horse" {
				w.carriers[0].reply(w.carriers[0].want("INVITE"), 486, "far", "", "")
				phone.await("486 INVITE")
				w.record()
			}
			// Another call that gives up later tells when the first would have been reported.
			last := newDialog(phone, "+12125550199")
			phone.send(phone.text("INVITE", last.target, last, "User-Agent: last\r\n", offer))
			for deadline := time.Now().Add(patience); len(linesWith(log, "user_agent=last")) == 0; w.pause() {
				if time.Now().After(deadline) {
					t.Fatal("no line of the last call")
				}
			}
			checkUnanswered(t, w, log, c.want, c.without)
		})
	}
}

// checkUnanswered holds that there is one line of the first call, or none where nothing is
// wanted of it, beside the one of the last.
func checkUnanswered(t *testing.T, w *world, log *logged, want, without []string) {
	t.Helper()
	var found []string
	for _, line := range linesWith(log, unansweredText) {
		if !strings.Contains(line, "user_agent=last") {
			found = append(found, line)
		}
	}
	expected := min(1, len(want))
	if len(found) != expected || w.srv.Stats().AuthUnanswered != uint64(1+expected) {
		t.Fatalf("%d counted, logged %q", w.srv.Stats().AuthUnanswered, found)
	}
	for _, text := range want {
		if !strings.Contains(found[0], text) {
			t.Errorf("no %s in %s", text, found[0])
		}
	}
	for _, text := range without {
		if strings.Contains(found[0], text) {
			t.Errorf("%s in %s", text, found[0])
		}
	}
}

// TestUnansweredFlood: what one source sends fills neither the log nor the memory.
func TestUnansweredFlood(t *testing.T) {
	log := new(logged)
	w := newWorld(t, wish{user: true, config: func(config *Config) {
		config.Logger = slog.New(slog.NewTextHandler(log, nil))
		config.Timers.T1 = 10 * time.Millisecond
		config.Shards = 1
	}})
	scanner := w.party(strangerAddress, false)
	const calls = 50
	for range calls {
		scanner.request(newDialog(scanner, "+12125550123"), "INVITE", "", offer)
	}
	for deadline := time.Now().Add(patience); w.srv.Stats().AuthUnanswered < mostChallengedPerSource; w.pause() {
		if time.Now().After(deadline) {
			t.Fatal("nothing is counted")
		}
	}
	w.srv.each(func(sh *shard) {
		if n := sh.challenged.queue.Len(); n > mostChallengedPerSource {
			t.Errorf("%d calls of one source are watched", n)
		}
	})
	if n := len(linesWith(log, unansweredText)); n == 0 || n > unansweredPerSourceBurst {
		t.Errorf("%d lines of one source", n)
	}
	w.settled()
}
