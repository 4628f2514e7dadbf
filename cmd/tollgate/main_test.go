package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tollgate": main})
}

func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			example, err := os.ReadFile(filepath.Join("..", "..", "examples", "tollgate.json"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "example.json"), example, 0o600)
		},
	})
}
