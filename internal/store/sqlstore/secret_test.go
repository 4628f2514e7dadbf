package sqlstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

func vaultOf(t *testing.T, keys ...byte) *secret.Vault {
	t.Helper()
	var all [][]byte
	for _, key := range keys {
		all = append(all, []byte(strings.Repeat(string(rune(key)), 32)))
	}
	v, err := secret.New(all...)
	check(t, err)
	return v
}

// twoDatabases runs a test on a database of each kind. open opens it, as a process
// that has a vault.
func twoDatabases(t *testing.T, test func(t *testing.T, open func(v *secret.Vault) (*sqlstore.Store, error),
	dump func() string)) {
	open := func(t *testing.T, config sqlstore.Config, v *secret.Vault) (*sqlstore.Store, error) {
		config.Live = policy.NewLive()
		config.Clock = time.Now
		config.IDs = id.NewSource(1, time.Now)
		config.Owner = uuid.New()
		config.Vault = v
		config.MaxClockOffset = -1
		return sqlstore.Open(t.Context(), config)
	}
	t.Run("SQLite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tollgate.db")
		test(t, func(v *secret.Vault) (*sqlstore.Store, error) { return open(t, sqlstore.Config{Path: path}, v) },
			func() string {
				var all strings.Builder
				for _, suffix := range []string{"", "-wal"} {
					text, err := os.ReadFile(path + suffix)
					if err != nil && !errors.Is(err, os.ErrNotExist) {
						t.Fatal(err)
					}
					all.Write(text)
				}
				return all.String()
			})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		url, _ := newDatabase(t)
		test(t, func(v *secret.Vault) (*sqlstore.Store, error) {
			return open(t, sqlstore.Config{DatabaseURL: url, NodeName: uuid.NewString()}, v)
		}, func() string { return dumpServer(t, url) })
	})
}

