package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/webhook"
)

// noun describes one kind of resource: where it is kept, which columns it has
// beside its JSON document, and what must hold when it is written.
type noun[T any, K comparable] struct {
	name    string // for messages
	table   string
	columns column.List[T]           // beside the document: by what objects are found
	indexes []table.Index            // beside those of the id
	fields  map[string]listing.Field // that are called otherwise than their columns, or are none
	// outlives is set where rows may be left when their account is deleted.
	outlives bool
	// server is set for what belongs to the server and to no account: its rows are those of
	// the first account, which cannot be deleted, for any caller.
	server bool
	// self is set for accounts: each belongs to the server and is its own account.
	self bool

	// fresh makes an object with all its defaults: stored documents are read into one, and so
	// are requests.
	fresh func() T
	// assign fills in what the store decides of a new object; nil for nothing.
	assign func(ctx context.Context, tx *database.Tx, object *T) error
	most   int       // how many an account may have; 0 for any number
	apart  *apart[T] // which may not be there together; nil for any
	// check fails with a collection.ReferenceError when the object may not be written; nil for
	// never.
	check func(ctx context.Context, tx *database.Tx, object *T) error
	// touched are the lockable fields that a write changes; either object is nil for none.
	touched func(before, after *T) []store.LockedField
	// removable fails with a collection.ReferenceError when the object may not be deleted.
	removable func(ctx context.Context, tx *database.Tx, object *T) error
	// kind is what the policy calls it, put and gone are what it must know; none for what
	// decides no calls. If nodes cannot read one object again, kind is not set.
	kind policy.Kind
	put  func(object *T) []policy.Change
	gone func(policy.Object) policy.Change
	// drop deletes what goes with the object, and returns what the policy must know of
	// that; nil for nothing.
	drop func(ctx context.Context, tx *database.Tx, object *T) ([]policy.Change, error)
	// removed marks an object that has been deleted, as the caller gets it.
	removed func(object *T, at time.Time)

	// secrets are the fields that vault seals where they are stored; nil for none.
	secrets func(*T) []secretText
	vault   *secret.Vault
}

// apart says which objects may not be there together: those that have the same value in a
// column, if clash says so.
type apart[T any] struct {
	column string
	clash  func(one, other *T) bool
	why    string // for messages, as in "which holds at the same time"
}

// once is put for a kind of which each object is one change.
func once[T any](put func(*T) policy.Change) func(*T) []policy.Change {
	return func(object *T) []policy.Change { return []policy.Change{put(object)} }
}

// byID is gone for a kind that is known by its id.
func byID(drop func(id.ID) policy.Change) func(policy.Object) policy.Change {
	return func(o policy.Object) policy.Change { return drop(o.ID) }
}

// changes put an object into the policy.
func (n *noun[T, K]) changes(object *T) []policy.Change {
	if n.put == nil {
		return nil
	}
	return n.put(object)
}

// remove deletes what goes with an object, and returns what the policy must know.
func (n *noun[T, K]) remove(ctx context.Context, tx *database.Tx, object *T) (changes []policy.Change, err error) {
	if n.drop != nil {
		changes, err = n.drop(ctx, tx, object)
	}
	if n.gone != nil && err == nil {
		h, _ := collection.HeadOf[id.ID](object)
		changes = append(changes, n.gone(policy.Object{Kind: n.kind, Account: h.AccountID, ID: h.ID}))
	}
	return changes, err
}

// keyValue is a key as the column id holds it.
func keyValue(key any) any {
	if u, ok := key.(uuid.UUID); ok {
		return u[:]
	}
	return int64(key.(id.ID))
}

// setKey gives a new object a key, unless it has a UUID that the caller chose.
func (s *Store) setKey(key any) error {
	switch key := key.(type) {
	case *id.ID:
		*key = s.config.IDs.Next()
	case *uuid.UUID:
		if *key != uuid.Nil {
			return nil
		}
		made, err := uuid.NewV7()
		if err != nil {
			return err
		}
		*key = made
	}
	return nil
}

// resource describes the table.
func (n *noun[T, K]) resource() table.Resource {
	return table.Resource{
		Name: n.table, Key: keyKind[K](), Columns: n.columns.Definition, Indexes: n.indexes, Outlives: n.outlives,
	}
}

