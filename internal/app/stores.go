package app

import (
	"github.com/tollgate/tollgate/internal/api"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// StoresOf gives each part of the API what it asks of the store.
func StoresOf(s *sqlstore.Store) api.Stores {
	return api.Stores{
		Resources: s, Tenants: s, Keys: s, Writes: s, Ledger: s, Calls: s, HangUps: s, Spending: s, Connections: s,
		Decks: s, Reports: s, Recordings: s, Verifications: s, Webhooks: s.Webhooks(), Bans: s,
	}
}