// dumpServer is every row of every table, as text.
func dumpServer(t *testing.T, url string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	check(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "SET tollgate.account = '*'")
	check(t, err)
	rows, err := conn.Query(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
	check(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	check(t, err)
	var all strings.Builder
	for _, table := range tables {
		rows, err := conn.Query(ctx, `SELECT t::text FROM "`+table+`" AS t`)
		check(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		check(t, err)
		all.WriteString(strings.Join(lines, "\n"))
	}
	return all.String()
}

// keepSecrets stores one of every kind, in both their first and a later form.
func keepSecrets(t *testing.T, s *sqlstore.Store) (account id.ID, secrets []string) {
	t.Helper()
	first, _, err := s.EnsureFirst(t.Context())
	check(t, err)
	c := connection.NewCredentialConnection()
	c.ConnectionName = "phone"
	c.UserName = "user1"
	c.Password = "Phone-Secret-1"
	c, err = s.CredentialConnections().Create(t.Context(), first.ID, c)
	check(t, err)
	_, err = s.CredentialConnections().Update(t.Context(), first.ID, c.ID,
		func(c connection.CredentialConnection) (connection.CredentialConnection, error) {
			c.Password = "Phone-Secret-2"
			return c, nil
		})
	check(t, err)
	ip := connection.NewIPConnection()
	ip.ConnectionName = "pbx"
	ip.Outbound.IPAuthenticationMethod = "token"
	ip.Outbound.IPAuthenticationToken =
		new("Token-Secret-3")
	_, err = s.IPConnections().Create(t.Context(), first.ID, ip)
	check(t, err)
	f := connection.NewFQDNConnection()
	f.ConnectionName, f.UserName, f.Password, f.Outbound.IPAuthenticationToken = "name", new("user2"),
		new("Name-Secret-4"), new("Token-Secret-5")
	_, err = s.FQDNConnections().Create(t.Context(), first.ID, f)
	check(t, err)
	g := routing.NewGateway()
	g.Name = "carrier"
	g.Address = "carrier.example"
	g.UserName = new("u")
	g.Password = new("Carrier-Secret-6")
	g, err = s.Gateways().Create(t.Context(), first.ID, g)
	check(t, err)
	_, err = s.Gateways().Delete(t.Context(), first.ID, g.ID)
	check(t, err)
	g.Password = new("Carrier-Secret-7")
	_, err = s.Gateways().Create(t.Context(), first.ID, g)
	check(t, err)
	all := []string{"Phone-Secret-1", "Phone-Secret-2", "Token-Secret-3", "Name-Secret-4", "Token-Secret-5",
		"Carrier-Secret-6", "Carrier-Secret-7"}
	for _, password := range all[:2] {
		h := connection.HA1Of("user1", password)
		all = append(all, h.MD5, h.SHA256) // anyone who has these can call as the user
	}
	return first.ID, all
}

func wantKept(t *testing.T, s *sqlstore.Store, account id.ID) {
	t.Helper()
	phones, err := s.CredentialConnections().List(t.Context(), account, collection.Query{Number: 1, Size: 5})
	check(t, err)
	pbxs, err := s.IPConnections().List(t.Context(), account, collection.Query{Number: 1, Size: 5})
	check(t, err)
	names, err := s.FQDNConnections().List(t.Context(), account, collection.Query{Number: 1, Size: 5})
	check(t, err)
	carriers, err := s.Gateways().List(t.Context(), account, collection.Query{Number: 1, Size: 5})
	check(t, err)
	got := []string{phones.Items[0].Password, *pbxs.Items[0].Outbound.IPAuthenticationToken, *names.Items[0].Password,
		*names.Items[0].Outbound.IPAuthenticationToken, *carriers.Items[0].Password}
	if want := []string{"Phone-Secret-2", "Token-Secret-3", "Name-Secret-4", "Token-Secret-5",
		"Carrier-Secret-7"}; !slices.Equal(got, want) {
		t.Errorf("kept %q, want %q", got, want)
	}
}

// No secret is in a database as it is, nor anything by which it could be used or found.
func TestSecretsAreSealedAtRest(t *testing.T) {
	twoDatabases(t, func(t *testing.T, open func(*secret.Vault) (*sqlstore.Store, error), dump func() string) {
		s, err := open(vaultOf(t, 'a'))
		check(t, err)
		account, secrets := keepSecrets(t, s)
		check(t, s.Close())
		sealed := dump()
		for _, one := range secrets {
			if strings.Contains(sealed, one) {
				t.Errorf("%s is in the database", one)
			}
		}
		s, err = open(vaultOf(t, 'a'))
		check(t, err)
		wantKept(t, s, account)
		check(t, s.Close())

		// Another key is refused before anything is done.
		wrong := (*sqlstore.WrongKeyError)(nil)
		if _, err := open(vaultOf(t, 'b')); !errors.As(err, &wrong) ||
			!slices.Equal(wrong.Missing, []string{vaultOf(t, 'a').ID()}) {
			t.Errorf("opened with another key: %v", err)
		}

		// A new first key reseals everything, and then the old one is not needed.
		s, err = open(vaultOf(t, 'b', 'a'))
		check(t, err)
		wantKept(t, s, account)
		check(t, s.Close())
		s, err = open(vaultOf(t, 'b'))
		check(t, err)
		wantKept(t, s, account)
		check(t, s.Close())
	})
}

// A password of which only the hashes are kept works for calls, and cannot be read back.
func TestForgottenPasswords(t *testing.T) {
	config := sqlstore.Config{Path: filepath.Join(t.TempDir(), "tollgate.db"), Live: policy.NewLive(), Clock: time.Now,
		IDs: id.NewSource(1, time.Now), Owner: uuid.New(), Vault: vaultOf(t, 'a'), ForgetPasswords: true}
	s, err := sqlstore.Open(t.Context(), config)
	check(t, err)
	keepSecrets(t, s)
	check(t, s.Close())
	config.Live, config.Owner = policy.NewLive(), uuid.New()
	s, err = sqlstore.Open(t.Context(), config)
	check(t, err)
	defer func() { check(t, s.Close()) }()
	want := connection.HA1Of("user1", "Phone-Secret-2")
	if c := config.Live.Snapshot().ByUser("user1"); c == nil || c.HA1 != want {
		t.Errorf("calls are checked by %+v, want %+v", c, want)
	}
	want = connection.HA1Of("user2", "Name-Secret-4")
	if c := config.Live.Snapshot().ByUser("user2"); c == nil || c.HA1 != want {
		t.Errorf("calls of an FQDN connection are checked by %+v, want %+v", c, want)
	}
	account, _, err := s.EnsureFirst(t.Context())
	check(t, err)
	names, err := s.FQDNConnections().List(t.Context(), account.ID, collection.Query{Number: 1, Size: 5})
	check(t, err)
	if got := *names.Items[0].Password; !connection.IsHashed(got) || strings.Contains(got, "Secret") {
		t.Errorf("that of an FQDN connection is kept as %q", got)
	}
	phones, err := s.CredentialConnections().List(t.Context(), account.ID, collection.Query{Number: 1, Size: 5})
	check(t, err)
	if got := phones.Items[0].Password; !connection.IsHashed(got) || strings.Contains(got, "Secret") {
		t.Errorf("kept as %q", got)
	}
}
