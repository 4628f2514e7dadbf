package setting_test

import (
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/setting"
)

// One line is a flag, a variable, a key of the config file, a default and a limit.
func ExampleOf() {
	config := struct {
		MaxCall time.Duration `name:"max-call" default:"1h" min:"0" reload:"" help:"How long any call may last."`
	}{}
	setting.SetDefaults(&config)
	for _, s := range setting.Of(&config) {
		fmt.Println(s.Flag(), s.Variable(), s.Key(), s.Value(), s.Reload)
	}
	config.MaxCall = -time.Second
	for _, problem := range setting.Check(&config) {
		fmt.Println(problem)
	}
	// Output:
	// --max-call TOLLGATE_MAX_CALL max_call 1h0m0s true
	// max_call: must be at least 0, not -1s
}

func ExampleNearest() {
	fmt.Println(setting.Nearest("sip_adr", []string{"http_addr", "sip_addr", "stop_limit"}))
	// Output: sip_addr
}
