package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestUnprovenDatabase says which databases are warned about.
func TestUnprovenDatabase(t *testing.T) {
	for url, want := range map[string]string{
		"host=/var/run/postgresql": "", "postgres://u@127.0.0.1/t": "", "postgres://u@localhost/t?sslmode=disable": "",
		"postgres://u@[::1]/t":                              "",
		"postgres://u@db.example.com/t?sslmode=verify-full": "", "postgres://u@db.example.com/t": "db.example.com",
		"postgres://u@db.example.com/t?sslmode=require":   "db.example.com",
		"postgres://u@10.0.0.5/t?sslmode=disable":         "10.0.0.5",
		"postgres://u@db.example.com/t?sslmode=verify-ca": "db.example.com",
		"postgres://u@127.0.0.1,db.example.com/t":         "db.example.com",
	} {
		if config, err := pgx.ParseConfig(url); err != nil || unproven(config) != want {
			t.Errorf("%s: %q, %v, want %q", url, unproven(config), err, want)
		}
	}
}
