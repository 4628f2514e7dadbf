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

// logChanges numbers the changes that a transaction makes, beginning after seq,
// and tells the other nodes when it commits.
func (w *clusterWriter) logChanges(ctx context.Context, changes []policy.Change, seq int64) error {
	if len(changes) == 0 {
		return nil
	}
	for _, c := range changes {
		o := c.Object
		seq++
		_, err := w.conn.ExecContext(ctx, "INSERT INTO config_changes (seq, kind, account_id, object_id) VALUES ($1, $2, $3, $4)",
			seq, string(o.Kind), int64(o.Account), int64(o.ID))
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
func (w *clusterWriter) changedSince(ctx context.Context, seq int64) (objects []policy.Object, complete bool, err error) {
	if w.seq == unloaded || seq-w.seq > keptChanges || seq < w.seq {
		return nil, false, nil
	}
	complete, wanted := true, w.seq
	seen := make(map[policy.Object]struct{})
	err = query(ctx, w.conn, func(rows *sql.Rows) error {
		var at int64
		var o policy.Object
		if err := rows.Scan(&at, &o.Kind, &o.Account, &o.ID); err != nil {
			return err
		}
		wanted++
		if at != wanted || o.Kind == policy.KindAnything {
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
func (w *clusterWriter) reload(ctx context.Context, objects []policy.Object) (*policy.Snapshot, error) {
	var changes []policy.Change
	for _, o := range objects {
		var found []policy.Change
		var err error
		switch o.Kind {
		case policy.KindAccount:
			found, err = w.reloadAccount(ctx, o.ID)
		case policy.KindProfile:
			found, err = reloadOne(ctx, w.conn, profileNoun(), o.ID, policy.DropProfile)
		case policy.KindConnection:
			found, err = w.reloadConnection(ctx, o.ID)
		case policy.KindIP:
			found, err = reloadOne(ctx, w.conn, ipNoun(), o.ID, policy.DropIP)
		case policy.KindGateway:
			found, err = reloadOne(ctx, w.conn, gatewayNoun(w.store.config.Vault), o.ID, func(gateway id.ID) policy.Change {
				return policy.DropGateway(&routing.Gateway{ID: gateway, AccountID: o.Account})
			})
		case policy.KindDeck:
			found, err = w.reloadDeck(ctx, o.ID)
		case policy.KindWebhook:
			found, err = reloadOne(ctx, w.conn, webhookEndpointNoun(), o.ID, policy.DropWebhook)
		case policy.KindOverride:
			found, err = reloadOne(ctx, w.conn, numberingNoun(), o.ID, policy.DropOverride)
		case policy.KindVerified:
			found, err = reloadOne(ctx, w.conn, verifiedNoun(), o.ID, policy.DropVerified)
		default:
			// A node of a later release has written it.
			return loadPolicy(ctx, w.conn, w.snapshot, w.store.config.Vault, w.store.config.Clock())
		}
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.Kind, o.ID, err)
		}
		changes = append(changes, found...)
	}
	return w.snapshot.With(changes...)
}

// reloadOne reads one object of any account, which is dropped when it is gone.
func reloadOne[T any](ctx context.Context, q querier, n *noun[T, id.ID], key id.ID,
	drop func(id.ID) policy.Change) ([]policy.Change, error) {
	found, err := readOne(ctx, q, n, key)
	if err == nil && len(found) == 0 {
		found = []policy.Change{drop(key)}
	}
	return found, err
}

// readOne is the change that puts one object of any account into the policy, or nothing
// when it is gone.
func readOne[T any](ctx context.Context, q querier, n *noun[T, id.ID], key id.ID) ([]policy.Change, error) {
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
		return []policy.Change{policy.DropAccount(account)}, nil
	case err != nil:
		return nil, err
	}
	return []policy.Change{policy.PutAccount(compileAccount(&a))}, nil
}

func (w *clusterWriter) reloadConnection(ctx context.Context, key id.ID) ([]policy.Change, error) {
	found, err := readOne(ctx, w.conn, ipConnectionNoun(w.store.config.Vault), key)
	if err == nil && len(found) == 0 {
		found, err = readOne(ctx, w.conn, credentialConnectionNoun(w.store.config.Vault), key)
	}
	if err == nil && len(found) == 0 {
		return reloadOne(ctx, w.conn, fqdnConnectionNoun(w.store.config.Vault), key, policy.DropConnection)
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
		return []policy.Change{policy.DropDeck(key)}, nil
	case err != nil:
		return nil, err
	case w.snapshot.Deck(key) != nil:
		return nil, nil
	}
	if d.Rates = w.store.compiled.take(key); d.Rates == nil {
		d.Rates, err = compileStored(ctx, w.conn, d.Account, key, w.store.config.Clock())
	}
	return []policy.Change{policy.PutDeck(&d)}, err
}