// collection keeps the resources.
func (n *noun[T, K]) collection(s *Store) any { return &documents[T, K]{store: s, noun: n} }

// keyKind is the kind of the column that has a key.
func keyKind[K comparable]() column.Kind {
	var key K
	if _, ok := any(key).(uuid.UUID); ok {
		return column.UUID
	}
	return column.ID
}

// pages is the table as pages are read from it: every column is a field.
func (n *noun[T, K]) pages() *listing.Table {
	fields := map[string]listing.Field{
		"id":         {Column: "id", Kind: keyKind[K]()},
		"created_at": {Column: "created_at", Kind: column.Time},
		"updated_at": {Column: "updated_at", Kind: column.Time},
	}
	for i := range n.columns {
		c := &n.columns[i]
		if of, folded := strings.CutSuffix(c.Name, "_fold"); folded {
			plain := fields[of]
			plain.Fold = c.Name
			fields[of] = plain
			continue
		}
		fields[c.Name] = listing.Field{Column: c.Name, Kind: c.Kind}
	}
	maps.Copy(fields, n.fields)
	name := n.table
	if n.self { // a list is of all accounts
		name = fmt.Sprintf("(SELECT %d AS account_id, id, created_at, updated_at, version, doc FROM %s) AS listed",
			table.EveryAccount, n.table)
	}
	return &listing.Table{Name: name, Columns: docColumns, Fields: fields}
}

// documents are those of one kind of resource. They implement collection.Of.
type documents[T any, K comparable] struct {
	store *Store
	noun  *noun[T, K]
}

// sees is the account whose rows a transaction may see.
func (c *documents[T, K]) sees(account id.ID) id.ID {
	if c.noun.server {
		return table.EveryAccount
	}
	return account
}

// owner is the account that has the row with a key, when an account asks for it.
func (c *documents[T, K]) owner(ctx context.Context, account id.ID, key K) (id.ID, error) {
	if c.noun.self {
		own, _ := any(key).(id.ID)
		return own, nil
	}
	return c.lister(ctx, account)
}

// lister is the account that has the rows of a list, when an account asks for it.
func (c *documents[T, K]) lister(ctx context.Context, account id.ID) (id.ID, error) {
	if c.noun.self {
		return table.EveryAccount, nil
	}
	if !c.noun.server {
		return account, nil
	}
	err := c.store.db.Read(ctx, table.EveryAccount, func(tx table.Querier) error {
		return tx.QueryRowContext(ctx, "SELECT id FROM accounts ORDER BY created_at, id LIMIT 1").Scan(&account)
	})
	if err != nil {
		return 0, table.ReadError("account", "first", err)
	}
	return account, nil
}

// versionOf is the version of an object.
func versionOf[K comparable, T any](object *T) int64 {
	h, _ := collection.HeadOf[K](object)
	return h.Version
}

// errStale means that the object has changed since it was read: the update begins again.
var errStale = errors.New("object has changed")

func encodeDoc(object any) (string, error) {
	text, err := json.Marshal(object, json.Deterministic(true))
	return string(text), err
}

// decode reads a document back. Nothing of the result is shared.
func (n *noun[T, K]) decode(account id.ID, version int64, doc []byte) (object T, err error) {
	object = n.fresh()
	if err := json.Unmarshal(doc, &object); err != nil {
		return object, fmt.Errorf("decode %s: %w: %w", n.name, table.ErrCorrupt, err)
	}
	h, _ := collection.HeadOf[K](&object)
	h.AccountID, h.Version = account, version
	if n.self {
		h.AccountID, _ = any(h.ID).(id.ID)
	}
	return object, nil
}

func (n *noun[T, K]) scan(scan func(...any) error) (object T, err error) {
	var account id.ID
	var version int64
	var doc []byte
	if err := scan(&account, &version, &doc); err != nil {
		return object, err
	}
	if object, err = n.decode(account, version, doc); err != nil {
		return object, err
	}
	return object, n.unseal(&object)
}

const docColumns = "account_id, version, doc"

