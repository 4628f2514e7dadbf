package faults

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tollgate runs a command of the program.
func (b *bench) tollgate(env []string, args ...string) {
	b.Helper()
	command := exec.Command(program, args...)
	command.Env = append(os.Environ(), env...)
	if out, err := command.CombinedOutput(); err != nil {
		b.Fatalf("tollgate %s: %v\n%s", args[0], err, out)
	}
}

// restoredFile goes on with a copy that was made while calls ran, and that knows
// nothing of what was spent after it.
func restoredFile(b *bench) {
	dir := b.TempDir()
	n := b.sqliteNode(filepath.Join(dir, "before")).start()
	s := b.configure(nil, n)
	phones, l := s.startCalls(5, 200*time.Millisecond), s.startSwitch("pbx", 5)
	l.await(100)
	b.tollgate(nil, "backup", "--data-dir", filepath.Join(dir, "before"), "--to", filepath.Join(dir, "copy.db"))
	l.await(100)
	phones.end()
	l.endAll()
	n.kill()
	b.tollgate(nil, "restore", "--from", filepath.Join(dir, "copy.db"), "--data-dir", filepath.Join(dir, "after"))
	key, err := os.ReadFile(filepath.Join(dir, "before", "secrets.key")) // which no copy of a database has
	b.check(err)
	b.check(os.WriteFile(filepath.Join(dir, "after", "secrets.key"), key, 0o600))
	n.flags = []string{"--data-dir", filepath.Join(dir, "after")}
	b.reopened(s, n)
	b.did("1 × a copy of a running server, restored after more calls", phones.String()+"; "+l.String())
}

// restoredServer is the same with a copy of a PostgreSQL database.
func restoredServer(b *bench) {
	url, name := b.newDatabase()
	n := b.clusterNode("first", url).start()
	s := b.configure(nil, n)
	phones, l := s.startCalls(5, 200*time.Millisecond), s.startSwitch("pbx", 5)
	l.await(100)
	n.kill() // PostgreSQL copies only a database that is not in use
	server, err := database()
	b.check(err)
	fork := name + "_copy"
	b.eventually("the database is copied", time.Minute, func() bool {
		return server.Exec("postgres", "CREATE DATABASE "+fork+" TEMPLATE "+name+" OWNER tollgate") == nil
	})
	b.Cleanup(func() { b.check(server.Exec("postgres", "DROP DATABASE "+fork+" WITH (FORCE)")) })
	n.start()
	l.await(100)
	phones.end()
	l.endAll()
	n.kill()
	copied := strings.Replace(url, "dbname="+name, "dbname="+fork, 1)
	b.eventually("the copy is marked", time.Minute, func() bool {
		return exec.Command(program, "restore", "--database-url", copied).Run() == nil
	})
	n.env = []string{"TOLLGATE_DATABASE_URL=" + copied}
	b.reopened(s, n)
	b.did("1 × a copy of the database, put in its place after more calls", phones.String()+"; "+l.String())
}

// reopened starts a node on an old copy: what has a daily limit is refused until
// an operator releases it.
func (b *bench) reopened(s *site, n *node) {
	b.Helper()
	n.start()
	begin, end := b.emergencies(n)
	begin()
	o, err := dial(context.Background(), n, "+12125550123", time.Millisecond)
	if err != nil || o.Status != 403 || o.RefusalReason != "spend_held" {
		b.Errorf("I2: a call of a restored copy is answered %d %s, %s, %v", o.Status, o.Phrase, o.RefusalReason, err)
	}
	b.wantEmergency(s, n, "restored")
	end()
	n.must(http.MethodPost, "/tollgate/v1/outbound_voice_profiles/"+s.profile+"/release", nil)
	o, err = dial(context.Background(), n, "+12125550123", time.Millisecond)
	if err != nil || o.Answered.IsZero() {
		b.Errorf("after the release a call is answered %d %s, %v", o.Status, o.Phrase, err)
	}
	s.conclude(nil, nil)
}
