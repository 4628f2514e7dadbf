package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/process"
)

// freeSwitchIP is where FreeSWITCH listens.
const freeSwitchIP = "127.0.0.8"

// freeSwitchConfig is a whole configuration: gateways as administrators write them, and the extension of
// examples/freeswitch. Words in capitals are replaced.
const freeSwitchConfig = `<document type="freeswitch/xml">
 <X-PRE-PROCESS cmd="set" data="tollgate_url=API"/>
 <X-PRE-PROCESS cmd="set" data="tollgate_key=KEY"/>
 <X-PRE-PROCESS cmd="set" data="tollgate_switch=freeswitch-1"/>
 <section name="configuration">
  <configuration name="modules.conf"><modules>
   <load module="mod_logfile"/><load module="mod_event_socket"/><load module="mod_commands"/>
   <load module="mod_dptools"/><load module="mod_dialplan_xml"/><load module="mod_tone_stream"/>
   <load module="mod_sndfile"/><load module="mod_sofia"/><load module="mod_lua"/>
  </modules></configuration>
  <configuration name="switch.conf"><settings><param name="max-sessions" value="200"/>
   <param name="sessions-per-second" value="50"/><param name="loglevel" value="debug"/>
   <param name="rtp-start-port" value="48000"/><param name="rtp-end-port" value="48400"/></settings></configuration>
  <configuration name="logfile.conf"><settings><param name="rotate-on-hup" value="false"/></settings>
   <profiles><profile name="default"><settings><param name="logfile" value="FOLDER/fs.log"/></settings>
   <mappings><map name="all" value="debug,info,notice,warning,err,crit,alert"/></mappings></profile></profiles>
  </configuration>
  <configuration name="event_socket.conf"><settings><param name="listen-ip" value="FS_IP"/>
   <param name="listen-port" value="CONTROL"/><param name="password" value="ClueCon"/>
   <param name="apply-inbound-acl" value="any_v4.auto"/></settings></configuration>
  <configuration name="lua.conf"><settings/></configuration>
  <configuration name="timezones.conf"><timezones/></configuration>
  <configuration name="post_load_modules.conf"><modules/></configuration>
  <configuration name="sofia.conf"><global_settings><param name="log-level" value="0"/></global_settings><profiles>
   <profile name="external"><gateways>
    <gateway name="registers">CREDENTIALS<param name="register" value="true"/><param name="expire-seconds" value="800"/>
     <param name="from-user" value="alice1"/><param name="caller-id-in-from" value="false"/></gateway>
    <gateway name="pings">CREDENTIALS<param name="register" value="false"/><param name="ping" value="5"/>
     <param name="from-user" value="alice1"/><param name="caller-id-in-from" value="false"/></gateway>
    <gateway name="caller">CREDENTIALS<param name="register" value="false"/>
     <param name="caller-id-in-from" value="true"/></gateway>
   </gateways><settings>
    <param name="context" value="public"/><param name="sip-ip" value="FS_IP"/><param name="rtp-ip" value="FS_IP"/>
    <param name="sip-port" value="FS_PORT"/><param name="dialplan" value="XML"/><param name="auth-calls" value="false"/>
    <param name="codec-prefs" value="PCMU,PCMA"/><param name="inbound-codec-negotiation" value="generous"/>
    <param name="rtp-timer-name" value="soft"/><param name="manage-presence" value="false"/>
   </settings></profile></profiles></configuration>
 </section>
 <section name="dialplan"><context name="public"><extension name="outbound">
  <condition field="destination_number" expression="^\+?\d+$"><action application="lua" data="tollgate.lua"/></condition>
 </extension></context></section>
 <section name="directory"/><section name="languages"/>
</document>
`

// freeSwitch is a running FreeSWITCH.
type freeSwitch struct {
	t       *testing.T
	folder  string
	program string
	control string // port of its event socket
	sip     string
}

