package app

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/tollgate/tollgate/internal/api"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// ensureAccount makes the first account and its key. A key that the operator gave
// is added; otherwise one is made when there is none yet.
func (a *App) ensureAccount(ctx context.Context) error {
	account, _, err := a.store.EnsureFirst(ctx)
	if err != nil {
		return fmt.Errorf("make the first account: %w", err)
	}
	if a.config.APIKey != "" {
		return a.ensureVariableKey(ctx, account.ID)
	}
	keys, err := a.store.CountKeys(ctx)
	if err != nil || keys > 0 {
		return err
	}
	secret, err := api.NewKey(rand.Reader)
	if err != nil {
		return err
	}
	key, err := api.ImportKey(secret, account.ID, "first key", api.Scopes()...)
	if err != nil {
		return err
	}
	if _, err := a.store.PutKey(ctx, key); err != nil {
		return fmt.Errorf("store the API key: %w", err)
	}
	a.newKey = secret
	return nil
}

// ensureVariableKey makes the key of TOLLGATE_API_KEY valid, in place of the one that it
// named before, and tells the operator if it is not accepted.
func (a *App) ensureVariableKey(ctx context.Context, account id.ID) error {
	key, err := api.ImportKey(a.config.APIKey, account, "from TOLLGATE_API_KEY", api.Scopes()...)
	if err != nil {
		return fmt.Errorf("TOLLGATE_API_KEY: %w", err)
	}
	did, err := a.store.SetVariableKey(ctx, key)
	if err != nil {
		return fmt.Errorf("store the API key: %w", err)
	}
	for i := range did.Retired {
		old := &did.Retired[i]
		a.logger.Warn("TOLLGATE_API_KEY names another key: the one that it named before is deleted",
			"key_id", old.ID.String(), "hint", old.Hint)
	}
	switch did.State {
	case sqlstore.VariableGone:
		a.logger.Warn("TOLLGATE_API_KEY names a key that was deleted, or replaced by a later one, and is not taken again." +
			" To get in, use another key or set the variable to a new value; with no key left, start once without the " +
			"variable, and a key is made and printed")
	case sqlstore.VariableRotated:
		a.logger.Warn("TOLLGATE_API_KEY names a key that was rotated since: its new secret is the one that the API gave." +
			" To have the variable in force again, set it to a new value")
	case sqlstore.VariableTaken:
	}
	return nil
}
