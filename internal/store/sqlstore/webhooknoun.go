package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/webhook"
)

// WebhookEndpoints is one of Collections.
func (s *Store) WebhookEndpoints() collection.Of[webhook.Endpoint, id.ID] {
	return &documents[webhook.Endpoint, id.ID]{store: s, noun: webhookEndpointNoun()}
}

// webhookEndpointNoun describes the endpoints that have a resource of their own.
// Those of connections are in the connections.
func webhookEndpointNoun() *noun[webhook.Endpoint, id.ID] {
	type T = webhook.Endpoint
	return &noun[T, id.ID]{
		name: "webhook endpoint", table: "webhook_endpoints", fresh: webhook.NewEndpoint,
		columns: column.List[T]{
			// 0 for the whole account
			column.Integer("connection_id", column.ID, func(e *T) *id.ID { return &e.ConnectionID }),
			column.Flag("enabled", func(e *T) *bool { return &e.Enabled }),
			column.Words("url", func(e *T) *string { return &e.URL }),
		},
		indexes: []table.Index{{On: "account_id, connection_id"}},
		check:   checkWebhookEndpoint,
		most:    store.MaxWebhookEndpoints,
		kind:    policy.KindWebhook, put: once(policy.PutWebhook), gone: byID(policy.DropWebhook),
	}
}

// checkWebhookEndpoint wants the connection to exist.
func checkWebhookEndpoint(_ context.Context, tx *database.Tx, e *webhook.Endpoint) error {
	if e.ConnectionID == 0 {
		return nil
	}
	if c := tx.Snapshot.Connection(e.ConnectionID); c == nil || c.Account != e.AccountID {
		return &collection.ReferenceError{Err: collection.ErrNoReference, Field: "/connection_id",
			Other: e.ConnectionID.String()}
	}
	return nil
}

// dropWebhooksOf deletes the endpoints of a connection with it.
func dropWebhooksOf(ctx context.Context, tx *database.Tx,
	account, connection id.ID) (changes []policy.Change, err error) {
	err = table.Query(ctx, tx, func(rows *sql.Rows) error {
		var endpoint id.ID
		err := rows.Scan(&endpoint)
		changes = append(changes, policy.DropWebhook(endpoint))
		return err
	}, "SELECT id FROM webhook_endpoints WHERE account_id = $1 AND connection_id = $2", int64(account), int64(connection))
	if err != nil {
		return nil, err
	}
	return changes, tx.Exec(ctx, "DELETE FROM webhook_endpoints WHERE account_id = $1 AND connection_id = $2",
		int64(account), int64(connection))
}

// announce publishes the event of a changed object. The record types of the API are the
// names of the nouns, as in outbound_voice_profile.
func (n *noun[T, K]) announce(ctx context.Context, tx *database.Tx, object *T, action string) error {
	h, _ := collection.HeadOf[K](object)
	return tx.Announce(ctx, webhook.Change{
		Account: h.AccountID, ResourceType: strings.ReplaceAll(strings.ToLower(n.name), " ", "_"),
		ResourceID: fmt.Sprint(h.ID), Action: action, Version: h.Version,
	})
}
