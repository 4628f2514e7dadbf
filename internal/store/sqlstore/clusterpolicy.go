package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/routing"
)

// keptChanges is how many changes of the configuration are kept. A node that is
// further behind loads the whole of it.
const keptChanges = 10_000

// configChannel is where the nodes are told that the configuration has changed.
const configChannel = "tollgate_config"

// The kinds of changes, as they are stored. A change of any other kind makes the
// other nodes load the whole configuration.
const (
	changedAccount    = "account"
	changedProfile    = "profile"
	changedConnection = "connection"
	changedIP         = "ip"
	changedGateway    = "gateway"
	changedDeck       = "deck"
	changedWebhook    = "webhook"
	changedOverride   = "override"
	changedVerified   = "verified_number"
	changedAnything   = "anything"
)

// changed object of the configuration.
type configObject struct {
	kind            string
	account, object id.ID // account only for gateways
}

// changedObject is what a change of the policy is about.
func changedObject(c *policy.Change) configObject {
	switch {
	case c.PutAccount != nil:
		return configObject{kind: changedAccount, object: c.PutAccount.ID}
	case c.DropAccount != 0:
		return configObject{kind: changedAccount, object: c.DropAccount}
	case c.PutProfile != nil:
		return configObject{kind: changedProfile, object: c.PutProfile.ID}
	case c.DropProfile != 0:
		return configObject{kind: changedProfile, object: c.DropProfile}
	case c.PutIPConn != nil:
		return configObject{kind: changedConnection, object: c.PutIPConn.ID}
	case c.PutCredential != nil:
		return configObject{kind: changedConnection, object: c.PutCredential.ID}
	case c.PutFQDNConn != nil:
		return configObject{kind: changedConnection, object: c.PutFQDNConn.ID}
	case c.DropConnection != 0:
		return configObject{kind: changedConnection, object: c.DropConnection}
	case c.PutIP != nil:
		return configObject{kind: changedIP, object: c.PutIP.ID}
	case c.DropIP != 0:
		return configObject{kind: changedIP, object: c.DropIP}
	case c.PutGateway != nil:
		return configObject{changedGateway, c.PutGateway.AccountID, c.PutGateway.ID}
	case c.DropGateway != nil:
		return configObject{changedGateway, c.DropGateway.AccountID, c.DropGateway.ID}
	case c.PutDeck != nil:
		return configObject{kind: changedDeck, object: c.PutDeck.ID}
	case c.DropDeck != 0:
		return configObject{kind: changedDeck, object: c.DropDeck}
	case c.PutWebhook != nil:
		return configObject{kind: changedWebhook, object: c.PutWebhook.ID}
	case c.DropWebhook != 0:
		return configObject{kind: changedWebhook, object: c.DropWebhook}
	case c.PutOverride != nil:
		return configObject{kind: changedOverride, object: c.PutOverride.ID}
	case c.DropOverride != 0:
		return configObject{kind: changedOverride, object: c.DropOverride}
	case c.PutVerified != nil:
		return configObject{kind: changedVerified, object: c.PutVerified.ID}
	case c.DropVerified != 0:
		return configObject{kind: changedVerified, object: c.DropVerified}
	}
	return configObject{kind: changedAnything}
}

// logChanges numbers the changes that a transaction makes, beginning after seq,
// and tells the other nodes when it commits.
func (w *clusterWriter) logChanges(ctx context.Context, changes []policy.Change, seq int64) error {
	if len(changes) == 0 {
		return nil
	}
	for i := range changes {
		o := changedObject(&changes[i])
		seq++
		_, err := w.conn.ExecContext(ctx, "INSERT INTO config_changes (seq, kind, account_id, object_id) VALUES ($1, $2, $3, $4)",
			seq, o.kind, int64(o.account), int64(o.object))
		if err != nil {
			return fmt.Errorf("log change of configuration: %w", err)
		}
	}
	for _, statement := range []struct {
		text string
		args []any
	}{
		{"UPDATE config_state SET seq = $1", []any{seq}},
		{"DELETE FROM config_changes WHERE seq <= $1", []any{seq - keptChanges}},
		{"SELECT pg_notify($1, $2)", []any{configChannel, w.store.config.Owner.String()}},
	} {
		if _, err := w.conn.ExecContext(ctx, statement.text, statement.args...); err != nil {
			return fmt.Errorf("log change of configuration: %w", err)
		}
	}
	return nil
}

// catchUp makes the policy what the configuration is at seq, and publishes it. The
// lock of the configuration is held, so what is read is one state of it.
func (w *clusterWriter) catchUp(ctx context.Context, seq int64) error {
	if seq == w.seq {
		return nil
	}
	objects, complete, err := w.changedSince(ctx, seq)
	if err != nil {
		return fmt.Errorf("read changes of configuration: %w", err)
	}
	var next *policy.Snapshot
	if complete {
		next, err = w.reload(ctx, objects)
	} else {
		next, err = loadPolicy(ctx, w.conn, w.snapshot, w.store.config.Vault, w.store.config.Clock())
	}
	if err != nil {
		return fmt.Errorf("load policy: %w", err)
	}
	w.snapshot, w.seq = next, seq
	w.store.live.Publish(next)
	return nil
}

