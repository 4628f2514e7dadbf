package client_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/client"
	"github.com/tollgate/tollgate/internal/api"
	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// server is a real API over a real store in a temporary folder.
type server struct {
	store        *sqlstore.Store
	address, key string
	close        func() error
}

func startServer() (*server, error) {
	folder, err := os.MkdirTemp("", "tollgate-client")
	if err != nil {
		return nil, err
	}
	ctx, live := context.Background(), policy.NewLive()
	s, err := sqlstore.Open(ctx, sqlstore.Config{
		Path: filepath.Join(folder, "tollgate.db"), Live: live, Clock: time.Now, IDs: id.NewSource(1, time.Now),
		Owner: uuid.New(),
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	listening := httptest.NewServer(api.New(api.Config{Stores: app.StoresOf(s), Live: live, Version: "test"}))
	running := &server{store: s, address: listening.URL, close: func() error {
		listening.Close()
		return errors.Join(s.Close(), os.RemoveAll(folder))
	}}
	account, _, err := s.EnsureFirst(ctx)
	if err != nil {
		return nil, errors.Join(err, running.close())
	}
	running.key, err = api.NewKey(rand.Reader)
	if err == nil {
		key, importErr := api.ImportKey(running.key, account.ID, "test", api.ScopeRead, api.ScopeWrite,
			api.ScopeAdmit, api.ScopeCarrier, api.ScopeSecrets, api.ScopeAdmin)
		_, putErr := s.PutKey(ctx, key)
		err = errors.Join(importErr, putErr)
	}
	if err != nil {
		return nil, errors.Join(err, running.close())
	}
	return running, nil
}

func newClient(t *testing.T, options ...client.Option) (*client.Client, *server) {
	t.Helper()
	s, err := startServer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	c, err := client.New(s.address, s.key, options...)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}