func (n *noun[T, K]) get(ctx context.Context, q table.Querier, account id.ID, key K) (T, error) {
	return n.scan(q.QueryRowContext(ctx, "SELECT "+docColumns+" FROM "+n.table+
		" WHERE account_id = $1 AND id = $2", int64(account), keyValue(key)).Scan)
}

// Fresh implements collection.Of.
func (c *documents[T, K]) Fresh() T { return c.noun.fresh() }

// Get implements collection.Of.
func (c *documents[T, K]) Get(ctx context.Context, account id.ID, key K) (T, error) {
	var object T
	account, err := c.owner(ctx, account, key)
	if err != nil {
		return object, err
	}
	err = c.store.db.Read(ctx, c.sees(account), func(tx table.Querier) (err error) {
		object, err = c.noun.get(ctx, tx, account, key)
		return err
	})
	if err != nil {
		var none T
		return none, table.ReadError(c.noun.name, fmt.Sprint(key), err)
	}
	return object, nil
}

// List implements collection.Of.
func (c *documents[T, K]) List(ctx context.Context, account id.ID, q collection.Query) (collection.Page[T], error) {
	l := c.noun.pages()
	page := collection.Page[T]{Items: []T{}}
	account, err := c.lister(ctx, account)
	if err != nil {
		return collection.Page[T]{}, err
	}
	err = c.store.db.Read(ctx, c.sees(account), func(tx table.Querier) (err error) {
		page.Total, err = l.Read(ctx, tx, account, q, func(rows *sql.Rows) error {
			object, err := c.noun.scan(rows.Scan)
			page.Items = append(page.Items, object)
			return err
		})
		return err
	})
	if err != nil {
		return collection.Page[T]{}, fmt.Errorf("list %s: %w", c.noun.table, table.Unavailable(err))
	}
	return page, nil
}

// Create implements collection.Of.
func (c *documents[T, K]) Create(ctx context.Context, account id.ID, object T) (T, error) {
	var created, none T
	account, err := c.lister(ctx, account)
	if err != nil {
		return none, err
	}
	err = c.store.db.Write(ctx, c.sees(account), func(tx *database.Tx) (err error) {
		created, err = c.noun.create(ctx, tx, c.store, account, object)
		return err
	})
	if err != nil {
		return none, fmt.Errorf("create %s: %w", c.noun.name, err)
	}
	return created, nil
}

func (n *noun[T, K]) create(ctx context.Context, tx *database.Tx, s *Store, account id.ID,
	object T) (created T, err error) {
	h, times := collection.HeadOf[K](&object)
	h.AccountID, h.Version = account, 1
	times.CreatedAt = s.db.Now()
	times.UpdatedAt = times.CreatedAt
	if err := s.setKey(&h.ID); err != nil {
		return created, err
	}
	if n.self {
		account, _ = any(h.ID).(id.ID)
		h.AccountID = account
	} else if err := database.AccountExists(ctx, tx, account); err != nil {
		return created, err
	}
	if n.assign != nil {
		if err := n.assign(ctx, tx, &object); err != nil {
			return created, err
		}
	}
	kept, err := n.copy(&object)
	if err != nil {
		return created, err
	}
	if err := n.permit(ctx, tx, account, nil, &kept); err != nil {
		return created, err
	}
	if err := n.save(ctx, tx, &kept, true); err != nil {
		return created, err
	}
	tx.Note(n.change("create", nil, &kept), kept)
	return n.copy(&kept)
}

// Update implements collection.Of. The change is made outside the writer, so
// that whatever it does holds up no calls; it is made again when another change
// else was faster.
func (c *documents[T, K]) Update(ctx context.Context, account id.ID, key K, change func(T) (T, error)) (T, error) {
	var none T
	account, err := c.owner(ctx, account, key)
	if err != nil {
		return none, err
	}
	for {
		current, err := c.Get(ctx, account, key)
		if err != nil {
			return none, err
		}
		h, times := collection.HeadOf[K](&current)
		version, created := h.Version, times.CreatedAt
		if !collection.OriginOf(ctx).Allows(version) {
			return none, &collection.VersionError{Current: current}
		}
		next, err := change(current)
		if err != nil {
			return none, err
		}
		h, times = collection.HeadOf[K](&next)
		*h = collection.Head[K]{ID: key, AccountID: account, Version: version + 1}
		*times = collection.Times{CreatedAt: created, UpdatedAt: c.store.db.Now()}
		saved, err := c.replace(ctx, account, key, version, &next)
		switch {
		case err == nil:
			return saved, nil
		case !errors.Is(err, errStale):
			return none, fmt.Errorf("update %s %v: %w", c.noun.name, key, err)
		}
	}
}

