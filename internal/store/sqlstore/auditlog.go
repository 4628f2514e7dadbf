package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	resource "github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/postgres"
	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// change is what a write did to one object of the kind.
func (n *noun[T, K]) change(action string, before, after *T) change {
	c := change{kind: strings.ReplaceAll(strings.ToLower(n.name), " ", "_"), action: action}
	for _, object := range []*T{before, after} {
		if object != nil {
			h, _ := resource.HeadOf[K](object)
			c.account, c.resource = h.AccountID, fmt.Sprint(h.ID)
		}
	}
	if before != nil {
		c.before = before
	}
	if after != nil {
		c.after = after
	}
	return c
}

// appendAudit writes an event to the end of the chain. The head is moved first, so
// that writers of several processes take turns.
func (s *Store) appendAudit(ctx context.Context, tx *txn, origin *store.Origin, c *change) error {
	changes, name, err := compare(c.before, c.after)
	if err != nil {
		return err
	}
	if len(changes) == 0 && c.action == "update" {
		return nil
	}
	made, err := uuid.NewV7()
	if err != nil {
		return err
	}
	e := store.AuditEvent{
		ID: made, AccountID: c.account, CreatedAt: s.now(), RecordType: c.kind, ResourceID: c.resource,
		AlternateID: name, ChangeType: c.action, Changes: changes,
	}
	if origin != nil {
		e.KeyID, e.KeyAccount, e.KeyName = origin.KeyID, origin.KeyAccount, origin.KeyName
		e.Address, e.RequestID, e.Reason = origin.Address, origin.RequestID, origin.Reason
	}
	var last []byte
	err = tx.QueryRowContext(ctx,
		"UPDATE audit_head SET last = last + 1 WHERE one = 1 RETURNING last, hash").Scan(&e.Sequence, &last)
	if err != nil {
		return err
	}
	doc, err := encodeDoc(&e)
	if err != nil {
		return err
	}
	key := s.config.Vault.ID()
	hash, _ := chain(s.config.Vault, key, last, doc)
	err = tx.exec(ctx,
		"INSERT INTO audit_events (id, account_id, created_at, doc, hash, key) VALUES ($1, $2, $3, $4, $5, $6)",
		e.Sequence, int64(e.AccountID), e.CreatedAt.UnixMicro(), doc, hash[:], key)
	if err != nil {
		return err
	}
	return tx.exec(ctx, "UPDATE audit_head SET hash = $1 WHERE one = 1", hash[:])
}

// chain is the hash of an event: over the hash before it and its content, by a key
// that is not in the database. ok is false when the vault does not have the key.
func chain(v *secret.Vault, key string, last []byte, doc string) (hash [32]byte, ok bool) {
	return v.MAC(key, "audit event", last, []byte(doc))
}

// masked stands for every secret in the audit.
const masked = `"[changed]"`

// isSecret says whether a field holds what must not be in the audit. It goes by the
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
	from, err := flatten(before)
	if err != nil {
		return nil, "", err
	}
	to, err := flatten(after)
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

