package postgres

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// keptChanges is how many changes of the configuration are kept. A node that is
// further behind loads the whole of it.
const keptChanges = 10_000

// configChannel is the channel of notifications about changed configuration.
const configChannel = "tollgate_config"

// logChanges numbers the changes that a transaction makes, beginning after seq,
// and tells the other nodes when it commits.
func (w *writer) logChanges(ctx context.Context, changes []policy.Change, seq int64) error {
	if len(changes) == 0 {
		return nil
	}
	for _, c := range changes {
		o := c.Object
		seq++
		_, err := w.conn.ExecContext(ctx,
			"INSERT INTO config_changes (seq, kind, account_id, object_id) VALUES ($1, $2, $3, $4)",
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
		{"SELECT pg_notify($1, $2)", []any{configChannel, w.ledger.Owner.String()}},
	} {
		if _, err := w.conn.ExecContext(ctx, statement.text, statement.args...); err != nil {
			return fmt.Errorf("log change of configuration: %w", err)
		}
	}
	return nil
}

// catchUp makes the policy what the configuration is at seq, and publishes it. The
// lock of the configuration is held, so what is read is one state of it.
func (w *writer) catchUp(ctx context.Context, seq int64) error {
	if seq == w.seq {
		return nil
	}
	objects, complete, err := w.changedSince(ctx, seq)
	if err != nil {
		return fmt.Errorf("read changes of configuration: %w", err)
	}
	var next *policy.Snapshot
	if complete {
		next, err = w.ledger.Reload(ctx, w.conn, w.snapshot, objects)
	} else {
		next, err = w.ledger.Load(ctx, w.conn, w.snapshot)
	}
	if err != nil {
		return fmt.Errorf("load policy: %w", err)
	}
	w.snapshot, w.seq = next, seq
	w.ledger.Live.Publish(next)
	return nil
}

// changedSince lists what has changed up to seq, each object once and in the order
// of its last change. complete is false when that is not known any more.
func (w *writer) changedSince(ctx context.Context, seq int64) (objects []policy.Object, complete bool, err error) {
	if w.seq == unloaded || seq-w.seq > keptChanges || seq < w.seq {
		return nil, false, nil
	}
	complete, wanted := true, w.seq
	seen := make(map[policy.Object]struct{})
	err = table.Query(ctx, w.conn, func(rows *sql.Rows) error {
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