// replace puts the next version in the place of the one given, or fails with errStale.
func (c *documents[T, K]) replace(ctx context.Context, account id.ID, key K, version int64,
	next *T) (saved T, err error) {
	n := c.noun
	mine, err := n.copy(next)
	if err != nil {
		return saved, err
	}
	err = c.store.db.Write(ctx, c.sees(account), func(tx *database.Tx) error {
		current, err := n.get(ctx, tx, account, key)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return collection.ErrNotFound
		case err != nil:
			return err
		case versionOf[K](&current) != version:
			return errStale
		}
		if err := n.permit(ctx, tx, account, &current, &mine); err != nil {
			return err
		}
		if err := n.save(ctx, tx, &mine, false); err != nil {
			return err
		}
		tx.Note(n.change("update", &current, &mine), mine)
		return nil
	})
	if err != nil {
		return saved, err
	}
	return n.copy(&mine)
}

// Delete implements collection.Of.
func (c *documents[T, K]) Delete(ctx context.Context, account id.ID, key K) (T, error) {
	n := c.noun
	var gone T
	account, err := c.owner(ctx, account, key)
	if err != nil {
		return gone, err
	}
	err = c.store.db.Write(ctx, c.sees(account), func(tx *database.Tx) (err error) {
		if gone, err = n.get(ctx, tx, account, key); errors.Is(err, sql.ErrNoRows) {
			return collection.ErrNotFound
		} else if err != nil {
			return err
		}
		if !collection.OriginOf(ctx).Allows(versionOf[K](&gone)) {
			return &collection.VersionError{Current: gone}
		}
		if err := n.permit(ctx, tx, account, &gone, nil); err != nil {
			return err
		}
		if n.removable != nil {
			if err := n.removable(ctx, tx, &gone); err != nil {
				return err
			}
		}
		changes, err := n.remove(ctx, tx, &gone)
		if err != nil {
			return err
		}
		err = tx.Exec(ctx, "DELETE FROM "+n.table+" WHERE account_id = $1 AND id = $2", int64(account), keyValue(key))
		if database.IsReferred(err) {
			return &collection.ReferenceError{Err: collection.ErrInUse, Field: "/", Other: "what belongs to the " + n.name}
		} else if err != nil {
			return err
		}
		if n.removed != nil {
			n.removed(&gone, c.store.db.Now())
		}
		tx.Note(n.change("delete", &gone, nil), gone)
		if err := tx.Apply(changes...); err != nil {
			return err
		}
		return n.announce(ctx, tx, &gone, webhook.Deleted)
	})
	if err != nil {
		var none T
		return none, fmt.Errorf("delete %s %v: %w", n.name, key, err)
	}
	return gone, nil
}

// permit fails when a write changes what is locked.
func (n *noun[T, K]) permit(ctx context.Context, tx *database.Tx, account id.ID, before, after *T) error {
	if n.touched == nil {
		return nil
	}
	return permit(ctx, tx, account, n.touched(before, after)...)
}

// copy makes an object that shares nothing with another one: what the policy
// keeps must not change under it, and what is returned is what a Get would return.
func (n *noun[T, K]) copy(object *T) (T, error) {
	doc, err := encodeDoc(object)
	if err != nil {
		var none T
		return none, fmt.Errorf("encode %s: %w", n.name, err)
	}
	h, _ := collection.HeadOf[K](object)
	return n.decode(h.AccountID, h.Version, []byte(doc))
}

// save writes an object, its audit event and its webhook event.
func (n *noun[T, K]) save(ctx context.Context, tx *database.Tx, object *T, create bool) error {
	if err := n.write(ctx, tx, object, create); err != nil {
		return err
	}
	action := webhook.Updated
	if create {
		action = webhook.Created
	}
	return n.announce(ctx, tx, object, action)
}