// flatten turns an object into its fields by their paths. What the event says
// elsewhere is left out.
func flatten(object any) (map[string]jsontext.Value, error) {
	fields := make(map[string]jsontext.Value)
	if object == nil {
		return fields, nil
	}
	doc, err := encodeDoc(object)
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

// auditListing orders by id, which is the order in which the changes were made.
var auditListing = listing.Table{
	Name: "audit_events", Columns: "doc, hash",
	Fields: map[string]listing.Field{
		"created_at": {Column: "created_at", Kind: column.Time},
		"sequence":   {Column: "id", Kind: column.Int},
	},
}

func scanEvent(scan func(...any) error, more ...any) (e store.AuditEvent, doc string, err error) {
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

// ListAudit implements store.Writes.
func (s *Store) ListAudit(ctx context.Context, account id.ID, q store.Query) (store.Page[store.AuditEvent], error) {
	page := store.Page[store.AuditEvent]{Items: []store.AuditEvent{}}
	err := s.engine.Read(ctx, account, func(tx table.Querier) (err error) {
		page.Total, err = auditListing.Read(ctx, tx, account, q, func(rows *sql.Rows) error {
			e, _, err := scanEvent(rows.Scan)
			page.Items = append(page.Items, e)
			return err
		})
		return err
	})
	if err != nil {
		return store.Page[store.AuditEvent]{}, fmt.Errorf("list audit events: %w", table.Unavailable(err))
	}
	return page, nil
}

// AuditError is the first place where the chain of audit events does not hold.
type AuditError struct {
	Sequence int64 // of the event, from 1
	Problem  string
}

// AuditKeyError says that an event cannot be checked for want of its key.
type AuditKeyError struct {
	Sequence int64
	Key      string
}

func (e *AuditKeyError) Error() string {
	return fmt.Sprintf("audit event %d was made under the key %.20q, which the secrets key file does not have",
		e.Sequence, e.Key)
}

func (b *AuditError) Error() string { return fmt.Sprintf("audit event %d %s", b.Sequence, b.Problem) }

// VerifyAuditChain recomputes the chain of audit events, which shows whether an
// event was changed, removed or inserted, and returns its head. The error is an
// *AuditError when the chain does not hold.
//
// Write access to the database without the key is not enough to make an event that holds.
// The stored head shows that events were cut off the end, as long as it was not set
// back with them: against that, known are heads that were kept elsewhere, which must
// be in the chain.
func (s *Store) VerifyAuditChain(ctx context.Context, known ...AuditHead) (head AuditHead, err error) {
	err = s.engine.Read(ctx, table.EveryAccount, func(tx table.Querier) (err error) {
		head, err = verifyChain(ctx, tx, s.config.Vault, known)
		return err
	})
	return head, err
}

// VerifyAuditFile is VerifyAuditChain for a database file, which a running server
// may have open. It changes nothing in the file.
func VerifyAuditFile(ctx context.Context, path string, v *secret.Vault, known ...AuditHead) (AuditHead, error) {
	return verifyApart(ctx, v, known, func(f func(table.Querier) error) error { return sqlite.ReadFile(ctx, path, f) })
}

// VerifyAuditServer is VerifyAuditChain for a PostgreSQL database whose nodes may be
// running. It changes nothing and locks nothing out.
func VerifyAuditServer(ctx context.Context, databaseURL string, v *secret.Vault,
	known ...AuditHead) (AuditHead, error) {
	return verifyApart(ctx, v, known, func(f func(table.Querier) error) error { return postgres.ReadServer(ctx, databaseURL, f) })
}

// verifyApart verifies the chain of a database that is opened for that alone. What
// is wrong with the chain is told apart from what is wrong with the database.
func verifyApart(ctx context.Context, v *secret.Vault, known []AuditHead,
	read func(func(table.Querier) error) error) (head AuditHead, err error) {
	var broken error
	err = read(func(tx table.Querier) error {
		head, broken = verifyChain(ctx, tx, v, known)
		return nil
	})
	if err != nil {
		return head, fmt.Errorf("verify audit: %w", err)
	}
	return head, broken
}

func verifyChain(ctx context.Context, q table.Querier, v *secret.Vault, known []AuditHead) (head AuditHead, err error) {
	broken := func(format string, args ...any) error {
		return &AuditError{Sequence: head.Sequence + 1, Problem: fmt.Sprintf(format, args...)}
	}
	err = table.Query(ctx, q, func(rows *sql.Rows) error {
		var account id.ID
		var sequence, created int64
		var key string
		e, doc, err := scanEvent(rows.Scan, &sequence, &account, &created, &key)
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
			return &AuditKeyError{Sequence: sequence, Key: key}
		case hash != e.Hash:
			return broken("does not follow from what is before it: it, or the event before it, was changed or inserted")
		case e.Sequence != sequence || e.AccountID != account || e.CreatedAt.UnixMicro() != created:
			return broken("was changed in its columns")
		case slices.ContainsFunc(known, func(k AuditHead) bool { return k.Sequence == sequence && k.Hash != hash }):
			return broken("is not the one whose head was kept")
		}
		head = AuditHead{Sequence: sequence, Hash: hash}
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
