// Package trail is the chain of audit events: what each write of configuration has changed,
// under a keyed hash over the event before it, and the proof that the chain holds.
package trail

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Change is one object before and after a write; nil for none.
type Change struct {
	Account        id.ID
	Kind, Resource string
	Action         string
	Before, After  any
}

// Append writes an event to the end of the chain. The head is moved first, so
// that writers of several processes take turns.
func Append(ctx context.Context, tx table.Querier, v *secret.Vault, now time.Time, origin *collection.Origin,
	c *Change) error {
	changes, name, err := compare(c.Before, c.After)
	if err != nil {
		return err
	}
	if len(changes) == 0 && c.Action == "update" {
		return nil
	}
	made, err := uuid.NewV7()
	if err != nil {
		return err
	}
	e := store.AuditEvent{
		ID: made, AccountID: c.Account, CreatedAt: now, RecordType: c.Kind, ResourceID: c.Resource,
		AlternateID: name, ChangeType: c.Action, Changes: changes,
	}
	if origin != nil {
		e.KeyID = origin.KeyID
		e.KeyAccount = origin.KeyAccount
		e.KeyName = origin.KeyName
		e.Address = origin.Address
		e.RequestID = origin.RequestID
		e.Reason = origin.Reason
	}
	var last []byte
	err = tx.QueryRowContext(ctx,
		"UPDATE audit_head SET last = last + 1 WHERE one = 1 RETURNING last, hash").Scan(&e.Sequence, &last)
	if err != nil {
		return err
	}
	doc, err := encode(&e)
	if err != nil {
		return err
	}
	key := v.ID()
	hash, _ := chain(v, key, last, doc)
	_, err = tx.ExecContext(ctx,
		"INSERT INTO audit_events (id, account_id, created_at, doc, hash, key) VALUES ($1, $2, $3, $4, $5, $6)",
		e.Sequence, int64(e.AccountID), e.CreatedAt.UnixMicro(), doc, hash[:], key)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE audit_head SET hash = $1 WHERE one = 1", hash[:])
	return err
}

// chain is the hash of an event: over the hash before it and its content, by a key
// that is not in the database. ok is false when the vault does not have the key.
func chain(v *secret.Vault, key string, last []byte, doc string) (hash [32]byte, ok bool) {
	return v.MAC(key, "audit event", last, []byte(doc))
}

// masked stands for every secret in the audit.
const masked = `"[changed]"`