// startFreeSwitch starts the FreeSWITCH whose folder is in TOLLGATE_FREESWITCH. Debian has none, so that the test runs
// where someone has built one: with mod_commands, mod_dptools, mod_dialplan_xml, mod_sofia, mod_event_socket,
// mod_tone_stream, mod_sndfile, mod_lua and mod_logfile.
func startFreeSwitch(t *testing.T, s *server) *freeSwitch {
	t.Helper()
	root := os.Getenv("TOLLGATE_FREESWITCH")
	if root == "" {
		t.Skip("TOLLGATE_FREESWITCH does not name the folder of a FreeSWITCH 1.10, which Debian does not have")
	}
	f := &freeSwitch{t: t, folder: t.TempDir(), program: filepath.Join(root, "bin"),
		control: fmt.Sprint(process.FreePort(t, freeSwitchIP))}
	port := process.FreePort(t, freeSwitchIP)
	f.sip = net.JoinHostPort(freeSwitchIP, fmt.Sprint(port))
	credentials := `<param name="username" value="alice1"/><param name="password" value="a-long-password"/>` +
		`<param name="proxy" value="` + s.SIP + `"/>`
	config := strings.NewReplacer("API", s.API, "KEY", process.Key, "FOLDER", f.folder, "FS_IP", freeSwitchIP,
		"FS_PORT", fmt.Sprint(port), "CONTROL", f.control, "CREDENTIALS", credentials).Replace(freeSwitchConfig)
	if err := os.WriteFile(filepath.Join(f.folder, "freeswitch.xml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Abs("../../examples/freeswitch")
	if err != nil {
		t.Fatal(err)
	}
	log := &process.Log{}
	command := exec.CommandContext(t.Context(), filepath.Join(f.program, "freeswitch"), "-nonat", "-nf", "-nc",
		"-conf", f.folder, "-log", f.folder, "-db", f.folder, "-run", f.folder, "-scripts", scripts, "-temp", f.folder)
	command.Stdout, command.Stderr = log, log
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 20 * time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(f.folder, "fs.log"))
			t.Logf("log of FreeSWITCH:\n%s\n%s", log, text)
		}
	})
	process.Eventually(t, "FreeSWITCH has started", time.Minute, func() bool {
		return strings.Contains(f.cli("sofia status"), "external")
	})
	return f
}

// cli runs a command of FreeSWITCH.
func (f *freeSwitch) cli(command string) string {
	out, _ := exec.CommandContext(f.t.Context(), filepath.Join(f.program, "fs_cli"), "-H", freeSwitchIP, "-P", f.control,
		"-p", "ClueCon", "-x", command).CombinedOutput()
	return string(out)
}

// TestFreeSwitchGateways calls over each form of gateway: one that registers, one that is asked by OPTIONS before its
// first call, and one that shows the caller's number instead of its own name.
func TestFreeSwitchGateways(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	carrier := startTalker(t, voices(t)[0])
	s.asteriskConnections(carrier.Addr(), false)
	f := startFreeSwitch(t, s)
	process.Eventually(t, "registered", 30*time.Second, func() bool {
		return strings.Contains(f.cli("sofia status gateway registers"), "REGED")
	})
	process.Eventually(t, "answered to OPTIONS", 30*time.Second, func() bool {
		return strings.Contains(f.cli("sofia status gateway pings"), "UP")
	})
	for n, gateway := range []string{"registers", "pings", "caller"} {
		heard := filepath.Join(f.folder, "heard.wav")
		out := f.cli("originate {origination_caller_id_number=+13125550100,execute_on_answer='record_session " + heard +
			"',RECORD_READ_ONLY=true}sofia/gateway/" + gateway + "/12125550123 &playback(tone_stream://%(3000,0,400))")
		if !strings.HasPrefix(out, "+OK") {
			t.Errorf("%s: %s", gateway, out)
			continue
		}
		process.Eventually(t, "the record of the call over "+gateway, 30*time.Second, func() bool {
			return len(s.records()) == n+1
		})
		record := s.records()[0]
		if record["outcome"] != "answered" || record["hangup_cause"] != "NORMAL_CLEARING" {
			t.Errorf("%s: record %v", gateway, record)
		}
		wav, err := os.ReadFile(heard)
		if err != nil {
			t.Fatal(err)
		}
		if heard := tenths(sides(t, wav, "single", 8000)[0], 8000, calleeHz); heard < 20 {
			t.Errorf("%s: FreeSWITCH heard the carrier in %d tenths of a second of a call of 3 s", gateway, heard)
		}
	}
	for _, recording := range s.recordings(3) {
		audio := sides(t, fetch(t, recording), "dual", 8000)
		if heard := tenths(audio[0], 8000, asteriskHz); heard < 20 {
			t.Errorf("the carrier heard FreeSWITCH in %d tenths of a second", heard)
		}
	}
}

// TestFreeSwitchAsksAndTells has the calls of examples/freeswitch.
func TestFreeSwitchAsksAndTells(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	carrier := startSwitchCarrier(t)
	profile := s.setUp(nil, carrier.Addr())
	f := startFreeSwitch(t, s)
	s.switchCalls(f.sip)
	s.switchEnds(f.sip, profile)
	log, err := os.ReadFile(filepath.Join(f.folder, "fs.log"))
	if err != nil || !strings.Contains(string(log), "tollgate.lua") {
		t.Fatalf("the log of FreeSWITCH: %v", err)
	}
	if strings.Contains(string(log), process.Key) {
		t.Error("the key is in the log of FreeSWITCH")
	}
}