// changedSince lists what has changed up to seq, each object once and in the order
// of its last change. complete is false when that is not known any more.
func (w *clusterWriter) changedSince(ctx context.Context, seq int64) (objects []configObject, complete bool, err error) {
	if w.seq == unloaded || seq-w.seq > keptChanges || seq < w.seq {
		return nil, false, nil
	}
	complete, wanted := true, w.seq
	seen := make(map[configObject]struct{})
	err = query(ctx, w.conn, func(rows *sql.Rows) error {
		var at int64
		var o configObject
		if err := rows.Scan(&at, &o.kind, &o.account, &o.object); err != nil {
			return err
		}
		wanted++
		if at != wanted || o.kind == changedAnything {
			complete = false
		}
		if _, again := seen[o]; !again {
			seen[o] = struct{}{}
			objects = append(objects, o)
		}
		return nil
	}, "SELECT seq, kind, account_id, object_id FROM config_changes WHERE seq > $1 AND seq <= $2 ORDER BY seq", w.seq, seq)
	return objects, complete && wanted == seq, err
}

// reload reads the objects as they are now and puts them into the policy. Whether
// an object comes before what it names makes no difference there.
func (w *clusterWriter) reload(ctx context.Context, objects []configObject) (*policy.Snapshot, error) {
	var changes []policy.Change
	for _, o := range objects {
		var found []policy.Change
		var err error
		switch o.kind {
		case changedAccount:
			found, err = w.reloadAccount(ctx, o.object)
		case changedProfile:
			found, err = reloadOne(ctx, w.conn, profileNoun(), o.object)
			if len(found) == 0 {
				found = []policy.Change{{DropProfile: o.object}}
			}
		case changedConnection:
			found, err = w.reloadConnection(ctx, o.object)
		case changedIP:
			found, err = reloadOne(ctx, w.conn, ipNoun(), o.object)
			if len(found) == 0 {
				found = []policy.Change{{DropIP: o.object}}
			}
		case changedGateway:
			found, err = reloadOne(ctx, w.conn, gatewayNoun(w.store.config.Vault), o.object)
			if len(found) == 0 {
				found = []policy.Change{{DropGateway: &routing.Gateway{ID: o.object, AccountID: o.account}}}
			}
		case changedDeck:
			found, err = w.reloadDeck(ctx, o.object)
		case changedWebhook:
			found, err = reloadOne(ctx, w.conn, webhookEndpointNoun(), o.object)
			if len(found) == 0 {
				found = []policy.Change{{DropWebhook: o.object}}
			}
		case changedOverride:
			found, err = reloadOne(ctx, w.conn, numberingNoun(), o.object)
			if len(found) == 0 {
				found = []policy.Change{{DropOverride: o.object}}
			}
		case changedVerified:
			found, err = reloadOne(ctx, w.conn, verifiedNoun(), o.object)
			if len(found) == 0 {
				found = []policy.Change{{DropVerified: o.object}}
			}
		default:
			// A node of a later release has written it.
			return loadPolicy(ctx, w.conn, w.snapshot, w.store.config.Vault, w.store.config.Clock())
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.kind, o.object, err)
		}
		changes = append(changes, found...)
	}
	return w.snapshot.With(changes...)
}

// reloadOne reads one object of any account, and returns nothing when it is gone.
func reloadOne[T any](ctx context.Context, q querier, n *noun[T, id.ID], key id.ID) ([]policy.Change, error) {
	object, err := n.scan(q.QueryRowContext(ctx, "SELECT "+docColumns+" FROM "+n.table+" WHERE id = $1", int64(key)).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return n.put(&object), nil
}

func (w *clusterWriter) reloadAccount(ctx context.Context, account id.ID) ([]policy.Change, error) {
	a, err := readAccount(ctx, w.conn, account)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return []policy.Change{{DropAccount: account}}, nil
	case err != nil:
		return nil, err
	}
	return []policy.Change{{PutAccount: compileAccount(&a)}}, nil
}

func (w *clusterWriter) reloadConnection(ctx context.Context, key id.ID) ([]policy.Change, error) {
	found, err := reloadOne(ctx, w.conn, ipConnectionNoun(w.store.config.Vault), key)
	if err == nil && len(found) == 0 {
		found, err = reloadOne(ctx, w.conn, credentialConnectionNoun(w.store.config.Vault), key)
	}
	if err == nil && len(found) == 0 {
		found, err = reloadOne(ctx, w.conn, fqdnConnectionNoun(w.store.config.Vault), key)
	}
	if len(found) == 0 {
		found = []policy.Change{{DropConnection: key}}
	}
	return found, err
}

// reloadDeck compiles a deck that is new to this node. One that it has is left as
// it is, since rows never change.
func (w *clusterWriter) reloadDeck(ctx context.Context, key id.ID) ([]policy.Change, error) {
	d := policy.Deck{ID: key}
	err := w.conn.QueryRowContext(ctx, "SELECT account_id FROM rate_decks WHERE id = $1", int64(key)).Scan(&d.Account)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return []policy.Change{{DropDeck: key}}, nil
	case err != nil:
		return nil, err
	case w.snapshot.Deck(key) != nil:
		return nil, nil
	}
	if d.Rates = w.store.compiled.take(key); d.Rates == nil {
		d.Rates, err = compileStored(ctx, w.conn, d.Account, key, w.store.config.Clock())
	}
	return []policy.Change{{PutDeck: &d}}, err
}