// isSecret reports whether a field holds what must not be in the audit. It goes by the
// name, so that a new field with a secret is masked without being listed here.
func isSecret(path string) bool {
	name := path[strings.LastIndexByte(path, '.')+1:]
	for _, word := range []string{"password", "secret", "token", "hash"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// compare lists the fields in which two objects differ, in the order of their
// names, and finds the name by which people know the object.
func compare(before, after any) (changes []store.FieldChange, name string, err error) {
	from, err := Fields(before)
	if err != nil {
		return nil, "", err
	}
	to, err := Fields(after)
	if err != nil {
		return nil, "", err
	}
	changes = []store.FieldChange{}
	names := make(map[string]bool)
	for path := range from {
		names[path] = true
	}
	for path := range to {
		names[path] = true
	}
	null := jsontext.Value("null")
	for path := range names {
		c := store.FieldChange{Field: path, From: from[path], To: to[path]}
		if c.From == nil {
			c.From = null
		}
		if c.To == nil {
			c.To = null
		}
		if bytes.Equal(c.From, c.To) {
			continue
		}
		if isSecret(path) {
			c.From, c.To = mask(c.From), mask(c.To)
		}
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b store.FieldChange) int { return cmp.Compare(a.Field, b.Field) })
	for _, object := range []map[string]jsontext.Value{to, from} {
		for _, path := range []string{"name", "connection_name", "ip_address", "fqdn"} {
			if text := object[path]; name == "" && text.Kind() == '"' {
				if err := json.Unmarshal(text, &name); err != nil {
					return nil, "", err
				}
			}
		}
	}
	return changes, name, nil
}

func mask(value jsontext.Value) jsontext.Value {
	if string(value) == "null" || string(value) == `""` {
		return value
	}
	return jsontext.Value(masked)
}

// Fields turns an object into its fields by their paths. What the event says
// elsewhere is left out.
func Fields(object any) (map[string]jsontext.Value, error) {
	fields := make(map[string]jsontext.Value)
	if object == nil {
		return fields, nil
	}
	doc, err := encode(object)
	if err != nil {
		return nil, err
	}
	if err := flattenInto(fields, "", jsontext.Value(doc)); err != nil {
		return nil, err
	}
	for _, path := range []string{"id", "account_id", "created_at", "updated_at", "version"} {
		delete(fields, path)
	}
	return fields, nil
}

func flattenInto(fields map[string]jsontext.Value, prefix string, doc jsontext.Value) error {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(doc, &members); err != nil {
		return err
	}
	for name, value := range members {
		path := prefix + wireName(name)
		if value.Kind() == '{' {
			if err := flattenInto(fields, path+".", value); err != nil {
				return err
			}
			continue
		}
		fields[path] = value
	}
	return nil
}

// wireName turns a Go name such as OrganizationID, under which accounts and keys are
// stored, into the API's, organization_id. Other names stay as they are.
func wireName(name string) string {
	switch {
	case name == "ChannelLimit":
		return "concurrent_call_limit"
	case name == "DefaultDeck":
		return "default_rate_deck_id"
	case name == "" || !unicode.IsUpper(rune(name[0])):
		return name
	}
	var out strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(name[i-1])) {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// Listing orders by id, which is the order in which the changes were made.
var Listing = listing.Table{
	Name: "audit_events", Columns: "doc, hash",
	Fields: map[string]listing.Field{
		"created_at": {Column: "created_at", Kind: column.Time},
		"sequence":   {Column: "id", Kind: column.Int},
	},
}

// Scan reads a row of Listing, and more columns behind it. doc is the event as it was hashed.
func Scan(scan func(...any) error, more ...any) (e store.AuditEvent, doc string, err error) {
	var hash []byte
	if err := scan(append([]any{&doc, &hash}, more...)...); err != nil {
		return e, "", err
	}
	if err := json.Unmarshal([]byte(doc), &e); err != nil {
		return e, doc, fmt.Errorf("decode audit event: %w: %w", table.ErrCorrupt, err)
	}
	if len(hash) != len(e.Hash) {
		return e, doc, fmt.Errorf("decode audit event: %w: hash of %d bytes", table.ErrCorrupt, len(hash))
	}
	copy(e.Hash[:], hash)
	return e, doc, nil
}

func encode(object any) (string, error) {
	text, err := json.Marshal(object, json.Deterministic(true))
	return string(text), err
}

// Error is the first place where the chain of audit events does not hold.
type Error struct {
	Sequence int64 // of the event, from 1
	Problem  string
}

// KeyError means that an event cannot be checked for want of its key.
type KeyError struct {
	Sequence int64
	Key      string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("audit event %d was made under the key %.20q, which the secrets key file does not have",
		e.Sequence, e.Key)
}

func (b *Error) Error() string { return fmt.Sprintf("audit event %d %s", b.Sequence, b.Problem) }

// Verify recomputes the chain, and returns its head. Heads that were kept elsewhere must be
// in it. The error is an *Error when the chain does not hold.
func Verify(ctx context.Context, q table.Querier, v *secret.Vault, known []Head) (head Head, err error) {
	broken := func(format string, args ...any) error {
		return &Error{Sequence: head.Sequence + 1, Problem: fmt.Sprintf(format, args...)}
	}
	err = table.Query(ctx, q, func(rows *sql.Rows) error {
		var account id.ID
		var sequence, created int64
		var key string
		e, doc, err := Scan(rows.Scan, &sequence, &account, &created, &key)
		hash, has := chain(v, key, head.Hash[:], doc)
		switch {
		case errors.Is(err, table.ErrCorrupt):
			return broken("cannot be read: %v", err)
		case err != nil:
			return err
		case sequence != head.Sequence+1:
			return broken("is missing: event %d comes next", sequence)
		case key == "":
			return broken("has no key: it was written by a server that had none, or by someone who has none")
		case !has:
			return &KeyError{Sequence: sequence, Key: key}
		case hash != e.Hash:
			return broken("does not follow from what is before it: it, or the event before it, was changed or inserted")
		case e.Sequence != sequence || e.AccountID != account || e.CreatedAt.UnixMicro() != created:
			return broken("was changed in its columns")
		case slices.ContainsFunc(known, func(k Head) bool { return k.Sequence == sequence && k.Hash != hash }):
			return broken("is not the one whose head was kept")
		}
		head = Head{Sequence: sequence, Hash: hash}
		return nil
	}, "SELECT doc, hash, id, account_id, created_at, key FROM audit_events ORDER BY id")
	if err != nil {
		return head, fmt.Errorf("verify audit: %w", err)
	}
	var last int64
	var hash []byte
	if err := q.QueryRowContext(ctx, "SELECT last, hash FROM audit_head WHERE one = 1").Scan(&last, &hash); err != nil {
		return head, fmt.Errorf("verify audit: read head: %w", err)
	}
	switch {
	case last > head.Sequence:
		err = broken("is missing: the chain went up to event %d", last)
	case last < head.Sequence || !bytes.Equal(hash, head.Hash[:]):
		head.Sequence = last
		err = broken("is not where the stored head says that the chain ends")
	}
	for _, k := range known {
		if err == nil && k.Sequence > head.Sequence {
			err = broken("is missing: a head that was kept is of event %d", k.Sequence)
		}
	}
	return head, err
}
