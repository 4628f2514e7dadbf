package setting

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

type limits struct {
	Wait  time.Duration `name:"wait" default:"10s" min:"1s" reload:"" help:"How long."`
	Ratio float64       `name:"ratio" default:"0.5" min:"0" max:"1" help:"Part."`
	Size  int           `name:"size" default:"32" max:"64" unit:"MiB" help:"Size."`
}

type addresses struct {
	Listen  string   `name:"listen-addr" default:"127.0.0.1:80" form:"host:port" help:"Address."`
	Capture string   `name:"capture" form:"host:port" help:"Other address."`
	Servers []string `name:"servers" default:"a:1,b:2" form:"host:port" help:"List."`
	On      bool     `name:"on" help:"On or off, not a|b."`
	Secret  string   `name:"secret" kong:"-" secret:"" help:"Secret."`
}

type settings struct {
	limits    `part:"Limits" see:"LIMITS.md"`
	addresses `part:"Addresses"`
	Version   string
}

func defaults() settings {
	var s settings
	SetDefaults(&s)
	return s
}

func TestDefaults(t *testing.T) {
	want := settings{
		limits:    limits{Wait: 10 * time.Second, Ratio: 0.5, Size: 32},
		addresses: addresses{Listen: "127.0.0.1:80", Servers: []string{"a:1", "b:2"}},
	}
	got := defaults()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if problems := Check(&got); len(problems) > 0 {
		t.Errorf("the defaults: %v", problems)
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*settings)
		want   string
	}{
		"below":          {func(s *settings) { s.Wait = 0 }, "wait: must be at least 1s, not 0s"},
		"above":          {func(s *settings) { s.Size = 65 }, "size: must be at most 64 MiB, not 65"},
		"outside":        {func(s *settings) { s.Ratio = -1 }, "ratio: must be from 0 to 1, not -1"},
		"not a number":   {func(s *settings) { s.Ratio = math.NaN() }, "ratio: must be from 0 to 1, not NaN"},
		"no port":        {func(s *settings) { s.Capture = "host" }, `capture: "host" is not host:port`},
		"a port by name": {func(s *settings) { s.Capture = "host:http" }, `capture: "host:http" is not host:port`},
		"no address":     {func(s *settings) { s.Listen = "" }, `listen_addr: "" is not host:port`},
		"one of a list":  {func(s *settings) { s.Servers = []string{"a:1", "b"} }, `servers: "b" is not host:port`},
	} {
		s := defaults()
		c.change(&s)
		problems := Check(&s)
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, problems, c.want)
		}
	}
}

func TestErrorsNameTheSetting(t *testing.T) {
	s := defaults()
	if got := Errorf(&s, &s.Listen, "is %s", "taken").Error(); got != "listen_addr: is taken" {
		t.Error(got)
	}
	if got := Name(&s, &s.Secret); got != "TOLLGATE_SECRET" {
		t.Error(got)
	}
}

func TestSecrets(t *testing.T) {
	s := defaults()
	read := func(variable string) string { return "value of " + variable }
	ReadSecrets(&s, read)
	if want := "value of TOLLGATE_SECRET"; s.Secret != want {
		t.Errorf("got %q, want %q", s.Secret, want)
	}
	s.Secret = "given"
	if ReadSecrets(&s, read); s.Secret != "given" {
		t.Errorf("a secret that was given became %q", s.Secret)
	}
}

func TestCopyReloadable(t *testing.T) {
	s, other := defaults(), defaults()
	other.Wait, other.Size = time.Minute, 1
	CopyReloadable(&s, &other)
	if s.Wait != time.Minute || s.Size != 32 {
		t.Errorf("got %s and %d", s.Wait, s.Size)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"data_dir", "http_addr", "http_plain", "sip_addr"}
	for name, want := range map[string]string{
		"http_adr": "http_addr", "http_addr": "http_addr", "plain": "http_plain",
		"datadir": "data_dir", "sipaddr": "sip_addr",
	} {
		if got := Nearest(name, known); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestMarkdown(t *testing.T) {
	got := Markdown(new(settings))
	for _, want := range []string{
		"\n## Limits\n\n[LIMITS.md](LIMITS.md) says more.\n",
		"| `--wait`<br>`TOLLGATE_WAIT`<br>`wait` | `10s` | at least 1s | How long. SIGHUP applies a new value. |\n",
		"| `--on`<br>`TOLLGATE_ON`<br>`on` | off |  | On or off, not a\\|b. |\n",
		"| `TOLLGATE_SECRET` |  |  | Secret. |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}
