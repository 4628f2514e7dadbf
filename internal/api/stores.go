package api

import "github.com/tollgate/tollgate/internal/store"

// Stores are what the handlers ask of what is kept. Each group of them knows only its own.
type Stores struct {
	Resources     store.Resources
	Tenants       store.Tenants
	Keys          store.KeyFinder
	Writes        store.Writes
	Ledger        store.Ledger
	Calls         store.Calls
	HangUps       store.HangUps
	Spending      store.Spending
	Connections   store.Connections
	Decks         store.Decks
	Reports       store.Reports
	Recordings    store.Recordings
	Verifications store.Verifications
	Webhooks      store.WebhookLog
	Bans          store.Bans
}
