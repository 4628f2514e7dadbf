package hostile

import (
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/process"
)

// Passwords that must not be found in the folder of a server.
const callerSecret, carrierSecret = "Correct-Horse-42", "Carrier-Horse-42"

// A thief of the database finds no password, a key without the scope sees none, what it
// sees cannot be sent back as one, and phones go on calling all the while.
func TestSecretsOfConnections(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := &server{process.Serve(t, folder, "--metrics-addr", "127.0.0.1:0")}
	w := s.setUp(nil)
	phoneID := s.credentialConnection(w.profile, "alice1", callerSecret, nil)
	s.gateway(w.carrier.Addr(), object{"name": "second", "user_name": "u", "password": carrierSecret, "priority": 9})
	reader := s.Must(http.MethodPost, "/tollgate/v1/api_keys",
		object{"name": "reader", "scopes": []string{"read", "write"}})["secret"].(string)

	one := "/v2/credential_connections/" + phoneID
	if _, text := s.Send(reader, http.MethodGet, one, nil); !strings.Contains(string(text), `"password":"********"`) {
		t.Errorf("a key without the scope: %s", text)
	}
	if got := s.Must(http.MethodGet, one, nil)["password"]; got != callerSecret {
		t.Errorf("a key with the scope: %v", got)
	}
	_, whole := s.CallAs(reader, http.MethodGet, one, nil)
	sent := whole["data"].(object)
	sent["connection_name"] = "other name"
	if status, answer := s.CallAs(reader, http.MethodPatch, one, sent); status != http.StatusUnprocessableEntity ||
		!strings.Contains(strings.Join(problems(answer), ""), "/password") {
		t.Errorf("the whole object sent back: %d %v", status, problems(answer))
	}
	call := phone.Options{User: "alice1", Password: callerSecret}
	if o := s.place(strangerIP, call); o.Status != http.StatusOK {
		t.Errorf("with the password: %d", o.Status)
	}
	if o := s.place(strangerIP, phone.Options{User: "alice1", Password: "********"}); o.Status == http.StatusOK {
		t.Error("the mask has become the password")
	}
	s.Terminate()
	for _, text := range []string{readAllOf(t, folder), s.Text()} {
		for _, secret := range []string{callerSecret, carrierSecret, reader, process.Key} {
			if strings.Contains(text, secret) {
				t.Errorf("%.8s… is in the folder or the log", secret)
			}
		}
	}
	again := s.again()
	if o := again.place(strangerIP, call); o.Status != http.StatusOK {
		t.Errorf("after a restart: %d", o.Status)
	}
	again.Terminate()

	// Files of secrets that others can read are refused, with the way out.
	key := filepath.Join(folder, "secrets.key")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	text, err := process.Command("serve", "--data-dir", folder, "--http-addr", "127.0.0.1:0", "--sip-addr",
		"127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(text), "chmod 600 "+key) {
		t.Errorf("with a key file that others can read: %v, %s", err, text)
	}
}

func readAllOf(t *testing.T, folder string) string {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		if file.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// A writer of the database can neither change an event nor cut off what a node has seen.
func TestAuditRewrittenInTheDatabase(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := &server{process.Serve(t, folder, "--metrics-addr", "127.0.0.1:0")}
	s.profile(nil)
	s.profile(object{"name": "the second"})
	s.Terminate()
	verify := func() (int, string) {
		t.Helper()
		command := process.Command("audit", "verify", "--data-dir", folder)
		text, err := command.CombinedOutput()
		if command.ProcessState == nil {
			t.Fatal(err)
		}
		return command.ProcessState.ExitCode(), string(text)
	}
	if status, text := verify(); status != 0 || !strings.Contains(text, "Proven too") ||
		!strings.Contains(text, "Not proven") {
		t.Errorf("untouched: %d %s", status, text)
	}
	whole := filepath.Join(folder, "tollgate.db")
	kept, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]string{
		"rewritten": "UPDATE audit_events SET doc = replace(doc, 'second', 'seventh')",
		"cut off": `DELETE FROM audit_events WHERE id = (SELECT MAX(id) FROM audit_events);
			UPDATE audit_head SET last = last - 1, hash = (SELECT hash FROM audit_events ORDER BY id DESC LIMIT 1)`,
		"emptied": "DELETE FROM audit_events; UPDATE audit_head SET last = 0, hash = zeroblob(32)",
	} {
		db, err := sql.Open("sqlite", whole)
		if err == nil {
			_, err = db.ExecContext(t.Context(), "DROP TRIGGER audit_events_update; DROP TRIGGER audit_events_delete; "+change)
		}
		if err != nil {
			t.Fatal(what, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if status, text := verify(); status != 1 || !strings.Contains(text, "audit event") {
			t.Errorf("%s: %d %s", what, status, text)
		}
		_ = os.Remove(whole + "-wal")
		_ = os.Remove(whole + "-shm")
		if err := os.WriteFile(whole, kept, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
