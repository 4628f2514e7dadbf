// Package asterisk runs a real Asterisk for tests, with a configuration of their own in a temporary folder. It takes the
// one that test/install-asterisk has unpacked.
package asterisk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

// modules are all that a SIP trunk and a dialplan with AGI need. "module load" of everything takes seconds, and some
// modules open ports.
var modules = []string{
	"app_dial", "app_mixmonitor", "app_playtones", "app_senddtmf", "app_stack", "app_verbose", "app_exec",
	"bridge_builtin_features", "bridge_simple", "bridge_softmix", "chan_pjsip",
	"codec_a_mu", "codec_alaw", "codec_g722", "codec_gsm", "codec_resample", "codec_ulaw",
	"format_pcm", "format_sln", "format_wav", "func_callerid", "func_channel", "func_logic", "func_strings",
	"func_timeout", "pbx_config", "res_agi", "res_clioriginate", "res_pjproject", "res_pjsip",
	"res_pjsip_authenticator_digest", "res_pjsip_caller_id", "res_pjsip_dtmf_info",
	"res_pjsip_endpoint_identifier_anonymous", "res_pjsip_endpoint_identifier_ip",
	"res_pjsip_endpoint_identifier_user", "res_pjsip_logger", "res_pjsip_nat", "res_pjsip_pubsub", "res_statsd",
	"res_pjsip_outbound_authenticator_digest", "res_pjsip_outbound_registration", "res_pjsip_header_funcs",
	"res_pjsip_rfc3326", "res_pjsip_sdp_rtp", "res_pjsip_session", "res_pjsip_t38", "res_rtp_asterisk", "res_speech", "res_sorcery_astdb",
	"res_sorcery_config", "res_sorcery_memory", "res_srtp", "res_timing_timerfd", "app_echo",
}

// startLimit is how long Asterisk may take to start on a busy machine.
const startLimit = time.Minute

// Server is a running Asterisk.
type Server struct {
	t      *testing.T
	Folder string // with the configuration in etc; recordings go to its top
	log    *process.Log
	root   string
}

// Start runs Asterisk with files of configuration by their names ("pjsip.conf"). A "%FOLDER%" in them is the folder of
// the server. Scripts of AGI are looked for in scripts, with env in their environment. The server ends with the test.
func Start(t *testing.T, files map[string]string, scripts string, env ...string) *Server {
	t.Helper()
	root := os.Getenv("TOLLGATE_ASTERISK")
	if root == "" {
		root = "/var/cache/tollgate/asterisk"
	}
	_, err := os.Stat(filepath.Join(root, "usr/sbin/asterisk")) //nolint:gosec // G703: who runs the tests names the folder
	if err != nil {
		t.Skipf("no Asterisk in %s: test/install-asterisk unpacks it from Debian's unstable distribution", root)
	}
	s := &Server{t: t, Folder: t.TempDir(), log: &process.Log{}, root: root}
	s.configure(files, scripts)
	command := s.command(t.Context(), "-f", "-n", "-vvv")
	command.Env = append(os.Environ(), env...)
	command.Stdout, command.Stderr = s.log, s.log
	// Its own end is orderly, so that nothing writes into the folder when that is removed.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 20 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait()
	}()
	t.Cleanup(func() {
		<-ended // the test's context has ended
		if t.Failed() {
			t.Logf("log of Asterisk:\n%s", s.log)
		}
	})
	process.Eventually(t, "Asterisk has started", startLimit, func() bool {
		return strings.Contains(s.try("core show uptime"), "System uptime")
	})
	return s
}

// command is Asterisk with its configuration, run by the loader and with the libraries that are unpacked beside it.
func (s *Server) command(ctx context.Context, args ...string) *exec.Cmd {
	loaders, _ := filepath.Glob(filepath.Join(s.root, "lib*/ld-linux*.so.*"))
	libraries, _ := filepath.Glob(filepath.Join(s.root, "usr/lib/*-linux-gnu*"))
	if len(loaders) == 0 || len(libraries) == 0 {
		s.t.Fatalf("Asterisk in %s is without its libraries", s.root)
	}
	args = append([]string{"--library-path", strings.Join(libraries, ":"), filepath.Join(s.root, "usr/sbin/asterisk"),
		"-C", filepath.Join(s.Folder, "etc/asterisk.conf")}, args...)
	return exec.CommandContext(ctx, loaders[0], args...) //nolint:gosec // G204: the paths are ours
}

func (s *Server) configure(files map[string]string, scripts string) {
	s.t.Helper()
	for _, folder := range []string{"etc", "var", "run", "log", "spool", "db"} {
		if err := os.Mkdir(filepath.Join(s.Folder, folder), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	plugins, _ := filepath.Glob(filepath.Join(s.root, "usr/lib/*/asterisk/modules"))
	if len(plugins) == 0 {
		s.t.Fatalf("Asterisk in %s is without its modules", s.root)
	}
	all := map[string]string{
		"asterisk.conf": fmt.Sprintf("[directories]\nastetcdir => %[1]s/etc\nastmoddir => %[2]s\nastvarlibdir => %[1]s/var\n"+
			"astdbdir => %[1]s/db\nastkeydir => %[1]s/var\nastdatadir => %[3]s/usr/share/asterisk\nastagidir => %[4]s\n"+
			"astspooldir => %[1]s/spool\nastrundir => %[1]s/run\nastlogdir => %[1]s/log\nastsbindir => /usr/sbin\n",
			s.Folder, plugins[0], s.root, scripts),
		"modules.conf": "[modules]\nautoload=no\nload=" + strings.Join(modules, ".so\nload=") + ".so\n",
		"logger.conf":  "[logfiles]\nconsole => notice,warning,error,verbose\n",
		"rtp.conf":     "[general]\nrtpstart=20000\nrtpend=24999\n",
	}
	for name, text := range files {
		all[name] = strings.ReplaceAll(text, "%FOLDER%", s.Folder)
	}
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(s.Folder, "etc", name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// CLI runs one command of Asterisk's command line and returns what it prints.
func (s *Server) CLI(command string) string { return s.try(command) }

func (s *Server) try(command string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, _ := s.command(ctx, "-rx", command).CombinedOutput()
	return string(out)
}

// Log is what Asterisk has logged.
func (s *Server) Log() string { return s.log.String() }