// write checks and writes an object, and tells the policy. The policy keeps it.
func (n *noun[T, K]) write(ctx context.Context, tx *database.Tx, object *T, create bool) error {
	for _, check := range []func(context.Context, *database.Tx, *T) error{n.count, n.compare, n.check} {
		if check == nil {
			continue
		}
		if err := check(ctx, tx, object); err != nil {
			return err
		}
	}
	return n.keep(ctx, tx, object, create)
}

// count wants not too many objects.
func (n *noun[T, K]) count(ctx context.Context, tx *database.Tx, object *T) error {
	if n.most == 0 {
		return nil
	}
	h, _ := collection.HeadOf[K](object)
	var others int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+n.table+" WHERE account_id = $1 AND id <> $2",
		int64(h.AccountID), keyValue(h.ID)).Scan(&others)
	if err == nil && others >= n.most {
		err = &collection.ReferenceError{Err: store.ErrTooMany, Field: "/", Other: fmt.Sprintf("%d %ss", n.most, n.name)}
	}
	return err
}

// compare wants no object that may not be there together with this one.
func (n *noun[T, K]) compare(ctx context.Context, tx *database.Tx, object *T) error {
	if n.apart == nil {
		return nil
	}
	h, _ := collection.HeadOf[K](object)
	var same any
	for i := range n.columns {
		if n.columns[i].Name == n.apart.column {
			same = n.columns[i].Value(object)
		}
	}
	var clash error
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		other, err := n.scan(rows.Scan)
		if err == nil && clash == nil && n.apart.clash(object, &other) {
			found, _ := collection.HeadOf[K](&other)
			clash = &collection.ReferenceError{Err: collection.ErrDuplicate, Field: "/" + n.apart.column,
				Other: fmt.Sprintf("%s %v of %v, %s", n.name, found.ID, same, n.apart.why)}
		}
		return err
	}, "SELECT "+docColumns+" FROM "+n.table+" WHERE account_id = $1 AND "+n.apart.column+" = $2 AND id <> $3",
		int64(h.AccountID), same, keyValue(h.ID))
	if err == nil {
		err = clash
	}
	return err
}

// uniqueField is the field of which a new object may have the value of another one: that of
// a unique index within the account or, if there is none, the id, where callers choose it.
func (n *noun[T, K]) uniqueField() string {
	for _, index := range n.indexes {
		if field, within := strings.CutPrefix(index.On, "account_id, "); within && index.Unique {
			return "/" + field
		}
	}
	return "/id"
}

// keep writes an object that is right, and tells the policy.
func (n *noun[T, K]) keep(ctx context.Context, tx *database.Tx, object *T, create bool) error {
	stored, err := n.sealed(object)
	if err != nil {
		return err
	}
	doc, err := encodeDoc(stored)
	if err != nil {
		return fmt.Errorf("encode %s: %w", n.name, err)
	}
	h, times := collection.HeadOf[K](object)
	names := []string{"account_id", "id", "version", "created_at", "updated_at", "doc"}
	args := []any{int64(h.AccountID), keyValue(h.ID), h.Version, times.CreatedAt.UnixMicro(), times.UpdatedAt.UnixMicro(),
		doc}
	for i := range n.columns {
		names = append(names, n.columns[i].Name)
		args = append(args, n.columns[i].Value(object))
	}
	if err := tx.Exec(ctx, n.saveText(names, create), args...); err != nil {
		if database.IsDuplicate(err) {
			return &collection.ReferenceError{Err: collection.ErrDuplicate, Field: n.uniqueField(), Other: "another " + n.name}
		}
		return err
	}
	return tx.Apply(n.changes(object)...)
}

func (n *noun[T, K]) saveText(names []string, create bool) string {
	if create {
		return "INSERT INTO " + n.table + " (" + strings.Join(names, ", ") + ") VALUES (" + table.Places(1, len(names)) + ")"
	}
	var sets []string
	for i, name := range names {
		sets = append(sets, fmt.Sprintf("%s = $%d", name, i+1))
	}
	return "UPDATE " + n.table + " SET " + strings.Join(sets[2:], ", ") + " WHERE account_id = $1 AND id = $2"
}
